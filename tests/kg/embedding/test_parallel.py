"""Two processes fit as one with batches of twice the size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from kg.embedding import FitConfig, fit
from tests.kg.embedding.contract import ENTITIES, RELATIONS, random_facts

PROGRAM = """
import sys
import torch
from safetensors.torch import save_file
from kg.embedding import FitConfig, fit
from kg.embedding.parallel import leave_processes, processes
from tests.kg.embedding.contract import ENTITIES, RELATIONS, random_facts

config = FitConfig(dim=8, epochs=3, batch=4, **eval(sys.argv[2]))
model = fit(random_facts(), ENTITIES, RELATIONS, config).model
assert processes()[1] == 2
if processes()[0] == 0:
    save_file(model.state_dict(), sys.argv[1])
torch.distributed.barrier()
leave_processes()
"""


AVERAGING = """
import sys
import torch
from safetensors.torch import save_file
from kg.embedding.optim import gather
from kg.embedding.parallel import average_gradients, join_processes, leave_processes, processes

join_processes()
number = processes()[0]
table, idle = torch.nn.Parameter(torch.ones(5, 2)), torch.nn.Parameter(torch.ones(3))
ids = [torch.tensor([1, 3]), torch.tensor([3, 3, 0])][number]
(gather(table, ids) * [2.0, 4.0][number]).sum().backward()
if number == 1:
    idle.sum().backward()
average_gradients([table, idle], [1, 3][number])
assert table.grad.is_sparse
if number == 0:
    save_file({"table": table.grad.to_dense(), "idle": idle.grad}, sys.argv[1])
torch.distributed.barrier()
leave_processes()
"""


def by_two(folder: Path, program: str, settings: dict[str, object]) -> dict[str, torch.Tensor]:
    (folder / "program.py").write_text(program)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launch, str(folder / "program.py"), str(folder / "model.safetensors"), repr(settings)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return load_file(folder / "model.safetensors")


def environment() -> dict[str, str]:
    import os

    root = str(Path(__file__).parents[3])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.parametrize("settings", [{"optimizer": "adagrad"}, {"optimizer": "adam", "lr": 0.01}])
def test_dense_gradients_are_averaged(tmp_path: Path, settings: dict[str, object]) -> None:
    both = by_two(tmp_path, PROGRAM, settings)
    alone = fit(random_facts(), ENTITIES, RELATIONS, FitConfig(dim=8, epochs=3, batch=8, **settings)).model
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(both[name], tensor, rtol=1e-4, atol=1e-5)


def test_sparse_gradients_and_absent_ones_are_averaged_by_facts(tmp_path: Path) -> None:
    found = by_two(tmp_path, AVERAGING, {})
    expected = torch.tensor([[0.75 * 4], [0.25 * 2], [0.0], [0.25 * 2 + 0.75 * 8], [0.0]]).expand(5, 2)
    torch.testing.assert_close(found["table"], expected)
    torch.testing.assert_close(found["idle"], torch.full((3,), 0.75))


def test_a_sparse_mode_moves_every_entity(tmp_path: Path) -> None:
    settings = {"mode": "negatives", "loss": "softmax", "negatives": 1, "l2": 0.1, "sampler": "uniform"}
    both = by_two(tmp_path, PROGRAM, settings)
    assert all(tensor.isfinite().all() for tensor in both.values())
    fresh = fit(random_facts(), ENTITIES, RELATIONS, FitConfig(dim=8, epochs=0, batch=4, **settings)).model
    moved = (both["entities"] - fresh.entities).abs().sum(1)
    assert (moved > 0).all()
