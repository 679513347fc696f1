"""Every objective keeps the contract; each one's baseline is worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from kept.data.tokenized import TokenizedRecords
from kept.objectives import Forward, View
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
