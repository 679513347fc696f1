"""PyKEEN's models as the oracle: equal scores, equal realistic ranks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kg.embedding import rank
from kg.embedding.take_over import ADAPTERS, from_pykeen
from kg.errors import InputError

pykeen = pytest.importorskip("pykeen", reason="pykeen is not installed (extra: bench)")


def model_of(name: str, *, inverse: bool) -> tuple[object, object, object]:
    from pykeen import models
    from pykeen.datasets import Nations

    data = Nations(create_inverse_triples=inverse)
    torch.manual_seed(0)
    model = getattr(models, name)(triples_factory=data.training, embedding_dim=10, random_seed=0)
    return model.eval(), data.training, data.testing


@pytest.mark.parametrize("name", sorted(ADAPTERS))
@pytest.mark.parametrize("inverse", [False, True])
def test_every_triple_scores_as_in_pykeen(name: str, inverse: bool) -> None:
    model, train, test = model_of(name, inverse=inverse)
    scorer = from_pykeen(model, train).scorer()
    head, relation, tail = test.mapped_triples.unbind(1)
    with torch.no_grad():
        expected = model.predict_hrt(test.mapped_triples)[:, 0]
        torch.testing.assert_close(scorer.score(head, relation, tail), expected, rtol=1e-4, atol=1e-5)
        tails = model.predict_t(test.mapped_triples[:, :2])
        torch.testing.assert_close(scorer.score_tails(head, relation), tails, rtol=1e-4, atol=1e-4)
        heads = model.predict_h(test.mapped_triples[:, 1:])
        torch.testing.assert_close(scorer.score_heads(relation, tail), heads, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["ComplEx", "TransE", "RESCAL"])
def test_filtered_realistic_ranks_are_those_of_pykeen(name: str) -> None:
    from pykeen.evaluation import RankBasedEvaluator

    model, train, test = model_of(name, inverse=False)
    results = RankBasedEvaluator(filtered=True).evaluate(
        model, test.mapped_triples, additional_filter_triples=[train.mapped_triples], batch_size=16, use_tqdm=False
    )
    facts = [part.mapped_triples.numpy() for part in (test, train)]
    ranks = rank(from_pykeen(model, train).scorer(), *facts)
    for ours, theirs in (("mrr", "inverse_harmonic_mean_rank"), ("mr", "arithmetic_mean_rank"), ("hits@3", "hits_at_3"),
                         ("amri", "adjusted_arithmetic_mean_rank_index")):  # fmt: skip
        expected = results.get_metric(f"both.realistic.{theirs}")
        assert np.mean(ranks.values(ours)) == pytest.approx(expected, rel=2e-3), ours


def test_names_are_taken_over() -> None:
    model, train, _ = model_of("ComplEx", inverse=True)
    vectors = from_pykeen(model, train)
    assert vectors.keys[train.entity_to_id["china"]] == "china"
    assert len(vectors.relation_keys) == 55
    assert vectors.neighbors("china", 3)


def test_other_models_are_refused() -> None:
    model, train, _ = model_of("ERMLP", inverse=False)
    with pytest.raises(InputError, match="ERMLP has no counterpart; there is one for TransE"):
        from_pykeen(model, train)


def test_both_packages_live_in_one_process() -> None:
    """PyKEEN finds optimizers by their class names, and stops at two of one name."""
    from pykeen.optimizers import optimizer_resolver

    assert optimizer_resolver.lookup("adagrad") is torch.optim.Adagrad
