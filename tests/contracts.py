"""The base of all contract tests: one class a family, inherited unchanged by each member's test.

    class TestComplEx(ScorerContract):
        member = "complex"

`tests/test_members.py` fails when a registered member has no such class.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kg.registry import Registry


class Contract:
    """What every member of a family promises. A family's contract sets `family`, a member's test sets `member`."""

    family: ClassVar[Registry[Any]]
    member: ClassVar[str]

    @classmethod
    def members(cls) -> set[str]:
        """The names of all members that a test class stands for."""
        found: set[str] = set()
        for child in cls.__subclasses__():
            if "member" in vars(child):
                found.add(child.member)
            found |= child.members()
        return found
