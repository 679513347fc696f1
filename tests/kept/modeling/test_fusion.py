"""Every fusion keeps the contract."""

from __future__ import annotations

from typing import ClassVar

import torch

from kept.modeling.fusion import MentionFusion
from kept.modeling.streams import Stream
from tests.kept import tiny
from tests.kept.modeling.contract import FusionContract, fresh, random


class TestMentionFusion(FusionContract):
    member = "mentions"
    options: ClassVar = {"at": [-1, 0]}

    def test_only_aligned_states_change(self) -> None:
        """ERNIE's fusion touches the first piece of a mention, or a picture's summary, and nothing beside it."""
        batch, fusion = self.batch(), fresh(MentionFusion(tiny.WIDTH, tiny.DIM, 2))
        rows, length = batch.text.ids.shape
        streams = {
            "text": Stream.full(random(rows, length, tiny.WIDTH), "text", batch.text.mask),
            "image": Stream.full(random(rows, tiny.STATES, tiny.WIDTH), "image"),
        }
        mentions = batch.mentions
        vectors = random(*mentions.entity.shape, tiny.DIM)
        found = fusion.layer(-1, fusion.inputs(streams, mentions, vectors), mentions)
        for name, host in (("text", 0), ("image", 1)):
            changed = (found[name].states != streams[name].states).any(-1).nonzero().tolist()
            here = (mentions.mask & mentions.visible & (mentions.host == host)).nonzero().tolist()
            assert changed == sorted([row, int(mentions.start[row, k])] for row, k in here), name

    def test_the_formula_by_hand(self) -> None:
        fusion = fresh(MentionFusion(tiny.WIDTH, tiny.DIM, 1))
        batch = tiny.corpus().batch(tiny.rows(tiny.UNKNOWN), tiny.NOISE)
        mentions, text = batch.mentions, Stream.full(random(1, 12, tiny.WIDTH), "text")
        vector = random(1, 1, tiny.DIM, seed=2)
        start = int(mentions.start[0, 0])
        found = fusion.layer(-1, fusion.inputs({"text": text}, mentions, vector), mentions)

        aligner = fusion.aligners["-1"]
        entity = fusion.norm(fusion.project(vector[0, 0]) + fusion.positions.weight[start] + fusion.hosts.weight[0])
        token = text.states[0, start]
        hidden = torch.nn.functional.gelu(
            aligner.token_in(aligner.token_norm(token)) + aligner.entity_in(aligner.entity_norm(entity))
        )
        torch.testing.assert_close(found["text"].states[0, start], token + aligner.token_out(hidden))
        torch.testing.assert_close(found["entity"].states[0, 0], entity + aligner.entity_out(hidden))
