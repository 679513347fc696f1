"""Masked language modelling as `kept bench train` measures it: transformers' BERT and ours, from the same weights."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.bench.train_sentences import DROPOUTS, IGNORE, MODEL, Batches

if TYPE_CHECKING:
    import torch

YARDSTICK = "transformers, random batches"


@dataclass(frozen=True)
class Arm:
    """One way of doing the step.

    Attributes:
        system: "transformers", every batch padded to its longest, or "kept".
        buckets: batches of similar length, or else of any.
        precision: "float32", or "bfloat16" under autocast.
        compiled, checkpointed: by `torch.compile`; states inside layers computed again for the gradient.
    """

    system: str
    buckets: bool = False
    precision: str = "float32"
    compiled: bool = False
    checkpointed: bool = False


ARMS = {
    YARDSTICK: Arm("transformers"),
    "kept, random batches": Arm("kept"),
    "transformers, length buckets": Arm("transformers", buckets=True),
    "kept, length buckets": Arm("kept", buckets=True),
    "transformers bfloat16, random batches": Arm("transformers", precision="bfloat16"),
    "kept bfloat16, random batches": Arm("kept", precision="bfloat16"),
    "transformers checkpointed, random batches": Arm("transformers", checkpointed=True),
    "kept checkpointed, random batches": Arm("kept", checkpointed=True),
    "kept compiled, random batches": Arm("kept", compiled=True),
}
RATIOS = {
    name: name.replace("kept", "transformers").replace(" compiled", "").replace(" checkpointed", "") for name in ARMS
}
"""Which arm each is held against: transformers' on the same batches in the same precision."""


class Trainer:
    """A model, its optimizer and its batches: `loss(number)` and `step(number)`."""

    def __init__(self, folder: Path, arm: Arm, count: int, device: str) -> None:
        import torch

        from kg.storage import read_json

        self.arm, self.device = arm, device
        self.batches = self._read(folder, count)
        self.shape = read_json(folder / MODEL / "config.json")
        make = self._kept if arm.system == "kept" else self._transformers
        self.forward, self.modules = make(folder / MODEL)
        parameters = {id(one): one for module in self.modules for one in module.parameters()}
        self.optimizer = torch.optim.AdamW(parameters.values(), lr=1e-5, fused=True)

    def loss(self, number: int) -> torch.Tensor:
        import torch

        half = self.arm.precision == "bfloat16"
        with torch.autocast(self.device, torch.bfloat16) if half else nullcontext():
            return self.forward(*self.batches.tensors(number, self.device))

    def step(self, number: int) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(number).backward()
        self.optimizer.step()

    def flops(self, number: int) -> float:
        """What the step on one batch needs at least."""
        units = self.batches.units(number)
        return step_flops(self.shape, units["tokens"], units["squares"], units["masked"])

    def _read(self, folder: Path, count: int) -> Batches:
        return Batches.read(folder, self.arm.buckets, count)

    def _transformers(self, folder: Path) -> tuple[Any, list[Any]]:
        from transformers import BertForMaskedLM

        model: Any = BertForMaskedLM.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
        model.train().to(self.device)
        if self.arm.checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": False})

        def forward(ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor) -> Any:
            return model(input_ids=ids, attention_mask=mask.long(), labels=labels).loss

        return forward, [model]

    def _kept(self, folder: Path) -> tuple[Any, list[Any]]:
        import torch

        from kept.data.batch import Text
        from kept.modeling.masked_head import MaskedHead
        from kept.modeling.pretrained import load_encoder
        from kept.modeling.text_tower import TextEncoder

        options = load_encoder(folder).options
        shape = options["encoder"]
        shape |= {key: self.shape[f"{theirs}_dropout_prob"] for key, theirs in DROPOUTS.items()}
        shape["checkpointing"] = self.arm.checkpointed
        tower = TextEncoder(shape["width"], **options)
        head = MaskedHead(shape["width"], options["vocabulary"], shape["activation"], shape["eps"])
        for part in (tower, head):
            assert not part.load_weights(folder).missing
            part.train().to(self.device)
        encode: Any = torch.compile(tower, dynamic=True) if self.arm.compiled else tower

        def forward(ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor) -> Any:
            wanted = labels != IGNORE
            states = encode(Text(ids, mask, ~mask, ids), wanted).states
            targets = labels[wanted]
            return head.loss(states, wanted, targets, tower.pieces.weight) / len(targets)

        return forward, [tower, head]


def step_flops(shape: dict[str, int], tokens: float, squares: float, masked: float) -> float:
    """Floating-point operations of forward and backward that no padding, and no unmasked piece's logits, add to.

        6 N tokens + 12 L D sum(l^2) + 6 (D^2 + D V) masked

    N counts the weights of the layers' matrices. Source: Chowdhery et al. 2022, PaLM, appendix B, with the vocabulary
    counted at masked places.

        >>> step_flops({"hidden_size": 1, "intermediate_size": 1, "num_hidden_layers": 1, "vocab_size": 2}, 1, 1, 1)
        66.0
    """
    width, hidden = shape["hidden_size"], shape["intermediate_size"]
    layers, vocabulary = shape["num_hidden_layers"], shape["vocab_size"]
    weights = layers * (4 * width**2 + 2 * width * hidden)
    scored = (width**2 + width * vocabulary) * masked
    return 6.0 * weights * tokens + 12.0 * layers * width * squares + 6.0 * scored
