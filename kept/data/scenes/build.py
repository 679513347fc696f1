"""Scenes on disk: made in pieces by several workers, resumed where one broke off, checked, and moved in place whole."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from kept.data.record import Record
from kept.data.scenes.floors import Item, floors
from kept.data.scenes.layout import compose
from kept.data.scenes.records import CHUNK, caption_record, picture_of, question_records
from kept.data.scenes.splits import SPLITS, TRAIN, Shown, count_leaks, refuse
from kept.data.scenes.world import World
from kept.data.shards import SHARD, schema, write_records
from kg.errors import InputError
from kg.progress import track
from kg.storage import atomic_directory, read_json, write_json

ABOUT, SETTINGS, PIECES, PICTURES, SHEET = "about.json", "settings.json", "pieces", "pictures", "sheet.png"
CAPTIONS, QUESTIONS = "records", "questions"
NATURE = "Synthetic scenes composed of real artwork; captions and questions are made from templates."

_world: World | None = None


def build_scenes(world: World, out: Path, *, workers: int = 1) -> dict[str, Any]:
    """Write pictures, records, questions, about.json and the sheet under `out`, whole or not at all.

    What an interrupted run made lies beside `out` and is taken up again. The bytes are the same for any number of
    workers.

    Returns:
        what about.json holds.

    Raises:
        InputError: when `out` or what was interrupted was made otherwise, or scenes break their splits.

    >>> build_scenes(world, Path("scenes"), workers=2)["scenes"]["train"]                 # doctest: +SKIP
    16013
    """
    settings = {"fingerprint": fingerprint(world)}
    if (out / ABOUT).is_file():
        about = read_json(out / ABOUT)
        if about.get("fingerprint") != settings["fingerprint"]:
            raise InputError(f"{out}: holds scenes that were made otherwise; choose another --out")
        return dict(about)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: is there and holds no scenes; choose another --out")
    with atomic_directory(out, keep_partial=True) as partial:
        if (partial / SETTINGS).is_file() and read_json(partial / SETTINGS) != settings:
            raise InputError(f"{partial}: an interrupted run with other settings; delete it or choose another --out")
        write_json(partial / SETTINGS, settings)
        make_pieces(world, partial, workers)
        for kind in (CAPTIONS, QUESTIONS):
            for split in SPLITS:
                join(partial, kind, split)
        about = describe(world, partial) | settings
        draw_sheet_of(world, partial / SHEET)
        shutil.rmtree(partial / PIECES)
        (partial / SETTINGS).unlink()
        write_json(partial / ABOUT, about)
    return about


def fingerprint(world: World) -> str:
    """A hash of everything that settles the scenes."""
    digest = hashlib.sha256(repr((asdict(world.options), world.things, world.artists)).encode())
    known, held = world.knowledge, world.held
    digest.update(repr((known.entities, known.facts, sorted(held.artists))).encode())
    for array in (world.drawn, known.joined, known.kin, held.entities, held.pairs, *world.pixels):
        digest.update(array.tobytes())
    return digest.hexdigest()


def make_pieces(world: World, partial: Path, workers: int) -> None:
    """Make the pieces that are not there yet."""
    numbers = range(-(-world.options.scenes // CHUNK))
    wanted = [number for number in numbers if not (partial / PIECES / f"{number:05d}").is_dir()]
    if workers <= 1 or len(wanted) <= 1:
        for number in track(wanted, "drawing scenes", total=len(wanted)):
            make_piece(world, partial, number)
        return
    pool = ProcessPoolExecutor(
        min(workers, len(wanted)), mp_context=get_context("spawn"), initializer=begin, initargs=(world,)
    )
    try:
        jobs = [pool.submit(piece_of_begun, partial, number) for number in wanted]
        for job in track(as_completed(jobs), "drawing scenes", total=len(jobs)):
            job.result()
    finally:
        pool.shutdown(cancel_futures=True)


def begin(world: World) -> None:
    """A worker's world, sent once."""
    global _world
    _world = world


def piece_of_begun(partial: Path, number: int) -> None:
    assert _world is not None
    make_piece(_world, partial, number)


def make_piece(world: World, partial: Path, number: int) -> None:
    """Draw CHUNK scenes and write their records; the folder of the records appears last, so it tells of all."""
    made: dict[tuple[str, str], list[Record]] = {}
    for place in range(number * CHUNK, min((number + 1) * CHUNK, world.options.scenes)):
        scene = compose(world, place)
        path = partial / PICTURES / picture_of(scene)
        path.parent.mkdir(parents=True, exist_ok=True)
        scene.render().save(path, "PNG", compress_level=1)
        made.setdefault((CAPTIONS, scene.split), []).append(caption_record(world, scene))
        made.setdefault((QUESTIONS, scene.split), []).extend(question_records(world, scene))
    with atomic_directory(partial / PIECES / f"{number:05d}") as piece:
        for (kind, split), records in made.items():
            write_records(piece / kind / split, records)


def join(partial: Path, kind: str, split: str) -> None:
    """The records of all pieces as shards of SHARD, in the order of the scenes."""
    import pyarrow as pa
    from pyarrow import parquet

    shards = sorted((partial / PIECES).glob(f"*/{kind}/{split}/*.parquet"))
    if not shards:
        return
    table = pa.concat_tables(parquet.read_table(shard, schema=schema()) for shard in shards)
    if not len(table):
        return
    with atomic_directory(partial / kind / split) as folder:
        for number, start in enumerate(range(0, len(table), SHARD)):
            parquet.write_table(table.slice(start, SHARD), folder / f"part-{number:05d}.parquet")


def columns(partial: Path, kind: str, split: str, *names: str) -> Iterator[dict[str, Any]]:
    """Some columns of what was written, row by row."""
    from pyarrow import parquet

    for path in sorted((partial / kind / split).glob("*.parquet")):
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=list(names)):
                yield from batch.to_pylist()


def shown_rows(partial: Path) -> Iterator[Shown]:
    """What the records on disk draw and name."""
    for split in SPLITS:
        for kind in (CAPTIONS, QUESTIONS):
            for row in columns(partial, kind, split, "image", "regions.list.element.label", "choices"):
                drawn = frozenset(region["label"] for region in row["regions"])
                yield Shown(split, row["image"].split("/")[0], drawn, drawn | set(row["choices"] or ()))


def describe(world: World, partial: Path) -> dict[str, Any]:
    """What about.json says; refuses scenes that break their splits."""
    labels = [thing.label for thing in world.things]
    entities = {labels[thing] for thing in world.held.entities.nonzero()[0]}
    pairs = {(labels[a], labels[b]) for a, b in zip(*world.held.pairs.nonzero(), strict=True) if labels[a] < labels[b]}
    artists = {world.artists[artist] for artist in world.held.artists}
    leaks = count_leaks(shown_rows(partial), artists=artists, entities=entities, pairs=pairs)
    refuse(leaks)
    names = ("source", "question", "answer", "choices")
    items = {
        split: [
            Item(row["source"], row["question"], row["answer"], tuple(row["choices"]))
            for row in columns(partial, QUESTIONS, split, *names)
        ]
        for split in SPLITS
    }
    return {
        "nature": NATURE,
        "options": asdict(world.options),
        "scenes": {split: sum(1 for _ in columns(partial, CAPTIONS, split, "id")) for split in SPLITS},
        "questions": {
            split: dict(sorted(Counter(item.kind for item in found).items())) for split, found in items.items()
        },
        "floors": floors(items[TRAIN], {split: found for split, found in items.items() if split != TRAIN and found}),
        "answers": {
            kind: dict(Counter(item.answer for item in items[TRAIN] if item.kind == kind).most_common(12))
            for kind in sorted({item.kind for item in items[TRAIN]})
        },
        "leaks": sum(leaks.values()),
        "held_out": {
            "artists": sorted(artists),
            "entities": sorted(entities),
            "pairs": len(pairs),
            "joined_pairs": int((world.held.pairs & world.knowledge.joined).sum()) // 2,
        },
        "things": len(world.things),
        "graph": {
            "matched": sum(entity >= 0 for entity in world.knowledge.entities),
            "joined_pairs": world.knowledge.pairs,
            "joined_by": world.knowledge.by,
            "facts": len(world.knowledge.facts),
            **world.about.get("graph", {}),
        },
        "left_out": world.about.get("left_out", {}),
        "artwork": keep_licences(world, partial),
    }


def draw_sheet_of(world: World, path: Path) -> None:
    """Two scenes of each split that there is, or more where there are few splits."""
    from kept.data.scenes.sheet import COLUMNS, ROWS, draw_sheet

    each = COLUMNS * ROWS // len(world.able)
    found: dict[str, list[int]] = {split: [] for split in SPLITS if split in world.able}
    for number in range(world.options.scenes):
        mine = found[world.split(number)]
        if len(mine) < each:
            mine.append(number)
        if all(len(numbers) == each for numbers in found.values()):
            break
    asked = replace(world, options=replace(world.options, questions=1))
    draw_sheet(asked, list(chain.from_iterable(found.values())), path)


def keep_licences(world: World, partial: Path) -> dict[str, Any]:
    """Copy what lies beside the drawings about whose they are; returns what is known of each artist."""
    artists = {}
    for artist, about in world.about.get("artwork", {}).items():
        artists[artist] = dict(about)
        if "licence_file" in about:
            (partial / "licences").mkdir(exist_ok=True)
            shutil.copyfile(about["licence_file"], partial / "licences" / f"{artist}.txt")
            artists[artist]["licence_file"] = f"licences/{artist}.txt"
    return artists
