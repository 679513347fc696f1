"""LXMERT's pre-training step as `kept bench train` measures it: transformers' and ours, from the same weights.

Both have the same layers, read the same 36 regions and texts, and add up the same five losses: masked pieces, classes,
attributes and features of hidden regions, match, answer. Their losses agree before the first step; they differ in what
they compute for them:

- transformers scores every piece and every region and weighs by 0 what is not asked for, ours scores what is asked for;
- transformers computes padding, ours does not in the layers of one modality;
- ours has one more norm behind the last layer, and a vector for each kind of stream and for hidden features, which
  begin as what changes nothing; transformers does not train the positions' and the token types' row 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.bench import train_text
from pipelines.bench.train_pairs import REGIONS, PairBatches
from pipelines.bench.train_sentences import DROPOUTS, IGNORE
from pipelines.bench.train_text import Arm

if TYPE_CHECKING:
    import torch

    from kept.data.batch import Batch
    from kept.modeling.model import KeptModel

ARMS = {
    "transformers LXMERT": Arm("transformers"),
    "kept LXMERT": Arm("kept"),
    "transformers LXMERT bfloat16": Arm("transformers", precision="bfloat16"),
    "kept LXMERT bfloat16": Arm("kept", precision="bfloat16"),
}
RATIOS = {name: name.replace("kept", "transformers") for name in ARMS}
"""Which arm each is held against: transformers' in the same precision."""
NORMALISER = 1 / 0.15
"""What transformers multiplies the mean over all regions by, those that are not hidden counting 0."""
EPS = 1e-12


class Trainer(train_text.Trainer):
    """A model, its optimizer and its batches of texts with regions."""

    def flops(self, number: int) -> float:
        return step_flops(self.shape, self.batches.units(number))

    def _read(self, folder: Path, count: int) -> PairBatches:
        return PairBatches.read(folder, self.arm.buckets, count)

    def _transformers(self, folder: Path) -> tuple[Any, list[Any]]:
        from transformers import LxmertForPreTraining

        from kept.data.boxes import uniter_position

        model: Any = LxmertForPreTraining.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
        model.train().to(self.device)
        model.visual_loss_normalizer = NORMALISER

        def forward(
            ids: torch.Tensor,
            mask: torch.Tensor,
            labels: torch.Tensor,
            boxes: torch.Tensor,
            features: torch.Tensor,
            hidden: torch.Tensor,
            objects: torch.Tensor,
            attributes: torch.Tensor,
            matched: torch.Tensor,
            answers: torch.Tensor,
        ) -> Any:
            weight = hidden.float()
            return model(
                input_ids=ids,
                attention_mask=mask.long(),
                visual_feats=features.masked_fill(hidden[..., None], 0.0),
                visual_pos=uniter_position(boxes),
                labels=labels,
                obj_labels={"obj": (objects, weight), "attr": (attributes, weight), "feat": (features, weight)},
                matched_label=matched,
                ans=answers,
            ).loss

        return forward, [model]

    def _kept(self, folder: Path) -> tuple[Any, list[Any]]:
        import torch
        from torch.nn.functional import cross_entropy, smooth_l1_loss

        from pipelines.bench.train_lxmert_weights import load

        model = lxmert_shaped(self.shape)
        pooler = torch.nn.Linear(model.config.width, model.config.width)
        load(folder, model, pooler)
        for part in (model, pooler):
            part.train().to(self.device)

        def forward(
            ids: torch.Tensor,
            mask: torch.Tensor,
            labels: torch.Tensor,
            boxes: torch.Tensor,
            features: torch.Tensor,
            hidden: torch.Tensor,
            objects: torch.Tensor,
            attributes: torch.Tensor,
            matched: torch.Tensor,
            answers: torch.Tensor,
        ) -> Any:
            wanted = labels != IGNORE
            read = wanted.clone()
            read[:, 0] = True
            encodings = model.encode(as_batch(ids, mask, boxes, features, hidden), read=read)
            pieces = model.piece_logits(encodings.streams["text"].states[wanted])
            summary = torch.tanh(pooler(encodings.summary))
            states, head = encodings.streams["regions"].states[hidden], model.heads["regions"]
            shown = (
                cross_entropy(head(states, "objects").float(), objects[hidden], reduction="sum")
                + cross_entropy(head(states, "attributes").float(), attributes[hidden], reduction="sum")
                + smooth_l1_loss(head(states, "feature").float(), features[hidden], reduction="none").mean(1).sum()
            )
            return (
                cross_entropy(pieces.float(), labels[wanted])
                + cross_entropy(model.match.classify(summary).float(), matched)
                + cross_entropy(model.heads["answers"](summary).float(), answers, ignore_index=IGNORE)
                + shown * NORMALISER / hidden.numel()
            )

        return forward, [model, pooler]


def lxmert_shaped(shape: dict[str, Any]) -> KeptModel:
    """Our model in LXMERT's shape, given as transformers' configuration of it."""
    from kept.modeling.config import KeptConfig
    from kept.modeling.model import KeptModel

    layer = {"heads": shape["num_attention_heads"], "hidden": shape["intermediate_size"], "norm": "post", "eps": EPS}
    rates = {ours: shape[f"{theirs}_dropout_prob"] for ours, theirs in DROPOUTS.items()}
    text = {**layer, **rates, "width": shape["hidden_size"], "layers": shape["l_layers"]}
    classes = {"objects": "num_object_labels", "attributes": "num_attr_labels", "answers": "num_qa_labels"}
    config = KeptConfig(
        width=shape["hidden_size"],
        layers=shape["x_layers"],
        heads=shape["num_attention_heads"],
        hidden=shape["intermediate_size"],
        dropout=rates["dropout"],
        block="co",
        block_options={"wiring": "lxmert", "norm": "post", "feed_forward": "plain", "eps": EPS},
        vocabulary=shape["vocab_size"],
        max_pieces=shape["max_position_embeddings"],
        text={"tower": "text-encoder", "encoder": text, "types": shape["type_vocab_size"]},
        regions={
            "features": shape["visual_feat_dim"],
            "join": "mean",
            "encoder": {**layer, "layers": shape["r_layers"]},
        },
        head_options={"answers": {}, "regions": {}},
        classes={of: [str(number) for number in range(shape[key])] for of, key in classes.items()},
    )
    return KeptModel(config).reset(0)


def as_batch(
    ids: torch.Tensor, mask: torch.Tensor, boxes: torch.Tensor, features: torch.Tensor, hidden: torch.Tensor
) -> Batch:
    """What our model reads, without what it is asked."""
    import torch

    from kept.data.batch import Batch, Mentions, Regions, Text

    rows = torch.arange(len(ids), device=ids.device)
    nothing = ids.new_zeros(len(ids), 0)
    nobody, nowhere = nothing.bool(), nothing[..., None].expand(-1, -1, 3)
    mentions = Mentions(nothing, nothing, nothing, nothing, nobody, nobody, nobody, torch.full_like(rows, -1))
    none = hidden.long() * 0 + IGNORE
    naming = nothing[..., None].expand(-1, -1, 4)
    real = torch.ones_like(hidden)
    regions = Regions(boxes, real, features, hidden, none, none[..., None], None, nowhere, nowhere, naming)
    return Batch(keys=rows, rows=rows, text=Text(ids, mask, ~mask, ids), mentions=mentions, regions=regions)


def step_flops(shape: dict[str, Any], units: dict[str, float]) -> float:
    """Floating-point operations of forward and backward that no padding, and nothing that is not asked for, adds to.

    Counted as `train_text.step_flops` does, layer by layer; a cross-modality layer has the matrices of two attentions
    and lets every piece and region look at its own kind and at the other. Features need no gradient.

        >>> from pipelines.bench.train_pairs import SHAPE
        >>> units = {"pairs": 16, "tokens": 224, "masked": 32, "squares": 3360, "hidden": 86}
        >>> round(step_flops(SHAPE, units) / 1e9)
        24
    """
    width, hidden, features = shape["hidden_size"], shape["intermediate_size"], shape["visual_feat_dim"]
    layers = {name: shape[f"{name}_layers"] for name in "lrx"}
    tokens, regions = units["tokens"], units["pairs"] * REGIONS
    attention, thinking = 4 * width**2, 2 * width * hidden
    weights = layers["l"] * (attention + thinking) * tokens + layers["r"] * (attention + thinking) * regions
    weights += layers["x"] * (2 * attention + thinking) * (tokens + regions)
    own = units["squares"], units["pairs"] * REGIONS**2
    met = layers["l"] * own[0] + layers["r"] * own[1] + layers["x"] * (sum(own) + 2 * tokens * REGIONS)
    asked = units["masked"] * (width**2 + width * shape["vocab_size"])
    classes = shape["num_object_labels"] + shape["num_attr_labels"] + features
    asked += units["hidden"] * (width**2 + width * classes)
    asked += units["pairs"] * (width**2 + 2 * width**2 + 2 * width * shape["num_qa_labels"] + 2 * width)
    return 6.0 * weights + 12.0 * width * met + 6.0 * asked + 4.0 * regions * features * width
