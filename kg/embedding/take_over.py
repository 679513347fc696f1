"""Vectors of models that PyKEEN fitted, taken over in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from kg.embedding.config import FitConfig
from kg.embedding.vectors import Vectors
from kg.errors import InputError

if TYPE_CHECKING:
    from pykeen.models import ERModel
    from pykeen.triples import TriplesFactory


class Taken(NamedTuple):
    """A model in this package's terms: the scorer, its options, and states; `mirrored` are those of inverse relations,
    such that score(t, mirrored r, h) = score(h, r, t)."""

    scorer: str
    options: dict[str, Any]
    entities: Tensor
    relations: Tensor
    mirrored: Tensor


def from_pykeen(model: ERModel, factory: TriplesFactory) -> Vectors:
    """The vectors of a PyKEEN model that is in memory; they score every triple as the model does.

    Its saved files are pickles and are not read: load them with PyKEEN, from a source that you trust, and pass the
    model on. A model fitted with inverse triples brings its inverse relations along; scores are those of its `predict_`
    methods.

    Args:
        model: a TransE, DistMult, ComplEx, RotatE, RESCAL, HolE or QuatE.
        factory: the triples that it was fitted to, for the names of its ids.

    Raises:
        InputError: for another model, or one with settings that have no counterpart here.

    `from_pykeen(pipeline(dataset="Nations", model="ComplEx").model, Nations().training).save("nations-vectors")`
    """
    name = type(model).__name__
    if name not in ADAPTERS:
        raise InputError(f"from_pykeen: {name} has no counterpart; there is one for {', '.join(ADAPTERS)}")
    with torch.no_grad():
        taken = ADAPTERS[name](model)
    entities, relations, mirrored = (part.detach().float().cpu() for part in taken[2:])
    real = factory.real_num_relations
    if factory.create_inverse_triples:
        # PyKEEN numbers a relation 2r and its inverse 2r + 1.
        relations, mirrored = relations[0::2], relations[1::2]
    config = FitConfig(scorer=taken.scorer, scorer_options=taken.options, dim=entities.shape[1])
    return Vectors(
        entities=entities.numpy(),
        relations=torch.cat([relations[:real], mirrored[:real]]).numpy(),
        keys=names_of(factory.entity_to_id),
        labels=names_of(factory.entity_to_id),
        relation_keys=names_of(factory.relation_to_id)[:real],
        config=config,
        figures={"taken over from": f"PyKEEN {name}"},
    )


def names_of(ids: Mapping[str, int]) -> list[str]:
    """The names by id."""
    return [name for name, _ in sorted(ids.items(), key=lambda pair: pair[1])]


def tables(model: ERModel) -> tuple[list[Tensor], list[Tensor]]:
    """All representations of entities and of relations, row by row."""
    made = ([part(None) for part in parts] for parts in (model.entity_representations, model.relation_representations))
    entities, relations = made
    return entities, relations


def halves(numbers: Tensor) -> Tensor:
    """Complex numbers as their real halves, then their imaginary halves."""
    return torch.cat([numbers.real, numbers.imag], -1)


def transe(model: ERModel) -> Taken:
    (entities,), (relations,) = tables(model)
    interaction: Any = model.interaction
    p, power = interaction.p, interaction.power_norm
    distance = {(1, False): "l1", (2, False): "l2", (2, True): "squared"}.get((p, power))
    if distance is None:
        raise InputError(f"from_pykeen: a TransE with norm {p} has no counterpart")
    return Taken("transe", {"distance": distance}, entities, relations, -relations)


def distmult(model: ERModel) -> Taken:
    (entities,), (relations,) = tables(model)
    return Taken("distmult", {}, entities, relations, relations)


def complex_numbers(model: ERModel) -> Taken:
    (entities,), (relations,) = tables(model)
    return Taken("complex", {}, halves(entities), halves(relations), halves(relations.conj()))


def rotate(model: ERModel) -> Taken:
    (entities,), (relations,) = tables(model)
    phases = torch.angle(relations)
    return Taken("rotate", {"norm": "l2"}, halves(entities), phases, -phases)


def rescal(model: ERModel) -> Taken:
    (entities,), (relations,) = tables(model)
    return Taken("rescal", {"tied": False}, entities, relations.flatten(1), relations.transpose(1, 2).flatten(1))


def hole(model: ERModel) -> Taken:
    (entities,), (relations,) = tables(model)
    backwards = torch.roll(relations.flip(1), 1, 1)
    return Taken("hole", {}, entities, relations, backwards)


def quate(model: ERModel) -> Taken:
    (entities,), (relations,) = tables(model)
    if not torch.allclose(relations.norm(dim=2), torch.ones(()), atol=1e-4):
        raise InputError("from_pykeen: a QuatE whose relations are not of length 1 has no counterpart")
    # PyKEEN's score has the opposite sign, and so have the relations here.
    conjugate = relations * torch.tensor([-1.0, 1.0, 1.0, 1.0])
    first, second, third = (numbers.transpose(1, 2).flatten(1) for numbers in (entities, -relations, conjugate))
    return Taken("quate", {}, first, second, third)


ADAPTERS: dict[str, Callable[[ERModel], Taken]] = {
    "TransE": transe,
    "DistMult": distmult,
    "ComplEx": complex_numbers,
    "RotatE": rotate,
    "RESCAL": rescal,
    "HolE": hole,
    "QuatE": quate,
}
