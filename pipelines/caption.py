"""`kept caption`: what a trained model writes about pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from pipelines.options import Json, Quiet, command


@command
def caption(
    model: Annotated[Path, typer.Argument(help="A model trained by captions.", show_default=False)],
    image: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures.", show_default=False)],
    how: Annotated[str, typer.Option(help="greedy, beam or nucleus.")] = "greedy",
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Write a caption for each picture."""
    from kg.errors import InputError, nearest

    ways = ("greedy", "beam", "nucleus")
    if how not in ways:
        raise InputError(f"--how {how}: no such way of writing; {nearest(how, ways)}")
    from kept.data.tokenizer import load_tokenizer
    from kept.modeling.model import KeptModel
    from kept.modeling.writing import How
    from kept.probing.looking import captions

    loaded = KeptModel.load(model)
    written = captions(loaded, load_tokenizer(model), image, cast("How", how))
    told = [{"image": str(path), "caption": text} for path, text in zip(image, written, strict=True)]
    if not as_json:
        for one in told:
            print(f"{one['image']}: {one['caption']}")
    return {"model": str(model), "captions": told}
