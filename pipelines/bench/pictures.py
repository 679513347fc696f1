"""`kept bench pictures`: recipes on public sets of pictures, trained here and measured on parts held out."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Quiet, Settings, command, say

if TYPE_CHECKING:
    from kept.probing.rows import Figure

TASKS = ("easy-vqa", "nlvr", "nlvr-pixels", "scenes")
OF_CAPTIONS = ["retrieval", "alignment", "detection", "captions"]


@command
def bench_pictures(
    task: Annotated[str, typer.Option(help="easy-vqa, nlvr, nlvr-pixels or scenes.")],
    data: Annotated[Path | None, typer.Option(help="Where the set lies; for scenes, what kept scenes made.")] = None,
    things: Annotated[
        Path | None, typer.Option(help="For scenes: what kept scenes --objects 1 made, to retrieve from as well.")
    ] = None,
    work: Annotated[Path | None, typer.Option(help="A folder for records and the run; kept, and gone on with.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of the training.")] = 2,
    record: Annotated[Path | None, typer.Option(help="A Markdown page of results to write the figures into.")] = None,
    settings: Settings = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Prepare records, train the recipe of that name, and measure it on what it has not seen."""
    from kept.probing.ledger import write_section
    from kept.probing.rows import describe_run
    from kg.errors import InputError, nearest
    from pipelines.bench.measure import torch_threads
    from pipelines.evaluate import table

    if task not in TASKS:
        raise InputError(f"--task {task}: no such set; {nearest(task, TASKS)}")
    started = time.perf_counter()
    with torch_threads(threads), tempfile.TemporaryDirectory() as scratch:
        rows, minutes = measured(task, data, things, (work or Path(scratch)).resolve(), list(settings or []))
    text = f"{table(rows)}\nTrained for {minutes:.1f} core-minutes on this machine.\n"
    run = describe_run(" ".join(["kept", *sys.argv[1:]]), started)
    if record is not None:
        write_section(record, f"kept bench pictures: {task}", run, text.strip())
    if not as_json:
        print(text)
    return {"rows": [row.to_json() for row in rows], "core_minutes": minutes, "run": run}


def measured(
    task: str, data: Path | None, things: Path | None, work: Path, settings: list[str]
) -> tuple[list[Figure], float]:
    """The figures of one set, and the core-minutes that its training took."""
    from kept.recipes import load_recipe
    from kept.training.stages import Run
    from kg.errors import InputError
    from kg.storage import read_json, write_json
    from pipelines.bench.pictures_data import MAKERS
    from pipelines.evaluate import evaluated

    if task == "scenes":
        if data is None:
            raise InputError("--data: name the folder that kept scenes made")
        root, pictures = data.resolve(), data.resolve() / "pictures"
    else:
        root = work
        pictures = MAKERS[task](data, work / "records")[2].resolve()
    chosen = [f"root={root}", f"pictures={pictures}", *settings]
    run = Run.prepare(load_recipe(task, chosen), out=work / "run")
    say(f"training {task}: {sum(stage.steps for stage in run.recipe.stages):,} steps")
    told = work / "minutes.json"
    before, cpu = float(read_json(told)) if told.is_file() else 0.0, time.process_time()

    def count_minutes(stage: str, step: int, steps: int) -> None:
        """Those of runs that were interrupted count too."""
        if step % 100 == 0 or step == steps:
            write_json(told, before + (time.process_time() - cpu) / 60)

    model = run.train(work / "run", on_step=count_minutes)
    minutes = float(read_json(told))
    if task != "scenes":
        records = work / "records"
        return evaluated(model, records / "test", ["answers"], pictures, records / "train"), minutes
    rows: list[Figure] = []
    for split in test_splits(root):
        rows += evaluated(model, root / "records" / split, OF_CAPTIONS, pictures)
        rows += evaluated(model, root / "questions" / split, ["answers"], pictures, root / "questions" / "train")
    if things is not None:
        # A pair that training held back is two things.
        for split in [name for name in test_splits(things) if name != "test-composition"]:
            found = evaluated(model, things / "records" / split, ["retrieval"], things / "pictures")
            rows += [replace(row, split=f"single things, {split}") for row in found]
    return rows, minutes


def test_splits(scenes: Path) -> list[str]:
    """The held-out splits of what `kept scenes` made."""
    return sorted(path.name for path in (scenes / "records").iterdir() if path.name.startswith("test"))
