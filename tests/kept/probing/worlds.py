"""A small world and stub scorers for the tests of this folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kept.probing.items import AnswerSpace, ProbeItem
from kept.probing.scorers import ANSWER
from kept.probing.world import Swap, World
from kg.graph import KnowledgeGraph
from kg.split import PARTS, FactSplit
from kg.verbalize import RelationTemplates, Templates

COUNTRIES, CITIES, REGIONS = 12, 12, 3
KINDS = {"mammal": ("dog", "cat", "horse"), "fruit": ("apple", "pear", "plum"), "insect": ("ant", "bee")}


def make_world(pictures: Path | None = None, seed: int = 0) -> World:
    """Countries with a capital (1-1), a region (N-1) and neighbours (N-N); concepts with a kind.

    Capitals and regions go through A, B-dev, B-test, C, D in turn; `Country 11` is held out of all text, the capital of
    `Country 10` bears its country's name.
    """
    facts: list[tuple[str, str, str, str]] = []
    for i in range(COUNTRIES):
        part = "B-test" if i == COUNTRIES - 1 else ("A", "A", "B-dev", "B-test", "C", "D")[i % 6]
        facts.append((f"country/{i}", "capital", f"city/{i}", part))
        facts.append((f"country/{i}", "region", f"region/{i % REGIONS}", "B-test" if i == COUNTRIES - 1 else "A"))
    for i in range(0, COUNTRIES - 2, 2):
        for j in (i + 1, i + 2):
            facts += [(f"country/{i}", "borders", f"country/{j % 11}", "A")]
    for kind, members in KINDS.items():
        facts += [(f"concept/{member}", "kind_of", f"kind/{kind}", "S") for member in members]
    labels = {f"country/{i}": f"Country {chr(65 + i)}land" for i in range(COUNTRIES)}
    labels |= {f"city/{i}": f"{chr(65 + i)}ville" for i in range(CITIES)} | {"city/10": "Country Kland"}
    labels |= {f"region/{i}": f"Region {i}" for i in range(REGIONS)}
    labels |= {f"kind/{kind}": kind for kind in KINDS}
    labels |= {f"concept/{member}": member for members in KINDS.values() for member in members}
    types = {key: key.split("/")[0].title() for key in labels}
    graph = KnowledgeGraph.from_triples([fact[:3] for fact in facts], labels=labels, types=types)
    return World(
        graph,
        split_of(graph, {fact[:3]: fact[3] for fact in facts}),
        TEMPLATES,
        {} if pictures is None else draw_pictures(pictures),
        "kind_of",
        (Swap("country/0", "capital", "city/0", "city/3"), Swap("country/3", "capital", "city/3", "city/0")),
        seed,
    )


def split_of(graph: KnowledgeGraph, parts: Mapping[tuple[str, str, str], str]) -> FactSplit:
    """A split by hand; what is not listed (types) is S."""
    codes = np.array([PARTS.index(parts.get(fact, "S")) for fact in graph.statements()], dtype=np.int8)
    held_out = np.array([graph.entities.id(f"country/{COUNTRIES - 1}")])
    return FactSplit(codes, held_out, np.zeros(len(codes), dtype=bool), 0, {}, graph.hash)


TEMPLATES = Templates(
    {
        "capital": RelationTemplates(
            ("The capital of {head} is {tail}.", "{tail} is the capital of {head}."),
            ("People govern {head} from {tail}.",),
            "this country",
        ),
        "region": RelationTemplates(("{head} lies in {tail}.",), (), "this country"),
        "borders": RelationTemplates(("{head} borders {tail}.",), ("{tail} is next to {head}.",), "this country"),
        "kind_of": RelationTemplates(("{head} is a kind of {tail}.",), (), "this thing"),
    },
    {},
)


def draw_pictures(folder: Path) -> dict[str, str]:
    """A picture for half of the countries; only its bytes matter here."""
    paths = {f"country/{i}": folder / f"{i}.png" for i in range(0, COUNTRIES, 2)}
    for key, path in paths.items():
        path.write_bytes(key.encode())
    return {key: str(path) for key, path in paths.items()}


class Oracle:
    """Knows every gold answer to a question."""

    routes: tuple[str, ...] = (ANSWER,)
    fingerprint = "oracle"

    def __init__(self, items: Sequence[ProbeItem]) -> None:
        self.gold: dict[tuple[str, str | None, object], set[str]] = {}
        for item in items:
            self.gold.setdefault((item.query, item.image, item.choices), set()).update(item.gold)

    def score(self, items: Sequence[ProbeItem], spaces: Mapping[str, AnswerSpace]) -> dict[str, list[np.ndarray]]:
        return {ANSWER: [self._score(item, item.space(spaces)) for item in items]}

    def _score(self, item: ProbeItem, space: AnswerSpace) -> np.ndarray:
        gold = self.gold[item.query, item.image, item.choices]
        return np.array([float(candidate.key in gold) for candidate in space.candidates])


class Guesser:
    """Random scores by two routes, the same ones for the same item and seed."""

    routes = ("tokens", "entities")

    def __init__(self, seed: int = 0) -> None:
        self.seed, self.fingerprint, self.calls = seed, f"guesser {seed}", 0

    def score(self, items: Sequence[ProbeItem], spaces: Mapping[str, AnswerSpace]) -> dict[str, list[np.ndarray]]:
        self.calls += len(items)
        return {route: [self._draw(route, item, spaces) for item in items] for route in self.routes}

    def _draw(self, route: str, item: ProbeItem, spaces: Mapping[str, AnswerSpace]) -> np.ndarray:
        digest = hashlib.sha256(f"{self.seed}/{route}/{item.id}".encode()).digest()
        return np.random.default_rng(list(digest)).random(len(item.space(spaces).candidates))
