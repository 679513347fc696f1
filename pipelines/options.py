"""The options that every command shares, and what happens around each command."""

from __future__ import annotations

import functools
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ParamSpec, overload

import typer

from kg.errors import InputError

OK, FAULT, MENDABLE, INTERRUPTED = 0, 1, 2, 130
QUIET = "KEPT_QUIET"
RANK = "RANK"
"""Where torchrun and accelerate tell a process which it is."""

Arguments = ParamSpec("Arguments")

Out = Annotated[Path, typer.Option("--out", help="Where the result goes.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output; all else on standard error.")]
Seed = Annotated[int, typer.Option("--seed", help="Equal seeds give equal results.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, no notes.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one setting; may be repeated.")
]


@overload
def command(function: Callable[Arguments, Any], *, resumes: bool = False) -> Callable[Arguments, None]: ...
@overload
def command(
    function: None = None, *, resumes: bool = False
) -> Callable[[Callable[Arguments, Any]], Callable[Arguments, None]]: ...
def command(function: Callable[..., Any] | None = None, *, resumes: bool = False) -> Callable[..., Any]:
    """Turn a function that returns a JSON-able summary into a command of the house.

    The summary goes to standard output when the command has `--json` and it is set. An `InputError` becomes one line
    and exit code 2; an interruption says how to go on, if one can; anything else is our fault: a traceback and 1. Of
    several processes that a launcher started, only the first tells anything but errors.

    Args:
        resumes: the same command goes on by itself from what an interrupted one finished, without `--resume`.
    """
    if function is None:
        return functools.partial(command, resumes=resumes)

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        as_json, leads = bool(kwargs.get("as_json")), os.environ.get(RANK, "0") == "0"
        try:
            with quietly(bool(kwargs.get("quiet")) or not leads):
                summary = function(*args, **kwargs)
        except InputError as error:
            fail(str(error), MENDABLE, as_json)
        except KeyboardInterrupt:
            fail("interrupted" + how_to_go_on(resumes, "resume" in kwargs), INTERRUPTED, as_json)
        except BrokenPipeError:
            sys.stderr.close()
            raise typer.Exit(OK) from None
        except Exception as error:
            traceback.print_exc()
            fail(f"this is a fault of kept, please report it ({type(error).__name__}: {error})", FAULT, as_json)
        else:
            if as_json and leads:
                print(json.dumps(summary, ensure_ascii=False, default=str))

    return run


def how_to_go_on(resumes: bool, has_option: bool) -> str:
    """The rest of the sentence that an interrupted command ends with."""
    if not resumes and not has_option:
        return ""
    again = "the same command" if resumes else "the same command with --resume"
    return f"; what was finished is kept, {again} goes on from there"


@contextmanager
def quietly(quiet: bool) -> Iterator[None]:
    """Carry `--quiet` to this block and the processes that it starts, and no further."""
    before = os.environ.get(QUIET)
    if quiet:
        os.environ[QUIET] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(QUIET, None)
        else:
            os.environ[QUIET] = before


def fail(message: str, code: int, as_json: bool) -> None:
    """Say in one line what went wrong and leave with `code`."""
    line = " ".join(message.split())
    print(f"kept: {line}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": line, "exit": code}, ensure_ascii=False))
    raise typer.Exit(code)


def say(text: str) -> None:
    """A note to the person at the terminal, on standard error."""
    from kg.progress import console

    console().print(text, soft_wrap=True)


def parse_size(text: str, option: str) -> int:
    """Bytes out of a number with a unit, decimal (2GB) or binary (2GiB).

    >>> parse_size("2GB", "--memory"), parse_size("512 MiB", "--memory"), parse_size("1000", "--memory")
    (2000000000, 536870912, 1000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([KMGT])(i?)B?|B)?\s*", text, re.IGNORECASE)
    if match is None or not float(match[1]):
        raise InputError(f"{option} {text}: expected a size such as 2GB or 500MB")
    power = " KMGT".index(match[2].upper()) if match[2] else 0
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)
