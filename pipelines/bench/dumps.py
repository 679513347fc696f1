"""Generated dumps: as large as asked, in the manner of Wikidata's and of DBpedia's, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from kg.storage import atomic_file

BLOCK = 50_000
"""Lines made at once."""
EDGES, LABELS = 0.38, 0.25
"""Shares of statements between entities and of labels; the rest are typed literals and descriptions."""
ENTITIES_PER_LINE = 0.12
LANGUAGES = ("en", "de", "fr", "es", "ru", "ja", "ar", "nl", "en-gb", "zh-hans")
TEXT = (
    "river north old church island station bridge valley house lake museum county saint school village party football "
    "album novel species castle road mountain railway river's Škoda naïve Москва 東京 القاهرة São 'quoted' café Ωmega"
)
WORDS = TEXT.split()
XSD = "http://www.w3.org/2001/XMLSchema#"
Lines = Callable[[np.random.Generator, np.ndarray, int], Iterator[str]]


def write_dump(path: Path, statements: int, style: str = "wikidata", seed: int = 7) -> Path:
    """Write an N-Triples dump of so many statements.

    >>> import tempfile
    >>> path = write_dump(Path(tempfile.mkdtemp()) / "a.nt", 100)
    >>> path.read_text().count("\\n")
    100
    """
    rng = np.random.default_rng(seed)
    entities = max(10, int(statements * ENTITIES_PER_LINE))
    with atomic_file(path) as partial, partial.open("w", encoding="utf-8") as out:
        for start in range(0, statements, BLOCK):
            stop = min(start + BLOCK, statements)
            subjects = (np.arange(start, stop) / statements) ** 1.5 * entities
            out.writelines(STYLES[style](rng, subjects.astype(np.int64), entities))
    return path


def escaped(text: str) -> str:
    """With everything outside ASCII as `\\uXXXX`, as Wikidata's dumps have it."""
    return "".join(letter if letter < "\x80" else f"\\u{ord(letter):04X}" for letter in text)


def wikidata(rng: np.random.Generator, subjects: np.ndarray, entities: int) -> Iterator[str]:
    """Statements about few entities follow each other; text is in ASCII with escapes."""
    words = [escaped(word) for word in WORDS]
    for kind, subject, target, predicate, a, b, c in draws(rng, subjects, entities):
        head = f"<http://www.wikidata.org/entity/Q{subject}>"
        if kind < EDGES:
            tail = f"<http://www.wikidata.org/entity/Q{target}>"
            yield f"{head} <http://www.wikidata.org/prop/direct/P{predicate}> {tail} .\n"
        elif kind < EDGES + LABELS:
            role = ("http://www.w3.org/2000/01/rdf-schema#label", "http://www.w3.org/2004/02/skos/core#altLabel")[a % 2]
            text = f"{words[a % len(words)]} {words[b % len(words)]} {subject}"
            yield f'{head} <{role}> "{text}"@{LANGUAGES[c % len(LANGUAGES)]} .\n'
        elif kind < 0.8:
            text = " ".join(words[(a + step * b) % len(words)] for step in range(4 + c % 6))
            quote = '\\"of the ' if c % 7 == 0 else "of the "
            tag = LANGUAGES[b % len(LANGUAGES)]
            yield f'{head} <http://schema.org/description> "{quote}{text}"@{tag} .\n'
        elif kind < 0.9:
            date = f"{1000 + a % 1000}-{1 + b % 12:02}-{1 + c % 28:02}T00:00:00Z"
            yield f'{head} <http://www.wikidata.org/prop/direct/P{569 + a % 40}> "{date}"^^<{XSD}dateTime> .\n'
        else:
            yield f'{head} <http://www.wikidata.org/prop/direct/P{2000 + a % 300}> "+{b}"^^<{XSD}decimal> .\n'


def dbpedia(rng: np.random.Generator, subjects: np.ndarray, entities: int) -> Iterator[str]:
    """Names in IRIs, raw UTF-8, long abstracts."""

    def resource(number: int) -> str:
        word = WORDS[number % len(WORDS)]
        return f"http://dbpedia.org/resource/{word.replace(chr(39), '%27').capitalize()}_({number})"

    for kind, subject, target, predicate, a, b, c in draws(rng, subjects, entities):
        head = f"<{resource(subject)}>"
        if kind < EDGES:
            yield f"{head} <http://dbpedia.org/ontology/property{predicate}> <{resource(target)}> .\n"
        elif kind < EDGES + LABELS:
            text = f"{WORDS[a % len(WORDS)]} {WORDS[b % len(WORDS)]} {subject}"
            yield f'{head} <http://www.w3.org/2000/01/rdf-schema#label> "{text}"@{LANGUAGES[c % 8]} .\n'
        elif kind < 0.8:
            text = " ".join(WORDS[(a + step * b) % len(WORDS)] for step in range(10 + c % 40))
            yield f'{head} <http://dbpedia.org/ontology/abstract> "{text}."@{LANGUAGES[b % 8]} .\n'
        elif kind < 0.9:
            yield f'{head} <http://dbpedia.org/ontology/populationTotal> "{b}"^^<{XSD}nonNegativeInteger> .\n'
        else:
            yield f"{head} <http://xmlns.com/foaf/0.1/homepage> <http://{WORDS[a % 20]}{b % 5000}.example.org/> .\n"


def draws(
    rng: np.random.Generator, subjects: np.ndarray, entities: int
) -> Iterator[tuple[float, int, int, int, int, int, int]]:
    """(kind, subject, target, predicate, three numbers) of each line; targets and predicates are Zipf-like."""
    count = len(subjects)
    kind = rng.random(count)
    target = (entities ** rng.random(count)).astype(np.int64) - 1 + (rng.random(count) < 0.6) * subjects
    predicate = (1400 ** rng.random(count)).astype(np.int64)
    numbers = rng.integers(0, 1 << 20, (3, count))
    columns = (kind, subjects, target % entities, predicate, *numbers)
    return zip(*(column.tolist() for column in columns), strict=True)


STYLES: dict[str, Lines] = {"wikidata": wikidata, "dbpedia": dbpedia}
