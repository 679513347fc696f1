"""WordNet 3.0: 117,659 synsets, their words, glosses and relations.

python -m data_scripts.wordnet --out wordnet/
"""

from __future__ import annotations

from data_scripts._download import File
from data_scripts._source import Source, run

ARCHIVE = "WNdb-3.0.tar.gz"
LICENCE_LINES = 29
SYNSETS = {"noun": 82_115, "verb": 13_767, "adj": 18_156, "adv": 3_621}
SOURCE = Source(
    name="WordNet 3.0",
    about="A dictionary of English in which words with one meaning are one entity.",
    home="https://wordnet.princeton.edu",
    licence="WordNet 3.0 licence (free, with its notice)",
    files=(File(ARCHIVE, f"https://wordnetcode.princeton.edu/3.0/{ARCHIVE}"),),
    members={f"data.{kind}": (ARCHIVE, f"dict/data.{kind}") for kind in SYNSETS},
    lines={f"data.{kind}": LICENCE_LINES + count for kind, count in SYNSETS.items()},
    next="kept build-kg {out} --out wordnet.kg",
)


if __name__ == "__main__":
    raise SystemExit(run(SOURCE))
