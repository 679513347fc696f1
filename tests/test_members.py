"""A registered part without a contract test fails the suite."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from pathlib import Path

import pytest

import kept
import kg
from kg.registry import FAMILIES
from tests.contracts import Contract

TESTS = Path(__file__).parent

UNTESTED_FAMILIES: frozenset[str] = frozenset()
"""Families of plain data (no behaviour to promise), by name."""


def import_all_parts() -> None:
    """A family is known once its module is imported, and one that no test imports must be known, too."""
    for package in (kg, kept):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)


def import_all_tests() -> None:
    for path in sorted(TESTS.rglob("test_*.py")):
        # A test of a peer that is not installed skips itself when it is imported; it is no reason to skip this one.
        with contextlib.suppress(pytest.skip.Exception):
            importlib.import_module(".".join(("tests", *path.relative_to(TESTS).with_suffix("").parts)))


def contracts() -> dict[str, type[Contract]]:
    import_all_tests()
    return {contract.family.family: contract for contract in Contract.__subclasses__()}


def test_every_family_has_a_contract() -> None:
    import_all_parts()
    found = contracts()
    missing = set(FAMILIES) - set(found) - UNTESTED_FAMILIES
    assert not missing, f"families without a contract test class: {sorted(missing)}"


def test_every_member_has_a_contract_test() -> None:
    import_all_parts()
    for family, contract in contracts().items():
        missing = set(contract.family) - contract.members()
        assert not missing, f"{family} members without a contract test: {sorted(missing)}"


def test_a_member_without_a_test_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    contract = next(iter(contracts().values()))
    monkeypatch.setitem(contract.family._parts, "a-member-nobody-tested", object)
    with pytest.raises(AssertionError, match="a-member-nobody-tested"):
        test_every_member_has_a_contract_test()
