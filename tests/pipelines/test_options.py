"""What happens around every command."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import typer

from kg.errors import InputError
from kg.progress import is_quiet
from pipelines.cli import app
from pipelines.options import INTERRUPTED, command, how_to_go_on


def test_quiet_reaches_the_command_and_no_further() -> None:
    seen: list[bool] = []

    @command
    def look(quiet: bool = False) -> dict[str, Any]:
        seen.append(is_quiet())
        if quiet:
            raise InputError("wrong")
        return {}

    with pytest.raises(typer.Exit):
        look(quiet=True)
    look(quiet=False)
    assert seen == [True, False] and "KEPT_QUIET" not in os.environ


def test_quiet_of_the_surroundings_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT_QUIET", "1")
    command(lambda quiet: {})(quiet=False)
    assert is_quiet()


def test_an_interruption_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(**given: bool) -> None:
        raise KeyboardInterrupt

    for resumes, given, message in (
        (False, {}, "kept: interrupted\n"),
        (False, {"resume": False}, "the same command with --resume goes on from there\n"),
        (True, {"resume": False}, "the same command goes on from there\n"),
        (True, {}, "the same command goes on from there\n"),
    ):
        with pytest.raises(typer.Exit) as stopped:
            command(resumes=resumes)(interrupted)(**given)
        assert stopped.value.exit_code == INTERRUPTED
        assert capsys.readouterr().err.endswith(message)


def test_only_commands_that_go_on_say_so() -> None:
    assert how_to_go_on(False, False) == ""
    told = {found.name for found in app.registered_commands if "resume" in _parameters(found.callback)}
    assert told == {"build-kg", "embed", "pretrain"}


def _parameters(function: Any) -> set[str]:
    import inspect

    return set(inspect.signature(function).parameters)


def test_help_answers_at_once_and_loads_nothing_heavy() -> None:
    script = (
        "import sys, time\n"
        "from typer.testing import CliRunner\n"
        "from pipelines.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'transformers', 'spacy', 'numpy', 'pyarrow', 'pydantic', 'networkx', 'rdflib'}\n"
        "print(sorted(heavy & set(sys.modules)), time.process_time())\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    loaded, seconds = found.rsplit(" ", 1)
    assert loaded == "[]" and float(seconds) < 1
