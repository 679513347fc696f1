"""Every interaction block keeps the contract."""

from __future__ import annotations

from tests.kept.modeling.contract import BlockContract


class TestMergeAttention(BlockContract):
    member = "merge"
