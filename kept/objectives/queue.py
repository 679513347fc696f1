"""Memory beside the gradient: a queue of past vectors and a slowly following twin of a model."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kept.objectives.identity import NOTHING

# The columns of a content that stand for one thing each, the picture and the words; the rest is a set of entities.
SINGLE = 2


class MomentumQueue(nn.Module):
    """The last `size` unit vectors that were put in, with what each is about, as further candidates of a contrast.

    A ring: the oldest gives way to the newest. Everything is a buffer, so the queue lies in the checkpoint and resumes
    with it. Put vectors in after the loss, from `after_step`, gathered over processes so that all hold the same.

    Args:
        size: how many vectors it holds.
        width: of a vector.
        codes: the width of a content (`kept.objectives.identity.content`); further entities of a record are dropped.

    Buffers: `vectors` (size, width) float32; `contents` (size, codes) int64; `filled` and `place`, scalars.
    Source: He et al. 2020, MoCo, section 3.2; as in Li et al. 2021, ALBEF, section 3.2.

        >>> queue = MomentumQueue(size=3, width=2, codes=2)
        >>> queue.enqueue(torch.eye(2), torch.tensor([[1, 5], [2, 6]]))
        >>> queue.mask.tolist()
        [True, True, False]
    """

    vectors: Tensor
    contents: Tensor
    filled: Tensor
    place: Tensor

    def __init__(self, size: int, width: int, codes: int) -> None:
        super().__init__()
        if size < 1 or codes < SINGLE:
            raise ValueError(f"a queue of {size} places for {codes} codes each; it needs 1 and {SINGLE} at least")
        self.register_buffer("vectors", torch.zeros(size, width))
        self.register_buffer("contents", torch.full((size, codes), NOTHING))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @property
    def mask(self) -> Tensor:
        """(size,) bool, True where a vector was put in."""
        return torch.arange(len(self.vectors), device=self.filled.device) < self.filled

    @torch.no_grad()
    def enqueue(self, vectors: Tensor, contents: Tensor) -> None:
        """Put in (B, width) vectors and their (B, any number of codes) contents; of more than `size` the last stay."""
        size, batch = len(self.vectors), len(vectors)
        at = (self.place + torch.arange(batch, device=self.place.device))[-size:] % size
        self.vectors[at] = vectors[-size:].to(self.vectors.dtype)
        self.contents[at] = _fit(contents[-size:], self.contents.shape[1])
        self.place.copy_((self.place + batch) % size)
        self.filled.copy_((self.filled + batch).clamp(max=size))


def _fit(contents: Tensor, width: int) -> Tensor:
    """Cut or fill contents to `width` codes, entities that are there before places that are empty."""
    single, entities = contents[:, :SINGLE], contents[:, SINGLE:]
    entities = entities.gather(1, (entities == NOTHING).to(torch.uint8).argsort(dim=1, stable=True))
    fitted = torch.cat([single, entities], dim=1)[:, :width]
    return F.pad(fitted, (0, width - fitted.shape[1]), value=NOTHING)


@torch.no_grad()
def ema_update(twin: nn.Module, online: nn.Module, momentum: float) -> None:
    """twin <- m twin + (1 - m) online for every parameter of `online`; its buffers are copied.

    What is a parameter of `online` may be a buffer of the twin.

    Raises:
        ValueError: if the two do not hold the same names.

    Source: He et al. 2020, MoCo, equation 2; momentum 0.995 in Li et al. 2021, ALBEF, section 3.5.

        >>> twin, online = nn.Linear(1, 1), nn.Linear(1, 1)
        >>> ema_update(twin, online, momentum=0.0)
        >>> torch.equal(twin.weight, online.weight)
        True
    """
    learned = dict(online.named_parameters())
    others = learned | dict(online.named_buffers())
    own = dict(twin.named_parameters()) | dict(twin.named_buffers())
    if own.keys() != others.keys():
        raise ValueError(f"the twin differs from its model in {sorted(own.keys() ^ others.keys())}")
    for name, value in own.items():
        if name in learned:
            value.lerp_(others[name].to(value.dtype), 1 - momentum)
        else:
            value.copy_(others[name])


@torch.no_grad()
def soft_targets(similarity: Tensor, one_hot: Tensor, alpha: float) -> Tensor:
    """(B, C) targets alpha softmax(similarity) + (1 - alpha) one_hot; each row sums to 1.

    Args:
        similarity: (B, C) logits of the momentum twin, -inf at candidates that do not count.
        one_hot: (B, C), what belongs together; several positives of a row share it evenly.
        alpha: how much the twin is believed, in [0, 1]; ALBEF raises it from 0 to 0.4 over the first epoch.

    Source: Li et al. 2021, ALBEF, equations 6 and 7.

        >>> soft_targets(torch.zeros(1, 2), torch.tensor([[True, False]]), alpha=0.4).tolist()
        [[0.8..., 0.2...]]
    """
    hard = one_hot.to(similarity.dtype)
    return alpha * similarity.softmax(1) + (1 - alpha) * hard / hard.sum(1, keepdim=True)
