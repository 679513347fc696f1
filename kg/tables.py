"""Readers for graphs that are no RDF: triples in columns, ATOMIC, ConceptNet, and WordNet's database."""

from __future__ import annotations

import io
import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import BinaryIO, ClassVar, cast

from kg.literals import IRI_VALUE
from kg.predicates import RDF_TYPE, RDFS_LABEL, SKOS, SKOS_ALT_LABEL
from kg.rdf import BOM, LONGEST_LINE, READERS, Reader, Reject, Statement

HEADERS = {
    "head": ("head", "subject", "source", "start", "h", "s"),
    "relation": ("relation", "predicate", "rel", "r", "p"),
    "tail": ("tail", "object", "target", "end", "t", "o"),
}
"""What the columns of a triple are called, where a first line says so."""
NOTHING = "none"
"""ATOMIC's tail of a relation that an event does not have."""
WORDNET = "http://wordnet-rdf.princeton.edu/"
POINTERS = {
    "!": "antonym",
    "@": "hypernym",
    "@i": "instance_hypernym",
    "~": "hyponym",
    "~i": "instance_hyponym",
    "#m": "member_holonym",
    "#s": "substance_holonym",
    "#p": "part_holonym",
    "%m": "member_meronym",
    "%s": "substance_meronym",
    "%p": "part_meronym",
    "=": "attribute",
    "+": "derivationally_related_form",
    ";c": "domain_topic",
    "-c": "member_of_domain_topic",
    ";r": "domain_region",
    "-r": "member_of_domain_region",
    ";u": "domain_usage",
    "-u": "member_of_domain_usage",
    "*": "entailment",
    ">": "cause",
    "^": "also_see",
    "$": "verb_group",
    "&": "similar_to",
    "<": "participle",
    "\\": "pertainym",
}
"""WordNet's pointer symbols (wninput(5WN)); `\\` is "derived from adjective" where an adverb has it."""
KINDS = {"n": "noun", "v": "verb", "a": "adjective", "s": "adjective", "r": "adverb"}


class TextReader(Reader):
    """A format with a record a line, in UTF-8."""

    def statements(
        self, stream: BinaryIO, *, reject: Reject, scope: str = "", base: str | None = None
    ) -> Iterator[Statement]:
        self.begin()
        lines = cast(BinaryIO, stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream))
        number = 0
        while line := lines.readline(LONGEST_LINE):
            number += 1
            if number == 1:
                line = line.removeprefix(BOM)
            if not line.endswith(b"\n") and len(line) == LONGEST_LINE:
                reject(number, f"a line longer than {LONGEST_LINE >> 20} MiB")
                while line and not line.endswith(b"\n"):
                    line = lines.readline(LONGEST_LINE)
                continue
            try:
                yield from self.record(line.decode().rstrip("\r\n"), number, scope)
            except UnicodeDecodeError as error:
                reject(number, f"not UTF-8 ({error.reason})")
            except ValueError as error:
                reject(number, str(error))

    def begin(self) -> None:
        """Called before the first line."""

    @abstractmethod
    def record(self, line: str, number: int, scope: str) -> Iterator[Statement]:
        """The statements of one line; raises ValueError with what is wrong with it."""


@READERS.register("tsv")
class Tsv(TextReader):
    """Triples of keys in columns: head, relation, tail, or in the order that a first line gives.

    Further columns are not read. Keys may be any text; those that begin with `_:` are blank nodes.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".tsv",)

    def begin(self) -> None:
        self._columns: Sequence[int] = (0, 1, 2)
        self._named = False

    def record(self, line: str, number: int, scope: str) -> Iterator[Statement]:
        if not line:
            return
        fields = line.split("\t")
        if number == 1 and (columns := header(fields)) is not None:
            self._columns, self._named = columns, True
            return
        if len(fields) <= max(self._columns) or (len(fields) != 3 and not self._named):
            raise ValueError(f"3 columns wanted (head, relation, tail), {len(fields)} found")
        head, relation, tail = (fields[column] for column in self._columns)
        if not (head and relation and tail):
            raise ValueError("an empty column")
        head, tail = (f"_:{scope}{key[2:]}" if key.startswith("_:") else key for key in (head, tail))
        yield from self.triple(head, relation, tail)

    def triple(self, head: str, relation: str, tail: str) -> Iterator[Statement]:
        """What one row says."""
        yield Statement(head, relation, tail, IRI_VALUE)


@READERS.register("atomic")
class Atomic(Tsv):
    """ATOMIC 2020's TSV: events, relations and inferences in words; rows whose inference is "none" say nothing.

    No suffix tells of it; it is asked for with `--syntax atomic`.

    Source: Hwang et al. 2021, "(COMET-)ATOMIC 2020".
    """

    suffixes = ()

    def triple(self, head: str, relation: str, tail: str) -> Iterator[Statement]:
        if tail.strip().lower() != NOTHING:
            yield Statement(head.strip(), relation.strip(), tail.strip(), IRI_VALUE)


def header(fields: Sequence[str]) -> tuple[int, int, int] | None:
    """Where head, relation and tail stand, if these are names of columns.

    >>> header(["Subject", "object", "predicate"]), header(["a", "b", "c"])
    ((0, 2, 1), None)
    """
    names = [field.strip().lower() for field in fields]
    found = [next((names.index(name) for name in known if name in names), None) for known in HEADERS.values()]
    if None in found or len(set(found)) < 3:
        return None
    head, relation, tail = (cast(int, place) for place in found)
    return head, relation, tail


@READERS.register("conceptnet")
class ConceptNet(TextReader):
    """ConceptNet 5's assertions: five columns, of which URI, relation, start, end and a JSON object are read.

    A term `/c/en/dog/n` is an entity with its words as the label; its part of speech and sense stay in the key. A
    statement has the assertion's weight and the languages of its ends, by which `--keep-languages` leaves it out.
    No suffix tells of it; it is asked for with `--syntax conceptnet`.
    Source: Speer et al. 2017, "ConceptNet 5.5"; https://github.com/commonsense/conceptnet5/wiki/Downloads.
    """

    suffixes = ()

    def begin(self) -> None:
        self._named: set[str] = set()

    def record(self, line: str, number: int, scope: str) -> Iterator[Statement]:
        if not line:
            return
        fields = line.split("\t")
        if len(fields) != 5 or not fields[0].startswith("/a/") or not fields[1].startswith("/r/"):
            raise ValueError("not an assertion of ConceptNet (URI, relation, start, end, JSON in columns)")
        try:
            said = json.loads(fields[4])
            weight = float(said["weight"])
        except (json.JSONDecodeError, KeyError, TypeError, ValueError):
            raise ValueError("the fifth column is no JSON object with a weight") from None
        ends = fields[2], fields[3]
        languages = [language_of(end) for end in ends]
        spoken = "+".join(dict.fromkeys(language for language in languages if language is not None)) or None
        yield Statement(ends[0], fields[1], ends[1], IRI_VALUE, spoken, None, weight)
        for term, language in zip(ends, languages, strict=True):
            if language is not None and term not in self._named:
                self._named.add(term)
                yield Statement(term, RDFS_LABEL, term.split("/")[3].replace("_", " "), None, language)


def language_of(term: str) -> str | None:
    """The language of a ConceptNet term; None for what is no term, such as an address.

    >>> language_of("/c/en/hot_dog/n"), language_of("http://dbpedia.org/resource/Dog")
    ('en', None)
    """
    parts = term.split("/")
    return parts[2] if len(parts) > 3 and parts[:2] == ["", "c"] else None


@READERS.register("wordnet")
class WordNet(TextReader):
    """WordNet's `data.noun`, `data.verb`, `data.adj` and `data.adv` (wndb(5WN)).

    A synset is an entity, `http://wordnet-rdf.princeton.edu/wn30/OFFSET-TYPE`, with its first word as the label, the
    others as aliases, and its gloss as the definition. A pointer between words is one between their synsets.
    """

    suffixes = (".noun", ".verb", ".adj", ".adv")

    @classmethod
    def takes(cls, name: str, suffix: str) -> bool:
        return suffix in cls.suffixes and name.startswith("data.")

    def record(self, line: str, number: int, scope: str) -> Iterator[Statement]:
        if line.startswith("  ") or not line:  # the licence stands in front
            return
        data, _, gloss = line.partition(" | ")
        try:
            yield from synset(data.split(), gloss.strip())
        except (IndexError, KeyError):
            raise ValueError("not a synset of WordNet's data files") from None


def synset(fields: Sequence[str], gloss: str) -> Iterator[Statement]:
    """The statements of one line of a data file."""
    key = synset_key(fields[0], fields[2])
    count = int(fields[3], 16)
    words = [fields[4 + 2 * place].partition("(")[0].replace("_", " ") for place in range(count)]
    rest = fields[4 + 2 * count :]
    pointers = [rest[1 + 4 * place : 5 + 4 * place] for place in range(int(rest[0]))]
    found = [
        Statement(key, RDF_TYPE, f"{WORDNET}ontology#{KINDS[fields[2]]}", IRI_VALUE),
        Statement(key, RDFS_LABEL, words[0], None, "en"),
        *(Statement(key, SKOS_ALT_LABEL, word, None, "en") for word in dict.fromkeys(words[1:]) if word != words[0]),
        *(
            Statement(key, f"{WORDNET}ontology#{POINTERS[symbol]}", synset_key(offset, kind), IRI_VALUE)
            for symbol, offset, kind, _ in pointers
        ),
    ]
    if gloss:
        found.append(Statement(key, f"{SKOS}definition", gloss, None, "en"))
    yield from found


def synset_key(offset: str, kind: str) -> str:
    """The key of a synset; satellites are adjectives, as in the names of the files.

    >>> synset_key("00001740", "s")
    'http://wordnet-rdf.princeton.edu/wn30/00001740-a'
    """
    if len(offset) != 8 or not offset.isdecimal():
        raise IndexError(offset)
    return f"{WORDNET}wn30/{offset}-{'a' if kind == 's' else kind}"
