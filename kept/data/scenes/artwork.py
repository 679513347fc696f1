"""Drawings of the same things by several artists: who drew what, what it is called, and its pixels."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kept.data.scenes.emoji import category_of
from kg.errors import InputError
from kg.progress import track

MAX_TABLE = 20_000_000
MAX_PICTURES = 20_000
FAINT = 16
"""Alpha below this is taken away, so that what a box bounds can be seen."""
SELECTOR = "-FE0F"
STATEMENTS = ("ATTRIBUTION.md", "SOURCE.txt", "LICENSE", "LICENSE.txt", "LICENSE.md")
CODE = re.compile(r"[0-9A-F]{2,6}(-[0-9A-F]{2,6})*")

Pixels = NDArray[np.uint8]


class Thing(NamedTuple):
    """What can be drawn: its code (Unicode code points), its name, and the word that counts it among others."""

    code: str
    label: str
    category: str | None = None


def normal_code(stem: str) -> str | None:
    """The code of a file's name, without variation selectors; None where it is none.

    >>> normal_code("emoji_u1f436"), normal_code("2600-fe0f"), normal_code("readme")
    ('1F436', '2600', None)
    """
    code = stem.removeprefix("emoji_u").replace("_", "-").upper().replace(SELECTOR, "")
    return code if CODE.fullmatch(code) else None


def read_names(path: Path) -> list[Thing]:
    """Names of codes: a JSON list as openmoji.json or emojibase's data.json, or lines `code TAB label [TAB category]`.

    Of a JSON list, things that a sentence can name are taken (see `emoji.category_of`); of lines, all.

    Raises:
        InputError: names the file, and the line where there is one.

    >>> read_names(Path("openmoji.json"))[0]                                              # doctest: +SKIP
    Thing(code='1F412', label='monkey', category='animal')
    """
    try:
        if path.stat().st_size > MAX_TABLE:
            raise InputError(f"{path}: a table of names of more than {MAX_TABLE:,} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error.reason})") from None
    things = from_json(text, path) if path.suffix == ".json" else from_lines(text, path)
    if not things:
        raise InputError(f"{path}: names nothing that can be drawn")
    return things


def from_json(text: str, path: Path) -> list[Thing]:
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "hexcode" in row for row in rows):
        raise InputError(f"{path}: expected a list of objects with 'hexcode', as openmoji.json is")
    if rows and "subgroups" not in rows[0]:
        raise InputError(f"{path}: has no 'subgroups' to tell things from signs; openmoji.json has them")
    plain = (row for row in rows if not row.get("skintone"))
    return emoji_things((row["hexcode"], row.get("annotation", ""), row["subgroups"]) for row in plain)


def emoji_things(rows: Iterable[tuple[str, str, str]]) -> list[Thing]:
    """The things among emoji, given as (code, label, subgroup).

    >>> emoji_things([("1F415", "dog", "animal-mammal"), ("1F600", "grinning face", "face-smiling")])
    [Thing(code='1F415', label='dog', category='animal')]
    """
    things = []
    for hexcode, label, subgroup in rows:
        code, (drawn, category) = normal_code(hexcode), category_of(label, subgroup)
        if code and drawn:
            things.append(Thing(code, label, category))
    return things


def from_lines(text: str, path: Path) -> list[Thing]:
    things = []
    for number, fields in enumerate(csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE), start=1):
        if not fields or (number == 1 and fields[0].lower() in ("code", "codepoint", "hexcode")):
            continue
        code = normal_code(fields[0].strip())
        label = " ".join(fields[1].split()) if len(fields) in (2, 3) else ""
        if code is None or not label or len(label) > 60:
            raise InputError(f"{path}:{number}: expected code TAB label [TAB category], such as 1F436 TAB dog")
        things.append(Thing(code, label, (fields[2].strip() or None) if len(fields) == 3 else None))
    return things


def unambiguous(things: Sequence[Thing]) -> tuple[list[Thing], dict[str, int]]:
    """Without things whose name would be true of another: a double, or "guide dog" where there is "dog".

    >>> unambiguous([Thing("1", "dog"), Thing("2", "guide dog"), Thing("3", "cat"), Thing("4", "cat")])[0]
    [Thing(code='3', label='cat', category=None), Thing(code='1', label='dog', category=None)]
    """
    labels: dict[str, Thing] = {}
    dropped: Counter[str] = Counter()
    for thing in sorted(things, key=lambda thing: (len(thing.code), thing.code)):
        if thing.label.casefold() in labels:
            dropped["names that another bears"] += 1
        else:
            labels[thing.label.casefold()] = thing
    kept = []
    for name, thing in labels.items():
        words = name.split()
        if any(" ".join(words[start:]) in labels for start in range(1, len(words))):
            dropped["names that end in another's"] += 1
        else:
            kept.append(thing)
    return sorted(kept, key=lambda thing: thing.label), dict(dropped)


@dataclass(frozen=True)
class Artwork:
    """Things as several artists drew them.

    Args:
        things: ascending by label.
        artists: names.
        pixels: for each artist (N, S, S, 4) uint8 RGBA, fitted into the square; zeros where an artist has no drawing.
        drawn: (artists, N) bool, who drew what.
        about: for each artist how many drawings there are, from where, and what is said there of their licence.
    """

    things: Sequence[Thing]
    artists: Sequence[str]
    pixels: Sequence[Pixels]
    drawn: NDArray[np.bool_]
    about: Mapping[str, Mapping[str, Any]]
    dropped: Mapping[str, int]

    @classmethod
    def load(cls, folders: Mapping[str, Path], names: Sequence[Thing], *, size: int) -> Artwork:
        """Decode the drawings of the named things at `size` pixels.

        Raises:
            InputError: when there is no artist, a folder holds no PNG of a named thing, or a file is no picture.

        >>> Artwork.load({"noto": Path("png/128")}, names, size=70).drawn.sum()            # doctest: +SKIP
        632
        """
        if not folders:
            raise InputError("no artwork: give a folder of drawings")
        things, dropped = unambiguous(names)
        files = {artist: find_drawings(artist, folder) for artist, folder in folders.items()}
        things = [thing for thing in things if any(thing.code in found for found in files.values())]
        drawn = np.array([[thing.code in files[artist] for thing in things] for artist in folders], dtype=bool)
        for artist, folder in folders.items():
            if not any(thing.code in files[artist] for thing in things):
                raise InputError(f"--artist {artist}={folder}: holds a drawing of nothing that is named")
        pixels = [decode(artist, things, files[artist], size, drawn[row]) for row, artist in enumerate(folders)]
        about = {
            artist: {"folder": str(folders[artist]), "drawings": int(drawn[row].sum()), **licence(folders[artist])}
            for row, artist in enumerate(folders)
        }
        return cls(things, list(folders), pixels, drawn, about, dropped)


def find_drawings(artist: str, folder: Path) -> dict[str, Path]:
    """The PNGs directly in a folder, by code."""
    if not folder.is_dir():
        raise InputError(f"--artist {artist}={folder}: no such folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.png")):
        code = normal_code(path.stem)
        if code:
            found.setdefault(code, path)
    if not found or len(found) > MAX_PICTURES:
        raise InputError(
            f"--artist {artist}={folder}: {len(found)} PNGs named by code points, such as 1f436.png; "
            f"1 to {MAX_PICTURES:,} are wanted"
        )
    return found


def decode(artist: str, things: Sequence[Thing], files: Mapping[str, Path], size: int, drawn: Pixels) -> Pixels:
    from kept.data.pictures import read_picture

    pixels = np.zeros((len(things), size, size, 4), dtype=np.uint8)
    for row, thing in enumerate(track(things, f"reading {artist}", total=len(things))):
        if thing.code in files:
            picture = read_picture(files[thing.code], size)
            if not (picture[..., 3] >= FAINT).any():
                drawn[row] = False
            pixels[row] = picture
    return pixels


def licence(folder: Path) -> dict[str, str]:
    """What the nearest attribution or licence beside the drawings says, in its first lines."""
    for place in (folder, *list(folder.resolve().parents)[:2]):
        for name in STATEMENTS:
            if (place / name).is_file():
                with (place / name).open(encoding="utf-8", errors="replace") as file:
                    return {"licence": " ".join(file.read(600).split()), "licence_file": str(place / name)}
    return {"licence": "not stated beside the drawings"}
