"""WN18RR: the link prediction benchmark from WordNet, without the inverses of WN18.

python -m data_scripts.wn18rr --out wn18rr/
"""

from __future__ import annotations

from data_scripts._download import File
from data_scripts._source import Source, run

ARCHIVE = "WN18RR.tar.gz"
COUNTS = {"train": 86_835, "valid": 3_034, "test": 3_134}
SOURCE = Source(
    name="WN18RR",
    about="40,943 synsets and 11 relations of WordNet (Dettmers et al. 2018).",
    home="https://github.com/TimDettmers/ConvE",
    licence="WordNet 3.0 licence",
    files=(File(ARCHIVE, f"https://raw.githubusercontent.com/TimDettmers/ConvE/master/{ARCHIVE}"),),
    members={f"{part}.txt": (ARCHIVE, f"{part}.txt") for part in COUNTS},
    lines={f"{part}.txt": count for part, count in COUNTS.items()},
    next="kept embed {out} --out vectors",
)


if __name__ == "__main__":
    raise SystemExit(run(SOURCE))
