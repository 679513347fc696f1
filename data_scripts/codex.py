"""CoDEx: link prediction and triple classification on Wikidata, in three sizes.

python -m data_scripts.codex --out codex-s/ --set s
"""

from __future__ import annotations

from data_scripts._download import File
from data_scripts._source import Source, run_one_of

BASE = "https://raw.githubusercontent.com/tsafavi/codex/master/data/triples"
COUNTS = {
    "s": {"train": 32_888, "valid": 1_827, "test": 1_828, "valid_negatives": 1_827, "test_negatives": 1_828},
    "m": {"train": 185_584, "valid": 10_310, "test": 10_311, "valid_negatives": 10_310, "test_negatives": 10_311},
    "l": {"train": 551_193, "valid": 30_622, "test": 30_622},
}


def sized(size: str) -> Source:
    """One of the three."""
    parts = COUNTS[size]
    return Source(
        name=f"CoDEx-{size.upper()}",
        about="Facts of Wikidata, with hard negatives for validation and test (Safavi and Koutra 2020).",
        home="https://github.com/tsafavi/codex",
        licence="MIT (Wikidata's facts CC0)",
        files=tuple(File(f"{part}.txt", f"{BASE}/codex-{size}/{part}.txt") for part in parts),
        lines={f"{part}.txt": count for part, count in parts.items()},
        next="kept embed {out} --out vectors",
    )


SOURCES = {size: sized(size) for size in COUNTS}


if __name__ == "__main__":
    raise SystemExit(run_one_of(SOURCES, "m"))
