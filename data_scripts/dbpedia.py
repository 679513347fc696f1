"""DBpedia's English core: facts between things, literals, types, labels and short abstracts.

python -m data_scripts.dbpedia --out dbpedia/
"""

from __future__ import annotations

from data_scripts._download import File
from data_scripts._source import Source, run

BASE = "https://downloads.dbpedia.org/repo/dbpedia"
VERSION = "2022.12.01"
PARTS = (
    "mappings/mappingbased-objects",
    "mappings/mappingbased-literals",
    "mappings/instance-types",
    "generic/labels",
    "text/short-abstracts",
)


def file(part: str) -> File:
    """One part of the release; types are the most specific ones."""
    name = part.rpartition("/")[2]
    kind = "_lang=en_specific" if name == "instance-types" else "_lang=en"
    return File(f"{name}.ttl.bz2", f"{BASE}/{part}/{VERSION}/{name}{kind}.ttl.bz2")


SOURCE = Source(
    name=f"DBpedia {VERSION}",
    about="Facts from the info boxes of the English Wikipedia, with types, labels and short abstracts.",
    home="https://databus.dbpedia.org/dbpedia/collections/latest-core",
    licence="CC BY-SA 3.0",
    files=tuple(map(file, PARTS)),
    next="kept build-kg {out} --syntax ntriples --on-error skip --out dbpedia.kg",
)


if __name__ == "__main__":
    raise SystemExit(run(SOURCE))
