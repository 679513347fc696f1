"""The contract of an objective: corrupt and count first, look at the model second."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from kept.data.batch import Batch
from kept.data.noise import Noise
from kept.modeling.model import Encodings, KeptModel
from kept.modeling.rules import Rule
from kept.modeling.streams import pool
from kg.registry import Registry

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from kept.data.tokenized import TokenizedRecords

OBJECTIVES: Registry[type[Objective]] = Registry("objective")


@dataclass(frozen=True, slots=True)
class Term:
    """One named part of a loss, as a sum and the number of its targets.

    Args:
        sum: scalar tensor, with a graph even when there is no target.
        count: how many targets the sum runs over; None for a term of the step, added once per optimizer step.
        weight: the factor of this term in the total.
        baseline: the mean loss of the best constant predictor, or None where there is none.
        floor: the least mean value possible.
    """

    sum: Tensor
    count: int | None
    weight: float = 1.0
    baseline: float | None = None
    floor: float = 0.0


Loss = Mapping[str, Term]


@dataclass(frozen=True, slots=True)
class Context:
    """What `prepare` may know beside the batch.

    Args:
        noise: where random numbers come from.
        corpus: the tokenised records the batch was taken from, for negatives.
        mask_id, end_id, first_piece, vocabulary: of the tokenizer: [MASK], [SEP], the first id that is no special,
            and how many there are.
        slots: how many pieces of a name the model reads from one [MASK], its end included.
        start_id: of the tokenizer, [CLS].
        reads: the streams that the model has towers for.
    """

    noise: Noise
    mask_id: int
    end_id: int
    first_piece: int
    vocabulary: int
    slots: int
    corpus: TokenizedRecords | None = None
    start_id: int = 0
    reads: frozenset[str] = frozenset({"text", "image", "regions"})

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast, noise: Noise, *, slots: int = 1, **others: Any) -> Context:
        """What is to be known of a tokenizer, with the other arguments as they are."""
        return cls(
            noise=noise,
            mask_id=int(tokenizer.mask_token_id),
            end_id=int(tokenizer.sep_token_id),
            first_piece=max(tokenizer.all_special_ids) + 1,
            vocabulary=len(tokenizer),
            slots=slots,
            start_id=int(tokenizer.cls_token_id),
            **others,
        )


@dataclass(frozen=True, slots=True)
class View:
    """What an objective wants to see: a corrupted copy of a batch and its targets.

    Args:
        name: views of one batch with equal names, visibility and knowledge are the same and share one forward; what
            they read is then the same too.
        batch: the corrupted fields.
        targets: named tensors that the objective's loss reads.
        counts: the number of targets of each part, known before any forward; a term `part` or `part/detail` is
            divided by the count of `part` over the whole step.
        knowledge: False to run without the fusion's hooks.
        pictures: False to run without the pictures.
        read: (B, L) bool, the only places of the text whose final states the losses look at; None for all.
        rule: who may see whom, where not everyone sees everyone; part of what `name` stands for.
    """

    name: Hashable
    batch: Batch
    targets: Mapping[str, Tensor]
    counts: Mapping[str, int]
    knowledge: bool = True
    pictures: bool = True
    read: Tensor | None = None
    rule: Rule | None = None


class Objective(nn.Module):
    """A pre-training objective in two calls.

    `prepare(batch, context)` corrupts a copy of the batch with keyed noise and counts every target; `loss(view,
    forward)` turns encodings into named terms. `forward` runs the model at most once for a view.

    Class attributes:
        couples: "sample" when a split batch's terms add up to the whole's, "batch" when records are each other's
            negatives.
        needs: what a batch must hold, "text", "mentions", "image", "regions", "pictures" (either of the two),
            "image-regions" (regions as targets, whether the model reads them or not), "reply" or "answer", and a
            model, "image", "regions", "pictures" or "knowledge", for the objective to have anything to do.
        parts: the names that its views count targets under.
    """

    couples: ClassVar[Literal["sample", "batch"]] = "sample"
    needs: ClassVar[frozenset[str]] = frozenset({"text"})
    parts: ClassVar[tuple[str, ...]] = ()

    def heads(self) -> Mapping[str, Mapping[str, Any]]:
        """The heads of the model that it reads from, by name of `HEADS`, and their keyword arguments."""
        return {}

    def attach(self, model: KeptModel) -> None:
        """Get to know the model before the first step, for what follows it from outside the gradient."""

    def prepare(self, batch: Batch, context: Context) -> View:
        raise NotImplementedError

    def loss(self, view: View, forward: Forward) -> Loss:
        raise NotImplementedError

    def after_step(self, model: KeptModel) -> None:
        """Change what changes outside the gradient: queues, twins, codebooks."""


@dataclass(slots=True)
class Forward:
    """The model, run at most once for each view of a micro-batch.

    Calling it with a view gives its encodings; `summary_of_pictures(batch)` gives the picture tower's own summaries.
    """

    model: KeptModel
    _encodings: dict[Hashable, Encodings] = field(default_factory=dict)

    def __call__(self, view: View) -> Encodings:
        key = (view.name, view.knowledge, view.pictures)
        if key not in self._encodings:
            self._encodings[key] = self.model.encode(
                view.batch, knowledge=view.knowledge, pictures=view.pictures, read=view.read, rule=view.rule
            )
        return self._encodings[key]

    def summary_of_pictures(self, view: View) -> Tensor:
        """(B, D): what the picture's own tower says, before the shared stack; see `picture_summary`."""
        return picture_summary(self.model, view.batch)


def picture_summary(model: KeptModel, batch: Batch) -> Tensor:
    """(B, D): a picture's first state, or the mean of all where its tower makes the first no summary.

    A model that reads regions alone has the mean of these.
    """
    if batch.image is not None and "image" in model.towers:
        tower = model.towers["image"]
        stream = tower(batch.image)
        summary: Tensor = stream.states[:, 0] if getattr(tower, "summarises", True) else pool(stream)
        return summary
    if batch.regions is not None and "regions" in model.towers:
        return pool(model.towers["regions"](batch.regions))
    raise ValueError("this batch has no picture that the model reads")


def pictured(batch: Batch, context: Context) -> Tensor:
    """(n,) the rows that show something which the model reads, as a picture or as regions."""
    shown = torch.zeros(len(batch), dtype=torch.bool, device=batch.keys.device)
    if batch.image is not None and "image" in context.reads:
        shown |= batch.image.mask
    if batch.regions is not None and "regions" in context.reads:
        shown |= batch.regions.mask.any(1)
    return shown.nonzero().squeeze(1)


def with_words(batch: Batch) -> Tensor:
    """(B,) bool, True where a record has a text of its own."""
    return (batch.text.mask & ~batch.text.special).any(1)


def nothing(model: nn.Module) -> Tensor:
    """An exact zero with a graph: what a term without targets contributes."""
    trained = (parameter for parameter in model.parameters() if parameter.requires_grad)
    return next(trained, torch.zeros(0)).flatten()[:0].sum()


@contextmanager
def full_precision() -> Iterator[None]:
    """Softmaxes over many classes stay in float32 under autocast."""
    with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        yield
