"""FB15k-237: the link prediction benchmark from Freebase, without the inverses of FB15k.

python -m data_scripts.fb15k237 --out fb15k-237/
"""

from __future__ import annotations

from data_scripts._download import File
from data_scripts._source import Source, run

ARCHIVE = "FB15k-237.tar.gz"
COUNTS = {"train": 272_115, "valid": 17_535, "test": 20_466}
SOURCE = Source(
    name="FB15k-237",
    about="14,541 entities and 237 relations of Freebase (Toutanova and Chen 2015).",
    home="https://www.microsoft.com/en-us/download/details.aspx?id=52312",
    licence="CC BY 2.5 (Freebase)",
    files=(
        File(
            ARCHIVE,
            f"https://raw.githubusercontent.com/TimDettmers/ConvE/master/{ARCHIVE}",
            3_678_603,
            "311df7930f842a02979eaa7a802484a6afe62303c07f915f1e6edbc30cbe05e8",
        ),
    ),
    members={f"{part}.txt": (ARCHIVE, f"{part}.txt") for part in COUNTS},
    lines={f"{part}.txt": count for part, count in COUNTS.items()},
    next="kept embed {out} --out vectors",
)


if __name__ == "__main__":
    raise SystemExit(run(SOURCE))
