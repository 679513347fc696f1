"""A batch in words, as an objective sees it, and the layout of what `check_run` found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from kept.data.batch import IGNORE, Batch, Host
from kept.objectives.base import View

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from kept.data.tokenized import TokenizedRecords
    from kept.training.stages import Run

LONGEST = 8
"""Numbers of one target that are shown."""
SEEN_IN_TEXT = frozenset({"place"})
TOTALS = ("total", "process_peak", "mapped")
UNITS = ("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)


def labels_of(run: Run) -> Callable[[int], str]:
    """How a run's entities are called: by its vectors, else its graph, else their ids."""
    knowledge = run.model.knowledge
    if knowledge is not None and knowledge.vectors is not None:
        return knowledge.vectors.labels.__getitem__
    if run.recipe.graph is not None:
        from kg import KnowledgeGraph

        return KnowledgeGraph.open(run.recipe.path(run.recipe.graph)).label
    return lambda entity: f"entity {entity}"


def describe_view(
    view: View,
    tokenizer: PreTrainedTokenizerFast,
    corpus: TokenizedRecords,
    label: Callable[[int], str],
    samples: int,
    **about: str,
) -> dict[str, Any]:
    """The first records of a view: their text as it is and as it is shown, mentions, picture and targets."""
    view = replace(view, batch=view.batch.to("cpu"), targets=_on_cpu(view.targets))
    shown = range(min(samples, len(view.batch)))
    return {
        **about,
        "records": len(view.batch),
        "targets": dict(view.counts),
        "knowledge": view.knowledge,
        "pictures": view.pictures and view.batch.image is not None,
        "samples": [_sample(view, row, tokenizer, corpus, label) for row in shown],
    }


def _on_cpu(targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in targets.items()}


def _sample(
    view: View,
    row: int,
    tokenizer: PreTrainedTokenizerFast,
    corpus: TokenizedRecords,
    label: Callable[[int], str],
) -> dict[str, Any]:
    source = int(view.batch.rows[row])
    pieces = corpus.ids[corpus.offsets[source] : corpus.offsets[source + 1]].tolist()
    picture = int(corpus.picture[source])
    names = getattr(corpus.pictures, "names", ())
    return {
        "original": _words(tokenizer, pieces),
        "shown": _marked(view.batch, row, tokenizer, label),
        "picture": names[picture] if picture >= 0 else None,
        "seen_in_picture": [label(entity) for entity in _entities(view.batch, row, Host.IMAGE)],
        "regions": _regions(view.batch, row),
        "targets": dict(_targets(view, row, tokenizer, label)),
    }


def _regions(batch: Batch, row: int) -> str | None:
    """How many regions are shown, and how many of them are hidden."""
    if batch.regions is None:
        return None
    there, hidden = int(batch.regions.mask[row].sum()), int((batch.regions.hidden & batch.regions.mask)[row].sum())
    return f"{there}, {hidden} of them hidden" if hidden else f"{there}" if there else None


def _words(tokenizer: PreTrainedTokenizerFast, pieces: list[int], *, keep_specials: bool = False) -> str:
    return str(tokenizer.decode(pieces, skip_special_tokens=not keep_specials))


def _entities(batch: Batch, row: int, host: Host) -> list[int]:
    mentions = batch.mentions
    there = mentions.mask[row] & mentions.visible[row] & (mentions.host[row] == host)
    return mentions.entity[row][there].tolist()


def _marked(batch: Batch, row: int, tokenizer: PreTrainedTokenizerFast, label: Callable[[int], str]) -> str:
    """The text as it is shown, each mention with its entity: "the capital of {france = France} is [MASK]."."""
    mentions, ids = batch.mentions, batch.text.ids[row][batch.text.mask[row]].tolist()
    hidden = {tokenizer.cls_token_id, tokenizer.sep_token_id}
    ends: dict[int, tuple[int, int]] = {}
    there = mentions.mask[row] & mentions.visible[row] & (mentions.host[row] == Host.TEXT)
    for number in there.nonzero().flatten().tolist():
        ends[int(mentions.start[row, number])] = (int(mentions.end[row, number]), int(mentions.entity[row, number]))
    parts: list[str] = []
    plain: list[int] = []
    place = 0
    while place < len(ids):
        if place in ends:
            end, entity = ends[place]
            parts += [
                _words(tokenizer, plain, keep_specials=True),
                f"{{{_words(tokenizer, ids[place:end])} = {label(entity)}}}",
            ]
            plain, place = [], max(end, place + 1)
        else:
            plain += [] if ids[place] in hidden else [ids[place]]
            place += 1
    return " ".join(part for part in [*parts, _words(tokenizer, plain, keep_specials=True)] if part)


def _targets(
    view: View, row: int, tokenizer: PreTrainedTokenizerFast, label: Callable[[int], str]
) -> Iterator[tuple[str, Any]]:
    """What is asked of a record: pieces and names as words, a mention as its entity, anything else as numbers."""
    for name, values in view.targets.items():
        if name in SEEN_IN_TEXT or values.dim() == 0 or len(values) != len(view.batch):
            continue
        value = values[row]
        if name == "pieces" and view.rule is not None:
            yield "written", _words(tokenizer, value[value != IGNORE].tolist()) or None
        elif name == "pieces":
            places = (value != IGNORE).nonzero().flatten().tolist()
            shown = view.batch.text.ids[row]
            words = tokenizer.convert_ids_to_tokens
            yield name, [{"shown": words(int(shown[at])), "was": words(int(value[at]))} for at in places]
        elif name == "name":
            yield name, _words(tokenizer, value[value != IGNORE].tolist()) or None
        elif name == "asked":
            asked = int(value)
            yield name, label(int(view.batch.mentions.entity[row, asked])) if asked >= 0 else None
        else:
            yield name, value.item() if value.dim() == 0 else value.flatten()[:LONGEST].tolist()


def as_text(checked: Mapping[str, Any]) -> str:
    """What `check_run` returns, for people."""
    return "\n".join(_lines(checked)) + "\n"


def grouped(names: Sequence[str]) -> list[str]:
    """Parameters by the part that they belong to.

    >>> grouped(["knowledge.gate.norm.weight", "knowledge.gate.norm.bias", "norm.bias"])
    ['knowledge.gate (2)', 'norm.bias']
    """
    parts = Counter(".".join(name.split(".")[:2]) for name in names)
    return [f"{part} ({count})" if count > 1 else part for part, count in parts.items()]


def _lines(checked: Mapping[str, Any]) -> Iterator[str]:
    yield f"{checked['recipe']} on {checked['device']} with {checked['threads']} threads"
    if checked["start"] is not None:
        yield f"begins from {checked['start']}; not taken over: {', '.join(grouped(checked['not_taken'])) or 'nothing'}"
    for stage in checked["stages"]:
        yield f"\nstage {stage['name']}, {stage['steps']:,} steps"
        yield from _sources(stage["sources"])
        yield from _parameters(stage["parameters"])
        yield from _costs(stage["memory"], stage["time"])
        for view in stage["first_batch"]:
            yield from _view(view)


def _sources(sources: list[dict[str, Any]]) -> Iterator[str]:
    for source in sources:
        pieces = source["pieces"]
        yield (
            f"  source {source['name']}: {source['records']:,} records, {source['micro_batch']} at a time, "
            f"{source['epochs']:g} epochs; {pieces['mean']:g} pieces (longest {pieces['longest']}), "
            f"{source['mentions']:g} mentions, {source['with_picture']:.0%} with a picture"
        )
        streams = (f"{kind} {s['length']} ({s['real']:.0%} real)" for kind, s in source["streams"].items())
        yield f"    streams of the first batch: {', '.join(streams)}"


def _parameters(parts: list[dict[str, Any]]) -> Iterator[str]:
    width = max(len(part["part"]) for part in parts)
    yield f"  {'parameters':<{width + 2}}{'trained':>12}{'frozen':>12}"
    total = {"part": "all", **{kind: sum(part[kind] for part in parts) for kind in ("trained", "frozen")}}
    for part in (*parts, total):
        yield f"    {part['part']:<{width}}{part['trained']:>12,}{part['frozen']:>12,}"


def _costs(memory: Mapping[str, int], time: Mapping[str, Any]) -> Iterator[str]:
    parts = " + ".join(f"{size_text(size)} {name}" for name, size in memory.items() if name not in TOTALS)
    total, peak, mapped = (size_text(memory[name]) for name in TOTALS)
    beside = f"; {mapped} of records and pictures are mapped from files" if memory["mapped"] else ""
    yield f"  memory: {parts} = {total}{beside}; this process, libraries included, held up to {peak}"
    yield (
        f"  time: {time['seconds_per_step']:.3g} s a step over {time['steps_measured']} steps, "
        f"so about {time['seconds'] / 60:.1f} minutes"
    )


def size_text(size: float) -> str:
    """Bytes for people.

    >>> size_text(1_234_000)
    '1.2 MB'
    """
    unit, scale = next((unit, scale) for unit, scale in UNITS if size >= scale or scale == 1)
    return f"{size / scale:.1f} {unit}"


def _view(view: Mapping[str, Any]) -> Iterator[str]:
    counts = ", ".join(f"{count} {name}" for name, count in view["targets"].items())
    off = [name for name in ("knowledge", "pictures") if not view[name]]
    yield (
        f"\n  {view['objective']} on {view['source']}: {view['records']} records, targets: {counts}"
        + (f"; without {' and '.join(off)}" if off else "")
    )
    for sample in view["samples"]:
        yield f"    text    {sample['original']}"
        yield f"    shown   {sample['shown']}"
        if sample["picture"] is not None:
            seen = ", ".join(sample["seen_in_picture"])
            yield f"    picture {sample['picture']}" + (f", seen as {seen}" if seen else "")
        if sample["regions"] is not None:
            yield f"    regions {sample['regions']}"
        for name, target in sample["targets"].items():
            yield f"    {name:<7} {_target_text(target)}"


def _target_text(target: Any) -> str:
    if isinstance(target, list) and target and isinstance(target[0], dict):
        return ", ".join(f"{piece['shown']} was {piece['was']}" for piece in target)
    return "none" if target is None or target == [] else str(target)
