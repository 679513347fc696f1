"""Wikidata's truthy statements: the best-ranked ones, without qualifiers; about 8 billion lines, 40 GB as bzip2.

python -m data_scripts.wikidata --out wikidata/
"""

from __future__ import annotations

from data_scripts._download import File
from data_scripts._source import Source, run

SOURCE = Source(
    name="Wikidata truthy",
    about="The best-ranked statements of Wikidata, without qualifiers and references; made anew every week.",
    home="https://www.wikidata.org/wiki/Wikidata:Database_download",
    licence="CC0 1.0",
    files=(File("latest-truthy.nt.bz2", "https://dumps.wikimedia.org/wikidatawiki/entities/latest-truthy.nt.bz2"),),
    next="kept build-kg {out}/latest-truthy.nt.bz2 --out wikidata.kg --keep-languages en --memory 16GB",
)


if __name__ == "__main__":
    raise SystemExit(run(SOURCE))
