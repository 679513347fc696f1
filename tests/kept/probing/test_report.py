from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from kept.probing.artefacts import Artefacts, Picture
from kept.probing.claims import claims
from kept.probing.report import render, write_report
from kept.probing.rows import Figure, Results, write_results
from kept.probing.study import Study
from kept.probing.svg import Curve, nice_ticks, thinned
from kept.probing.terminal import print_results
from kg.errors import InputError
from tests.kept.probing.test_study import outcome

SHARES = {
    "text": {"A": 1.0, "B-test": 0.05, "C": 0.98, "D": 0.08},
    "fused": {"A": 1.0, "B-test": 0.98, "C": 0.9, "D": 0.12},
    "shuffled": {"A": 0.9, "B-test": 0.05, "C": 0.8, "D": 0.07},
    "verbalised": {"A": 1.0, "B-test": 0.97, "C": 0.98, "D": 0.08},
    "graph-alone": {"A": 1.0, "B-test": 0.99, "C": 0.15, "D": 0.12},
    "chance": {"A": 0.02, "B-test": 0.02, "C": 0.02, "D": 0.02},
}
ARTEFACTS = Artefacts(
    {("pretrain", "mlm"): {"fused": Curve({0: (np.arange(3.0), np.array([7.0, 3.0, 1.0]))}, 6.8, 0.0)}},
    (Picture("data:image/png;base64,AAAA", "The capital of this country is [MASK].", "Bern", "Paris", False),),
    (("France", (("Belgium", 0.97), ("Monaco", 0.9))),),
    "data:image/svg+xml;base64,AAAA",
    "# Sources\n\n- `world`, MIT, https://example.org/world\n\nDrawn by OpenMoji.",
)


@pytest.fixture(scope="module")
def rows() -> tuple[Figure, ...]:
    study = Study(draws=100)
    for arm, shares in SHARES.items():
        for seed in range(2 if arm in ("text", "fused") else 1):
            answers = {"answer": outcome(shares, seed=seed)}
            if arm in ("text", "fused"):
                answers["tokens"] = outcome({split: share / 2 for split, share in shares.items()}, seed=seed)
            study.add(arm, seed, answers, model="kept")
    for task, arms in {
        "unseen-entities": {"text": {"B-test": 0.02}, "fused": {"B-test": 0.99}},
        "facts-unrestricted": {"text": {"B-test": 0.04}, "fused": {"B-test": 0.96}},
        "swap": {"swapped": {"new": 0.91, "old": 0.04}, "swapped-scratch": {"new": 0.02, "old": 0.02}},
    }.items():
        for arm, shares in arms.items():
            study.add(arm, 0, {"answer": outcome(shares, task=task)}, model="kept")
    others = ("text", "shuffled", "verbalised", "graph-alone")
    return (*study.figures(), *study.differences("fused", others))


class Page(HTMLParser):
    """Checks that tags are closed in order, and gathers text, addresses and headings."""

    VOID = frozenset({"meta", "img", "br", "path", "circle", "polyline"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe", "object")
        assert not any(name.startswith("on") for name, _ in attributes)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data if "style" not in self.open else ""


def test_the_page_is_sound_and_whole(rows: tuple[Figure, ...]) -> None:
    html = render(Results({"command": "kept demo", "seconds": 512.0, "peak memory": 3 << 29}, rows), ARTEFACTS)
    page = Page(html)
    for heading in (
        "Did the knowledge help?",
        "What this is, and what it is not",
        "Reading from the graph, not inference.",
        "Arms side by side",
        "D, inferable",
        "All tasks",
        "When the graph changes",
        "Asked about pictures",
        "Differences",
        "Relation by relation",
        "Routes and candidates",
        "Training",
        "Neighbours",
        "A neighbourhood of the graph",
        "How it was run",
        "Whose data it is",
    ):
        assert heading in page.text, heading
    assert "8 min 32 s" in page.text and "1.50 GiB" in page.text
    assert "not comparable: A = 0.900" in page.text
    assert "right: Paris" in page.text and "baseline 6.8" in page.text


def test_it_needs_nothing_from_outside(rows: tuple[Figure, ...]) -> None:
    html = render(Results({}, rows), ARTEFACTS)
    assert {address for address in Page(html).addresses if not address.startswith("data:")} == {
        "https://example.org/world"
    }
    assert "url(" not in html and "@import" not in html
    assert "prefers-color-scheme: dark" in html


def test_every_figure_shown_is_a_row(rows: tuple[Figure, ...]) -> None:
    html = render(Results({}, rows), Artefacts())
    shown = set(re.findall(r'<span class="v">([−+\d.]+)</span>', html))
    assert shown and shown <= {f"{abs(row.value) * 100:.1f}" for row in rows} | {
        f"{'+' if row.value > 0 else '−'}{abs(row.value) * 100:.1f}" for row in rows
    } | {"0.0"}


def test_equal_input_gives_equal_bytes(rows: tuple[Figure, ...]) -> None:
    assert render(Results({}, rows), ARTEFACTS) == render(Results({}, rows), ARTEFACTS)


def test_names_cannot_break_the_page(rows: tuple[Figure, ...]) -> None:
    evil = '<script>alert("&")</script>'
    hostile = tuple(replace(row, model=evil, relation=row.relation and evil) for row in rows)
    artefacts = Artefacts(
        {(evil, evil): {evil: Curve({0: (np.arange(2.0), np.arange(2.0))}, None, None)}},
        (Picture("data:,", evil, evil, evil, True),),
        ((evil, ((evil, 1.0),)),),
        None,
        evil,
    )
    Page(render(Results({evil: evil, "data": {evil: evil}}, hostile), artefacts))


def test_what_is_absent_is_left_out() -> None:
    row = Figure("facts", "B-test", None, "graph-alone", "complex", "p@1", 0.5, None, None, 10, (0,))
    page = Page(render(Results({}, (row,)), Artefacts()))
    assert "What was answered" in page.text and "50.0" in page.text
    for heading in ("Differences", "Training", "Routes", "Neighbours", "When the graph changes", "All tasks"):
        assert heading not in page.text
    Page(render(Results({}, ()), Artefacts()))


def test_findings_follow_the_rows(rows: tuple[Figure, ...]) -> None:
    found = claims(rows)
    assert found[0].startswith("On facts that only the graph holds (B), the fused model answers 98.3%; text alone 5.0%")
    assert "(not comparable, A = 0.900 in shuffled)" in found[0]
    assert "98.3% of its answers" not in " ".join(found) and "90.8% of its answers follow" in found[2]
    assert "(no difference)" in found[3] and "Writing the graph's facts" in found[4]
    assert claims([row for row in rows if row.arm == "text"]) == ["On facts (B-test): text 5.0%."]


def test_the_terminal_shows_the_same(rows: tuple[Figure, ...]) -> None:
    from rich.console import Console

    console = Console(width=160)
    with console.capture() as capture:
        print_results(rows, console)
    shown = capture.get()
    for text in ("facts, p@1", "swap, p@1", "other tasks", "differences", "98.3", "A = 0.900", "higher"):
        assert text in shown, text


@pytest.fixture
def folder(tmp_path: Path, rows: tuple[Figure, ...]) -> Path:
    write_results(tmp_path, {}, rows)
    artefacts = tmp_path / "artefacts"
    artefacts.mkdir()
    (artefacts / "a.png").write_bytes(b"\x89PNG rest")
    picture = {"image": "a.png", "question": "q", "answer": "a", "gold": "a", "correct": True}
    (artefacts / "pictures.json").write_text(json.dumps([picture]))
    near = [{"entity": "France", "neighbours": [{"label": "Belgium", "similarity": 0.9}]}]
    (artefacts / "neighbours.json").write_text(json.dumps(near))
    lines = [
        {"arm": "text", "seed": 0, "stage": "s", "step": step, "term": "mlm", "value": 5.0 - step, "baseline": 6}
        for step in (2, 0, 1)
    ]
    (artefacts / "curves.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    (artefacts / "neighbourhood.svg").write_text("<svg/>")
    (artefacts / "attribution.md").write_text("Ours.")
    return tmp_path


def test_artefacts_are_read_from_disk(folder: Path) -> None:
    found = Artefacts.read(folder / "artefacts")
    steps, values = found.curves["s", "mlm"]["text"].lines[0]
    assert steps.tolist() == [0, 1, 2] and values.tolist() == [5, 4, 3]
    assert found.curves["s", "mlm"]["text"].baseline == 6 and found.curves["s", "mlm"]["text"].floor is None
    assert found.neighbours == [("France", [("Belgium", 0.9)])]
    assert "Ours." in write_report(folder).read_text()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("curves.jsonl", "{}\n", r"curves\.jsonl:1: not a line of"),
        ("curves.jsonl", "{\n", r"curves\.jsonl:1: not a line of"),
        ("pictures.json", "{}", r"pictures\.json: not a list"),
        ("pictures.json", "[1]", r"pictures\.json: \[0\]: give image"),
        ("neighbours.json", '[{"entity": "a"}]', r"neighbours\.json: \[0\]: give entity"),
        ("a.png", "no picture", r"pictures\.json: \[0\]: .*a\.png: not a PNG"),
        ("a.png", "\x89PNG" + "x" * (1 << 20), r"a\.png: 1,048,\d+ bytes; a report takes"),
    ],
)
def test_a_wrong_artefact_is_named(folder: Path, file: str, content: str, message: str) -> None:
    (folder / "artefacts" / file).write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        write_report(folder)


def test_a_missing_picture_is_named(folder: Path) -> None:
    (folder / "artefacts" / "a.png").unlink()
    with pytest.raises(InputError, match=r"a\.png: no such file"):
        write_report(folder)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.1, 2.9), (-3.0, 7.5), (5.0, 5.0), (0.0, 0.0), (1e-4, 3e-4)])
def test_ticks_are_few_round_and_span_the_interval(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert 1 <= len(ticks) <= 5
    assert ticks[0] <= low + 1e-12 and ticks[-1] >= high - 1e-12
    assert np.allclose(np.diff(ticks), np.diff(ticks)[0] if len(ticks) > 1 else 0)


def test_a_thinned_curve_keeps_its_mean() -> None:
    steps, values = thinned(np.arange(1600.0), np.random.default_rng(0).random(1600))
    assert len(steps) == 160 and values.mean() == pytest.approx(0.5, abs=0.02)
