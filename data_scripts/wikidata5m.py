"""Wikidata5M: five million entities with Wikipedia pages; the transductive split.

python -m data_scripts.wikidata5m --out wikidata5m/
"""

from __future__ import annotations

from data_scripts._download import File
from data_scripts._source import Source, run

ARCHIVE = "wikidata5m_transductive.tar.gz"
COUNTS = {"train": 20_614_279, "valid": 5_163, "test": 5_163}
SOURCE = Source(
    name="Wikidata5M",
    about="4.6 million entities and 822 relations of Wikidata (Wang et al. 2021, KEPLER).",
    home="https://deepgraphlearning.github.io/project/wikidata5m",
    licence="CC0 1.0 (Wikidata)",
    files=(
        File(
            ARCHIVE,
            "https://www.dropbox.com/s/6sbhm0rwo4l73jq/wikidata5m_transductive.tar.gz?dl=1",
            168_258_214,
            "383160990b41c0905fc03f4a8afbb9b12be1ca3591e026bde6cdc94a59542597",
        ),
    ),
    members={f"{part}.txt": (ARCHIVE, f"wikidata5m_transductive_{part}.txt") for part in COUNTS},
    lines={f"{part}.txt": count for part, count in COUNTS.items()},
    next="kept embed {out} --out vectors",
)


if __name__ == "__main__":
    raise SystemExit(run(SOURCE))
