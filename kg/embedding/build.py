"""From settings to the parts of a fit: scorer, training mode, optimizer, device."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np
import torch

from kg.embedding.config import FitConfig
from kg.embedding.encoders import ENCODERS, Encoder
from kg.embedding.mapped import MappedTables
from kg.embedding.modes import MODES, Mode
from kg.embedding.optim import RowAdagrad, RowAdam, RowSparse
from kg.embedding.scorers import SCORERS, Scorer
from kg.embedding.states import Edges, with_inverses
from kg.errors import InputError, nearest


def build_scorer(
    config: FitConfig,
    num_entities: int,
    num_relations: int,
    triples: np.ndarray,
    features: np.ndarray | None = None,
    tables: MappedTables | None = None,
) -> Scorer:
    """The scorer of a config with its encoder over the facts, drawn from torch's generator."""
    if features is not None and len(features) != num_entities:
        raise InputError(f"features: {len(features)} rows for {num_entities} entities")
    if features is None and not config.free:
        raise InputError("free: without features, entities need free vectors")
    encoder = ENCODERS[config.encoder]
    check_options(encoder, config.encoder_options, "encoder_options")
    counts = torch.bincount(torch.as_tensor(np.asarray(triples)[:, 1]), minlength=num_relations)
    scorer = SCORERS[config.scorer]
    check_options(scorer, config.scorer_options, "scorer_options")
    return scorer(
        num_entities,
        num_relations,
        dim=config.dim,
        encoder=functools.partial(encoder, **config.encoder_options),
        edges=None if config.encoder == "none" else Edges.from_triples(triples, num_relations),
        dropout=config.dropout,
        relation_dropout=config.relation_dropout,
        init_std=config.init_std,
        features=None if features is None else torch.as_tensor(features, dtype=torch.float32),
        free=config.free,
        tables=tables,
        facts_per_relation=counts.repeat(2),
        **config.scorer_options,
    )


def build_mode(config: FitConfig, triples: np.ndarray, num_entities: int, num_relations: int) -> Mode:
    """The training mode of a config over facts and their inverses."""
    facts = with_inverses(torch.as_tensor(np.asarray(triples), dtype=torch.long), num_relations)
    return MODES[config.mode](facts, num_entities, config)


def build_optimizer(config: FitConfig, parameters: list[torch.nn.Parameter]) -> RowSparse:
    """Adagrad or Adam at the config's learning rate, by rows where gradients are sparse."""
    make: type[RowAdam] | type[RowAdagrad] = RowAdam if config.optimizer == "adam" else RowAdagrad
    return make(parameters, lr=config.lr)


def check_options(part: type, options: dict[str, Any], group: str) -> None:
    """Options that a part does not take are the user's mistake."""
    valid = options_of(part)
    for name in options:
        if name not in valid:
            raise InputError(f"{group}.{name}: {part.__name__} has no such option; {nearest(name, valid)}")


def options_of(part: type) -> set[str]:
    """The keywords of a scorer or an encoder that are its own, not those that every member is built with."""
    base = Scorer if issubclass(part, Scorer) else Encoder
    built_with = {"self", "dim", "shared", "options", "entity_width", "relation_width", "num_relations"}
    if base is Scorer:
        built_with |= set(inspect.signature(Scorer).parameters)
    own = (cls for cls in part.__mro__ if issubclass(cls, base) and cls is not base)
    return {name for cls in own for name in inspect.signature(cls.__init__).parameters} - built_with


def pick_device(name: str) -> torch.device:
    """`auto` is the GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError:
        raise InputError(f"device = {name!r}: no such device") from None
