"""Weights out of local transformers folders, mapped onto our own modules; transformers itself is not asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from kept.modeling.encoder import EncoderConfig
from kept.modeling.pretrained_families import FAMILIES, MASKED_HEADS, Config, Family, Names
from kg.errors import InputError, nearest
from kg.storage import read_json

WEIGHTS, INDEX, PICKLE = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"
PREPROCESSOR = "preprocessor_config.json"
OLD_NAMES = ((".gamma", ".weight"), (".beta", ".bias"))
"""What the norms of the first BERT checkpoints were called."""


@dataclass(frozen=True)
class Taken:
    """What came of taking weights over.

    Args:
        taken: weights of the file that are ours now.
        left: weights of the file that we have no place for.
        missing: weights of ours that the file lacks; they are as they were.
    """

    taken: list[str]
    left: list[str]
    missing: list[str]

    def __str__(self) -> str:
        """One line for a person.

        >>> print(Taken(["a", "b"], ["pooler.dense.weight"], []))
        2 weights taken; no place for pooler.dense.weight
        """
        line = f"{len(self.taken)} weights taken"
        for names, what in ((self.left, "no place for"), (self.missing, "not in the file:")):
            if names:
                more = f" and {len(names) - 3} more" if len(names) > 3 else ""
                line += f"; {what} {', '.join(names[:3])}{more}"
        return line


@dataclass(frozen=True)
class Pretrained:
    """A transformer in a local folder.

    Args:
        folder: where it lies.
        model_type: what its configuration says it is.
        tower: the name in `TOWERS` of the tower that holds it.
        options: what that tower's constructor takes beside its width.
        family: how its names are mapped.
        prefix: what the names of its encoder begin with.
        files: the file that each weight lies in.
    """

    folder: Path
    model_type: str
    tower: str
    options: dict[str, Any]
    family: Family
    prefix: str
    files: Mapping[str, Path] = field(repr=False)

    def into(self, module: nn.Module, config: EncoderConfig) -> Taken:
        """Copy the weights into a tower of the same shape.

        Raises:
            InputError: when the tower is another one, with what differs.
        """
        for key, value in self.options["encoder"].items():
            if getattr(config, key) != value:
                raise InputError(f"{self.folder}: {key} is {value} there and {getattr(config, key)} in this tower")
        return self.copy(module, self.family.theirs)

    def into_head(self, head: nn.Module) -> Taken:
        """Copy what scores masked pieces into a `MaskedHead`; nothing is taken where the folder has no such head."""
        names: Names = MASKED_HEADS.get(self.model_type, {})

        def theirs(ours: str) -> tuple[str, ...]:
            stem, _, part = ours.rpartition(".")
            return names.get(ours) or tuple(f"{name}.{part}" for name in names.get(stem, ()))

        roots = tuple({name.split(".")[0] + "." for several in names.values() for name in several})
        return self.copy(head, theirs, [name for name in self.files if name.startswith(roots)])

    def copy(
        self, module: nn.Module, theirs: Callable[[str], tuple[str, ...]], among: Iterable[str] | None = None
    ) -> Taken:
        """Copy what `theirs` finds for each weight of a module, and tell of those `among` the file's, else of all."""
        taken: list[str] = []
        missing: list[str] = []
        state = module.state_dict()
        with ExitStack() as stack:
            opened = {path: stack.enter_context(opening(path)) for path in set(self.files.values())}
            for ours, target in state.items():
                found = [self.resolve(name) for name in theirs(ours)]
                names = [name for name in found if name is not None]
                if not names or len(names) < len(found):
                    missing.append(ours)
                    continue
                parts = [opened[self.files[name]].get_tensor(name) for name in names]
                with torch.no_grad():
                    target.copy_(self.fitted(parts, target, names))
                taken += names
        return Taken(sorted(taken), sorted(set(self.files if among is None else among) - set(taken)), missing)

    def resolve(self, name: str) -> str | None:
        """What a weight is called in the files, or None."""
        for full in (self.prefix + name, name):
            candidates = [full, *(full.removesuffix(new) + old for old, new in OLD_NAMES if full.endswith(new))]
            for candidate in candidates:
                if candidate in self.files:
                    return candidate
        return None

    def fitted(self, parts: list[Tensor], target: Tensor, names: list[str]) -> Tensor:
        """Their tensors as our one: laid end to end, without leading ones, a convolution as a matrix."""
        whole = torch.cat(parts) if len(parts) > 1 else parts[0]
        while whole.dim() > target.dim() and whole.shape[0] == 1:
            whole = whole[0]
        if whole.dim() > target.dim() == 2:
            whole = whole.flatten(1)
        if whole.shape != target.shape:
            shapes = " and ".join(" x ".join(map(str, one.shape)) for one in (whole, target))
            raise InputError(f"{self.files[names[0]]}: {names[0]} does not fit, {shapes.replace(' and ', ', ours ')}")
        return whole


def load_encoder(folder: str | Path, kind: str | None = None) -> Pretrained:
    """What lies in a local transformers folder of a BERT (MiniLM), RoBERTa, ViT or CLIP; weights are read by `into`.

    Args:
        folder: with config.json and model.safetensors, or its shards and their index.
        kind: "text" or "image"; needed for a CLIP alone, which is both.

    Raises:
        InputError: when it holds none, a broken one, or only pickles, with its path.

        >>> made = load_encoder("minilm")  # doctest: +SKIP
        >>> print(TOWERS[made.tower](384, **made.options).load_weights("minilm"))  # doctest: +SKIP
        101 weights taken; no place for embeddings.position_ids, pooler.dense.bias, pooler.dense.weight
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of a pretrained model")
    where = folder / "config.json"
    config = read_json(where)
    model_type = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise InputError(f"{where}: a model of type {model_type!r}; {nearest(str(model_type), FAMILIES)}")
    families = [family for family in FAMILIES[model_type] if kind in (None, family.kind)]
    if not families:
        raise InputError(f"{folder}: a {model_type} has no encoder of the kind {kind!r}")
    if len(families) != 1:
        raise InputError(f"{folder}: a {model_type} is both text and image, and neither was asked for")
    family, files = families[0], weight_files(folder)
    prefixes = [prefix for prefix in family.prefixes if prefix + family.anchor in files]
    if not prefixes:
        raise InputError(f"{folder}: its weights hold no {family.anchor}, as a {model_type} has")
    if model_type == "clip":
        config = config.get(f"{'text' if family.kind == 'text' else 'vision'}_config") or {}
    options = family.options(config, str(where))
    if family.kind == "image":
        options |= scaling(folder)
    made = Pretrained(folder, model_type, f"{family.kind}-encoder", options, family, prefixes[0], files)
    for name in family.names.get("project", ()):
        if (full := made.resolve(f"{name}.weight")) is not None:
            with opening(files[full]) as opened:
                options["projection"] = opened.get_slice(full).get_shape()[0]
    return made


def weight_files(folder: Path) -> dict[str, Path]:
    """Each weight of a folder and the file that holds it.

    Raises:
        InputError: when there are none, or they are pickled, or a shard lies elsewhere.
    """
    if (folder / WEIGHTS).is_file():
        with opening(folder / WEIGHTS) as opened:
            return dict.fromkeys(opened.keys(), folder / WEIGHTS)
    if (folder / INDEX).is_file():
        index = read_json(folder / INDEX)
        shards = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(shards, dict) or not all(isinstance(shard, str) for shard in shards.values()):
            raise InputError(f"{folder / INDEX}: no weight_map of names to files")
        for shard in set(shards.values()):
            if Path(shard).name != shard or not (folder / shard).is_file():
                raise InputError(f"{folder / INDEX}: no file {shard!r} beside it")
        return {name: folder / shard for name, shard in shards.items()}
    if (folder / PICKLE).exists() or any(folder.glob("*.bin")):
        raise InputError(f"{folder}: its weights are a pickle, which is never read; save them as {WEIGHTS}")
    raise InputError(f"{folder}: no {WEIGHTS} in this folder")


@contextmanager
def opening(path: Path) -> Iterator[Any]:
    """A safetensors file; one that is broken, or lacks what it should hold, is an `InputError` that names it."""
    try:
        with safe_open(str(path), framework="pt") as opened:
            yield opened
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None


def scaling(folder: Path) -> dict[str, Any]:
    """What pixels are scaled by, where it lies beside the model."""
    if not (folder / PREPROCESSOR).exists():
        return {}
    given: Config = read_json(folder / PREPROCESSOR)
    made = {}
    for ours, theirs in (("mean", "image_mean"), ("deviation", "image_std")):
        values = given.get(theirs) if isinstance(given, dict) else None
        if values is None:
            continue
        if not isinstance(values, list) or len(values) != 3 or not all(isinstance(one, (int, float)) for one in values):
            raise InputError(f"{folder / PREPROCESSOR}: {theirs} has to be three numbers")
        made[ours] = [float(value) for value in values]
    return made
