"""Decoders and heads: from hidden states to pieces, entities, matches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kg.errors import InputError
from kg.registry import Registry

if TYPE_CHECKING:
    from kg.embedding.scorers import Scorer

ENTITY_DECODERS: Registry[type[EntityDecoder]] = Registry("entity decoder")


class PieceDecoder(nn.Module):
    """Word-piece logits E LN(gelu(W h)) + b, with E tied to the input embeddings.

    A name's pieces are read slot by slot from the state of its one [MASK]: piece j gets h + s_j instead of h, and its
    logits gain E F e(w), w being the piece before it. That last part does not look at h, so the names of a whole graph
    are scored by a few products of matrices (`continuation`), and yet "south" is followed by "africa" or "sudan" and
    not by the end of another answer.
    Source: Devlin et al. 2019, BERT (the transform of its masked-LM head).
    """

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.transform = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.follow = nn.Linear(width, width, bias=False)
        self.scale = 4 * width**-0.5

    def forward(self, hidden: Tensor, embeddings: Tensor) -> Tensor:
        """(n, D) states and the (V, D) input table -> (n, V) logits."""
        return F.linear(self.state(hidden), embeddings, self.bias)

    def state(self, hidden: Tensor) -> Tensor:
        """(n, D): what is compared with the table."""
        return self.norm(F.gelu(self.transform(hidden))) * self.scale

    def continuation(self, pieces: Tensor, embeddings: Tensor) -> Tensor:
        """(n, D): what a piece before adds to `state`."""
        return self.follow(embeddings[pieces])


class EntityDecoder(nn.Module):
    """Scores all entities of the graph as the answer at a masked mention.

    Args:
        width: hidden width D.
        scorer: the similarity scorer that made the vectors; its algebra is the decoder's.

    `forward(hidden, states, vectors, mask, table)`: hidden (n, D) at the mask; states (n, M, D), vectors (n, M, dim)
    and mask (n, M) of the other linked mentions of the record; table (N, dim) of all entity vectors; gives (n, N).
    """

    def __init__(self, width: int, scorer: Scorer) -> None:
        super().__init__()
        self.width, self.dim = width, scorer.entity_width
        self.norm = nn.LayerNorm(width)
        self.log_scale = nn.Parameter(torch.tensor(0.0))

    def forward(self, hidden: Tensor, states: Tensor, vectors: Tensor, mask: Tensor, table: Tensor) -> Tensor:
        raise NotImplementedError


@ENTITY_DECODERS.register("linear")
class LinearDecoder(EntityDecoder):
    """W h against every entity vector: the usual masked-entity head, which has to learn each fact by heart.

    Source: Zhang et al. 2019, ERNIE, section 3.4 (denoising entity auto-encoder, with all entities as candidates).
    """

    def __init__(self, width: int, scorer: Scorer) -> None:
        super().__init__(width, scorer)
        self.project = nn.Linear(width, self.dim)

    def forward(self, hidden: Tensor, states: Tensor, vectors: Tensor, mask: Tensor, table: Tensor) -> Tensor:
        query = self.project(self.norm(hidden))
        return query @ table.T * (self.log_scale.exp() / math.sqrt(self.dim))


@ENTITY_DECODERS.register("operator")
class OperatorDecoder(EntityDecoder):
    """The hidden state predicts a relation, the graph's own scorer applies it to the linked subject.

        a = softmax_m(g U c_m),    v_s = sum_m a_m v_m,    q = query(v_s, W_r g),    logits = compare(q, E)

    with the scorer's own `query` and `compare`, g = LN(h) at the mask, c_m and v_m the final states and the graph
    vectors of the record's other mentions (a picture's among them). The relation operator is read from the sentence,
    the answer from the graph: nothing is added that could name an entity by heart, so answers follow a changed graph.
    Source: Saxena et al. 2020, EmbedKGQA, section 4.3 (question as relation over ComplEx vectors), with the subject
    attended to instead of given.

    Raises:
        InputError: for a scorer with weights of its own besides vectors.
    """

    def __init__(self, width: int, scorer: Scorer) -> None:
        super().__init__(width, scorer)
        if scorer.own_weights():
            raise InputError(
                f"decoders: operator needs a scorer that is made of vectors alone; {type(scorer).__name__} has "
                f"{scorer.own_weights()[0]} besides; choose the decoder linear, or vectors of complex or rotate"
            )
        self.compose, self.compare = scorer.query, scorer.compare
        self.relation = nn.Linear(width, scorer.relation_width)
        self.subject_query = nn.Linear(width, width)
        # The same shift of all keys would not change their softmax.
        self.subject_norm = nn.LayerNorm(width, bias=False)

    def forward(self, hidden: Tensor, states: Tensor, vectors: Tensor, mask: Tensor, table: Tensor) -> Tensor:
        state = self.norm(hidden)
        subject = (self.attend(state, states, mask)[..., None] * vectors).sum(1)
        query = self.compose(subject, self.relation(state))
        return self.compare(query, table) * (self.log_scale.exp() / math.sqrt(self.dim))

    def attend(self, state: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """(n, M) attention over the mentions; all zeros where a record has none to show."""
        keys = self.subject_norm(states)
        logits = torch.einsum("nd,nmd->nm", self.subject_query(state), keys) / math.sqrt(self.width)
        weights = torch.softmax(logits.masked_fill(~mask, torch.finfo(logits.dtype).min), dim=1)
        return weights * mask


class AnswerGate(nn.Module):
    """The log-odds that an answer lies in the graph rather than in the text.

    It looks at the state at the mask and at how sure the entity decoder is, its greatest log-probability and its
    entropy; all without gradient, so that no state is bent to remember which facts the graph holds.

    Once trained, `decide` multiplies the log-odds by `SHARPNESS`: a mixture at the odds themselves would let names that
    the text taught too confidently outvote a graph that is right three times out of four.

        >>> AnswerGate(8)(torch.zeros(2, 8), torch.zeros(2, 5)).shape
        torch.Size([2])
    """

    SHARPNESS = 3.0

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width + 2, 32)
        self.output = nn.Linear(32, 1)

    def forward(self, hidden: Tensor, entity_logits: Tensor) -> Tensor:
        log_probability = entity_logits.detach().log_softmax(dim=1)
        entropy = -(log_probability.exp() * log_probability).sum(1, keepdim=True)
        sureness = torch.cat([log_probability.amax(1, keepdim=True), entropy], dim=1)
        features = torch.cat([self.norm(hidden.detach()), sureness], dim=1)
        return self.output(F.gelu(self.hidden(features))).squeeze(1)

    def decide(self, hidden: Tensor, entity_logits: Tensor) -> Tensor:
        """The log-odds that answers are mixed by."""
        return self.SHARPNESS * self(hidden, entity_logits)


class ContrastHeads(nn.Module):
    """Unit vectors of pictures and texts in one space, and the learned inverse temperature s = exp(log_scale).

    Source: Radford et al. 2021, CLIP, section 2.3; log_scale starts at ln(1 / 0.07) and stays within [0, ln 100].
    """

    def __init__(self, width: int, dim: int = 64) -> None:
        super().__init__()
        self.image_norm, self.text_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.image, self.text = nn.Linear(width, dim, bias=False), nn.Linear(width, dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def embed_image(self, summary: Tensor) -> Tensor:
        return F.normalize(self.image(self.image_norm(summary)), dim=-1)

    def embed_text(self, summary: Tensor) -> Tensor:
        return F.normalize(self.text(self.text_norm(summary)), dim=-1)

    def scale(self) -> Tensor:
        return self.log_scale.clamp(0.0, math.log(100.0)).exp()


class MatchHead(nn.Module):
    """Two logits, mismatch and match, from the joint summary state."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, 2)

    def forward(self, summary: Tensor) -> Tensor:
        return self.classify(self.norm(summary))
