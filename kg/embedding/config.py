"""Every setting of a fit, with what it may be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kg.embedding.encoders import ENCODERS
from kg.embedding.scorers import SCORERS
from kg.errors import InputError, nearest


class FitConfig(BaseModel):
    """The settings of `kg.embedding.fit`.

    What is not given is taken from the `defaults` of the encoder, then of the scorer, then from here: ComplEx with N3
    on the exact softmax (Lacroix et al. 2018), strong on every public benchmark and quick on small graphs.

    Raises:
        InputError: naming the key that is unknown, with the nearest valid one, or the value that is not allowed.

        >>> FitConfig(scorer="rotate", dim=64).mode
        'negatives'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scorer: str = "complex"
    scorer_options: dict[str, Any] = Field(default_factory=dict)
    encoder: str = "none"
    encoder_options: dict[str, Any] = Field(default_factory=dict)
    fanouts: tuple[int, ...] | None = Field(
        default=None, description="neighbours drawn at each hop instead of encoding the whole graph; -1 takes all"
    )
    free: bool = Field(default=True, description="free vectors of entities beside their features")
    dim: int = Field(default=200, ge=1, description="real numbers of an entity")
    init_std: float = Field(default=0.1, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of a head's numbers dropped while training")
    relation_dropout: float = Field(default=0.0, ge=0, lt=1, description="share of a relation's numbers, likewise")

    mode: str = Field(default="1vsall", description="training mode")
    loss: str | None = Field(default=None, description="of the training mode; its first where none is named")
    batch: int = Field(default=512, ge=1, description="queries (1vsall) or facts of a step")
    epochs: int = Field(default=100, ge=0)
    minutes: float | None = Field(default=None, gt=0, description="stop after this much wall time")
    optimizer: Literal["adagrad", "adam"] = "adagrad"
    lr: float = Field(default=0.1, gt=0)
    average: float = Field(
        default=0.0, ge=0, lt=1, description="decay of the average of weights over epochs that is kept; 0: the last"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="of the products with all candidates while training; sums and vectors are float32",
    )
    n3: float = Field(default=0.0, ge=0, description="weight of the nuclear 3-norm")
    l2: float = Field(default=0.0, ge=0, description="weight of the squared norm")

    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="of kvsall's targets")
    negatives: int = Field(default=64, ge=1, description="corrupted facts for each true one")
    shared: int = Field(default=2048, ge=1, description="drawn entities that a batch of sampled shares")
    earlier: int = Field(default=1, ge=0, description="batches before, whose tails are candidates of in-batch too")
    sampler: str = Field(default="uniform", description="where negatives come from")
    margin: float = 9.0
    temperature: float = Field(default=1.0, ge=0, description="of self-adversarial weights")

    valid_every: int = Field(default=5, ge=1, description="epochs between two validations")
    valid_limit: int = Field(default=5000, ge=1, description="facts that a validation ranks at most")
    patience: int = Field(default=5, ge=1, description="validations without a better MRR before stopping")
    seed: int = 0
    device: str = Field(default="auto", description="auto takes a GPU where there is one")

    def __init__(self, **values: Any) -> None:
        unknown = sorted(set(values) - set(FitConfig.model_fields))
        if unknown:
            raise InputError(f"no setting is called {unknown[0]!r}; {nearest(unknown[0], FitConfig.model_fields)}")
        scorer = SCORERS[values.get("scorer", "complex")]
        encoder = ENCODERS[values.get("encoder", "none")]
        try:
            super().__init__(**{**scorer.defaults, **encoder.defaults, **values})
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise InputError(f"{place} = {first['input']!r}: {first['msg']}") from None

    @classmethod
    def parse(cls, values: dict[str, Any], settings: Sequence[str] = ()) -> FitConfig:
        """From plain values and `key=value` settings; a dot reaches into a group: `encoder_options.layers=2`.

        >>> FitConfig.parse({"dim": 64}, ["n3=0.003", "scorer_options.distance=l1"]).scorer_options
        {'distance': 'l1'}
        """
        return cls(**merged(values, settings))


def merged(values: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Plain values with `key=value` settings put into them.

    >>> merged({"dim": 64}, ["lr=0.1"])
    {'dim': 64, 'lr': 0.1}
    """
    whole = dict(values)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: expected KEY=VALUE")
        group, dot, inner = key.strip().partition(".")
        value = parse_value(setting, text)
        whole[group] = {**whole.get(group, {}), inner: value} if dot else value
    return whole


def parse_value(setting: str, text: str) -> Any:
    """The value of `--set key=value`: YAML, in which `1e-3` is a number too.

    >>> parse_value("lr=1e-3", "1e-3"), parse_value("distance=l1", "l1")
    (0.001, 'l1')
    """
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"--set {setting}: the value cannot be read") from None
    if isinstance(value, str):
        with suppress(ValueError):
            return float(value)
    return value
