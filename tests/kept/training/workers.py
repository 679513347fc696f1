"""What the processes of `test_processes` do; a module of its own, so that each can import it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import save_file

from kept.objectives import OBJECTIVES, Forward, ImageTextContrast
from kept.objectives.collectives import gather, gather_padded
from kg.embedding.parallel import leave_processes
from tests.kept import tiny
from tests.kept.training.stage import trainer, weights

RANKS = 2
RECORDS = [
    *tiny.RECORDS,
    replace(tiny.RECORDS[0], id="again"),
    replace(tiny.RECORDS[1], id="alike", image=None),
    tiny.record("banner", "A banner nobody knows.", image="3.png"),
    tiny.record("other", "Nothing of that sort either."),
]
AGAIN, ALIKE, BANNER = range(len(tiny.RECORDS), len(tiny.RECORDS) + 3)
SHARES = ([0, 1, 2, tiny.NO_MENTION, 3], [AGAIN, tiny.EMPTY, BANNER, tiny.PICTURED, ALIKE, tiny.TEXT_ONLY])
"""Uneven shares of the records; a picture, an entity and a text of one are in the other, too."""
WITHOUT_PICTURES = ([0, 1, 2], [tiny.EMPTY, tiny.NO_MENTION])
USUAL = ("mlm", "mep", "itm", "itc")
OTHERS = tuple(sorted(set(OBJECTIVES) - set(USUAL)))


def contrast(rows: list[int]) -> dict[str, torch.Tensor]:
    """Sum, floor and gradients of contrast over these records."""
    corpus, objective, model = tiny.corpus(RECORDS), ImageTextContrast(), tiny.model()
    view = objective.prepare(corpus.batch(np.array(rows), tiny.NOISE), tiny.context(tiny.NOISE, corpus))
    term = objective.loss(view, Forward(model))["itc"]
    term.sum.backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    about = {
        "sum": term.sum.detach(),
        "count": torch.tensor(term.count),
        "baseline": torch.tensor(term.baseline or 0.0),
    }
    return {**about, "floor": torch.tensor(term.floor), **found}


def gathered(rank: int) -> dict[str, torch.Tensor]:
    """Rows of unlike number and width of all processes, and what each row's gradient becomes."""
    rows = (torch.arange(6.0).view(3, 2) if rank == 0 else torch.tensor([[9.0, 8.0]])).requires_grad_()
    together = gather(rows)
    (together * (rank + 1) * torch.arange(8.0).view(4, 2)).sum().backward()
    codes = gather_padded(torch.full((rank + 1, rank + 1), rank + 5), -1)
    assert rows.grad is not None
    return {"rows": together.detach(), "gradient": rows.grad, "codes": codes}


def train(batch: int, objectives: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Weights of the model and of the objectives after some steps."""
    given = trainer(objectives, corpus=tiny.corpus(RECORDS), batch=batch, steps=3, clip=0.5)
    given.run()
    own = {f"objectives.{name}": value for name, value in weights(given.objectives).items()}
    return weights(given.model) | {
        name: value for name, value in own.items() if "s.vectors" not in name and "s.contents" not in name
    }


def begin(folder: Path) -> None:
    """Half of a training, and its checkpoint."""
    given = trainer(USUAL, corpus=tiny.corpus(RECORDS), batch=3, steps=6, folder=folder)
    given.model.train()
    for _ in range(3):
        given.train_step()
    given.save()


def end(folder: Path | None) -> dict[str, torch.Tensor]:
    """The rest of it by one process with batches of twice the size, or all of it where there is no folder."""
    given = trainer(USUAL, corpus=tiny.corpus(RECORDS), batch=3 * RANKS, steps=6, folder=folder)
    given.run()
    return weights(given.model)


def work(rank: int, port: int, folder: str) -> None:
    """One process of two: gather, contrast, train; its findings go to a file."""
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(RANKS), "LOCAL_WORLD_SIZE": str(RANKS),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true",
    }  # fmt: skip
    dist.init_process_group("gloo")
    findings = {f"gather.{name}": value for name, value in gathered(rank).items()}
    findings |= {f"contrast.{name}": value for name, value in contrast(SHARES[rank]).items()}
    findings |= {f"lonely.{name}": value for name, value in contrast(WITHOUT_PICTURES[rank]).items()}
    for name, objectives in (("usual", USUAL), ("others", OTHERS)):
        findings |= {f"{name}.{key}": value for key, value in train(3, objectives).items()}
    begin(Path(folder) / "begun")
    save_file(
        {name: value.clone().contiguous() for name, value in findings.items()}, Path(folder) / f"{rank}.safetensors"
    )
    leave_processes()
