"""Two processes fit as one with batches of twice the size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kg.embedding import FitConfig, fit
from tests.kg.embedding.contract import ENTITIES, RELATIONS, random_facts

PROGRAM = """
import sys
import torch
from kg.embedding import FitConfig, fit
from kg.embedding.parallel import processes
from tests.kg.embedding.contract import ENTITIES, RELATIONS, random_facts

config = FitConfig(dim=8, epochs=3, batch=4, **eval(sys.argv[2]))
model = fit(random_facts(), ENTITIES, RELATIONS, config).model
assert processes()[1] == 2
torch.distributed.barrier()
if processes()[0] == 0:
    torch.save(model.state_dict(), sys.argv[1])
torch.distributed.destroy_process_group()
"""


def by_two(folder: Path, settings: dict[str, object]) -> dict[str, torch.Tensor]:
    (folder / "program.py").write_text(PROGRAM)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launch, str(folder / "program.py"), str(folder / "model.pt"), repr(settings)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    loaded: dict[str, torch.Tensor] = torch.load(folder / "model.pt", weights_only=True)
    return loaded


def environment() -> dict[str, str]:
    import os

    root = str(Path(__file__).parents[3])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.parametrize("settings", [{"optimizer": "adagrad"}, {"optimizer": "adam", "lr": 0.01}])
def test_dense_gradients_are_averaged(tmp_path: Path, settings: dict[str, object]) -> None:
    both = by_two(tmp_path, settings)
    alone = fit(random_facts(), ENTITIES, RELATIONS, FitConfig(dim=8, epochs=3, batch=8, **settings)).model
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(both[name], tensor, rtol=1e-4, atol=1e-5)


def test_sparse_gradients_are_averaged(tmp_path: Path) -> None:
    # All others count for nothing here, so the draws, which depend on the batches, do not matter.
    settings = {"mode": "negatives", "loss": "softmax", "negatives": 1, "l2": 0.1, "sampler": "uniform"}
    both = by_two(tmp_path, settings)
    assert all(tensor.isfinite().all() for tensor in both.values())
    fresh = fit(random_facts(), ENTITIES, RELATIONS, FitConfig(dim=8, epochs=0, batch=4, **settings)).model
    moved = (both["entities"] - fresh.entities).abs().sum(1)
    assert (moved > 0).all()
