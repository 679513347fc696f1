"""`kept bench kg-large`: a graph larger than the memory that its build may take, then opened and sampled."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.options import Json, Quiet, command, parse_size, say

EVERY = 0.1
"""Seconds between two looks at the memory of a build."""
SHOWN = 16
"""Lines of memory over time that are shown."""
OPENING = """
import sys, time
from kg.graph import KnowledgeGraph
started = time.perf_counter()
kg = KnowledgeGraph.open(sys.argv[1])
opened = time.perf_counter() - started
kg.label(kg.num_entities // 2), kg.out(kg.num_entities // 3), kg.find("museum")
print(opened, time.perf_counter() - started)
"""
SAMPLING = """
import sys, time
import numpy as np
from kg.graph import KnowledgeGraph
from kg.sample import NeighborSampler
kg = KnowledgeGraph.open(sys.argv[1])
sampler = NeighborSampler(kg, (15, 10))
seeds = np.random.default_rng(0).integers(0, kg.num_entities, int(sys.argv[2]))
for _ in sampler.batches(seeds[:20480], 1024, threads=int(sys.argv[3])):
    pass
started = time.perf_counter()
edges = sum(sample.edges.shape[1] for sample in sampler.batches(seeds, 1024, threads=int(sys.argv[3])))
seconds = time.perf_counter() - started
print(len(seeds) / seconds, edges / seconds)
"""


@command
def bench_large(
    statements: Annotated[int, typer.Option(help="Statements in the generated dump.")] = 27_000_000,
    memory: Annotated[str, typer.Option(metavar="2GB", help="What the build may hold.")] = "2GB",
    seeds: Annotated[int, typer.Option(help="Entities whose neighbourhoods are drawn.")] = 300_000,
    data: Annotated[Path | None, typer.Option(help="Where the dump is made and kept.")] = None,
    record: Annotated[Path | None, typer.Option(help="A Markdown page of results to write the figures into.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Build within bounded memory and show what it held over time; then open the graph and sample neighbours."""
    from kept.probing.ledger import write_section
    from kept.probing.rows import describe_run
    from kg.graph import KnowledgeGraph
    from pipelines.bench.dumps import write_dump
    from pipelines.bench.measure import dump_folder

    started = time.perf_counter()
    limit = parse_size(memory, "--memory")
    folder = dump_folder(data)
    dump = folder / f"wikidata-{statements}.nt"
    if not dump.exists():
        say(f"making {dump}")
        write_dump(dump, statements)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        graph = Path(scratch) / "large.kg"
        seconds, held = watched(["build-kg", str(dump), "--out", str(graph), "--memory", memory, "--quiet"])
        kg = KnowledgeGraph.open(graph)
        opened, first = medians(OPENING, graph)
        rate = {threads: medians(SAMPLING, graph, seeds, threads) for threads in (1, 2)}
    figures = {
        "statements": statements,
        "dump bytes": dump.stat().st_size,
        "edges": kg.num_triples,
        "entities": kg.num_entities,
        "build seconds": round(seconds, 1),
        "memory limit": limit,
        "memory peak": max(anonymous + files for _, anonymous, files in held),
        "open seconds": opened,
        "open and first answers seconds": first,
        "seeds a second": {threads: round(found[0]) for threads, found in rate.items()},
        "edges a second": {threads: round(found[1]) for threads, found in rate.items()},
    }
    text = page(figures, held)
    run = describe_run(" ".join(["kept", *sys.argv[1:]]), started)
    if record is not None:
        write_section(record, "kept bench kg-large", run, text)
    if not as_json:
        say(text)
    return {**figures, "memory over time": held, "run": run}


def watched(arguments: list[str]) -> tuple[float, list[tuple[float, int, int]]]:
    """Run a command of ours: its wall seconds, and (second, anonymous bytes, bytes of mapped files) as it went.

    Raises:
        InputError: when it fails.
    """
    from kg.errors import InputError

    started = time.perf_counter()
    held = []
    child = subprocess.Popen([sys.executable, "-m", "pipelines.cli", *arguments], stderr=subprocess.PIPE)
    while child.poll() is None:
        status = Path(f"/proc/{child.pid}/status")
        sizes = dict(line.split(":", 1) for line in status.read_text().splitlines() if line.startswith("Rss"))
        if len(sizes) >= 2:
            anonymous, files = (int(sizes[name].split()[0]) * 1024 for name in ("RssAnon", "RssFile"))
            held.append((round(time.perf_counter() - started, 2), anonymous, files))
        time.sleep(EVERY)
    if child.returncode:
        said = child.stderr.read().decode(errors="replace").strip() if child.stderr else ""
        raise InputError(f"kept {' '.join(arguments)} failed: {said.splitlines()[-1] if said else child.returncode}")
    return time.perf_counter() - started, held


def numbers(code: str, *arguments: object) -> tuple[float, float]:
    """Two numbers that a program prints."""
    ran = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=True)
    first, second = ran.stdout.split()
    return float(first), float(second)


def medians(code: str, *arguments: object) -> tuple[float, float]:
    """The medians of three runs of `numbers`."""
    first, second = zip(*(numbers(code, *arguments) for _ in range(3)), strict=True)
    return statistics.median(first), statistics.median(second)


def page(figures: dict[str, Any], held: list[tuple[float, int, int]]) -> str:
    """Markdown: what was found, and memory over time."""
    rates, edges = figures["seeds a second"], figures["edges a second"]
    text = (
        f"A Wikidata-like dump of {figures['statements']:,} statements ({figures['dump bytes'] / 1e9:.1f} GB, "
        f"{figures['edges']:,} edges between {figures['entities']:,} entities).\n\n"
        "| | |\n|---|---|\n"
        f"| built within {figures['memory limit'] / 1e9:.1f} GB | {figures['build seconds']} s |\n"
        f"| most memory at once, mapped files included | {figures['memory peak'] / 1e9:.2f} GB |\n"
        f"| opened | {1000 * figures['open seconds']:.0f} ms |\n"
        f"| opened, and a label, neighbours and a name found | "
        f"{1000 * figures['open and first answers seconds']:.0f} ms |\n"
    )
    for threads in rates:
        text += (
            f"| neighbours drawn (15, 10), {threads} thread{'s' if threads > 1 else ''} | "
            f"{rates[threads]:,} seeds a second ({edges[threads] / 1e6:.1f} million edges) |\n"
        )
    step = max(1, len(held) // SHOWN)
    text += "\n| second | own memory, MB | mapped files, MB |\n|---|---|---|\n"
    for second, anonymous, files in held[::step]:
        text += f"| {second:.1f} | {anonymous / 1e6:.0f} | {files / 1e6:.0f} |\n"
    return text
