"""`kept pretrain`: a recipe to a trained model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Quiet, Resume, Settings, command, say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from kept.training.stages import Run

NOTES = 10
"""Times that the terms of a stage are told while it runs."""


@command(resumes=True)
def pretrain(
    recipe: Annotated[
        str, typer.Argument(help="A recipe by name (`kept recipes`) or a YAML file.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Where the run goes.", show_default=False)] = None,
    start: Annotated[
        Path | None, typer.Option("--from", metavar="MODEL", help="A saved model to begin from.", show_default=False)
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Train nothing: print sizes, estimates and the first batch.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Equal seeds give equal models; default the recipe's.")
    ] = None,
    settings: Settings = None,
    as_json: Json = False,
    resume: Resume = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Train a model by a recipe, stage by stage; the same command goes on with a run that was interrupted.

    With --resume it refuses to begin anew.
    """
    from kept.recipes import load_recipe
    from kg.errors import InputError

    chosen = list(settings or []) + ([] if seed is None else [f"seed={seed}"])
    loaded = load_recipe(recipe, chosen)
    # A run says where its graph lies, wherever it is asked from.
    loaded = loaded.model_copy(update={"root": loaded.root.resolve()})
    if out is None and not check:
        raise InputError("--out: say where the run goes, or --check to look first")
    if resume and out is not None and not ((out / "recipe.json").is_file() or (out / "tokenized").is_dir()):
        raise InputError(f"--resume: there is no run in {out} to go on with")
    # Imported only now, so that a mistyped recipe is answered at once.
    from kept.training.stages import Run

    if check or out is None:
        with TemporaryDirectory(prefix="kept-check-") as work:
            return look(Run.prepare(loaded, start, Path(work)), as_json)
    run = Run.prepare(loaded, start, out)
    tell_start(run)
    with shown() as (on_step, on_terms):
        model = run.train(out, on_step=on_step, on_terms=on_terms)
    say(f"the model is in {model}, its curves in {out / 'stages'}")
    say(f'next: kept ask {model} "... [MASK] ...", or kept probe {model} --world WORLD --task facts --out probes')
    return {
        "out": str(out),
        "model": str(model),
        "not_taken": run.not_taken,
        "stages": {stage.name: last_terms(out / "stages" / stage.name / "curves.jsonl") for stage in loaded.stages},
    }


def look(run: Run, as_json: bool) -> dict[str, Any]:
    """What a run would do."""
    from kept.training.check import check_run
    from kept.training.show import as_text

    checked = check_run(run)
    if not as_json:
        print(as_text(checked))
    return checked


def tell_start(run: Run) -> None:
    """What a run begins from."""
    from kept.training.show import grouped

    if run.start is None:
        return
    say(f"begins from {run.start}")
    if run.not_taken:
        say(f"  not taken over, for one of both lacks it or has another shape: {', '.join(grouped(run.not_taken))}")


@contextmanager
def shown() -> Iterator[tuple[Callable[[str, int, int], None], Callable[[list[dict[str, Any]]], None]]]:
    """A progress bar for each stage, and its loss terms beside their baselines now and then."""
    from kg.progress import progress

    with progress() as display:
        bars: dict[str, TaskID] = {}
        told: dict[str, int] = {}
        totals: dict[str, int] = {}

        def on_step(stage: str, step: int, steps: int) -> None:
            totals[stage] = steps
            if stage not in bars:
                bars[stage] = display.add_task(stage, total=steps)
            display.update(bars[stage], completed=step)

        def on_terms(rows: list[dict[str, Any]]) -> None:
            stage, step = rows[0]["stage"], rows[0]["step"]
            tenth = step * NOTES // totals[stage]
            if tenth > told.get(stage, -1):
                told[stage] = tenth
                note(display, stage, step, totals[stage], rows)

        yield on_step, on_terms


def note(display: Progress, stage: str, step: int, steps: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line above the bar."""
    terms = "   ".join(term_text(row) for row in rows)
    display.console.print(f"{stage} {step:,}/{steps:,}   {terms}", soft_wrap=True)


def term_text(row: Mapping[str, Any]) -> str:
    """A term beside the loss of the best constant answer."""
    beside = "" if row["baseline"] is None else f" [dim](baseline {row['baseline']:.2f})[/dim]"
    return f"{row['term']} {row['value']:.3f}{beside}"


def last_terms(curves: Path) -> dict[str, dict[str, float | None]]:
    """Each term of a stage when it was last logged."""
    import json

    lines = curves.read_text(encoding="utf-8").splitlines() if curves.is_file() else []
    rows = [json.loads(line) for line in lines]
    return {row["term"]: {key: row[key] for key in ("step", "value", "baseline", "floor")} for row in rows}
