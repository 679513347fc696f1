"""The commands one after the other on a toy graph: each test reads what it needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from pipelines.cli import app
from tests.worlds import TEMPLATES, toy_graph

RECIPE = """
name: toy
about: A model of a few steps on a toy graph.
root: {root}
tokenizer: {{vocabulary: 200}}
model:
  width: 16
  layers: 2
  heads: 2
  hidden: 32
  dropout: 0.1
  image: {{size: 8, patch: 4, layers: 1}}
  knowledge: {{fusion: mentions, decoders: [operator]}}
graph: graph.kg
vectors: vectors
pictures: pictures
encode_pictures: true
stages:
  - name: facts
    steps: 6
    save_every: 2
    log_every: 2
    sources:
      facts: {{records: records/facts, batch: 8}}
      captions: {{records: records/captions, batch: 4}}
    objectives:
      mlm: {{}}
      mep: {{"on": [facts]}}
      itm: {{"on": [captions]}}
    freeze: [contrast]
"""


@dataclass(frozen=True)
class Chain:
    """A folder with world.kg, split.safetensors, graph.kg, templates.yaml, records, vectors, recipe.yaml, run."""

    root: Path

    @property
    def recipe(self) -> Path:
        return self.root / "recipe.yaml"

    @property
    def model(self) -> Path:
        return self.root / "run" / "model"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def answer(*arguments: object) -> Any:
    """The JSON of a command that must succeed."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def make_chain(root: Path) -> Chain:
    torch.set_num_threads(1)
    graph = toy_graph()
    graph.save(root / "world.kg")
    (root / "templates.yaml").write_text(TEMPLATES, encoding="utf-8")
    draw(root / "pictures", [image for entity in range(graph.num_entities) for image in graph.images(entity)])
    answer("split", root / "world.kg", "--out", root / "split.safetensors", "--graph-out", root / "graph.kg")
    made = ("--split", root / "split.safetensors", "--templates", root / "templates.yaml", "--out", root / "records")
    answer("records", root / "world.kg", *made)
    answer("embed", root / "graph.kg", "--out", root / "vectors", "--dim", 8, "--epochs", 2, "--hold-out", 0)
    chain = Chain(root)
    chain.recipe.write_text(RECIPE.format(root=root), encoding="utf-8")
    answer("pretrain", chain.recipe, "--out", root / "run")
    return chain


def draw(folder: Path, names: list[str]) -> None:
    """A small picture of its own colours for every name."""
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / name)
