"""YAGO 4.5: Wikidata's facts under a clean taxonomy; 49 million entities, or a tiny part of them.

python -m data_scripts.yago --out yago/ --set tiny
"""

from __future__ import annotations

from data_scripts._download import File
from data_scripts._source import Source, run_one_of

BASE = "https://yago-knowledge.org/data/yago4.5"


def made_of(size: str, archive: str, members: dict[str, str]) -> Source:
    """One of the two downloads."""
    return Source(
        name=f"YAGO 4.5 ({size})",
        about="A clean, human-readable refinement of Wikidata with classes of schema.org.",
        home="https://yago-knowledge.org/downloads/yago-4-5",
        licence="CC BY-SA 3.0",
        files=(File(archive, f"{BASE}/{archive}"),),
        members={name: (archive, inside) for name, inside in members.items()},
        next="kept build-kg {out}/*.ttl --out yago.kg",
    )


PARTS = ("schema", "taxonomy", "facts")
SOURCES = {
    "tiny": made_of("tiny", "yago-4.5.0.2-tiny.zip", {"yago-tiny.ttl": "yago-tiny.ttl"}),
    "full": made_of("full", "yago-4.5.0.2.zip", {f"yago-{part}.ttl": f"yago-{part}.ttl" for part in PARTS}),
}


if __name__ == "__main__":
    raise SystemExit(run_one_of(SOURCES, "tiny"))
