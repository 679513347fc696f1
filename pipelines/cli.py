"""`kept`: the console script. Commands import what they need when they run, so `kept --help` answers at once."""

from __future__ import annotations

import sys

import typer

from pipelines.ask import ask
from pipelines.bench.commands import app as bench_app
from pipelines.build_kg import build_kg
from pipelines.caption import caption
from pipelines.compare import compare
from pipelines.demo import demo
from pipelines.embed import embed
from pipelines.evaluate import evaluate
from pipelines.kg_commands import app as kg_app
from pipelines.link import link
from pipelines.neighbors import neighbors
from pipelines.pretrain import pretrain
from pipelines.probe import probe
from pipelines.read import read
from pipelines.recipes import recipes
from pipelines.records import records
from pipelines.report import report
from pipelines.scenes import scenes
from pipelines.split import split
from pipelines.tasks import parts, tasks
from pipelines.update_kg import update_kg
from pipelines.vector_commands import app as vectors_app

app = typer.Typer(
    name="kept",
    help="Knowledge-enhanced pre-training: from an RDF dump to a probed multimodal model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("demo")(demo)
app.command("build-kg")(build_kg)
app.command("update-kg")(update_kg)
app.add_typer(kg_app, name="kg")
app.command("split")(split)
app.command("embed")(embed)
app.command("neighbors")(neighbors)
app.add_typer(vectors_app, name="vectors")
app.command("link")(link)
app.command("read")(read)
app.command("records")(records)
app.command("scenes")(scenes)
app.command("pretrain")(pretrain)
app.command("ask")(ask)
app.command("caption")(caption)
app.command("probe")(probe)
app.command("evaluate")(evaluate)
app.command("compare")(compare)
app.command("report")(report)
app.command("recipes")(recipes)
app.command("tasks")(tasks)
app.command("parts")(parts)
app.add_typer(bench_app, name="bench")


def main() -> None:
    """Run the console script."""
    try:
        app()
    except SystemExit as end:
        if "torch.distributed" in sys.modules:
            from kg.embedding.parallel import leave_processes

            leave_processes(end.code if isinstance(end.code, int) else 0)
        raise


if __name__ == "__main__":
    main()
