from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kept.modeling.fusion import MentionFusion
from kept.probing.answering import ModelScorer
from kept.probing.items import AnswerSpace
from kept.probing.scorers import ANSWER
from kept.probing.why import all_entities, as_record, joining
from kg import KnowledgeGraph
from tests.pipelines.chain import Chain, answer, run

QUESTION = "France lies beside [MASK]."


@pytest.fixture(scope="module")
def scorer(chain: Chain) -> ModelScorer:
    return ModelScorer.load(chain.model, KnowledgeGraph.open(chain.root / "graph.kg"))


def test_answers_are_the_best_of_all_entities(chain: Chain, scorer: ModelScorer) -> None:
    told = answer("ask", chain.model, QUESTION, "--top", 3)
    space = all_entities(scorer.graph)
    scores = scorer.hear([as_record(scorer, QUESTION, None)], [None]).score(0, space, scorer)[ANSWER].tolist()
    best = sorted(range(len(scores)), key=lambda entity: -scores[entity])[:3]
    assert [one["entity"] for one in told["answers"]] == [scorer.graph.entities.key(entity) for entity in best]
    for entity, one in zip(best, told["answers"], strict=True):
        assert one["probability"] == pytest.approx(math.exp(scores[entity]))
        mixed = told["gate"] * one["entities"] + (1 - told["gate"]) * one["tokens"]
        assert one["probability"] == pytest.approx(mixed, rel=1e-4)
    assert [(link["name"], link["entity"]) for link in told["linked"]] == [("France", "FR")]


def test_why_agrees_with_asking_without_the_mention(chain: Chain, scorer: ModelScorer) -> None:
    question = "Italy and France lie beside [MASK]."
    why = answer("ask", chain.model, question, "--why")["why"]
    space, record = all_entities(scorer.graph), as_record(scorer, question, None)
    best = next(n for n, candidate in enumerate(space.candidates) if candidate.name == why["answer"])
    assert [one["entity"] for one in why["without"]] == ["IT", "FR"]
    for number, one in enumerate(why["without"]):
        left = tuple(mention for place, mention in enumerate(record.mentions) if place != number)
        scores = scorer.hear([replace(record, mentions=left)], [None]).score(0, space, scorer)[ANSWER]
        assert one["probability"] == pytest.approx(float(scores[best].detach().exp()), rel=1e-4)
        assert one["answers"] == space.candidates[int(scores.argmax())].name
    off = ModelScorer.load(chain.model, scorer.graph, knowledge=False)
    scores = off.hear([record], [None]).score(0, space, off)[ANSWER]
    assert why["knowledge_off"]["probability"] == pytest.approx(float(scores[best].detach().exp()), rel=1e-4)


def test_why_shows_the_facts_that_join_question_and_answer(chain: Chain, scorer: ModelScorer) -> None:
    told = answer("ask", chain.model, QUESTION, "--why", "--top", scorer.graph.num_entities)
    graph, why = scorer.graph, told["why"]
    best, france = graph.entities.id(told["answers"][0]["entity"]), graph.entities.id("FR")
    expected = {
        (graph.label(head), graph.relation_label(relation), graph.label(tail))
        for head, relation, tail in graph.triples.tolist()
        if {head, tail} == {best, france}
    }
    assert {(fact["head"], fact["relation"], fact["tail"]) for fact in why["facts"]} == expected
    shown = run("ask", chain.model, QUESTION, "--why").stdout
    for text in ("gate: ", "linked: 'France' -> France (country)  FR", "fact: ", "without France: ", "knowledge off: "):
        assert text in shown


def test_joining_facts_are_found_in_both_directions(scorer: ModelScorer) -> None:
    graph = scorer.graph
    head, relation, tail = graph.triples[0].tolist()
    assert next(joining(graph, head, tail)) == next(
        fact for fact in joining(graph, tail, head) if fact["relation"] == graph.relation_label(relation)
    )


def test_a_picture_is_asked_about(chain: Chain) -> None:
    picture = chain.root / "pictures" / "images" / "FR.png"
    told = answer("ask", chain.model, "The capital of this country is [MASK].", "--image", picture, "--why")
    assert [link["place"] for link in told["linked"]] == ["picture"]
    assert [one["entity"] for one in told["why"]["without"]] == [told["linked"][0]["entity"]]


def test_a_model_that_saw_no_pictures_says_so(chain: Chain, tmp_path: Path) -> None:
    told = ("--set", "encode_pictures=false", "--set", "stages.facts.steps=1")
    assert run("pretrain", chain.recipe, "--out", tmp_path / "run", *told).exit_code == 0
    picture = chain.root / "pictures" / "images" / "FR.png"
    result = run("ask", tmp_path / "run" / "model", QUESTION, "--image", picture)
    assert result.exit_code == 2 and "cannot look at one" in result.stderr


def test_a_model_without_knowledge_answers_with_tokens(chain: Chain, tmp_path: Path) -> None:
    text = chain.recipe.read_text().replace("knowledge: {fusion: mentions, decoders: [operator]}", "")
    (tmp_path / "text.yaml").write_text(
        text.replace('      mep: {"on": [facts]}\n', "").replace("steps: 6", "steps: 1")
    )
    assert run("pretrain", tmp_path / "text.yaml", "--out", tmp_path / "run").exit_code == 0
    told = answer("ask", tmp_path / "run" / "model", QUESTION, "--why")
    assert told["gate"] is None and told["answers"][0]["entities"] is None
    assert told["answers"][0]["probability"] == told["answers"][0]["tokens"]
    assert told["why"]["without"] == [] and told["why"]["knowledge_off"] is None
    assert "this model has no knowledge" in run("ask", tmp_path / "run" / "model", QUESTION, "--why").stdout


def test_the_graph_must_be_found_and_be_the_models(chain: Chain, tmp_path: Path) -> None:
    shutil.copytree(chain.model, tmp_path / "model")
    lost = run("ask", tmp_path / "model", QUESTION)
    assert lost.exit_code == 2 and "give --graph NAME.kg" in lost.stderr
    given = ("--graph", chain.root / "graph.kg")
    assert run("ask", tmp_path / "model", QUESTION, *given).exit_code == 0
    other = KnowledgeGraph.from_triples([("a", "r", "b")])
    other.save(tmp_path / "other.kg")
    wrong = run("ask", tmp_path / "model", QUESTION, "--graph", tmp_path / "other.kg")
    assert wrong.exit_code == 2 and "the graph has 2 entities" in wrong.stderr


def test_other_facts_of_the_same_entities_are_told(chain: Chain) -> None:
    whole = run("ask", chain.model, QUESTION, "--graph", chain.root / "world.kg")
    assert whole.exit_code == 0 and "another state of the graph" in whole.stderr


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("The capital of France is Paris.", "has 0 [MASK]; write one, where the answer belongs"),
        ("[MASK] borders [MASK].", "has 2 [MASK]"),
        ("France " * 100 + "borders [MASK].", "is too long"),
    ],
)
def test_a_question_needs_one_mask(chain: Chain, question: str, message: str) -> None:
    result = run("ask", chain.model, question)
    assert result.exit_code == 2 and message in result.stderr and len(result.stderr.splitlines()) == 1


def test_questions_are_rewritten_as_records_are(scorer: ModelScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    record, off = as_record(scorer, QUESTION, None), replace(scorer, knowledge=False)
    plain = scorer.collate([record], [None])[0].text.ids
    monkeypatch.setattr(MentionFusion, "rewrite", lambda self, given: replace(given, text=f"{given.text} France."))
    assert scorer.collate([record], [None])[0].text.ids.shape[1] > plain.shape[1]
    assert torch.equal(off.collate([record], [None])[0].text.ids, plain)


def test_questions_with_choices_of_their_own_score_as_if_asked_alone(scorer: ModelScorer) -> None:
    everything = all_entities(scorer.graph).candidates
    spaces = [AnswerSpace("", everything[:3]), AnswerSpace("", everything[4:1:-1]), AnswerSpace("", everything)]
    heard = scorer.hear([as_record(scorer, QUESTION, None)] * 3, [None] * 3)
    together = scorer._ask(heard, spaces)
    for row, space in enumerate(spaces):
        for route, scores in heard.score(row, space, scorer).items():
            assert together[route][row] == pytest.approx(scores.numpy(), rel=1e-4), route
