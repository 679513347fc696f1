from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kept.data.corpus import build_corpus, choose_probe_entities
from kept.data.leaks import HIDDEN, NameFinder, count_leaks
from kept.data.record import Mention, Record, Region, Subtitle
from kept.linking import Linker
from kg import InputError, KnowledgeGraph
from kg.split import PARTS, FactSplit
from tests.worlds import real_world, toy_graph, toy_split, toy_templates

FACT = ("FR", "capital", "Paris")


@pytest.fixture(scope="module")
def kg() -> KnowledgeGraph:
    return toy_graph()


@pytest.fixture(scope="module")
def split(kg: KnowledgeGraph) -> FactSplit:
    """All facts in text but one in D: the capital of France."""
    split = toy_split(kg)
    split.parts[split.parts != PARTS.index("S")] = PARTS.index("A")
    rows = kg.triples.tolist()
    head, tail = kg.entities.id(FACT[0]), kg.entities.id(FACT[2])
    split.parts[rows.index([head, kg.relations.id(FACT[1]), tail])] = PARTS.index("D")
    return split


def planted(kg: KnowledgeGraph) -> dict[str, Record]:
    france, paris, guinea = (kg.entities.id(key) for key in ("FR", "Paris", "GN"))
    capital = kg.relations.id("capital")
    flag = {"id": "x", "image": "images/FR.png"}
    return {
        "by names": Record(id="x", text="Paris is the capital of France."),
        "by an alias": Record(id="x", text="The French Republic is ruled from Paris."),
        "in any case": Record(id="x", text="PARIS, france"),
        "across fields": Record(id="x", question="What is the capital of France?", answer="Paris"),
        "in choices": Record(id="x", question="Capital of France?", choices=("Rome", "Paris")),
        "by a mention": Record(id="x", text="its capital, Paris", mentions=(Mention(0, 3, france),)),
        "by a triple": Record(id="x", triples=((france, capital, paris),)),
        "by a picture": Record(text="The capital of this country is Paris.", **flag),
        "by what is shown": Record(id="x", text="Ruled from Paris.", depicts=france),
        "by a frame": Record(id="x", frames=("images/FR.png",), subtitles=(Subtitle(0, 1, "in Paris"),)),
        "by a region": Record(text="France", id="x", regions=(Region((0, 0, 1, 1), "Paris"),)),
        "in a document": Record(id="x", documents=("France.", "Paris.")),
        "held out by name": Record(id="x", text="One is called Guinean in Guinea."),
        "held out by alias": Record(id="x", text="the republic of guinea"),
        "held out by picture": Record(id="x", image="images/GN.png"),
        "held out by mention": Record(id="x", mentions=(Mention(0, 1, guinea),)),
    }


@pytest.mark.parametrize("how", list(planted(toy_graph())))
def test_planted_leaks_are_found(kg: KnowledgeGraph, split: FactSplit, how: str) -> None:
    leaks = count_leaks([planted(kg)[how]], kg, split)
    assert leaks.total == 1
    assert leaks.held_out == how.startswith("held out")
    assert leaks.facts["D"] == (not how.startswith("held out"))
    assert len(leaks.examples) == 1


@pytest.mark.parametrize(
    "record",
    [
        Record(id="x", text="France borders Spain."),
        Record(id="x", text="Paris has this flag.", image="images/ES.png"),
        Record(id="x", text="The capital of Papua New Guinea is Port Moresby."),
        Record(id="x", text="Parisian France"),
        Record(id="x", text="The flag of France.", image="images/FR.png"),
        Record(id="x"),
    ],
)
def test_what_may_be_said_is_no_leak(kg: KnowledgeGraph, split: FactSplit, record: Record) -> None:
    assert count_leaks([record], kg, split).total == 0


def test_the_graph_must_be_the_split_one(kg: KnowledgeGraph, split: FactSplit) -> None:
    with pytest.raises(InputError, match="split again"):
        count_leaks([], split.graph(kg), split)


def test_names_inside_longer_names_are_not_said(kg: KnowledgeGraph) -> None:
    finder = NameFinder(kg)

    def keys(text: str) -> set[str]:
        return set(kg.entities.keys(sorted(finder.entities(text))))

    assert keys("papua new guinea") == {"PG"}
    assert keys("papua new guinea and guinea") == {"PG", "GN"}
    assert keys("luxembourg") == {"LU", "city/LU"}
    assert keys("a turkey") == {"TR", "turkey"}


@pytest.mark.parametrize("seed", range(5))
def test_a_corpus_leaks_nothing(kg: KnowledgeGraph, tmp_path: Path, seed: int) -> None:
    split = toy_split(kg, seed)
    corpus = build_corpus(kg, split, toy_templates(tmp_path), Linker.from_graph(split.graph(kg)), seed=seed)
    assert corpus.leaks.examples == []
    assert corpus.leaks.records == len(corpus.records) == sum(corpus.counts().values())


def test_pictures_for_probes(kg: KnowledgeGraph) -> None:
    split = toy_split(kg, seed=2)
    chosen = choose_probe_entities(kg, split, "capital", count=3)
    assert chosen == choose_probe_entities(kg, split, "capital", count=3)
    hidden = kg.triples[split.rows("B")]
    of_capital = set(hidden[hidden[:, 1] == kg.relations.id("capital"), 0].tolist()) - set(split.held_out.tolist())
    assert set(chosen) <= of_capital or of_capital <= set(chosen)
    assert kg.entities.id("GN") not in choose_probe_entities(kg, split, "capital", count=99)


def test_no_wording_of_the_world_names_anything() -> None:
    from importlib.resources import files

    from kg.verbalize import Templates, about_picture, caption, verbalize

    finder = NameFinder(KnowledgeGraph.open(real_world() / "world.kg"))
    templates = Templates.load(Path(str(files("data_scripts"))) / "world_templates.yaml")
    said = []
    for wordings in templates.values():
        for template in (*wordings.train, *wordings.held_out):
            said += [verbalize(template, "Xxx", "Yyy").text, about_picture(wordings, template, "Yyy").text]
    for captions in templates.captions.values():
        said += [caption(template, "Xxx")[0] for template in (*captions.train, *captions.held_out)]
    classes = {"country", "province", "city", "language", "currency", "region", "subregion", "demonym"}
    for text in said:
        named = {finder.kg.label(entity) for entity in finder.entities(text)}
        assert named <= classes, text


def test_the_corpus_of_the_real_world() -> None:
    from importlib.resources import files

    from kg.split import split_facts
    from kg.verbalize import Templates

    base = "http://example.org/world/"
    kg = KnowledgeGraph.open(real_world() / "world.kg")
    structure = [base + "subregion_of", base + "broader"]
    split = split_facts(kg, structural_relations=structure, hold_out={base + "Country": 20}, seed=1)
    templates = Templates.load(Path(str(files("data_scripts"))) / "world_templates.yaml")
    probes = choose_probe_entities(kg, split, base + "capital")
    few: dict[str, Any] = {"wordings": 1}
    sources = {"facts": few, "captions": few, "picture-facts": few}
    linker = Linker.from_graph(split.graph(kg))
    corpus = build_corpus(kg, split, templates, linker, probe_entities=probes, sources=sources)
    assert corpus.leaks.examples == []
    assert len(corpus.records) > 5000
    assert len(probes) == 60
    named = {m.entity for record in corpus.records for m in record.mentions}
    assert named.isdisjoint(split.held_out.tolist())
    facts = [record for record in corpus.records if record.source == "fact"]
    assert np.mean([record.head is not None and record.tail is not None for record in facts]) == 1.0
    assert all(split.part(row) not in HIDDEN for row in (int(record.id.split("/")[1]) for record in facts))
