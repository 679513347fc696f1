"""Where the demo keeps what, and which of its stages are done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kg.storage import read_json, write_json
from pipelines.options import say

BASE = "http://example.org/world/"
STAGES = ".stages"


@dataclass(frozen=True)
class Workspace:
    """The demo's folder, part by part."""

    root: Path
    times: dict[str, float] = field(default_factory=dict)

    @property
    def world(self) -> Path:
        """The dump and its pictures."""
        return self.root / "world"

    @property
    def whole(self) -> Path:
        """The graph of all facts; only the split and the probes look at it."""
        return self.root / "world.kg"

    @property
    def split(self) -> Path:
        return self.root / "split.safetensors"

    @property
    def graph(self) -> Path:
        """The graph without the facts that it must not hold (C and D)."""
        return self.root / "graph.kg"

    def vectors(self, kind: str = "") -> Path:
        """Entity vectors: of the graph, or "shuffled", "swapped", "swapped-scratch"."""
        return self.root / (f"vectors-{kind}" if kind else "vectors")

    @property
    def records(self) -> Path:
        return self.root / "records"

    @property
    def probe_pictures(self) -> Path:
        return self.root / "probe-pictures"

    @property
    def probes(self) -> Path:
        """What probe tasks are made from."""
        return self.root / "probes.json"

    def run(self, name: str) -> Path:
        """One pre-training run."""
        return self.root / "runs" / name

    @property
    def pictures_model(self) -> Path:
        """The model that has learned the pictures and their names, which every arm starts from."""
        return self.run("pictures") / "model"

    @property
    def scores(self) -> Path:
        return self.root / "scores"

    def stage(self, name: str, settings: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """Do a stage unless it was done with equal settings; returns what it told, now or then.

        What a stage makes is written atomically, so a stage that was killed is simply done again, and what it finds
        half-way (runs, scores) it goes on from.
        """
        marker = self.root / STAGES / f"{name}.json"
        wanted = json.loads(json.dumps(dict(settings), default=str))
        if marker.is_file():
            done = read_json(marker)
            if done["settings"] == wanted:
                self.times[name] = done["seconds"]
                say(f"[dim]{name}: done before[/dim]")
                return done["told"]
        say(f"[bold]{name}[/bold]")
        started = time.perf_counter()
        told = make()
        seconds = round(time.perf_counter() - started, 1)
        write_json(marker, {"settings": wanted, "told": told, "seconds": seconds})
        self.times[name] = seconds
        say(f"  {seconds} s")
        return read_json(marker)["told"]
