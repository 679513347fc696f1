"""The commands of `kept bench`."""

from __future__ import annotations

import typer

from pipelines.bench.embed import bench_embed
from pipelines.bench.embed_large import bench_embed_large
from pipelines.bench.embed_quality import bench_embed_quality
from pipelines.bench.kg import bench_kg
from pipelines.bench.large import bench_large
from pipelines.bench.pictures import bench_pictures
from pipelines.bench.train import bench_train
from pipelines.bench.train_large import bench_train_large

app = typer.Typer(help="Measure KEPT beside its peers, side by side in one run.", no_args_is_help=True)
app.command("kg")(bench_kg)
app.command("kg-large")(bench_large)
app.command("embed")(bench_embed)
app.command("embed-large")(bench_embed_large)
app.command("embed-quality")(bench_embed_quality)
app.command("train")(bench_train)
app.command("train-large")(bench_train_large)
app.command("pictures")(bench_pictures)
