"""`kept evaluate`: what a model does with pictures and texts that it has not seen."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Quiet, command, say

if TYPE_CHECKING:
    from kept.probing.rows import Figure


@command
def evaluate(
    model: Annotated[Path, typer.Argument(help="A trained model.", show_default=False)],
    records: Annotated[Path, typer.Argument(help="Records (see kept read, kept scenes).", show_default=False)],
    task: Annotated[
        list[str], typer.Option(help="answers, retrieval, alignment, detection or captions; may be repeated.")
    ],
    pictures: Annotated[Path | None, typer.Option(help="What the records' pictures are relative to.")] = None,
    train: Annotated[Path | None, typer.Option(help="Records trained on, for the floors of answers.")] = None,
    how: Annotated[str, typer.Option(help="How captions are written: greedy, beam or nucleus.")] = "greedy",
    out: Annotated[Path | None, typer.Option(help="A folder for results.json.", show_default=False)] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Measure a model on held-out records: answers, retrieval, alignment, detection, captions."""
    from kept.probing.rows import describe_run, write_results

    started = time.perf_counter()
    rows = evaluated(model, records, task, pictures, train, how)
    run = describe_run(" ".join(["kept", *sys.argv[1:]]), started)
    if out is not None:
        write_results(out, run, rows)
    if not as_json:
        print(table(rows))
    if out is not None:
        say(f"the figures are in {out / 'results.json'}")
    return {"rows": [row.to_json() for row in rows], "run": run}


def evaluated(
    model_folder: Path,
    records_folder: Path,
    tasks: list[str],
    pictures: Path | None,
    train: Path | None = None,
    how: str = "greedy",
) -> list[Figure]:
    """The figures of some tasks over one folder of records."""
    from kept.probing.media import TASKS
    from kg.errors import InputError, nearest

    for name in tasks:
        if name not in TASKS:
            raise InputError(f"--task {name}: no such task; {nearest(name, TASKS)}")
    if how not in ("greedy", "beam", "nucleus"):
        raise InputError(f"--how {how}: write greedy, beam or nucleus")
    from kept.data.shards import read_records
    from kept.data.tokenizer import load_tokenizer
    from kept.modeling.model import KeptModel
    from kept.probing import media

    model, tokenizer = KeptModel.load(model_folder), load_tokenizer(model_folder)
    heads = {"answers": "answers", "detection": "detection"}
    for name in tasks:
        if name in heads and heads[name] not in model.heads:
            raise InputError(f"--task {name}: {model_folder} was not trained for it (no head {heads[name]!r})")
    records = list(read_records(records_folder))
    corpus = media.read_corpus(model, records, tokenizer, pictures)
    split = records_folder.name
    rows: list[Figure] = []
    for name in tasks:
        if name == "answers":
            rows += media.answers(model, corpus, records, split, list(read_records(train)) if train else ())
        elif name == "captions":
            rows += media.captions(model, corpus, records, tokenizer, split, how)[0]  # type: ignore[arg-type]
        elif name == "detection":
            rows += media.detection(model, corpus, tokenizer, split)
        else:
            rows += {"retrieval": media.retrieval, "alignment": media.alignment}[name](model, corpus, records, split)
    return rows


def table(rows: list[Figure]) -> str:
    """Markdown: a line for each arm of a task and split, its kinds of record beneath it."""
    text = "| task | records | who | kind | metric | value | n |\n|---|---|---|---|---|---|---|\n"
    for row in rows:
        value = f"{row.value:.3f}" if row.low is None else f"{row.value:.3f} ({row.low:.3f} to {row.high:.3f})"
        text += (
            f"| {row.task} | {row.split} | {row.arm} | {row.relation or ''} | {row.metric} | {value} | {row.n:,} |\n"
        )
    return text
