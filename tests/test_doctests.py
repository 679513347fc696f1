"""The one runnable line of every docstring runs, and gives what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

PACKAGES = ("kg", "kept", "pipelines", "data_scripts")


def modules() -> Iterator[str]:
    for package in PACKAGES:
        place = importlib.import_module(package)
        yield package
        yield from (found.name for found in pkgutil.walk_packages(place.__path__, f"{package}."))


@pytest.mark.parametrize("name", sorted(modules()))
def test_examples(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path_factory.mktemp("doctest"))
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert not result.failed
