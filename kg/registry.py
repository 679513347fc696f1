"""Families of interchangeable parts, chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from kg.errors import InputError, nearest

Part = TypeVar("Part", bound=Callable[..., Any])

FAMILIES: dict[str, Registry[Any]] = {}
"""Every registry that was made so far, by family name; `kept parts` lists it."""


class Registry(Generic[Part]):
    """A family of parts (classes or functions), each under one name.

    The first line of a part's docstring is its description in `kept parts`.

        >>> shapes: Registry[type] = Registry("shape", listed=False)
        >>> @shapes.register("square")
        ... class Square:
        ...     "Four equal sides."
        >>> shapes["square"] is Square
        True

    Raises:
        InputError: on a lookup of an unknown name, with the nearest valid one.
        ValueError: when a name is registered twice.
    """

    def __init__(self, family: str, *, listed: bool = True) -> None:
        self.family = family
        self._parts: dict[str, Part] = {}
        if listed:
            FAMILIES[family] = self

    def register(self, name: str) -> Callable[[Part], Part]:
        def add(part: Part) -> Part:
            if name in self._parts:
                raise ValueError(f"{self.family} {name!r} is registered twice")
            self._parts[name] = part
            return part

        return add

    def __getitem__(self, name: str) -> Part:
        try:
            return self._parts[name]
        except KeyError:
            raise InputError(f"no {self.family} is called {name!r}; {nearest(name, self._parts)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._parts))

    def __len__(self) -> int:
        return len(self._parts)

    def name_of(self, part: Part) -> str:
        """The name a part was registered under."""
        return next(name for name, known in self._parts.items() if known is part)

    def describe(self) -> dict[str, str]:
        """One line for each member, by name."""
        return {name: (self._parts[name].__doc__ or "").strip().split("\n")[0] for name in self}
