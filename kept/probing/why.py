"""One question to a model: its best answers, what entered them, and what they would be without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from kept.data.batch import Batch, Host
from kept.data.record import Record
from kept.probing.answering import ENTITIES, TOKENS, Heard, ModelScorer
from kept.probing.items import MASK, AnswerSpace, Candidate
from kept.probing.scorers import ANSWER
from kg.errors import InputError
from kg.storage import read_json

if TYPE_CHECKING:
    from kg import KnowledgeGraph

RUN = "recipe.json"


def find_graph(model: Path) -> Path:
    """The graph that a model's run was trained with, as the run's recipe beside the model says.

    Raises:
        InputError: when there is no recipe, it names no graph, or the graph is not where it says.
    """
    told = model.resolve().parent / RUN
    if not told.is_file():
        raise InputError(f"{model}: no {RUN} beside it says which graph it knows; give --graph NAME.kg")
    recipe = read_json(told)["recipe"]
    if recipe.get("graph") is None:
        raise InputError(f"{told}: the recipe {recipe['name']!r} names no graph; give --graph NAME.kg")
    # A run that was moved together with its graph still finds it above itself.
    places = [Path(recipe["root"]) / recipe["graph"], *(above / recipe["graph"] for above in told.parents)]
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        raise InputError(f"{places[0]}: the graph that {told} names is not there; give --graph NAME.kg")
    return found


def check_same_entities(scorer: ModelScorer) -> None:
    """Refuse a graph whose entities are not those of the model's vectors, by number.

    Raises:
        InputError: naming the first difference.
    """
    knowledge, graph = scorer.model.knowledge, scorer.graph
    if knowledge is None or knowledge.vectors is None or knowledge.vectors.graph == graph.hash:
        return
    keys = knowledge.vectors.keys
    if len(keys) != graph.num_entities:
        raise InputError(f"the graph has {graph.num_entities} entities, the model's vectors are of {len(keys)}")
    for number, (own, given) in enumerate(zip(keys, graph.entities.keys(range(len(keys))), strict=True)):
        if own != given:
            raise InputError(f"the graph is not the model's: entity {number} is {given!r} there and {own!r} here")


@torch.inference_mode()
def answer(
    scorer: ModelScorer, question: str, *, image: Path | None = None, top: int = 5, why: bool = False
) -> dict[str, Any]:
    """The `top` entities that a model answers a question with, out of all in its graph.

    A probability is that of the mixed route, g p(entity) + (1 - g) p(name), as the model gives it; "entities" and
    "tokens" are the two parts, which a model without knowledge has one of. With `why` the answer is asked for again
    with each mention's entity hidden, and with the knowledge off.

    Raises:
        InputError: when the question has not exactly one [MASK], or the picture cannot be read.
    """
    record = as_record(scorer, question, image)
    batch, place = scorer.collate([record], [record.image])
    space = all_entities(scorer.graph)
    heard = Heard.run(scorer.model, batch, place, scorer.knowledge)
    scores = heard.score(0, space, scorer)
    best = scores[ANSWER].topk(min(top, len(space.candidates))).indices.tolist()
    links = list(linked(scorer, record, batch))
    told: dict[str, Any] = {
        "question": question,
        "image": None if image is None else str(image),
        "gate": None if heard.gate is None else float(heard.gate[0].sigmoid()),
        "answers": [described(scorer.graph, entity, scores) for entity in best],
        "linked": links,
    }
    if why:
        told["why"] = explain(scorer, batch, place, space, best[0], links)
    return told


def as_record(scorer: ModelScorer, question: str, image: Path | None) -> Record:
    """A question as a record, its mentions by the linker; the place of the answer is none of them."""
    masks = question.count(MASK)
    if masks != 1:
        raise InputError(f"the question {question!r} has {masks} {MASK}; write one, where the answer belongs")
    start, end = question.index(MASK), question.index(MASK) + len(MASK)
    mentions = tuple(found for found in scorer.linker.link(question) if found.end <= start or found.start >= end)
    return Record(id="question", text=question, mentions=mentions, image=None if image is None else str(image))


def all_entities(graph: KnowledgeGraph) -> AnswerSpace:
    """Every entity of a graph as a candidate; a candidate's position is the entity's id."""
    ids = range(graph.num_entities)
    keys, labels = graph.entities.keys(ids), graph.labels(ids)
    return AnswerSpace("entities", tuple(map(Candidate, keys, labels)))


def described(graph: KnowledgeGraph, entity: int, scores: dict[str, Tensor]) -> dict[str, Any]:
    """An answer with the probability that each route gives it."""
    routes = {"probability": ANSWER, "entities": ENTITIES, "tokens": TOKENS if TOKENS in scores else ANSWER}
    values = {name: float(scores[route][entity].exp()) if route in scores else None for name, route in routes.items()}
    return {**named(graph, entity), **values}


def named(graph: KnowledgeGraph, entity: int) -> dict[str, Any]:
    return {
        "entity": graph.entities.key(entity),
        "label": graph.label(entity),
        "types": graph.labels(graph.types(entity)),
    }


def linked(scorer: ModelScorer, record: Record, batch: Batch) -> Iterator[dict[str, Any]]:
    """The entities that were found in the question and in its picture, in the order of the batch's mentions."""
    mentions = batch.mentions
    for number in mentions.mask[0].nonzero().flatten().tolist():
        in_picture = int(mentions.host[0, number]) == Host.IMAGE
        # Mentions behind the cut at the model's longest text are not in the batch, so the two lists agree at the front.
        span = None if in_picture else record.mentions[number]
        name = None if span is None or record.text is None else record.text[span.start : span.end]
        entity = int(mentions.entity[0, number])
        yield {"name": name, "place": "picture" if in_picture else "text", **named(scorer.graph, entity)}


def explain(
    scorer: ModelScorer, batch: Batch, place: Tensor, space: AnswerSpace, best: int, links: list[dict[str, Any]]
) -> dict[str, Any]:
    """The facts that join the linked entities with the answer, and the answer without each entity and without all."""
    graph, model = scorer.graph, scorer.model
    why: dict[str, Any] = {"answer": graph.label(best), "facts": [], "without": [], "knowledge_off": None}
    if not scorer.knowledge:
        return why
    numbers = batch.mentions.mask[0].nonzero().flatten()
    entities = batch.mentions.entity[0][numbers].tolist()
    why["facts"] = [fact for entity in dict.fromkeys(entities) for fact in joining(graph, entity, best)]
    if len(numbers):
        hidden = Heard.run(model, without_each(batch, numbers), place.expand(len(numbers)), True)
        for row, link in enumerate(links):
            scores = hidden.score(row, space, scorer)[ANSWER]
            why["without"].append({"entity": link["entity"], "label": link["label"], **instead(graph, scores, best)})
    why["knowledge_off"] = instead(graph, Heard.run(model, batch, place, False).score(0, space, scorer)[ANSWER], best)
    return why


def without_each(batch: Batch, numbers: Tensor) -> Batch:
    """The question once for each of these mentions, with the entity of that one hidden."""
    repeated = batch.take(torch.zeros_like(numbers))
    visible = repeated.mentions.visible.clone()
    visible[torch.arange(len(numbers)), numbers] = False
    return replace(repeated, mentions=replace(repeated.mentions, visible=visible))


def instead(graph: KnowledgeGraph, scores: Tensor, best: int) -> dict[str, Any]:
    """What is left of the answer's probability, and what is answered now."""
    return {"probability": float(scores[best].exp()), "answers": graph.label(int(scores.argmax()))}


def joining(graph: KnowledgeGraph, entity: int, answer: int) -> Iterator[dict[str, str]]:
    """The facts between an entity and the answer, in both directions."""
    relations, tails = graph.out(entity)
    found = [(entity, relation, answer) for relation in np.asarray(relations)[np.asarray(tails) == answer].tolist()]
    relations, heads = graph.into(entity)
    found += [(answer, relation, entity) for relation in np.asarray(relations)[np.asarray(heads) == answer].tolist()]
    for head, relation, tail in found:
        yield {"head": graph.label(head), "relation": graph.relation_label(relation), "tail": graph.label(tail)}
