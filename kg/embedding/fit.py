"""Fitting a scorer to the facts of a graph."""

from __future__ import annotations

import functools
import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from kg.embedding.averaging import average_weights, weights_of
from kg.embedding.build import build_mode, build_optimizer, build_scorer, pick_device
from kg.embedding.checkpoint import FitState, load_checkpoint, save_checkpoint
from kg.embedding.config import FitConfig
from kg.embedding.mapped import MappedTables
from kg.embedding.memory import freed_memory_kept
from kg.embedding.modes import Mode
from kg.embedding.neighborhoods import AskedStates, Neighborhoods, SampledStates, asks, check_fanouts
from kg.embedding.optim import RowSparse
from kg.embedding.parallel import agreed, average_gradients, join_processes, processes, shared_out
from kg.embedding.ranking import rank
from kg.embedding.scorers import Scorer
from kg.embedding.seeding import mixed, seeded
from kg.embedding.states import States
from kg.errors import Diverged, InputError
from kg.progress import progress

SAVE_SECONDS = 20.0


@dataclass
class FitResult:
    """A fitted scorer, one row of figures for each epoch, and why the fit ended.

    `stopped` is `epochs`, `minutes` or `patience`; `best_epoch` the epoch whose weights the model has.
    """

    model: Scorer
    history: list[dict[str, float]]
    stopped: str
    best_epoch: int


@freed_memory_kept()
def fit(
    triples: np.ndarray,
    num_entities: int,
    num_relations: int,
    config: FitConfig | None = None,
    *,
    valid: np.ndarray | None = None,
    known: np.ndarray | None = None,
    features: np.ndarray | None = None,
    tables: Path | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> FitResult:
    """Fit a scorer to facts.

    Random numbers are drawn for each epoch anew from (seed, epoch) and leave the caller's generator alone, so equal
    seeds give equal vectors bit for bit on the same machine and thread count, whole or resumed.

    Args:
        triples: (T, 3) facts (head, relation, tail), ids from 0.
        num_entities: N.
        num_relations: R; inverses are added here.
        config: the settings.
        valid: facts on which the filtered MRR decides when to stop and which epoch is kept.
        known: facts besides `triples` and `valid` to filter in validation.
        features: (N, F) floats of entities, from `kg.embedding.features` or any model; `config.free` says whether
            entities have free vectors besides.
        tables: a folder for the entity table and what the optimizer knows of it, mapped into memory instead of held
            there; with a mode that asks for some entities (sampled, negatives), a graph may have more than memory
            holds. On the CPU only.
        checkpoint: a folder for the state of the fit, written every 20 seconds, or less often where it is large, and
            at the end.
        resume: go on from `checkpoint` where there is one.
        on_epoch: called with each epoch's row of figures.

    Raises:
        InputError: no facts; ids out of range; a relation of `valid` that no training fact has; a loss that is not
            finite (naming step and learning rate; the last good checkpoint stays); a checkpoint of another fit.

        >>> facts = np.array([[0, 0, 1], [1, 0, 2]])
        >>> fit(facts, 3, 1, FitConfig(dim=8, epochs=2)).model.score_tails(torch.tensor([0]), torch.tensor([0])).shape
        torch.Size([1, 3])
    """
    config = config or FitConfig()
    join_processes()
    check_triples(triples, num_entities, num_relations)
    if valid is not None:
        check_valid(valid, triples, num_entities, num_relations)
    device = torch.device("cpu") if tables is not None else pick_device(config.device)
    if tables is not None and config.average:
        raise InputError("average: weights whose tables lie in files are not averaged; leave one of both out")
    mapped = None if tables is None else MappedTables(tables)
    with seeded(config.seed, 0):
        model = build_scorer(config, num_entities, num_relations, triples, features, mapped).to(device)
    mode = build_mode(config, triples, num_entities, num_relations)
    optimizer = build_optimizer(config, list(model.parameters()))
    if mapped is not None:
        optimizer.tables = {model.entities: mapped}
    read = reader_of_states(model, config, triples)
    state = FitState(fingerprint(triples, num_entities, num_relations, config, features))
    if resume and checkpoint is not None and checkpoint.exists():
        state = load_checkpoint(checkpoint, model, optimizer, state.identity)
    next_save = time.monotonic() + SAVE_SECONDS
    with progress() as display:
        task = display.add_task(f"fit {config.scorer}", total=config.epochs, completed=state.epoch)
        while not agreed(bool(stopped := reason_to_stop(state, config))):
            started = time.monotonic()
            left = seconds_left(state, config)
            states = functools.partial(read, state.epoch)
            row = run_epoch(model, mode, optimizer, config, state.epoch, state.step, states=states, seconds=left)
            state.epoch, state.step = state.epoch + 1, int(row["step"])
            is_last = state.epoch == config.epochs or time.monotonic() - started >= left
            if config.average:
                average_weights(state.average, model, config.average, state.epoch)
            if valid is not None and (is_last or state.epoch % config.valid_every == 0):
                with weights_of(model, state.average):
                    row["valid_mrr"] = validation_mrr(model, valid, triples, known, config)
                    state.judge(row["valid_mrr"], model)
            state.seconds += time.monotonic() - started
            row["seconds"] = state.seconds
            state.history.append(row)
            display.update(task, completed=state.epoch, description=describe(config, row))
            if on_epoch is not None:
                on_epoch(row)
            if checkpoint is not None and time.monotonic() > next_save:
                next_save = saved_at(checkpoint, model, optimizer, state)
    if checkpoint is not None:
        saved_at(checkpoint, model, optimizer, state)
    if state.best or state.average:
        model.load_state_dict(state.best or state.average)
    return FitResult(model.eval(), state.history, stopped, state.best_epoch if state.best else state.epoch)


def saved_at(checkpoint: Path, model: Scorer, optimizer: RowSparse, state: FitState) -> float:
    """Save a checkpoint; returns when the next is due, so that saving takes a twentieth of the time at most."""
    started = time.monotonic()
    if processes()[0] == 0:
        save_checkpoint(checkpoint, model, optimizer, state)
    ended = time.monotonic()
    return ended + max(SAVE_SECONDS, 20 * (ended - started))


def reader_of_states(model: Scorer, config: FitConfig, triples: np.ndarray) -> Callable[[int], States]:
    """Epoch -> what a mode reads states from: the whole graph, or the neighbourhoods of what is asked for."""
    if config.fanouts is None and model.features is not None and config.encoder == "none" and asks(config.mode):
        return lambda epoch: cast(States, AskedStates(model))
    if config.fanouts is None:
        return lambda epoch: model.states()
    check_fanouts(config.fanouts, config.mode, model.encoder.hops)
    around = Neighborhoods(triples, model.num_entities, model.num_relations, config.fanouts, config.seed)
    return lambda epoch: cast(States, SampledStates(model, around, epoch))


def reason_to_stop(state: FitState, config: FitConfig) -> str:
    """What ends the fit now, or nothing."""
    if state.stale >= config.patience:
        return "patience"
    if state.epoch >= config.epochs:
        return "epochs"
    return "minutes" if seconds_left(state, config) <= 0 else ""


def seconds_left(state: FitState, config: FitConfig) -> float:
    """How long the fit may still take."""
    return math.inf if config.minutes is None else 60 * config.minutes - state.seconds


def run_epoch(
    model: Scorer,
    mode: Mode,
    optimizer: torch.optim.Optimizer,
    config: FitConfig,
    epoch: int,
    step: int,
    *,
    states: Callable[[], States],
    seconds: float = math.inf,
) -> dict[str, float]:
    """One pass over the facts (or as much of it as fits into `seconds`): figures of the epoch."""
    model.train()
    ends = time.monotonic() + seconds
    total, count = 0.0, 0
    with seeded(config.seed, epoch + 1):
        generator = torch.Generator().manual_seed(mixed(config.seed, epoch + 1))
        for batch in shared_out(mode.batches(generator)):
            optimizer.zero_grad(set_to_none=True)
            value = 0.0 if batch is None else backward(model, mode, batch, states(), step, config)
            average_gradients(model.parameters(), 0 if batch is None else mode.size(batch))
            optimizer.step()
            total, count, step = total + value, count + 1, step + 1
            if agreed(time.monotonic() >= ends):
                break
    model.eval()
    return {"epoch": epoch + 1, "step": step, "loss": total / max(count, 1)}


def backward(
    model: Scorer, mode: Mode, batch: tuple[Tensor, ...], states: States, step: int, config: FitConfig
) -> float:
    """The loss of a batch, and the gradients of all parameters.

    Raises:
        Diverged: when the loss is not finite.
    """
    device = model.entities.device
    loss = mode.loss(model, states, type(batch)(*(tensor.to(device) for tensor in batch)))
    for term in states.terms:
        loss = loss + term
    if not bool(torch.isfinite(loss)):
        raise Diverged(
            f"the loss is not finite at step {step + 1} with learning rate {config.lr:g}; "
            "lower it with --set lr=..., the last good checkpoint stays"
        )
    loss.backward()
    return loss.item()


def check_triples(triples: np.ndarray, num_entities: int, num_relations: int) -> None:
    """Facts must be (T, 3) ids within range, and there must be some."""
    if triples.ndim != 2 or triples.shape[1] != 3:
        raise InputError(f"triples: expected (T, 3) ids, got shape {triples.shape}")
    if not len(triples):
        raise InputError("triples: there are no facts to fit")
    low, high = triples.min(0), triples.max(0)
    bounds = np.array([num_entities, num_relations, num_entities])
    if (low < 0).any() or (high >= bounds).any():
        raise InputError(f"triples: ids must lie below ({num_entities}, {num_relations}), found {tuple(high.tolist())}")


def check_valid(valid: np.ndarray, triples: np.ndarray, num_entities: int, num_relations: int) -> None:
    """Validation facts must be rankable: relations that training has."""
    check_triples(valid, num_entities, num_relations)
    unseen = np.setdiff1d(valid[:, 1], triples[:, 1])
    if len(unseen):
        raise InputError(f"valid: no training fact has the relation with id {unseen[0]} ({len(unseen)} such relations)")


def validation_mrr(
    model: Scorer, valid: np.ndarray, triples: np.ndarray, known: np.ndarray | None, config: FitConfig
) -> float:
    """Filtered MRR of (a fixed sample of) the validation facts."""
    chosen = np.random.default_rng(0).permutation(len(valid))[: config.valid_limit]
    everything = [triples, valid] if known is None else [triples, valid, known]
    return rank(model, valid[np.sort(chosen)], np.concatenate(everything)).mrr()


def describe(config: FitConfig, row: dict[str, float]) -> str:
    """The words beside the progress bar."""
    mrr = f", valid MRR {row['valid_mrr']:.3f}" if "valid_mrr" in row else ""
    return f"fit {config.scorer}: loss {row['loss']:.4f}{mrr}"


def fingerprint(
    triples: np.ndarray, num_entities: int, num_relations: int, config: FitConfig, features: np.ndarray | None = None
) -> str:
    """A hash of everything that a fit depends on, but not of how long it may go on."""
    digest = hashlib.sha256(np.ascontiguousarray(triples, dtype=np.int64).tobytes())
    if features is not None:
        digest.update(np.ascontiguousarray(features).tobytes())
    settings = config.model_dump_json(exclude={"epochs", "minutes", "patience", "device"})
    digest.update(f"{num_entities} {num_relations} {settings}".encode())
    return digest.hexdigest()
