"""Rules of visibility against lists written by hand."""

from __future__ import annotations

import torch

from kept.modeling.rules import Prefix, Rule, TwoStreams, Writing, laid_out, within
from kept.modeling.streams import Stream


def streams(**lengths: int) -> dict[str, Stream]:
    return {name: Stream.full(torch.zeros(2, length, 4), name) for name, length in lengths.items()}


def picture(rule: Rule | None, row: int = 0, **lengths: int) -> list[str]:
    """A rule as rows of characters, x where the query of the row sees the key of the column."""
    found = laid_out(rule, streams(**lengths))
    assert found is not None
    total = sum(lengths.values())
    whole = found.expand(2, 1, total, total)[row, 0]
    return ["".join("x" if seen else "." for seen in line) for line in whole.tolist()]


def test_no_rule_restricts_nothing() -> None:
    assert laid_out(None, streams(text=2)) is None


def test_what_is_written_sees_all_that_is_read_and_its_own_past() -> None:
    assert picture(Writing(), text=1, image=2, target=3) == [
        "xxx...",
        "xxx...",
        "xxx...",
        "xxxx..",
        "xxxxx.",
        "xxxxxx",
    ]


def test_a_prefix_sees_itself_and_the_rest_its_past() -> None:
    rule = Prefix(torch.tensor([2, 3]))
    assert picture(rule, 0, text=4, image=1) == ["xx..x", "xx..x", "xxx.x", "xxxxx", "xx..x"]
    assert picture(rule, 1, text=4, image=1) == ["xxx.x", "xxx.x", "xxx.x", "xxxxx", "xxx.x"]


def test_two_streams_share_the_content_and_nobody_sees_a_query() -> None:
    content = torch.tensor([[[[1, 0], [1, 1]]]]).bool()
    queries = torch.tensor([[[[1, 0], [1, 0]]]]).bool()
    rule = TwoStreams(content, queries, torch.tensor([[True, False]]))
    assert picture(rule, text=2, image=1, target=2) == ["x.x..", "xxx..", "x.x..", "x.x..", "x.x.."]


def test_one_pair_of_streams_can_be_asked_for_alone() -> None:
    rule = Writing()
    assert within(rule, "target", "target", {"target": 2}).tolist() == [[[[True, False], [True, True]]]]
    assert within(rule, "target", "text", {"target": 2, "text": 1}).all()
