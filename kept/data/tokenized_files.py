"""Tokenised records in files: a part for each group of records, joined into arrays that are mapped.

    FOLDER/about.json, FOLDER/NAME.bin            all records, a file for each array
    .FOLDER.parts/SHARD/PART.safetensors          what there is of them while they are made

Several processes may tokenise the same shards: each takes one that is free, and what one has finished none does again,
also after an interruption.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kept.data.batch import IGNORE
from kept.data.columns import RegionColumns, TextColumn
from kept.data.record import Record
from kept.data.shards import count_records, from_row, groups, read_shard
from kept.data.tokenized import KnownPairs, Pictures, TokenizedRecords
from kg.errors import InputError
from kg.progress import progress
from kg.storage import atomic_directory, read_json, write_json

Arrays = dict[str, NDArray[Any]]
KINDS: dict[str, np.dtype[Any]] = {
    name: np.dtype(kind) for name, kind in (("I64", "i8"), ("I32", "i4"), ("F32", "f4"), ("F16", "f2"))
}
ABOUT, REPLY, REGIONS = "about.json", "reply.", "regions."
OFFSETS = "offsets"
"""How the names of arrays end that say where each record's rows begin."""


def tokenize_shards(
    shards: Sequence[Path],
    folder: Path,
    build: Callable[[list[Record]], TokenizedRecords],
    blank: TextColumn,
) -> None:
    """Tokenise shards into `folder`, a group of records at a time; nothing is done when it is there already.

    Args:
        build: tokenises a group.
        blank: one empty reply, for records without any where others have some.

    Raises:
        InputError: for what `build` refuses, and where the features of regions have not all the same width.
    """
    from filelock import FileLock, Timeout

    if folder.is_dir():
        return
    work = parts_of(folder)
    work.mkdir(parents=True, exist_ok=True)
    with progress() as display:
        bar = display.add_task("tokenising", total=sum(map(count_records, shards)))

        def make(number: int, seconds: float) -> bool:
            """Whether a shard is done; where another process is at it, it is left to that after so many seconds."""
            made = work / f"{number:05}"
            try:
                with FileLock(work / f"{number:05}.lock", timeout=seconds):
                    if not made.is_dir() and not folder.is_dir():
                        write_parts(shards[number], made, build, lambda count: display.advance(bar, count))
            except Timeout:
                return False
            return True

        elsewhere = [number for number in range(len(shards)) if not make(number, 0)]
        for number in elsewhere:
            make(number, -1)
    with FileLock(work / "join.lock"):
        if not folder.is_dir():
            with atomic_directory(folder) as partial:
                join(sorted(work.glob("*/*.safetensors")), partial, blank)
            for number in range(len(shards)):
                shutil.rmtree(work / f"{number:05}")


def parts_of(folder: Path) -> Path:
    """Where what becomes `folder` lies until then."""
    return folder.with_name(f".{folder.name}.parts")


def write_parts(
    shard: Path, folder: Path, build: Callable[[list[Record]], TokenizedRecords], on_records: Callable[[int], object]
) -> None:
    """Tokenise one shard, a file for each group of its records."""
    from safetensors.numpy import save_file

    with atomic_directory(folder) as partial:
        for number, group in enumerate(groups(map(from_row, read_shard(shard)))):
            save_file(arrays_of(build(group)), partial / f"{number:05}.safetensors")
            on_records(len(group))


def open_tokenized(
    folder: Path, *, pictures: Pictures | None = None, known: KnownPairs | None = None
) -> TokenizedRecords:
    """What `tokenize_shards` made, mapped: what a record holds is read when it is put into a batch."""
    about = read_json(folder / ABOUT)
    arrays: Arrays = {}
    for name, (dtype, shape) in about["arrays"].items():
        there = (folder / f"{name}.bin").stat().st_size
        arrays[name] = (
            np.memmap(folder / f"{name}.bin", dtype, "r", shape=tuple(shape)) if there else np.empty(shape, dtype)
        )
    own: dict[str, Any] = {name: array for name, array in arrays.items() if "." not in name}
    reply, regions = within(arrays, REPLY), within(arrays, REGIONS)
    return TokenizedRecords(
        **own,
        pad=about["pad"],
        pictures=pictures,
        known=known,
        reply=TextColumn(**reply, pad=about["pad"]) if reply else None,
        regions=RegionColumns(**{"scores": None, **regions}) if regions else None,
    )


def arrays_of(corpus: TokenizedRecords) -> Arrays:
    """All arrays by name; those of replies and regions have theirs in front."""
    found: Arrays = {}
    for prefix, holder in (("", corpus), (REPLY, corpus.reply), (REGIONS, corpus.regions)):
        for field in fields(holder) if holder is not None else ():
            value = getattr(holder, field.name)
            if isinstance(value, np.ndarray):
                found[f"{prefix}{field.name}"] = value
    return found


def within(arrays: Arrays, prefix: str) -> dict[str, Any]:
    """The arrays whose names begin so, by the rest of them."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def join(parts: Sequence[Path], folder: Path, blank: TextColumn) -> None:
    """Write the arrays of all parts, one behind the other.

    Raises:
        InputError: when the regions of some do not go with those of others.
    """
    from safetensors.numpy import load_file

    whole = kinds_of(parts)
    rows: Counter[str] = Counter()
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / f"{name}.bin").open("wb")) for name in whole}
        bases = dict.fromkeys((name for name in whole if name.endswith(OFFSETS)), 0)
        for name in bases:
            files[name].write(bytes(8))
            rows[name] = 1
        for part in parts:
            for name, values in completed(load_file(part), whole, blank).items():
                if name in bases:
                    values = values[1:] + bases[name]
                    bases[name] = int(values[-1])
                files[name].write(np.ascontiguousarray(values).data.cast("B") if values.size else b"")
                rows[name] += len(values)
    arrays = {name: [str(dtype), [rows[name], *inner]] for name, (dtype, inner) in whole.items()}
    write_json(folder / ABOUT, {"pad": blank.pad, "arrays": arrays})


Kinds = dict[str, tuple["np.dtype[Any]", tuple[int, ...]]]
"""The type of an array and the shape of one row, by the array's name."""


def kinds_of(parts: Sequence[Path]) -> Kinds:
    """What the arrays of all parts are when they are one behind the other.

    Raises:
        InputError: when regions have features of two widths, or only some have scores.
    """
    from safetensors import safe_open

    found: Kinds = {}
    scored: set[bool] = set()
    for part in parts:
        with safe_open(part, "np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
        for name, values in slices.items():
            (_, *inner), before = values.get_shape(), found.get(name)
            if before is not None and before[1] != tuple(inner):
                if name != f"{REGIONS}attributes":
                    raise InputError(
                        f"records: some regions have {name.removeprefix(REGIONS)} of {before[1][0]} numbers, "
                        f"others of {inner[0]}"
                    )
                inner = [max(before[1][0], inner[0])]
            found[name] = (KINDS[values.get_dtype()], tuple(inner))
        if f"{REGIONS}boxes" in slices:
            scored.add(f"{REGIONS}scores" in slices)
    if len(scored) > 1:
        raise InputError("records: some regions have scores and others have none")
    return found


def completed(arrays: Arrays, whole: Kinds, blank: TextColumn) -> Arrays:
    """The arrays of a part with those that only other parts have, for records without replies or regions."""
    count = len(arrays["keys"])
    if f"{REPLY}ids" in whole and f"{REPLY}ids" not in arrays:
        arrays[f"{REPLY}ids"], arrays[f"{REPLY}words"] = np.tile(blank.ids, count), np.tile(blank.words, count)
        arrays[f"{REPLY}{OFFSETS}"] = np.arange(count + 1) * len(blank.ids)
    for name, (dtype, inner) in whole.items():
        if name not in arrays:
            arrays[name] = np.zeros(count + 1, dtype) if name.endswith(OFFSETS) else np.empty((0, *inner), dtype)
        elif arrays[name].shape[1:] != inner:
            filled = np.full((len(arrays[name]), *inner), IGNORE, dtype)
            filled[:, : arrays[name].shape[1]] = arrays[name]
            arrays[name] = filled
    return arrays
