"""Heads: what objectives read from final states beside word pieces and entities, by name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kept.modeling.layers import AttentionStep, FeedForwardStep
from kept.modeling.streams import Stream, Streams, joined
from kg.errors import InputError
from kg.registry import Registry

if TYPE_CHECKING:
    from kept.modeling.config import KeptConfig

HEADS: Registry[type[Head]] = Registry("head")

EPS = 1e-12
"""Of BERT's layer norms, which these heads' weights come from or go to."""


class Head(nn.Module):
    """A head of a model: made from the model's config alone, so that a saved model brings its heads along."""

    def __init__(self, config: KeptConfig) -> None:
        super().__init__()
        self.width = config.width

    @staticmethod
    def count(config: KeptConfig, of: str) -> int:
        """How many classes there are of a sort, such as "objects"."""
        return len((config.classes or {}).get(of, ()))


class Transform(nn.Module):
    """LN(gelu(W h)), what BERT's heads begin with."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=EPS)

    def forward(self, states: Tensor) -> Tensor:
        return self.norm(F.gelu(self.dense(states)))


@HEADS.register("answers")
class AnswerHead(Head):
    """Logits of the answers of a closed list from the summary: W' LN(gelu(W h)), hidden width 2 D.

    Source: Tan & Bansal 2019, LXMERT, section 3.1.2 (image question answering) and its code.
    """

    def __init__(self, config: KeptConfig) -> None:
        super().__init__(config)
        self.expand = nn.Linear(self.width, 2 * self.width)
        self.norm = nn.LayerNorm(2 * self.width, eps=EPS)
        self.classify = nn.Linear(2 * self.width, max(1, self.count(config, "answers")))

    def forward(self, summary: Tensor) -> Tensor:
        return self.classify(self.norm(F.gelu(self.expand(summary))))


@HEADS.register("regions")
class RegionHead(Head):
    """What a masked region shows: logits of its class, logits of its attributes, and its feature.

    One transform, then a linear map for each; the feature's may be the transpose of the tower's own projection.

    Args:
        tied: the feature's map is the tower's, transposed.

    Source: Tan & Bansal 2019, LXMERT, section 3.1.1; tied: Chen et al. 2020, UNITER, section 3.2 (MRFR).
    """

    def __init__(self, config: KeptConfig, tied: bool = False) -> None:
        super().__init__(config)
        features = int((config.regions or {}).get("features", 1))
        self.tied = tied
        self.transform = Transform(self.width)
        self.objects = nn.Linear(self.width, max(1, self.count(config, "objects")))
        self.attributes = nn.Linear(self.width, max(1, self.count(config, "attributes")))
        if tied:
            self.feature_bias = nn.Parameter(torch.zeros(features))
        else:
            self.feature = nn.Linear(self.width, features)

    def forward(self, states: Tensor, of: str, projection: Tensor | None = None) -> Tensor:
        """(n, D) states -> (n, classes) logits of "objects" or "attributes", or (n, F) the "feature".

        `projection` (D, F) is the tower's weight, which a tied head needs for the feature.
        """
        hidden = self.transform(states)
        if of != "feature":
            logits: Tensor = self.get_submodule(of)(hidden)
            return logits
        if not self.tied:
            return self.feature(hidden)
        if projection is None:
            raise ValueError("a tied head needs the projection of the region tower")
        return F.linear(hidden, projection.T, self.feature_bias)


@HEADS.register("picture")
class PictureHead(Head):
    """The mean feature of a picture's regions, or its mean patch, from the summary of a text.

    Source: Xia et al. 2021, XGPT, section 3.2 (text-conditioned image feature generation).
    """

    def __init__(self, config: KeptConfig) -> None:
        super().__init__(config)
        self.transform = Transform(self.width)
        self.feature = nn.Linear(self.width, picture_width(config))

    def forward(self, summary: Tensor) -> Tensor:
        return self.feature(self.transform(summary))


def picture_width(config: KeptConfig) -> int:
    """Numbers that a picture is summed up in: those of a region's feature, or three colours of each place."""
    if config.regions is not None:
        return int(config.regions.get("features", 1))
    return 3 * THUMBNAIL**2


THUMBNAIL = 4
"""Side of the small picture that stands for one without regions."""


@HEADS.register("pixels")
class PixelHead(Head):
    """A pixel decoder: layers over the final states of the patches, then the pixels of each.

    Args:
        layers: self-attention layers before the linear map; 0 is SimMIM's.

    Source: Xie et al. 2022, SimMIM, section 3.3 (linear); He et al. 2022, MAE, section 3 (a small transformer).
    """

    def __init__(self, config: KeptConfig, layers: int = 0) -> None:
        super().__init__(config)
        patch = int((config.image or {}).get("patch", 8))
        self.steps = nn.ModuleList(AttentionStep(config.width, config.heads) for _ in range(layers))
        self.feed_forwards = nn.ModuleList(FeedForwardStep(config.width, config.hidden) for _ in range(layers))
        self.norm = nn.LayerNorm(config.width)
        self.pixels = nn.Linear(config.width, 3 * patch * patch)

    def forward(self, patches: Stream) -> Tensor:
        """(B, P, 3 p p), in the order of `torch.nn.functional.pixel_unshuffle`."""
        states, seen = patches.states, patches.mask[:, None, None, :]
        for step, feed_forward in zip(self.steps, self.feed_forwards, strict=True):
            states = feed_forward(step(states, states, seen))
        return self.pixels(self.norm(states))


@HEADS.register("detection")
class DetectionHead(Head):
    """Objects as a set: each candidate says a class, a box and an attribute.

    Candidates are learned queries, which read the picture's final states, or the patches themselves, each of which
    looks for objects about its own middle: b = sigmoid(MLP(h) + logit(middle and size of the patch)). Each of `layers`
    lets the candidates read each other and then the picture, and is read anew; patches may do without. The attribute
    is read from the candidate's state and the class that it finds likeliest.

    Args:
        queries: the most objects that can be found; as many as there are patches where they are the candidates.
        layers: decoder layers.
        of: "queries" or "patches".

    Source: Carion et al. 2020, DETR, section 3.2; patches: Minderer et al. 2022, OWL-ViT, section 3.1; attributes: Xu
    et al. 2021, E2E-VLP, section 3.3, with the class embedding of Anderson et al. 2018, "Bottom-Up and Top-Down
    Attention", section 3.1.

    Raises:
        InputError: for queries without a layer, and for pictures that are no square of `queries` patches.
    """

    def __init__(
        self, config: KeptConfig, queries: int = 20, layers: int = 2, of: Literal["queries", "patches"] = "queries"
    ) -> None:
        super().__init__(config)
        width, self.classes = config.width, max(1, self.count(config, "objects"))
        if of == "queries" and not layers:
            raise InputError("detection.layers: queries that read nothing find nothing; at least 1")
        self.candidates, self.queries = queries, nn.Embedding(queries, width) if of == "queries" else None
        self.selves = nn.ModuleList(AttentionStep(width, config.heads, config.dropout) for _ in range(layers))
        self.crosses = nn.ModuleList(AttentionStep(width, config.heads, config.dropout) for _ in range(layers))
        self.feed_forwards = nn.ModuleList(FeedForwardStep(width, config.hidden, config.dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, self.classes + 1)
        self.box = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4)
        )
        self.class_table = nn.Embedding(self.classes, width)
        self.attribute = nn.Linear(2 * width, max(1, self.count(config, "attributes")))

    def forward(self, streams: Streams, names: tuple[str, ...]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """For each layer (B, Q, C + 1) class logits, (B, Q, 4) boxes (centre, size) and (B, Q, A) attribute logits."""
        seen = torch.cat([streams[name].mask for name in names], dim=1)[:, None, None, :]
        memory = joined(streams, names)
        if self.queries is not None:
            states, middles = self.queries.weight.expand(len(memory), -1, -1), None
            everyone = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=memory.device)
        else:
            states, middles = self.patches(streams["image"])
            everyone = streams["image"].mask[:, None, None, -self.candidates :]
        found = [] if len(self.selves) else [self._read(self.norm(states), middles)]
        for own, cross, feed_forward in zip(self.selves, self.crosses, self.feed_forwards, strict=True):
            states = feed_forward(cross(own(states, states, everyone), memory, seen))
            found.append(self._read(self.norm(states), middles))
        return found

    def patches(self, image: Stream) -> tuple[Tensor, Tensor]:
        """(B, Q, D) states of the patches without a summary before them, and (Q, 4) logits of their boxes."""
        side = math.isqrt(self.candidates)
        if side**2 != self.candidates or image.length - self.candidates not in (0, 1):
            raise InputError(
                f"detection.queries: {self.candidates}; with of: patches the number of patches of a square picture "
                f"(this model's has {image.length} with its summary)"
            )
        middle = (torch.arange(side, device=image.states.device) + 0.5) / side
        down, right = torch.meshgrid(middle, middle, indexing="ij")
        # A little less than a patch's side, since the logit of 1, one patch that is all, is no number.
        size = torch.full_like(down, 1 / (side + 1))
        boxes = torch.stack([right, down, size, size], dim=-1).flatten(0, 1)
        return image.states[:, -self.candidates :], boxes.logit()

    def _read(self, states: Tensor, middles: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        logits, box = self.classify(states), self.box(states)
        likeliest = self.class_table(logits[..., :-1].argmax(-1))
        attributes = self.attribute(torch.cat([states, likeliest], dim=-1))
        return logits, (box if middles is None else box + middles).sigmoid(), attributes


@HEADS.register("writer")
class WriterHead(Head):
    """A separate autoregressive decoder: what is written reads itself, then all that was read.

    Args:
        layers: decoder layers.

    Source: Vaswani et al. 2017, section 3.1; as in Wang et al. 2022, OFA, and Luo et al. 2020, UniVL.
    """

    def __init__(self, config: KeptConfig, layers: int = 2) -> None:
        super().__init__(config)
        self.selves = nn.ModuleList(AttentionStep(config.width, config.heads, config.dropout) for _ in range(layers))
        self.crosses = nn.ModuleList(AttentionStep(config.width, config.heads, config.dropout) for _ in range(layers))
        self.feed_forwards = nn.ModuleList(
            FeedForwardStep(config.width, config.hidden, config.dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(self, written: Stream, read: Streams) -> Tensor:
        """(B, L, D) states that predict the piece behind each one that is written."""
        from kept.modeling.visibility import causal

        names = list(read)
        memory = joined(read, names)
        seen = torch.cat([stream.mask for stream in read.values()], dim=1)[:, None, None, :]
        before = causal(written.length, written.states.device) & written.mask[:, None, None, :]
        states = written.states
        for own, cross, feed_forward in zip(self.selves, self.crosses, self.feed_forwards, strict=True):
            states = feed_forward(cross(own(states, states, before), memory, seen))
        return self.norm(states)


def make_heads(config: KeptConfig) -> nn.ModuleDict:
    """The heads that a config names, with its options."""
    chosen: dict[str, dict[str, Any]] = config.head_options or {}
    return nn.ModuleDict({name: HEADS[name](config, **(options or {})) for name, options in chosen.items()})
