"""`kept ask`: one question to a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.options import Json, Quiet, command, say

MASK = "[MASK]"


@command
def ask(
    model: Annotated[Path, typer.Argument(help="The folder of a saved model.", show_default=False)],
    question: Annotated[
        str,
        typer.Argument(
            help='A sentence with one [MASK]: "The capital of France is [MASK]."; of a model with a list of answers, '
            "a question.",
            show_default=False,
        ),
    ],
    image: Annotated[
        Path | None, typer.Option("--image", metavar="FILE", help="A picture for the question.", show_default=False)
    ] = None,
    why: Annotated[
        bool, typer.Option("--why", help="Show the facts that entered, and the answer without each entity.")
    ] = False,
    top: Annotated[int, typer.Option("--top", min=1, help="Answers to show.")] = 5,
    graph: Annotated[
        Path | None,
        typer.Option("--graph", metavar="NAME.kg", help="Whose names are linked; default that of the model's run."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Answer a question with the entities of the model's graph; with a picture, ask about what it shows."""
    from kept.probing.answering import ModelScorer
    from kept.probing.why import answer, check_same_entities, find_graph
    from kg import KnowledgeGraph
    from kg.errors import InputError

    if not (model / "config.json").is_file():
        raise InputError(f"{model}: no model here (no config.json)")
    if MASK not in question and chooses(model):
        return choice(model, question, image, top, as_json)
    place = find_graph(model) if graph is None else graph
    scorer = ModelScorer.load(model, KnowledgeGraph.open(place))
    check_same_entities(scorer)
    told = answer(scorer, question, image=image, top=top, why=why)
    if not as_json:
        show_answers(told)
        show_links(told)
        if why:
            show_why(told["why"])
    vectors = None if scorer.model.knowledge is None else scorer.model.knowledge.vectors
    if vectors is not None and vectors.graph != scorer.graph.hash:
        say(f"the model's vectors were fitted to another state of the graph than {place}")
    return {"model": str(model), "graph": str(place), **told}


def chooses(model: Path) -> bool:
    """Whether a model answers from a closed list."""
    from kg.storage import read_json

    config = read_json(model / "config.json")
    return isinstance(config, dict) and "answers" in (config.get("head_options") or {})


def choice(model: Path, question: str, image: Path | None, top: int, as_json: bool) -> dict[str, Any]:
    """The likeliest answers of the model's list."""
    from kept.data.tokenizer import load_tokenizer
    from kept.modeling.model import KeptModel
    from kept.probing.looking import choose

    found = choose(KeptModel.load(model), load_tokenizer(model), question, image, top)
    if not as_json:
        for name, probability in found:
            print(f"{probability:6.3f}  {name}")
    answers = [{"label": name, "probability": probability} for name, probability in found]
    return {"model": str(model), "question": question, "answers": answers}


def show_answers(told: Mapping[str, Any]) -> None:
    """One line an answer: its probability, and what each route gives it."""
    width = max(len(title(one)) for one in told["answers"])
    for one in told["answers"]:
        parts = "" if one["entities"] is None else f"  (entities {one['entities']:.3f}, tokens {one['tokens']:.3f})"
        print(f"{one['probability']:6.3f}  {title(one):<{width}}{parts}")
    if told["gate"] is not None:
        print(f"gate: {told['gate']:.3f} for the graph's entities, the rest for the tokens of names")


def show_links(told: Mapping[str, Any]) -> None:
    """The entities that the question is about."""
    for link in told["linked"]:
        where = "the picture" if link["place"] == "picture" else repr(link["name"])
        print(f"linked: {where} -> {title(link)}  {link['entity']}")
    if not told["linked"]:
        print("linked: nothing that the graph knows")


def show_why(why: Mapping[str, Any]) -> None:
    """The facts behind the best answer, and what is left of it without each entity."""
    if why["knowledge_off"] is None:
        print("why: this model has no knowledge, so nothing but the text (and picture) entered")
        return
    for fact in why["facts"]:
        print(f"fact: {fact['head']} -- {fact['relation']} -> {fact['tail']}")
    if not why["facts"]:
        print(f"fact: none; no fact of the graph joins a linked entity and {why['answer']}")
    for one in why["without"]:
        print(f"without {one['label']}: {why['answer']} {one['probability']:.3f}, the answer is {one['answers']}")
    off = why["knowledge_off"]
    print(f"knowledge off: {why['answer']} {off['probability']:.3f}, the answer is {off['answers']}")


def title(one: Mapping[str, Any]) -> str:
    """A label with its types, which tell bearers of one name apart."""
    return f"{one['label']} ({', '.join(one['types'])})" if one["types"] else str(one["label"])
