"""The tables of the report, as HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from kept.probing.rows import Figure, select
from kept.probing.scorers import ANSWER
from kept.probing.study import ARMS, GATE, VERSUS
from kept.probing.svg import whisker
from kept.probing.tables import (
    SPLITS,
    Line,
    arms,
    by_relation,
    by_split,
    by_task,
    columns,
    differences,
    headline,
    interval_text,
    local_name,
    models,
    splits,
    tasks,
    telling_split,
    value_text,
)
from kept.probing.tasks import TASKS

FLOORS = ("graph-alone", "majority", "chance")
ROUTED = {
    "facts": "objects of the relation",
    "facts-unrestricted": "all entities",
    "facts-paraphrase": "new wording",
}


def inline(line: str) -> str:
    """Code and addresses within a line as HTML, all else escaped."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(line))
    return re.sub(r"https?://[^\s,;)&<]+[^\s,;)&<.]", lambda found: f'<a href="{found[0]}">{found[0]}</a>', text)


def section(heading: str, *parts: str) -> str:
    """A part of the page under its heading."""
    return f"<section><h2>{escape(heading)}</h2>{''.join(parts)}</section>"


def prose(text: str, kind: str = "note") -> str:
    """A paragraph of trusted words."""
    return f'<p class="{kind}">{text}</p>'


def table(caption: str, heads: Sequence[str], body: Sequence[str], *, kind: str = "wide", over: str = "") -> str:
    """A table that scrolls where the page is narrow; heads and body are HTML, `over` a row of heads above."""
    head = "".join(cell if cell.startswith("<th") else f'<th scope="col">{cell}</th>' for cell in heads)
    above = f"<tr><td colspan=2></td>{over}</tr>" if over else ""
    return (
        f'<div class="scroll"><table class="{kind}"><caption>{escape(caption)}</caption>'
        f"<thead>{above}<tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def head(name: str, *about: str) -> str:
    """A column's head with what it means below."""
    return escape(name) + "".join(f"<small>{escape(line)}</small>" for line in about if line)


def number_heads(*names: str) -> list[str]:
    """Heads of columns of bare numbers, which stand right."""
    return [f'<th scope="col" class="num">{escape(name)}</th>' for name in names]


def cell(row: Figure | None) -> str:
    """A figure: its value, where it lies between 0 and 1, its interval."""
    if row is None:
        return "<td></td>"
    drawing = whisker(row.value, row.low, row.high)
    bounds = interval_text(row)
    title = f"n = {row.n:,}, seeds {', '.join(map(str, row.seeds))}"
    return f'<td title="{title}"><span class="v">{value_text(row)}</span>{drawing}<span class="i">{bounds}</span></td>'


def arm_head(line: Line) -> str:
    """An arm's name with what it is and, where it failed the gate, that it did."""
    about = f"<small>{escape(ARMS.get(line.arm, ''))}</small>"
    if line.gated:
        level = "unknown" if line.known is None else f"{line.known:.3f}"
        about += f'<small class="gate">not comparable: A = {level}</small>'
    return f'<th scope="row">{escape(line.arm)}{about}</th>'


def arm_row(line: Line, heads: Sequence[str]) -> str:
    """A table row of one arm."""
    kind = "floor" if line.arm in FLOORS else line.arm
    kinds = f"{kind} gated" if line.gated else kind
    return f'<tr class="{escape(kinds)}">{arm_head(line)}{"".join(cell(line.cells.get(name)) for name in heads)}</tr>'


def arms_side_by_side(rows: Sequence[Figure]) -> str:
    """Every arm on every split of the factual probe."""
    if "facts" not in tasks(rows):
        return ""
    lines = by_split(rows, "facts")
    shown = splits([row for line in lines for row in line.cells.values()])
    counts = {name: next(line.cells[name].n for line in lines if name in line.cells) for name in shown}
    heads = ["", *(head(name, SPLITS.get(name, ""), f"n = {counts[name]:,}") for name in shown)]
    explained = (
        "The same questions to every arm. Each cell gives the share of first answers that are right, in percent, over "
        "the objects of the relation with other true answers set aside, and its 95% interval (bootstrap over facts "
        "within relations, and over seeds; it has no width where all answers are right or all are wrong)."
    )
    gate = (
        f"An arm that was trained and does not reach A = {GATE:.2f} is set in grey: it did not learn what it was shown."
    )
    return section(
        "Arms side by side",
        prose(explained),
        table("facts, precision at 1", heads, [arm_row(line, shown) for line in lines]),
        prose(gate) if any(line.gated for line in lines) else "",
        slices(rows),
    )


def slices(rows: Sequence[Figure]) -> str:
    """Subjects that text names and others; facts that rules derive and others."""
    lines = by_split(rows, "facts", slices=True)
    shown = sorted(name for name in columns(lines) if not name.startswith("B-dev"))
    if not shown:
        return ""
    counts = {name: next(line.cells[name].n for line in lines if name in line.cells) for name in shown}
    body = []
    for line in lines:
        cells = "".join(compact(line.cells.get(name), line) for name in shown)
        body.append(f'<tr><th scope="row">{escape(line.arm)}</th>{cells}</tr>')
    heads = [
        f'<th scope="col" class="num">{escape(name.replace("/", ", "))}<small>n = {counts[name]:,}</small></th>'
        for name in shown
    ]
    explained = (
        "Within B: whether text names the subject in some other fact, or never. Within D: whether rules mined from the "
        "graph derive the fact, or nothing does."
    )
    return "<h3>Slices</h3>" + prose(explained) + table("facts, precision at 1", ["", *heads], body, kind="plain")


def every_task(rows: Sequence[Figure]) -> str:
    """Every task on the split that tells most about it, all arms beside each other."""
    lines = by_task(rows, without=("swap",))
    shown = columns(lines)
    if len(shown) < 2:
        return ""
    body = []
    for task, split in shown:
        about = inline(TASKS.describe().get(task, ""))
        figures = [line.cells.get((task, split)) for line in lines]
        count = next(figure.n for figure in figures if figure)
        cells = "".join(compact(figure, line) for figure, line in zip(figures, lines, strict=True))
        note = f"{escape(headline(task))} on {escape(split)}, n = {count:,}"
        body.append(f'<tr><th scope="row">{escape(task)}<small>{about}</small><small>{note}</small></th>{cells}</tr>')
    heads = ["", *number_heads(*(line.arm for line in lines))]
    return section("All tasks", table("in percent, with 95% intervals", heads, body, kind="compact"))


def compact(row: Figure | None, line: Line) -> str:
    """A figure where there is room for little: its value and bounds."""
    if row is None:
        return "<td></td>"
    kind = " gated" if line.gated else ""
    bounds = interval_text(row).replace(" to ", "–")
    content = f'<span class="v">{value_text(row)}</span><span class="i">{bounds}</span>'
    return f'<td class="num {escape(line.arm)}{kind}">{content}</td>'


def following(rows: Sequence[Figure]) -> str:
    """Whether answers follow a graph that changed."""
    lines = by_split(rows, "swap")
    if not lines:
        return ""
    shown = columns(lines)
    heads = ["", *(head(name, SPLITS.get(name, "")) for name in shown)]
    explained = (
        "Facts of the graph change after training; the vectors of the entities they touch are fitted again from where "
        "they stood, and no weight of the model moves. Vectors fitted from scratch lie in a space that the model never "
        "saw: they are the control."
    )
    body = [arm_row(line, shown) for line in lines]
    return section("When the graph changes", prose(explained), table("swap, precision at 1", heads, body))


def comparisons(rows: Sequence[Figure]) -> str:
    """Differences between arms, and whether they may be called so: a line for each task and split that tells."""
    found = differences(rows)
    if not found:
        return ""
    parts = []
    for arm in dict.fromkeys(row.arm.partition(VERSUS)[0] for row, _ in found):
        own = [(row, said) for row, said in found if row.arm.partition(VERSUS)[0] == arm]
        rivals = list(dict.fromkeys(row.arm.partition(VERSUS)[2] for row, _ in own))
        lines: dict[tuple[str, str], dict[str, tuple[Figure, str]]] = {}
        for row, said in own:
            telling = telling_split(rows, row.task)
            if row.task == "facts" or row.split == telling:
                lines.setdefault((row.task, row.split), {})[row.arm.partition(VERSUS)[2]] = (row, said)
        body = [
            f'<tr><th scope="row">{escape(task)}<small>{escape(split)}, {escape(SPLITS.get(split, ""))}</small></th>'
            f"{''.join(difference_cell(*figures[rival]) if rival in figures else '<td></td>' for rival in rivals)}</tr>"
            for (task, split), figures in lines.items()
        ]
        parts.append(table(f"{arm} against", ["", *map(escape, rivals)], body))
    explained = (
        "In percentage points. Paired: both arms answer the same facts in every resample. A difference is called "
        "higher or lower only where its interval leaves zero and both arms know what they were trained on."
    )
    return section("Differences", prose(explained), *parts)


def difference_cell(row: Figure, said: str) -> str:
    """A difference, its interval and what it says."""
    kind = said if said in ("higher", "lower") else "none"
    words = said if kind != "none" else said.partition(":")[0]
    return (
        f'<td title="{escape(said)}"><span class="v">{value_text(row, signed=True)}</span>'
        f'<span class="i">{interval_text(row, signed=True)}</span><span class="{kind}">{escape(words)}</span></td>'
    )


def relations(rows: Sequence[Figure]) -> str:
    """The factual probe relation by relation, on the split that counts."""
    if "facts" not in tasks(rows):
        return ""
    split = telling_split(rows, "facts")
    found = by_relation(rows, "facts", split)
    if not found:
        return ""
    shown = arms([row for figures in found.values() for row in figures.values()])
    body = []
    for relation, figures in found.items():
        cells = "".join(
            f'<td class="num">{value_text(figures[arm])}</td>' if arm in figures else "<td></td>" for arm in shown
        )
        count = next(iter(figures.values())).n
        body.append(
            f'<tr><th scope="row">{escape(local_name(relation))}</th><td class="num">{count:,}</td>{cells}</tr>'
        )
    caption = f"facts on {split} ({SPLITS.get(split, 'all of them')}), precision at 1 in percent"
    return section("Relation by relation", table(caption, ["", *number_heads("n", *shown)], body, kind="plain"))


def routes(rows: Sequence[Figure]) -> str:
    """The ways by which models answer; restricted candidates, unrestricted ones and a new wording beside each other."""
    lines = {task: by_split(rows, task, routes=True) for task in ROUTED}
    several = {arm for arm in arms(rows) if len(models(select(rows, task="facts"), arm)) > 1}
    names = [(line.arm, line.model) for line in lines["facts"] if line.arm in several]
    if not names:
        return ""
    shown = {task: [split for split in columns(own) if split != "B-dev"] for task, own in lines.items() if own}
    cells = {(task, line.arm, line.model): line.cells for task, own in lines.items() for line in own}
    places = [(task, split) for task, own in shown.items() for split in own]
    body = []
    for place, (arm, model) in enumerate(names):
        again = place > 0 and names[place - 1][0] == arm
        numbers = ""
        for task, split in places:
            figure = cells.get((task, arm, model), {}).get(split)
            numbers += f'<td class="{number_class(shown, task, split)}">{value_text(figure) if figure else ""}</td>'
        name, route = "" if again else escape(arm), escape(model.partition(":")[2] or ANSWER)
        body.append(f'<tr{" class=again" if again else ""}><th scope="row">{name}</th><td>{route}</td>{numbers}</tr>')
    over = "".join(f'<th colspan="{len(own)}" class="over">{ROUTED[task]}</th>' for task, own in shown.items())
    heads = [f'<th class="{number_class(shown, task, split)}">{escape(split)}</th>' for task, split in places]
    explained = "A model may answer by its tokens, by its entity head, or by both behind a learned gate."
    made = table("precision at 1 in percent", ["", "route", *heads], body, kind="plain", over=over)
    return section("Routes and candidates", prose(explained), made)


def number_class(shown: Mapping[str, Sequence[str]], task: str, split: str) -> str:
    """The class of a number's cell; the first of a group stands apart."""
    return "num first" if split == shown[task][0] else "num"
