"""ConceptNet 5.7: 34 million statements about words in 83 languages, weighed.

python -m data_scripts.conceptnet --out conceptnet/
"""

from __future__ import annotations

from data_scripts._download import File
from data_scripts._source import Source, run

SOURCE = Source(
    name="ConceptNet 5.7",
    about="Commonsense statements between words and phrases, each with a weight.",
    home="https://github.com/commonsense/conceptnet5/wiki/Downloads",
    licence="CC BY-SA 4.0",
    files=(
        File(
            "conceptnet-assertions-5.7.0.csv.gz",
            "https://s3.amazonaws.com/conceptnet/downloads/2019/edges/conceptnet-assertions-5.7.0.csv.gz",
        ),
    ),
    next="kept build-kg {out}/conceptnet-assertions-5.7.0.csv.gz --syntax conceptnet --keep-languages en --out cn.kg",
)


if __name__ == "__main__":
    raise SystemExit(run(SOURCE))
