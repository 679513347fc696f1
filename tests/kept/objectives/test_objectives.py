"""Every objective keeps the contract; each one's baseline is worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from kept.data.batch import IGNORE, Batch
from kept.data.boxes import intersection_over_union, to_corners
from kept.data.noise import Noise
from kept.data.tokenized import TokenizedRecords
from kept.modeling.model import KeptModel
from kept.objectives import Forward, View
from kept.objectives.generation import separately
from kept.objectives.hard_matching import pairs
from kept.objectives.scene_graphs import known_pieces, named_pieces
from tests.kept import tiny
from tests.kept.objectives.contract import ObjectiveContract


def uniform(classes: int) -> float:
    """The loss of even odds."""
    return float(cross_entropy(torch.zeros(1, classes), torch.zeros(1, dtype=torch.int64)))


def best_odds(labels: torch.Tensor) -> float:
    """The least mean loss over yes and no that any one probability of yes reaches, by trying them all."""
    yes = labels.numpy().astype(float)
    odds = np.linspace(1e-6, 1 - 1e-6, 200_001)
    share = yes.mean()
    return float((-share * np.log(odds) - (1 - share) * np.log(1 - odds)).min())


class TestMaskedLanguageModeling(ObjectiveContract):
    member = "mlm"
    heads = ("pieces", "slots", "towers.text", "blocks")

    def constant(self, view: View) -> Mapping[str, float]:
        return dict.fromkeys(("mlm", "names"), uniform(len(tiny.tokenizer())))


class TestMaskedEntityPrediction(ObjectiveContract):
    member = "mep"
    heads = ("knowledge.decoders.linear", "knowledge.decoders.operator", "knowledge.gate", "knowledge.fusion")
    four = (0, 1, tiny.SEVERAL, tiny.UNKNOWN)

    def corpus(self) -> TokenizedRecords:
        """Pictures are linked, so that there are several subjects to choose from."""
        return tiny.corpus(pictures=tiny.encoded())

    def constant(self, view: View) -> Mapping[str, float]:
        odds = best_odds(view.targets["known"][view.targets["asked"] >= 0])
        return {"mep/operator": uniform(len(tiny.ENTITIES)), "mep/linear": uniform(len(tiny.ENTITIES)), "gate": odds}

    def test_the_answer_is_asked_only_where_the_graph_has_it(self) -> None:
        view = self.view(self.everything)
        known = [*tiny.FULL, tiny.TEXT_ONLY, tiny.PICTURED, tiny.SEVERAL]
        assert view.targets["known"].nonzero().flatten().tolist() == known
        assert (view.counts["mep"], view.counts["gate"]) == (7, 8)


class TestImageTextContrast(ObjectiveContract):
    member = "itc"
    heads = ("contrast", "towers.image", "towers.text")
    draws = False

    def constant(self, view: View) -> Mapping[str, float]:
        return {"itc": uniform(5)}

    def test_its_floor_is_reached_by_the_perfect_predictor(self) -> None:
        """Records 0 and the picture of it are one: of five rows two have two targets each, evenly."""
        term = self.terms(self.everything)["itc"]
        assert term.count == 5
        np.testing.assert_allclose(term.floor, 2 / 5 * np.log(2), rtol=1e-6)


class TestImageTextMatching(ObjectiveContract):
    member = "itm"
    heads = ("match", "towers.image", "towers.text", "blocks")

    def constant(self, view: View) -> Mapping[str, float]:
        return {"itm": best_odds(view.targets["match"])}

    def test_it_sees_no_knowledge(self) -> None:
        model = tiny.model()
        view = self.view(self.everything)
        before = self.make().loss(view, Forward(model))["itm"].sum
        model.set_knowledge(tiny.vectors(seed=9))
        assert torch.equal(self.make().loss(view, Forward(model))["itm"].sum, before)


def pieces(view: View, part: str) -> dict[str, float]:
    """Even odds over the vocabulary."""
    return {part: uniform(len(tiny.tokenizer()))}


def mean_loss_of_shares(labels: torch.Tensor) -> float:
    """The loss of always answering with the shares of the labels, counted one by one."""
    values = labels.tolist()
    return float(-np.mean([np.log(values.count(value) / len(values)) for value in values]))


class TestSigmoidContrast(ObjectiveContract):
    member = "itc-sigmoid"
    heads = ("contrast", "towers.image", "towers.text")
    draws = False

    def constant(self, view: View) -> Mapping[str, float]:
        """Record 0 and the one of its picture belong together: 7 of 25 pairs do."""
        return {"itc-sigmoid": 5 * best_odds(torch.tensor([1] * 7 + [0] * 18))}


class TestMomentumContrast(ObjectiveContract):
    member = "itc-momentum"
    options: ClassVar = {"size": 6, "momentum": 0.5}
    heads = ("contrast", "towers.image", "towers.text")
    draws = False

    def constant(self, view: View) -> Mapping[str, float]:
        return {"itc-momentum": uniform(5)}

    def test_the_twin_follows_and_the_queue_fills_after_the_step(self) -> None:
        model, objective = self.model().train(), self.make()
        objective.attach(model)
        view = objective.prepare(self.everything, tiny.context(tiny.NOISE, self.corpus()))
        objective.loss(view, Forward(model))
        assert objective.images.filled == 0
        before = objective.twin.norm.weight.clone()
        model.norm.weight.data.add_(1.0)
        objective.after_step(model)
        assert objective.images.filled == 5
        torch.testing.assert_close(objective.twin.norm.weight, before + 0.5, rtol=0.0, atol=1e-6)
        assert objective.loss(view, Forward(model))["itc-momentum"].baseline == pytest.approx(np.log(10))

    def test_twin_and_queue_are_saved_and_not_trained(self) -> None:
        objective = self.make()
        objective.attach(self.model())
        assert not list(objective.parameters())
        assert {"images.vectors", "twin.norm.weight", "steps"} <= set(objective.state_dict())

    def test_an_empty_queue_and_no_belief_are_the_plain_contrast(self) -> None:
        """The twin is the model itself at first."""
        found, plain = self.terms(self.everything)["itc-momentum"], TestImageTextContrast().terms(self.everything)
        torch.testing.assert_close(found.sum, plain["itc"].sum, rtol=1e-4, atol=1e-4)


class TestHardImageTextMatching(ObjectiveContract):
    member = "itm-hard"
    heads = ("match", "towers.image", "towers.text", "blocks")

    def constant(self, view: View) -> Mapping[str, float]:
        return {"itm-hard": best_odds(torch.tensor([1, 0, 0]))}

    def test_no_pair_that_belongs_together_is_called_wrong(self) -> None:
        view = self.view(self.everything)
        alike = torch.ones(len(view.batch), len(view.batch))
        paired, labels, weights = pairs(view, view.batch.take(view.targets["order"]), alike, alike)
        torch.testing.assert_close(weights, torch.full((15,), 1 / 3))
        assert len(labels) == 15
        texts, pictures = paired.batch.text.ids, paired.batch.identity
        for row in (labels == 0).nonzero().flatten().tolist():
            own = view.batch.identity[(view.batch.text.ids == texts[row, : view.batch.text.ids.shape[1]]).all(1)]
            assert pictures[row] not in own


class TestMaskedPieces(ObjectiveContract):
    member = "masked-units"
    options: ClassVar = {"unit": "piece"}
    heads = ("pieces.transform", "towers.text", "blocks")

    def constant(self, view: View) -> Mapping[str, float]:
        return pieces(view, "units")


class TestMaskedWords(TestMaskedPieces):
    member = "masked-units"
    options: ClassVar = {"unit": "word", "rate": 0.3}

    def test_words_are_masked_whole(self) -> None:
        view = self.view(self.everything)
        chosen, words = view.targets["pieces"] != IGNORE, view.batch.text.words
        for row in range(len(words)):
            for word in words[row][chosen[row]].unique():
                assert chosen[row][words[row] == word].all()


class TestMaskedSpans(TestMaskedPieces):
    member = "masked-units"
    options: ClassVar = {"unit": "span", "rate": 0.4}


class TestMaskedMentions(TestMaskedPieces):
    member = "masked-units"
    options: ClassVar = {"unit": "entity", "rate": 0.5}

    def test_a_mention_is_masked_whole_and_loses_its_entity(self) -> None:
        view, found = self.view(self.everything), self.everything.mentions
        chosen = view.targets["pieces"] != IGNORE
        masked = 0
        for row, number in (found.mask & (found.host == 0)).nonzero().tolist():
            inside = chosen[row, found.start[row, number] : found.end[row, number]]
            assert inside.all() or not inside.any()
            assert bool(view.batch.mentions.visible[row, number]) != bool(inside.any())
            masked += int(inside.any())
        assert masked


class TestPrefixLanguageModeling(ObjectiveContract):
    member = "prefix-lm"
    heads = ("pieces.transform", "towers.text", "blocks")

    def constant(self, view: View) -> Mapping[str, float]:
        return pieces(view, "prefix-lm")

    def test_no_prediction_sees_what_it_predicts(self) -> None:
        no_future(self.model(), self.view(self.everything), "text")


class TestPermutationLanguageModeling(ObjectiveContract):
    member = "permutation-lm"
    options: ClassVar = {"share": 0.5}
    heads = ("pieces.transform", "towers.text", "blocks")

    def constant(self, view: View) -> Mapping[str, float]:
        return pieces(view, "permutation-lm")

    def test_a_query_does_not_depend_on_its_own_piece(self) -> None:
        model, view = self.model(), self.view(self.everything)
        expected = Forward(model)(view).streams["target"].states
        for row, place in (view.targets["pieces"] != IGNORE).nonzero().tolist():
            ids = view.batch.text.ids.clone()
            ids[row, place] = (ids[row, place] + 7) % len(tiny.tokenizer())
            changed = replace(view, batch=replace(view.batch, text=replace(view.batch.text, ids=ids)))
            found = Forward(model)(changed).streams["target"].states
            torch.testing.assert_close(found[row, place], expected[row, place])


class TestCaptioning(ObjectiveContract):
    member = "caption"
    heads = ("pieces.transform", "towers.text", "towers.image", "blocks")
    draws = False

    def constant(self, view: View) -> Mapping[str, float]:
        return pieces(view, "caption")

    def test_no_prediction_sees_what_it_predicts(self) -> None:
        no_future(self.model(), self.view(self.everything), "target")


class TestSeparateDecoder(TestCaptioning):
    member = "caption"
    options: ClassVar = {"decoder": "separate"}
    heads = ("pieces.transform", "towers.text", "towers.image", "blocks", "heads.writer")

    def test_no_prediction_sees_what_it_predicts(self) -> None:
        model, view = self.model(), self.view(self.everything)
        expected = separately(view, Forward(model))
        for row, place in (view.targets["pieces"] != IGNORE).nonzero().tolist():
            found = separately(changed_target(view, row, place + 1), Forward(model))
            torch.testing.assert_close(found[row, : place + 1], expected[row, : place + 1])


class TestImageConditionedDenoising(ObjectiveContract):
    member = "denoising"
    heads = ("pieces.transform", "towers.text", "towers.image", "blocks")

    def constant(self, view: View) -> Mapping[str, float]:
        return pieces(view, "denoising")

    def test_ruins_are_shorter_and_the_whole_text_is_asked_for(self) -> None:
        batch = self.everything
        view = self.view(batch)
        asked = (view.targets["pieces"] != IGNORE).sum(1)
        shown = torch.zeros(len(batch), dtype=torch.bool)
        shown[[*tiny.FULL, tiny.PICTURED]] = True
        assert torch.equal(asked, torch.where(shown, batch.text.mask.sum(1) - 1, 0))
        assert (view.batch.text.ids == tiny.context(tiny.NOISE, self.corpus()).mask_id).any(1)[shown].all()


class TestAnswerGeneration(ObjectiveContract):
    member = "answering"
    heads = ("pieces.transform", "towers.text", "blocks")
    draws = False

    def constant(self, view: View) -> Mapping[str, float]:
        return pieces(view, "answering")


class TestImageQuestionAnswering(ObjectiveContract):
    member = "iqa"
    heads = ("heads.answers", "towers.image", "towers.text", "blocks")
    draws = False

    def constant(self, view: View) -> Mapping[str, float]:
        return {"iqa": mean_loss_of_shares(view.targets["answer"][view.targets["answer"] != IGNORE])}


class TestMaskedObjectClassification(ObjectiveContract):
    member = "moc"
    options: ClassVar = {"rate": 0.5, "attributes": True}
    heads = ("heads.regions.objects", "heads.regions.transform", "towers.regions", "blocks")

    def constant(self, view: View) -> Mapping[str, float]:
        label, attribute = view.targets["label"], view.targets["attribute"]
        return {
            "moc": mean_loss_of_shares(label[label != IGNORE]),
            "moc-attributes": mean_loss_of_shares(attribute[attribute != IGNORE]),
        }

    def test_a_hidden_region_shows_nothing_but_its_box(self) -> None:
        model, view = self.model(), self.view(self.everything)
        regions = view.batch.regions
        noisy = replace(regions, features=torch.where(regions.hidden[..., None], 9.0, regions.features))
        changed = replace(view, batch=replace(view.batch, regions=noisy))
        one, two = (Forward(model)(each).streams["regions"].states for each in (view, changed))
        assert torch.equal(one, two)

    def test_regions_that_overlap_a_masked_one_are_hidden_with_it(self) -> None:
        batch = self.everything
        boxes = batch.regions.boxes.clone()
        boxes[:, 1] = boxes[:, 0]
        doubled = replace(batch, regions=replace(batch.regions, boxes=boxes))
        view = self.view(doubled)
        assert view.batch.regions.hidden[:4].all()
        assert 4 <= int((view.targets["label"][:4] != IGNORE).sum()) < 8


class TestMaskedObjectDivergence(ObjectiveContract):
    member = "moc"
    options: ClassVar = {"rate": 0.5, "targets": "kl"}
    heads = ("heads.regions.objects", "towers.regions", "blocks")

    def constant(self, view: View) -> Mapping[str, float]:
        scores = view.targets["scores"][view.targets["label"] != IGNORE].double()
        scores = scores / scores.sum(1, keepdim=True)
        mean = scores.mean(0)
        return {"moc": float((scores * (scores / mean).log()).sum(1).mean())}


class TestMaskedObjectRegression(ObjectiveContract):
    member = "mor"
    options: ClassVar = {"rate": 0.5}
    heads = ("heads.regions.feature", "towers.regions", "blocks")

    def constant(self, view: View) -> Mapping[str, float]:
        gold = view.targets["features"][view.targets["chosen"]].numpy()
        return {"mor": float(((gold - gold.mean(0)) ** 2).mean())}


class TestTiedRegression(TestMaskedObjectRegression):
    member = "mor"
    options: ClassVar = {"rate": 0.5, "tied": True}
    heads = ("heads.regions.transform", "towers.regions", "blocks")


class TestFeatureContrast(ObjectiveContract):
    member = "mor"
    options: ClassVar = {"rate": 0.5, "loss": "nce"}
    heads = ("heads.regions.feature", "towers.regions", "blocks")

    def constant(self, view: View) -> Mapping[str, float]:
        return {"mor": uniform(int(view.targets["chosen"].sum()))}


class TestWordRegionAlignment(ObjectiveContract):
    member = "wra"
    heads = ("towers.regions.feature", "towers.regions.box", "towers.text", "blocks")

    def constant(self, view: View) -> Mapping[str, float]:
        return {}

    def test_pairs_attract_and_wrong_texts_repel(self) -> None:
        model, view = self.model().train(), self.view(self.batch(*tiny.FULL))
        assert view.targets["sign"].tolist() == [1] * 4 + [-1] * 4
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(60):
            total = self.make().loss(view, Forward(model))["wra"].sum
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        assert float(total) < -4.0


class TestAlignmentApart(TestWordRegionAlignment):
    """Neither has seen the other."""

    member = "wra"
    # Once learned by heart, pairs are as near as can be, and the last block has nothing to mend.
    heads = ("towers.regions.feature", "towers.regions.box", "towers.text", "blocks.0")
    options: ClassVar = {"apart": True}

    def test_words_do_not_know_their_regions(self) -> None:
        model, view = self.model(), self.view(self.batch(*tiny.FULL))
        regions = view.batch.regions
        assert regions is not None
        other = replace(view.batch, regions=replace(regions, features=regions.features + 1))
        one, two = (
            model.encode(batch, rule=view.rule, knowledge=False).streams["text"].states for batch in (view.batch, other)
        )
        torch.testing.assert_close(one, two)


class TestPatchAlignment(TestWordRegionAlignment):
    """Without regions the patches are aligned."""

    member = "wra"
    heads = ("towers.image", "towers.text", "blocks")

    def model(self) -> KeptModel:
        return tiny.model(regions=None)


class TestObjectDetection(ObjectiveContract):
    member = "detection"
    options: ClassVar = {"queries": 5}
    heads = ("heads.detection.box", "heads.detection.classify", "heads.detection.selves", "towers.image")
    draws = False

    def constant(self, view: View) -> Mapping[str, float]:
        return {}

    def test_it_learns_where_the_objects_of_four_pictures_are(self, overfitted: tuple[KeptModel, View]) -> None:
        model, view = overfitted
        with torch.no_grad():
            logits, boxes, _ = model.heads["detection"](Forward(model)(view).streams, ("image",))[-1]
        found = logits.argmax(-1)
        for row in range(4):
            here = found[row] < len(tiny.CLASSES["objects"])
            assert sorted(found[row][here].tolist()) == sorted(view.targets["label"][row].tolist())
            gold = to_corners(view.targets["boxes"][row])
            assert intersection_over_union(to_corners(boxes[row][here]), gold).amax(1).min() > 0.5


class TestDetectionByPatches(TestObjectDetection):
    member = "detection"
    options: ClassVar = {"queries": 4, "layers": 0, "of": "patches"}
    heads = ("heads.detection.box", "heads.detection.classify", "towers.image")


class TestPictureFeatures(ObjectiveContract):
    member = "picture-features"
    heads = ("heads.picture", "towers.text", "blocks")
    draws = False

    def constant(self, view: View) -> Mapping[str, float]:
        gold = view.targets["feature"].numpy()
        return {"picture-features": float(((gold - gold.mean(0)) ** 2).mean())}


class TestThumbnails(TestPictureFeatures):
    """Without regions the text tells the picture's colours."""

    member = "picture-features"

    def model(self) -> KeptModel:
        return tiny.model(heads=self.make().heads(), regions=None)

    def view(self, batch: Batch, noise: Noise = tiny.NOISE) -> View:
        context = replace(tiny.context(noise, self.corpus()), reads=frozenset({"text", "image"}))
        return self.make().prepare(batch, context)


class TestObjectWords(ObjectiveContract):
    member = "object-words"
    heads = ("pieces.transform", "towers.text", "blocks")
    draws = False
    four = (0, 2, 3, 7)

    def constant(self, view: View) -> Mapping[str, float]:
        return pieces(view, self.member)

    def test_only_names_of_objects_are_masked(self) -> None:
        assert self.masked() == {"flag", "banner", "tricolour"}

    def masked(self) -> set[str]:
        view = self.view(self.everything)
        tokens = tiny.tokenizer()
        rows = [pieces[pieces != IGNORE].tolist() for pieces in view.targets["pieces"]]
        return {tokens.decode(row).replace(" ", "").replace("##", "") for row in rows if row}


class TestAttributeWords(TestObjectWords):
    member = "attribute-words"
    four = tuple(tiny.FULL)

    def test_only_names_of_objects_are_masked(self) -> None:
        assert self.masked() == {"capital", "rules", "flies"}


class TestRelationWords(TestObjectWords):
    member = "relation-words"
    four = tuple(tiny.FULL)

    def test_only_names_of_objects_are_masked(self) -> None:
        assert self.masked() == {"of", "from", "under", "by"}


class TestStructuralKnowledgeMasking(ObjectiveContract):
    member = "structure"
    options: ClassVar = {"far": 0.2}
    heads = ("pieces.transform", "heads.regions.objects", "towers.text", "towers.regions", "blocks")

    def constant(self, view: View) -> Mapping[str, float]:
        label = view.targets["label"]
        odds = mean_loss_of_shares(label[label != IGNORE])
        return {"structure-regions": odds, **pieces(view, "structure")}

    def test_what_is_joined_to_the_anchor_is_masked_more_often(self) -> None:
        """Each picture's two regions are joined, so both are near; of the words its names are."""
        masked = {"near": [], "far": []}
        for epoch in range(200):
            view = self.view(self.batch(0), Noise(0, epoch))
            near = named_pieces(self.batch(0), self.batch(0).regions.naming[..., 0] >= 0)
            near |= known_pieces(self.batch(0))
            able = self.batch(0).text.mask & ~self.batch(0).text.special
            chosen = view.targets["pieces"] != IGNORE
            masked["near"] += chosen[near & able].tolist()
            masked["far"] += chosen[~near & able].tolist()
        assert np.mean(masked["near"]) == pytest.approx(0.5, abs=0.05)
        assert np.mean(masked["far"]) == pytest.approx(0.2, abs=0.05)


class TestModalityMasking(ObjectiveContract):
    member = "modality"
    heads = ("pieces.transform", "heads.regions.objects", "towers.text", "towers.regions", "blocks")

    def constant(self, view: View) -> Mapping[str, float]:
        label = view.targets["label"]
        odds = mean_loss_of_shares(label[label != IGNORE])
        return {"modality-regions": odds, **pieces(view, "modality")}

    def test_one_of_the_two_is_hidden_whole(self) -> None:
        view = self.view(self.everything)
        silent = (view.targets["pieces"] != IGNORE).any(1)
        regions = view.batch.regions
        assert silent.any() and not silent.all()
        assert regions.hidden[~silent].all() and not regions.hidden[silent].any()
        assert not view.batch.image.pixels[~silent].any()


class TestHiddenPixels(ObjectiveContract):
    member = "modality"
    options: ClassVar = {"pixels": True}
    heads = ("pieces.transform", "heads.pixels", "towers.text", "blocks")

    def constant(self, view: View) -> Mapping[str, float]:
        shown = view.targets["pixels"][view.targets["blank"]].numpy()
        return {"modality-pixels": float(((shown - shown.mean(0)) ** 2).mean()), **pieces(view, "modality")}


def no_future(model: KeptModel, view: View, stream: str) -> None:
    """No state that predicts a piece changes with that piece or with those behind it."""
    expected = Forward(model)(view).streams[stream].states
    for row, place in (view.targets["pieces"] != IGNORE).nonzero().tolist():
        if stream == "target":
            changed = changed_target(view, row, place + 1)
        else:
            text = view.batch.text
            ids = text.ids.clone()
            ids[row, place + 1 :] = (ids[row, place + 1 :] + 7) % len(tiny.tokenizer())
            changed = replace(view, batch=replace(view.batch, text=replace(text, ids=ids)))
        found = Forward(model)(changed).streams[stream].states
        torch.testing.assert_close(found[row, place], expected[row, place])


def changed_target(view: View, row: int, place: int) -> View:
    """The same view with other pieces written from `place` on."""
    target = view.batch.target
    assert target is not None
    ids = target.ids.clone()
    ids[row, place:] = (ids[row, place:] + 7) % len(tiny.tokenizer())
    return replace(view, batch=replace(view.batch, target=replace(target, ids=ids)))
