"""What every block, tower, fusion and entity decoder promises, inherited unchanged by each member's test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from kept.data.batch import Batch, Host, Image, TensorFields, Text
from kept.data.record import Record
from kept.modeling import heads as head_parts
from kept.modeling.blocks import BLOCKS, Place
from kept.modeling.config import KeptConfig
from kept.modeling.decoders import ENTITY_DECODERS, EntityDecoder
from kept.modeling.fusion import FUSIONS
from kept.modeling.layers import initialise
from kept.modeling.model import KeptModel
from kept.modeling.streams import Stream
from kept.modeling.towers import TOWERS
from kg.embedding.scorers import SCORERS
from tests.contracts import Contract
from tests.kept import tiny

WIDTH, HEADS, HIDDEN = 8, 2, 12
ROUNDING = 1e-6
"""The gradient of what has no influence is not above this."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed))


def fresh(module: nn.Module) -> Any:
    """The module in eval mode with weights of its own generator, none of them zero."""
    initialise(module, generator(1))
    for number, parameter in enumerate(module.parameters()):
        if not parameter.any():
            parameter.data.normal_(0.0, 0.1, generator=generator(number))
    return module.eval()


class BlockContract(Contract):
    """Every block: the same names and shapes, no influence of what is masked or not visible."""

    family = BLOCKS
    options: ClassVar[Mapping[str, Any]] = {}

    def make(self) -> Any:
        place = Place(kinds=("text", "image", "entity"))
        return fresh(BLOCKS[self.member](WIDTH, HEADS, HIDDEN, place=place, **self.options))

    def streams(self) -> dict[str, Stream]:
        lengths = {"text": 5, "image": 3, "entity": 2}
        masks = {
            "text": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0]]).bool(),
            "image": torch.tensor([[1, 1, 1], [0, 0, 0], [1, 1, 1]]).bool(),
            "entity": torch.tensor([[1, 1], [1, 0], [0, 0]]).bool(),
        }
        return {
            name: Stream.full(random(3, length, WIDTH, seed=length), name, masks[name])
            for name, length in lengths.items()
        }

    def test_names_shapes_and_masks_stay(self) -> None:
        streams = self.streams()
        found = self.make()(streams)
        assert list(found) == list(streams)
        for name, stream in streams.items():
            assert found[name].states.shape == stream.states.shape
            assert found[name].kind == stream.kind
            for part in ("mask", "positions", "owner"):
                assert torch.equal(getattr(found[name], part), getattr(stream, part))

    def test_any_one_stream_is_enough(self) -> None:
        for name, stream in self.streams().items():
            assert self.make()({name: stream})[name].states.isfinite().all()

    def test_streams_meet(self) -> None:
        streams = self.streams()
        alone = self.make()({"text": streams["text"]})["text"].states
        assert not torch.allclose(self.make()(streams)["text"].states[0], alone[0], atol=1e-3)

    def test_what_is_masked_has_no_influence(self) -> None:
        block, streams = self.make(), self.streams()
        expected = block(streams)
        for name, stream in streams.items():
            noisy = torch.where(stream.mask[..., None], stream.states, random(*stream.states.shape, seed=77))
            found = block({**streams, name: stream.with_states(noisy)})
            for other in streams:
                real = streams[other].mask
                torch.testing.assert_close(found[other].states[real], expected[other].states[real])

    def test_records_do_not_see_each_other(self) -> None:
        block, streams = self.make(), self.streams()
        expected = block(streams)
        for row in range(3):
            alone = block({name: stream.take(torch.tensor([row])) for name, stream in streams.items()})
            for name, stream in streams.items():
                real = stream.mask[row]
                torch.testing.assert_close(alone[name].states[0, real], expected[name].states[row, real])

    def test_what_is_not_visible_has_no_influence(self) -> None:
        block, streams = self.make(), self.streams()
        length = sum(stream.length for stream in streams.values())
        visible = torch.ones(1, 1, length, length, dtype=torch.bool)
        visible[..., :4, 4] = False
        expected = block(streams, visible)["text"].states
        text = streams["text"]
        changed = text.states.clone()
        changed[:, 4] = random(3, WIDTH, seed=5)
        found = block({**streams, "text": text.with_states(changed)}, visible)["text"].states
        torch.testing.assert_close(found[0, :4], expected[0, :4])

    @pytest.mark.parametrize("heads", [1, HEADS])
    def test_wanted_states_equal_those_of_the_whole(self, heads: int) -> None:
        block, streams = self.make(), self.streams()
        length = sum(stream.length for stream in streams.values())
        visible = torch.rand(3, heads, length, length, generator=generator(4)) < 0.7
        wanted = {name: torch.rand(stream.mask.shape, generator=generator(9)) < 0.4 for name, stream in streams.items()}
        for seen in (None, visible, visible[:1]):
            expected, found = block(streams, seen), block(streams, seen, wanted)
            for name, asked in wanted.items():
                torch.testing.assert_close(found[name].states[asked], expected[name].states[asked])

    def test_nothing_may_be_wanted(self) -> None:
        streams = self.streams()
        nothing = {name: torch.zeros_like(stream.mask) for name, stream in streams.items()}
        assert list(self.make()(streams, None, nothing)) == list(streams)

    def test_a_record_without_anything_is_no_error(self) -> None:
        streams = {name: replace(stream, mask=torch.zeros_like(stream.mask)) for name, stream in self.streams().items()}
        for stream in self.make()(streams).values():
            assert stream.states.isfinite().all()

    def test_gradients_reach_every_weight(self) -> None:
        block = self.make()
        sum(stream.states.square().sum() for stream in block(self.streams()).values()).backward()
        for name, parameter in block.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > ROUNDING, name

    def test_gradients_are_right(self) -> None:
        block = self.make().double()
        streams = {name: self.streams()[name].take(torch.tensor([0])) for name in ("text", "entity")}
        inputs = [stream.states.double().requires_grad_() for stream in streams.values()]

        def states(*inputs: Tensor) -> tuple[Tensor, ...]:
            given = {name: streams[name].with_states(x) for name, x in zip(streams, inputs, strict=True)}
            return tuple(stream.states for stream in block(given).values())

        assert torch.autograd.gradcheck(states, inputs, fast_mode=True)


class TowerContract(Contract):
    """Every tower: one row of states for each record, whatever company it is in.

    A member's test sets `options` and makes a field of four records, the third of which is absent or the shortest.
    """

    family = TOWERS
    options: ClassVar[Mapping[str, Any]] = {}

    def field(self) -> Text | Image:
        raise NotImplementedError

    def make(self) -> Any:
        return fresh(TOWERS[self.member](WIDTH, **self.options))

    def test_it_makes_a_stream_of_its_kind(self) -> None:
        tower = self.make()
        stream = tower(self.field())
        assert stream.kind == tower.kind
        assert stream.states.shape == (4, stream.length, WIDTH)
        assert stream.states.isfinite().all()
        assert stream.mask.shape == stream.positions.shape == (4, stream.length)
        assert stream.mask.any(1).tolist() == [True, True, False, True]
        assert stream.owner.tolist() == [0, 1, 2, 3]

    def test_records_do_not_depend_on_their_company(self) -> None:
        tower, field = self.make(), self.field()
        expected = tower(field)
        for rows in ([2], [3, 0, 1, 2], [1, 1]):
            assert isinstance(field, TensorFields)
            found = tower(field.take(torch.tensor(rows)))
            torch.testing.assert_close(found.states, expected.states[rows])
            assert torch.equal(found.mask, expected.mask[rows])

    def test_records_differ(self) -> None:
        states = self.make()(self.field()).states
        assert not torch.allclose(states[0], states[1], atol=1e-3)

    def test_it_draws_the_same_weights_from_the_same_generator(self) -> None:
        states = [self.make()(self.field()).states for _ in range(2)]
        assert torch.equal(*states)

    def test_gradients_reach_every_weight(self) -> None:
        tower = self.make()
        tower(self.field()).states.square().sum().backward()
        for name, parameter in tower.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > ROUNDING, name


class HeadContract(Contract):
    """Every head: made from a config alone, each row by itself, every weight of use.

    A member's test sets `options` and says what comes of states (n, D), or of a stream of them.
    """

    family = head_parts.HEADS
    options: ClassVar[Mapping[str, Any]] = {}
    rows: ClassVar[int] = 4

    def outputs(self, head: Any, rows: Tensor) -> Sequence[Tensor]:
        """What the head says of the given rows of some fixed states, tensors that begin with a row each."""
        raise NotImplementedError

    def config(self) -> KeptConfig:
        image, regions = {"size": tiny.SIZE, "patch": tiny.PATCH}, {"features": tiny.FEATURES}
        return KeptConfig(
            width=WIDTH, heads=HEADS, hidden=HIDDEN, dropout=0.0, image=image, regions=regions, classes=tiny.CLASSES
        )

    def make(self) -> Any:
        return fresh(head_parts.HEADS[self.member](self.config(), **self.options))

    def test_rows_do_not_depend_on_their_company(self) -> None:
        head, everyone = self.make(), torch.arange(self.rows)
        whole = self.outputs(head, everyone)
        for row in range(self.rows):
            for found, expected in zip(self.outputs(head, everyone[row : row + 1]), whole, strict=True):
                torch.testing.assert_close(found[0], expected[row])

    def test_gradients_reach_every_weight(self) -> None:
        head = self.make()
        sum(output.square().sum() for output in self.outputs(head, torch.arange(self.rows))).backward()
        for name, parameter in head.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > ROUNDING, name

    def test_a_saved_model_brings_it_along(self, tmp_path: Path) -> None:
        model = tiny.model(heads={self.member: dict(self.options)})
        model.save_pretrained(tmp_path)
        loaded, expected = KeptModel.load(tmp_path).state_dict(), model.state_dict()
        own = [name for name in expected if name.startswith(f"heads.{self.member}.")]
        assert own
        assert all(torch.equal(loaded[name], expected[name]) for name in own)

    def test_it_changes_no_other_part(self) -> None:
        """Adding a head leaves every other weight as it was drawn."""
        plain, headed = tiny.model().state_dict(), tiny.model(heads={self.member: dict(self.options)}).state_dict()
        assert all(torch.equal(headed[name], value) for name, value in plain.items())


class FusionContract(Contract):
    """Every fusion: off it is not there at all, on it reads what is shown and nothing else."""

    family = FUSIONS
    options: ClassVar[Mapping[str, Any]] = {}

    def model(self, **others: Any) -> KeptModel:
        return tiny.model(**{"fusion": self.member, "options": dict(self.options), **others})

    def batch(self, *, linked: bool = True) -> Batch:
        corpus = tiny.corpus(pictures=tiny.encoded() if linked else tiny.pixels())
        return corpus.batch(tiny.rows(*range(len(tiny.RECORDS))), tiny.NOISE)

    def states(self, model: KeptModel, batch: Batch, **how: bool) -> Tensor:
        """What text and picture say where they are real: (all real states, D)."""
        with torch.no_grad():
            streams = model.encode(batch, **how).streams
        return torch.cat([streams[name].states[streams[name].mask] for name in ("text", "image") if name in streams])

    def with_entities(self, batch: Batch, where: Tensor) -> Batch:
        """Other entities at the mentions `where`."""
        other = (batch.mentions.entity + 3) % len(tiny.ENTITIES)
        entity = torch.where(where, other, batch.mentions.entity)
        return replace(batch, mentions=replace(batch.mentions, entity=entity))

    def hidden(self, batch: Batch, where: Tensor) -> Batch:
        """The same batch with the mentions `where` not to be shown."""
        return replace(batch, mentions=replace(batch.mentions, visible=batch.mentions.visible & ~where))

    def test_off_equals_the_backbone_bit_for_bit(self) -> None:
        fused, backbone = self.model(), self.model(knowledge=False)
        for batch in (self.batch(), self.batch(linked=False)):
            off, plain = fused.encode(batch, knowledge=False), backbone.encode(batch)
            assert set(off.streams) == set(plain.streams)
            for name, stream in plain.streams.items():
                assert torch.equal(off.streams[name].states, stream.states), name

    def test_off_calls_no_hook(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = self.model()

        def called(*_: Any) -> None:
            raise AssertionError("a hook was called")

        assert model.knowledge is not None
        for hook in ("rewrite", "inputs", "layer", "visible"):
            monkeypatch.setattr(model.knowledge.fusion, hook, called)
        model.encode(self.batch(), knowledge=False)

    def test_it_changes_no_draw_of_the_backbone(self) -> None:
        fused, backbone = self.model().state_dict(), self.model(knowledge=False).state_dict()
        for name, weight in backbone.items():
            assert torch.equal(fused[name], weight), name

    def test_it_draws_the_same_weights_under_the_same_seed(self) -> None:
        one, two, other = (self.model(seed=seed).state_dict() for seed in (1, 1, 2))
        assert all(torch.equal(one[name], two[name]) for name in one)
        assert any(not torch.equal(one[name], other[name]) for name in one if name.startswith("knowledge.fusion"))

    def test_hooks_keep_names_and_shapes(self) -> None:
        model, batch = self.model(), self.batch()
        fused = model.knowledge
        assert fused is not None
        with torch.no_grad():
            streams = dict(model.encode(batch, knowledge=False).streams)
            added = fused.fusion.inputs(streams, batch.mentions, fused.look_up(batch.mentions))
            assert list(added)[: len(streams)] == list(streams)
            for index in range(-1, model.config.layers):
                changed = fused.fusion.layer(index, added, batch.mentions)
                assert list(changed) == list(added)
                for name, stream in changed.items():
                    assert stream.states.shape == added[name].states.shape
                    assert torch.equal(stream.mask, added[name].mask)
        visible = fused.fusion.visible(added)
        length = sum(stream.length for stream in added.values())
        assert visible is None or (visible.dtype == torch.bool and visible.shape[-2:] == (length, length))
        assert isinstance(fused.fusion.rewrite(tiny.RECORDS[0]), Record)

    def test_shown_entities_have_influence(self) -> None:
        model, batch = self.model(), self.batch()
        expected = self.states(model, batch)
        for host in Host:
            where = batch.mentions.mask & (batch.mentions.host == host)
            assert where.any()
            assert not torch.allclose(self.states(model, self.with_entities(batch, where)), expected, atol=1e-4), host

    def test_hidden_mentions_have_no_influence(self) -> None:
        model, batch = self.model(), self.batch()
        for host in Host:
            where = batch.mentions.mask & (batch.mentions.host == host)
            hidden = self.hidden(batch, where)
            expected = self.states(model, hidden)
            assert not torch.allclose(expected, self.states(model, batch), atol=1e-4)
            torch.testing.assert_close(self.states(model, self.with_entities(hidden, where)), expected)

    def test_a_hidden_mention_is_as_if_there_were_none(self) -> None:
        model, batch = self.model(), self.batch()
        where = batch.mentions.mask & (torch.arange(batch.mentions.mask.shape[1]) % 2 == 0)
        absent = replace(batch, mentions=replace(batch.mentions, mask=batch.mentions.mask & ~where))
        found, expected = (self.states(model, given) for given in (self.hidden(batch, where), absent))
        torch.testing.assert_close(found, expected)

    def test_padding_has_no_influence(self) -> None:
        model, batch = self.model(), self.batch()
        expected, padded = self.states(model, batch), tiny.padded(batch)
        torch.testing.assert_close(self.states(model, padded), expected, rtol=1e-4, atol=1e-5)
        noisy = self.with_entities(padded, ~padded.mentions.mask)
        torch.testing.assert_close(self.states(model, noisy), expected, rtol=1e-4, atol=1e-5)

    def test_records_do_not_depend_on_their_company(self) -> None:
        model, batch = self.model(), self.batch()
        expected = model.encode(batch).streams["text"]
        for row in range(len(batch)):
            found = model.encode(batch.take(torch.tensor([row]))).streams["text"]
            real = found.mask[0]
            torch.testing.assert_close(found.states[0, real], expected.states[row, real], rtol=1e-4, atol=1e-5)

    def test_what_a_picture_shows_needs_the_picture(self) -> None:
        """A linked entity of a picture that is left out, or that the model cannot see, is left out with it."""
        batch = self.batch()
        pictured = batch.mentions.mask & (batch.mentions.host == Host.IMAGE)
        bare = self.hidden(batch, pictured)
        for model, how in ((self.model(), {"pictures": False}), (self.model(image=False), {})):
            torch.testing.assert_close(self.states(model, batch, **how), self.states(model, bare, **how))

    def test_another_graph_changes_answers_and_no_weight(self) -> None:
        model, batch = self.model(), self.batch()
        before = {name: weight.clone() for name, weight in model.state_dict().items()}
        expected, off = self.states(model, batch), self.states(model, batch, knowledge=False)
        model.set_knowledge(tiny.vectors(seed=5))
        assert not torch.allclose(self.states(model, batch), expected, atol=1e-4)
        assert torch.equal(self.states(model, batch, knowledge=False), off)
        for name, weight in model.state_dict().items():
            assert torch.equal(weight, before[name]), name
        model.set_knowledge(tiny.vectors())
        assert torch.equal(self.states(model, batch), expected)

    def test_gradients_reach_every_weight(self) -> None:
        model = self.model()
        assert model.knowledge is not None
        streams = model.encode(self.batch()).streams
        sum(stream.states[stream.mask].square().sum() for stream in streams.values()).backward()
        for name, parameter in model.knowledge.fusion.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > ROUNDING, name


READABLE = sorted(name for name in SCORERS if not SCORERS[name](1, 1, dim=8).own_weights())
"""Scorers that are made of vectors alone."""


class EntityDecoderContract(Contract):
    """Every entity decoder: one logit for each row of the table it is given, by any scorer's algebra."""

    family = ENTITY_DECODERS

    def make(self, scorer: str = "complex") -> EntityDecoder:
        rules = SCORERS[scorer](num_entities=1, num_relations=1, dim=tiny.DIM)
        return fresh(ENTITY_DECODERS[self.member](WIDTH, rules))

    def inputs(self, entity_width: int = tiny.DIM) -> dict[str, Tensor]:
        mask = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1]]).bool()
        return {
            "hidden": random(4, WIDTH, seed=1),
            "states": random(4, 3, WIDTH, seed=2),
            "vectors": random(4, 3, entity_width, seed=3) * mask[..., None],
            "mask": mask,
            "table": random(6, entity_width, seed=4),
        }

    @pytest.mark.parametrize("scorer", READABLE)
    def test_it_scores_the_whole_table_by_any_scorer(self, scorer: str) -> None:
        decoder = self.make(scorer)
        logits = decoder(**self.inputs(decoder.dim))
        assert logits.shape == (4, 6)
        assert logits.isfinite().all()
        assert logits.std() > 1e-3

    @pytest.mark.parametrize("scorer", READABLE)
    def test_renumbering_the_table_renumbers_the_logits(self, scorer: str) -> None:
        decoder = self.make(scorer)
        inputs, order = self.inputs(decoder.dim), torch.randperm(6, generator=generator())
        expected = decoder(**inputs)[:, order]
        torch.testing.assert_close(decoder(**{**inputs, "table": inputs["table"][order]}), expected)

    def test_masked_mentions_have_no_influence(self) -> None:
        decoder, inputs = self.make(), self.inputs()
        expected = decoder(**inputs)
        for name in ("states", "vectors"):
            noisy = torch.where(inputs["mask"][..., None], inputs[name], random(*inputs[name].shape, seed=9))
            torch.testing.assert_close(decoder(**{**inputs, name: noisy}), expected)

    def test_rows_do_not_see_each_other(self) -> None:
        decoder, inputs = self.make(), self.inputs()
        expected = decoder(**inputs)
        for row in range(4):
            alone = {name: value if name == "table" else value[row : row + 1] for name, value in inputs.items()}
            torch.testing.assert_close(decoder(**alone), expected[row : row + 1])

    def test_gradients_reach_every_weight(self) -> None:
        decoder = self.make()
        decoder(**self.inputs()).logsumexp(1).sum().backward()
        for name, parameter in decoder.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > ROUNDING, name
