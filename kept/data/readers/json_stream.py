"""The members of a large JSON file, one after the other, without holding the file."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kept.data.readers.lines import open_bytes
from kg.errors import InputError

CHUNK = 1 << 16
MAX_ELEMENT = 1 << 26
"""Characters of one member."""
BLANK = " \t\r\n"


def members(path: Path) -> Iterator[tuple[str, Any]]:
    """The names and values of a file's one object.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "graphs.json"
    >>> _ = path.write_text('{"1": {"width": 4}, "2": {"width": 5}}')
    >>> list(members(path))
    [('1', {'width': 4}), ('2', {'width': 5})]
    """
    scanner = Scanner(path)
    for name in scanner.names():
        yield name, scanner.value()
    scanner.finish()


def elements(path: Path, key: str | None = None, header: dict[str, Any] | None = None) -> Iterator[Any]:
    """The elements of a file's one list, or of the list that its one object has under a key.

    Args:
        header: receives what the object has before the list and is neither list nor object.

    Raises:
        InputError: when the file is not JSON, has another shape, or a member of more than `MAX_ELEMENT` characters.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "captions.json"
    >>> _ = path.write_text('{"info": {}, "annotations": [{"id": 1}, {"id": 2}]}')
    >>> list(elements(path, "annotations"))
    [{'id': 1}, {'id': 2}]
    """
    scanner = Scanner(path)
    if key is None:
        yield from scanner.listed()
        scanner.finish()
        return
    for name in scanner.names():
        if name == key:
            yield from scanner.listed()
            return
        value = scanner.skip()
        if header is not None and isinstance(value, str | int | float):
            header[name] = value
    raise InputError(f"{path}: {key!r} is missing")


class Scanner:
    """A place in a JSON file, of which only a window is held."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_bytes(path)
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._parse = json.JSONDecoder().raw_decode
        self._text, self._at, self._before, self._ended = "", 0, 0, False

    def names(self) -> Iterator[str]:
        """The names of an object; its values are taken in between."""
        self._take("{")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            name = self.value()
            if not isinstance(name, str):
                raise self._wrong("a name was expected")
            self._take(":")
            yield name
            if self._take(",}") == "}":
                return

    def listed(self) -> Iterator[Any]:
        """The elements of a list."""
        self._take("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self._take(",]") == "]":
                return

    def value(self) -> Any:
        """The value that begins here."""
        self.peek()
        while True:
            try:
                value, end = self._parse(self._text, self._at)
            except RecursionError:
                raise self._wrong("nested too deeply") from None
            except ValueError as error:
                if self._ended:
                    raise self._wrong(str(error)) from None
            else:
                if self._ended or not self._may_go_on(end):
                    self._at = end
                    return value
            if len(self._text) - self._at > MAX_ELEMENT:
                raise self._wrong(f"a member of more than {MAX_ELEMENT:,} characters, or one that is malformed")
            self._more()

    def skip(self) -> Any:
        """Pass the value that begins here; a list is passed element by element, any other value returned."""
        if self.peek() != "[":
            return self.value()
        for _ in self.listed():
            pass
        return None

    def _may_go_on(self, end: int) -> bool:
        """Whether a value that ends here may be a number whose rest is behind the window: 1 of 12, 1. or 1e+5."""
        rest = self._text[end : end + 3]
        return not rest or (len(rest) < 3 and rest[0] in ".eE")

    def peek(self) -> str:
        """The next character that is not blank; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in BLANK:
                self._at += 1
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._more()

    def finish(self) -> None:
        """Refuse what follows the end."""
        if self.peek():
            raise self._wrong("more than one value")

    def _take(self, choices: str) -> str:
        if (found := self.peek()) and found in choices:
            self._at += 1
            return found
        raise self._wrong(f"{' or '.join(choices)} was expected, not {found or 'the end'}")

    def _more(self) -> None:
        """Read on: as much again as is held, so that a long member is parsed only a few times."""
        held = self._text[self._at :]
        try:
            data = self._file.read(max(CHUNK, len(held)))
            fresh = self._decode(data, not data)
        except UnicodeDecodeError as error:
            raise self._wrong(f"not UTF-8 ({error})") from None
        self._before += self._at
        self._text, self._at, self._ended = held + fresh, 0, not data

    def _wrong(self, what: str) -> InputError:
        return InputError(f"{self.path}: not valid JSON at character {self._before + self._at}: {what}")
