"""Fitting a scorer to the facts of a graph."""

from __future__ import annotations

import functools
import hashlib
import inspect
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kg.embedding.checkpoint import load_checkpoint, save_checkpoint
from kg.embedding.config import FitConfig
from kg.embedding.encoders import ENCODERS
from kg.embedding.modes import MODES, Mode
from kg.embedding.optim import Adagrad, Adam
from kg.embedding.ranking import rank
from kg.embedding.scorers import SCORERS, Scorer
from kg.embedding.states import Edges, States, with_inverses
from kg.errors import InputError, nearest
from kg.progress import progress

SAVE_SECONDS = 20.0


@dataclass
class FitResult:
    """A fitted scorer, one row of figures for each epoch, and why the fit ended."""

    model: Scorer
    history: list[dict[str, float]]
    stopped: str
    best_epoch: int


@dataclass
class _Progress:
    """What a resumed fit has to know besides weights."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best_mrr: float = -1.0
    best_epoch: int = 0
    stale: int = 0


def fit(
    triples: np.ndarray,
    num_entities: int,
    num_relations: int,
    config: FitConfig | None = None,
    *,
    valid: np.ndarray | None = None,
    known: np.ndarray | None = None,
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
        checkpoint: a folder for the state of the fit, written every 20 seconds and at the end.
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
    check_triples(triples, num_entities, num_relations)
    if valid is not None:
        check_valid(valid, triples, num_entities, num_relations)
    device = pick_device(config.device)
    with seeded(config.seed, 0):
        model = build_scorer(config, num_entities, num_relations, triples).to(device)
    mode = build_mode(config, triples, num_entities, num_relations)
    optimizer = build_optimizer(config, list(model.parameters()))
    state, best = _Progress(), dict[str, Tensor]()
    identity = fingerprint(triples, num_entities, num_relations, config)
    if resume and checkpoint is not None and checkpoint.exists():
        best, saved = load_checkpoint(checkpoint, model, optimizer)
        if saved.pop("identity") != identity:
            raise InputError(f"{checkpoint}: holds a fit of other facts or settings; remove it or choose another --out")
        state = _Progress(**saved)

    def save() -> None:
        if checkpoint is not None and all(bool(p.isfinite().all()) for p in model.parameters()):
            save_checkpoint(checkpoint, model, optimizer, best, {"identity": identity, **vars(state)})

    stopped, last_save = "epochs", time.monotonic()
    with progress() as display:
        task = display.add_task(f"fit {config.scorer}", total=config.epochs, completed=state.epoch)
        while state.epoch < config.epochs:
            if state.stale >= config.patience:
                stopped = "patience"
                break
            started = time.monotonic()
            left = math.inf if config.minutes is None else 60 * config.minutes - state.seconds
            row = run_epoch(model, mode, optimizer, config, state.epoch, state.step, states=model.states, seconds=left)
            state.epoch, state.step = state.epoch + 1, int(row["step"])
            stopped_by_time = time.monotonic() - started >= left
            last = stopped_by_time or state.epoch == config.epochs
            if valid is not None and (last or state.epoch % config.valid_every == 0):
                row["valid_mrr"] = validation_mrr(model, valid, triples, known, config)
                if row["valid_mrr"] > state.best_mrr:
                    state.best_mrr, state.best_epoch, state.stale = row["valid_mrr"], state.epoch, 0
                    best = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
                else:
                    state.stale += 1
            state.seconds += time.monotonic() - started
            row["seconds"] = state.seconds
            state.history.append(row)
            display.update(task, completed=state.epoch, description=describe(config, row))
            if on_epoch is not None:
                on_epoch(row)
            if time.monotonic() - last_save > SAVE_SECONDS:
                save()
                last_save = time.monotonic()
            if stopped_by_time:
                stopped = "minutes"
                break
    save()
    if best:
        model.load_state_dict(best)
    model.eval()
    return FitResult(model, state.history, stopped, state.best_epoch if best else state.epoch)


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
    device = model.entities.device
    ends = time.monotonic() + seconds
    total, count = 0.0, 0
    with seeded(config.seed, epoch + 1):
        generator = torch.Generator().manual_seed(mixed(config.seed, epoch + 1))
        for batch in mode.batches(generator):
            current = states()
            on_device = type(batch)(*(tensor.to(device) for tensor in batch))
            loss = mode.loss(model, current, on_device)
            for term in current.terms:
                loss = loss + term
            if not bool(torch.isfinite(loss)):
                raise InputError(
                    f"the loss is not finite at step {step + 1} with learning rate {config.lr:g}; "
                    "lower it with --set lr=..., the last good checkpoint stays"
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total, count, step = total + loss.item(), count + 1, step + 1
            if time.monotonic() >= ends:
                break
    model.eval()
    return {"epoch": epoch + 1, "step": step, "loss": total / max(count, 1)}


def build_scorer(config: FitConfig, num_entities: int, num_relations: int, triples: np.ndarray) -> Scorer:
    """The scorer of a config with its encoder over the facts, drawn from torch's generator."""
    encoder = ENCODERS[config.encoder]
    check_options(encoder, config.encoder_options, "encoder_options")
    scorer = SCORERS[config.scorer]
    check_options(scorer, config.scorer_options, "scorer_options")
    return scorer(
        num_entities,
        num_relations,
        dim=config.dim,
        encoder=functools.partial(encoder, **config.encoder_options),
        edges=None if config.encoder == "none" else Edges.from_triples(triples, num_relations),
        dropout=config.dropout,
        init_std=config.init_std,
        **config.scorer_options,
    )


def build_mode(config: FitConfig, triples: np.ndarray, num_entities: int, num_relations: int) -> Mode:
    """The training mode of a config over facts and their inverses."""
    facts = with_inverses(torch.as_tensor(np.asarray(triples), dtype=torch.long), num_relations)
    return MODES[config.mode](facts, num_entities, config)


def build_optimizer(config: FitConfig, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """Adagrad or Adam at the config's learning rate, by rows where gradients are sparse."""
    make = Adam if config.optimizer == "adam" else Adagrad
    return make(parameters, lr=config.lr)


def check_options(part: type, options: dict[str, Any], group: str) -> None:
    """Options that a part does not take are the user's mistake."""
    shared = {"self", "num_entities", "num_relations", "dim", "shared", "entity_width", "relation_width"}
    valid = set(inspect.signature(part).parameters) - shared
    for name in options:
        if name not in valid:
            raise InputError(f"{group}.{name}: {part.__name__} has no such option; {nearest(name, valid)}")


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


def fingerprint(triples: np.ndarray, num_entities: int, num_relations: int, config: FitConfig) -> str:
    """A hash of everything that a fit depends on, but not of how long it may go on."""
    digest = hashlib.sha256(np.ascontiguousarray(triples, dtype=np.int64).tobytes())
    settings = config.model_dump_json(exclude={"epochs", "minutes", "patience", "device"})
    digest.update(f"{num_entities} {num_relations} {settings}".encode())
    return digest.hexdigest()


def pick_device(name: str) -> torch.device:
    """`auto` is the GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError:
        raise InputError(f"device = {name!r}: no such device") from None


def mixed(seed: int, epoch: int) -> int:
    """One seed out of two numbers."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


@contextmanager
def seeded(seed: int, epoch: int) -> Iterator[None]:
    """Torch's generators set from (seed, epoch) within the block, and put back after it."""
    with torch.random.fork_rng():
        torch.manual_seed(mixed(seed, epoch))
        yield
