"""`kept tasks` and `kept parts`: what is registered."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.options import Json, Quiet, command, say

EXAMPLES = 3


@command
def tasks(
    name: Annotated[str | None, typer.Argument(help="One task, told in full.")] = None,
    world: Annotated[Path | None, typer.Option("--world", help="A world.json to show items of.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """List the probe tasks, or tell about one and show items of it."""
    from kept.probing.tasks import TASKS

    if name is None:
        described = TASKS.describe()
        if not as_json:
            print_lines(described)
        return described
    task = TASKS[name]()
    summary: dict[str, Any] = {"name": name, "version": task.version, "metrics": list(task.metrics)}
    summary["about"] = inspect.getdoc(type(task)) or ""
    if world is not None:
        from kept.probing.world import World

        made = task.build(World.open(world))
        summary |= {"items": len(made.items), "dropped": dict(made.dropped)}
        step = max(1, len(made.items) // EXAMPLES)
        summary["examples"] = [item.to_json() for item in made.items[::step][:EXAMPLES]]
    if not as_json:
        print_task(summary)
    return summary


@command
def parts(
    family: Annotated[str | None, typer.Argument(help="One family, such as scorer.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """List the families of interchangeable parts and their members."""
    from kg.errors import InputError, nearest
    from kg.registry import FAMILIES

    for missing in import_rooms():
        say(f"left out for want of {missing}")
    if family is not None and family not in FAMILIES:
        raise InputError(f"no family is called {family!r}; {nearest(family, FAMILIES)}")
    found = {name: FAMILIES[name].describe() for name in sorted(FAMILIES) if family in (None, name)}
    if not as_json:
        for name, members in found.items():
            print(f"\n{name}")
            print_lines(members, indent="  ")
    return found


def import_rooms() -> list[str]:
    """Import every module of kg and kept, for parts register when they are imported; returns what is not installed."""
    missing = set()
    for room in ("kg", "kept"):
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                if error.name is None or error.name.partition(".")[0] in ("kg", "kept", "pipelines"):
                    raise
                missing.add(error.name)
    return sorted(missing)


def print_lines(described: dict[str, str], indent: str = "") -> None:
    """Names and descriptions in two columns."""
    width = max(map(len, described), default=0)
    for name, about in described.items():
        print(f"{indent}{name:<{width}}  {about}")


def print_task(summary: dict[str, Any]) -> None:
    """A task for a person."""
    print(f"{summary['name']} (version {summary['version']}; {', '.join(summary['metrics'])})\n\n{summary['about']}")
    if "items" in summary:
        print(f"\n{summary['items']:,} items")
        for reason, count in summary["dropped"].items():
            print(f"  left out: {count:,}, {reason}")
        for item in summary["examples"]:
            print(f"  {item['split']}: {item['query']}  ->  {', '.join(item['gold'])}")
