"""`kept recipes`: the pre-training runs that come with the package."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipelines.options import Json, Quiet, command


@command
def recipes(
    name: Annotated[str | None, typer.Argument(help="One recipe, printed as it is.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """List the recipes, or print one: a file to copy, change and give to `kept pretrain`."""
    import yaml

    from kept.recipes import recipe_paths
    from kg.errors import InputError, nearest
    from pipelines.tasks import print_lines

    paths = recipe_paths()
    if name is not None and name not in paths:
        raise InputError(f"no recipe is called {name!r}; {nearest(name, paths)}")
    texts = {one: path.read_text(encoding="utf-8") for one, path in paths.items() if name in (None, one)}
    trees = {one: yaml.safe_load(text) for one, text in texts.items()}
    if name is not None:
        if not as_json:
            print(texts[name], end="")
        return {"name": name, "path": str(paths[name]), "recipe": trees[name]}
    listed = {one: str(tree.get("about", "")) for one, tree in trees.items()}
    if not as_json:
        print_lines(listed)
    return listed
