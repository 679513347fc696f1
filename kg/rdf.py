"""Statements out of any RDF syntax, through pyoxigraph.

Lines (N-Triples, N-Quads) are read in blocks that end at a line end; a block that does not parse is read again line by
line, so that exactly the broken lines are refused and exactly the others are kept. Documents (Turtle, TriG, N3,
RDF/XML, JSON-LD) are read as streams.
"""

from __future__ import annotations

import io
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, NamedTuple, cast

from kg.literals import IRI_VALUE
from kg.registry import Registry

if TYPE_CHECKING:
    import pyoxigraph

QUOTED = "@triple"
"""The datatype of an object that is itself a statement (RDF 1.2 triple terms)."""
FORMULA = "@formula"
"""The graph of statements that a dump only quotes (N3 formulas) and does not state."""
REST_LOST = "; the file is not read past this place"
BLOCK = 1 << 20
LONGEST_LINE = 1 << 24
"""pyoxigraph's own bound on one statement, 16 MiB."""
XSD_STRING = "http://www.w3.org/2001/XMLSchema#string"
BOM = b"\xef\xbb\xbf"

Reject = Callable[["int | None", str], None]
"""Called with (line or None, reason) for what cannot be read; raises to stop, returns to go on."""


class Statement(NamedTuple):
    """One statement. Blank nodes are written `_:label`, IRIs bare.

    `datatype` tells what the object is: `"@id"` an IRI or blank node, `"@triple"` a quoted statement, an IRI a typed
    literal, None a plain literal or, with `language`, a tagged one. `graph` is None in the default graph and
    `"@formula"` where the statement is quoted, not made. `weight` is how sure a source is of it, 1 where it does not
    say. `language` may be set with an IRI too, in sources whose entities are words: "en", or "en+fr" between languages.

    >>> Statement("http://e.org/Paris", "http://e.org/in", "http://e.org/France", "@id").graph is None
    True
    """

    subject: str
    predicate: str
    object: str
    datatype: str | None = None
    language: str | None = None
    graph: str | None = None
    weight: float = 1.0


class Reader(ABC):
    """Reads the statements of one syntax.

    Members set `suffixes` and implement `statements`. The same bytes always give the same statements in the same order.
    """

    suffixes: ClassVar[tuple[str, ...]]

    @classmethod
    def takes(cls, name: str, suffix: str) -> bool:
        """Whether a file in a folder is of this syntax, by its name and the suffix that tells of the syntax."""
        return suffix in cls.suffixes

    @abstractmethod
    def statements(
        self, stream: BinaryIO, *, reject: Reject, scope: str = "", base: str | None = None
    ) -> Iterator[Statement]:
        """Yield statements.

        Args:
            stream: decompressed bytes.
            reject: called for what cannot be read.
            scope: put in front of every blank node's label, so that equal labels of two files stay apart.
            base: the IRI against which relative ones are resolved, in syntaxes that have them.
        """


READERS: Registry[type[Reader]] = Registry("reader")


class LineReader(Reader):
    """One statement a line. Blank nodes keep their labels."""

    format_name: ClassVar[str]

    def statements(
        self, stream: BinaryIO, *, reject: Reject, scope: str = "", base: str | None = None
    ) -> Iterator[Statement]:
        convert = converter(scope)
        before = 0
        for block in line_blocks(stream):
            lines = bytes(block)
            yield from map(convert, self._quads(lines, range(before + 1, sys.maxsize), reject))
            before += lines.count(b"\n")

    def parse_lines(self, lines: Sequence[bytes], numbers: Sequence[int], *, reject: Reject) -> Iterator[Statement]:
        """The statements of some lines of a stream, each called by its number where it is refused."""
        return map(converter(""), self._quads(b"\n".join(lines), numbers, reject))

    def _quads(self, block: bytes, numbers: Sequence[int], reject: Reject) -> list[pyoxigraph.Quad]:
        """The statements of a block; line by line when one of them is broken."""
        from pyoxigraph import RdfFormat, parse

        syntax = getattr(RdfFormat, self.format_name)
        try:
            return list(parse(block, format=syntax))
        except (SyntaxError, MemoryError):
            found: list[pyoxigraph.Quad] = []
        for number, line in zip(numbers, block.split(b"\n"), strict=False):
            try:
                found += parse(line, format=syntax)
            except SyntaxError as error:
                reject(number, reason_of(error))
            except MemoryError:
                reject(number, f"a line longer than {LONGEST_LINE >> 20} MiB")
        return found


def line_blocks(
    stream: BinaryIO,
    size: int = BLOCK,
    tail: bytes = b"",
    spare: list[bytearray] | None = None,
    *,
    begins: bool = True,
) -> Iterator[memoryview]:
    """Blocks of whole lines, about `size` bytes each, with `tail` behind.

    A byte-order mark at the start is dropped where the stream `begins` a dump.

    Of a line beyond `LONGEST_LINE` only so much is kept that it will be refused. Who puts a block's buffer (its `obj`)
    into `spare` gets it filled again, which saves the system from clearing fresh memory.
    """
    spare = [] if spare is None else spare
    pending = b""
    more = True
    while more:
        buffer = spare.pop() if spare else bytearray(size + size // 4)
        filled = len(pending)
        if len(buffer) < filled + size // 2 + len(tail):
            buffer = buffer + bytes(filled + size)  # a new one: of this one others may still hold a view
        buffer[:filled] = pending
        cut = 0
        while more and not cut:
            more, filled = _fill(stream, buffer, filled, len(buffer) - len(tail))
            cut = buffer.rfind(b"\n", 0, filled) + 1
            if more and not cut:
                if filled > LONGEST_LINE + size:
                    filled -= size
                else:
                    buffer = buffer + bytes(len(buffer))
        if not more:
            cut = filled
        pending = bytes(memoryview(buffer)[cut:filled])
        buffer[cut : cut + len(tail)] = tail
        first = len(BOM) if begins and buffer.startswith(BOM) else 0
        begins = False
        if cut > first:
            yield memoryview(buffer)[first : cut + len(tail)]


def _fill(stream: BinaryIO, buffer: bytearray, filled: int, stop: int) -> tuple[bool, int]:
    """Read until a buffer is filled up to `stop`: (whether the stream may go on, bytes in the buffer)."""
    with memoryview(buffer) as view:
        while filled < stop:
            count = stream.readinto(view[filled:stop])  # type: ignore[attr-defined]
            if not count:
                return False, filled
            filled += count
    return True, filled


class DocumentReader(Reader):
    """A syntax whose statements may span lines. Blank nodes are numbered in the order in which they are met."""

    format_name: ClassVar[str]
    recovers: ClassVar[bool] = False
    """Whether what follows an error can be trusted; where it cannot, an error ends the file."""
    asserts_graphs: ClassVar[bool] = True
    """Whether statements in a graph are stated as true; in N3 they are only quoted."""

    def statements(
        self, stream: BinaryIO, *, reject: Reject, scope: str = "", base: str | None = None
    ) -> Iterator[Statement]:
        from pyoxigraph import RdfFormat, parse

        lines = _Lines(stream)
        convert = converter(scope, renumber=True)
        found = iter(parse(cast(BinaryIO, lines), format=getattr(RdfFormat, self.format_name), base_iri=base))
        while True:
            try:
                quad = next(found)
            except StopIteration:
                return
            except SyntaxError as error:
                reject(error.lineno or lines.number, reason_of(error) + ("" if self.recovers else REST_LOST))
                if not self.recovers:
                    return
            except MemoryError:
                reject(lines.number, f"a statement longer than {LONGEST_LINE >> 20} MiB{REST_LOST}")
                return
            else:
                statement = convert(quad)
                quoted = statement.graph is not None and not self.asserts_graphs
                yield statement._replace(graph=FORMULA) if quoted else statement


@READERS.register("ntriples")
class NTriples(LineReader):
    """N-Triples 1.1 and 1.2: one triple a line."""

    suffixes = (".nt", ".ntriples")
    format_name = "N_TRIPLES"


@READERS.register("nquads")
class NQuads(LineReader):
    """N-Quads 1.1 and 1.2: one triple a line, with its graph."""

    suffixes = (".nq", ".nquads")
    format_name = "N_QUADS"


@READERS.register("turtle")
class Turtle(DocumentReader):
    """Turtle 1.1 and 1.2."""

    suffixes = (".ttl", ".turtle")
    format_name = "TURTLE"
    recovers = True


@READERS.register("trig")
class TriG(DocumentReader):
    """TriG 1.1 and 1.2: Turtle with named graphs."""

    suffixes = (".trig",)
    format_name = "TRIG"
    recovers = True


@READERS.register("n3")
class N3(DocumentReader):
    """Notation3; what rules and formulas quote is marked as such."""

    suffixes = (".n3",)
    format_name = "N3"
    recovers = True
    asserts_graphs = False


@READERS.register("rdfxml")
class RdfXml(DocumentReader):
    """RDF/XML."""

    suffixes = (".rdf", ".owl", ".xml", ".rdfs")
    format_name = "RDF_XML"


@READERS.register("jsonld")
class JsonLd(DocumentReader):
    """JSON-LD 1.1 with its context inside; a context elsewhere is never fetched."""

    suffixes = (".jsonld", ".json")
    format_name = "JSON_LD"


def converter(scope: str, *, renumber: bool = False) -> Callable[[pyoxigraph.Quad], Statement]:
    """A function from pyoxigraph's quads to statements.

    With `renumber`, blank nodes become b0, b1, ... as they are met; pyoxigraph gives random labels to those without.
    """
    from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode

    numbers: dict[str, int] = {}

    def name(node: Any) -> str:
        if type(node) is NamedNode:
            return node.value
        label = f"b{numbers.setdefault(node.value, len(numbers))}" if renumber else node.value
        return f"_:{scope}{label}"

    def quoted(term: Any) -> str:
        if type(term) is NamedNode or type(term) is Literal:
            return str(term)
        if type(term) is BlankNode:
            return name(term)
        return f"<<( {quoted(term.subject)} {quoted(term.predicate)} {quoted(term.object)} )>>"

    new = tuple.__new__  # twice as fast as the named tuple's own constructor, in a loop that runs once a statement

    def convert(quad: pyoxigraph.Quad) -> Statement:
        subject, predicate, target, graph = quad
        start = subject.value if type(subject) is NamedNode else name(subject)
        place = None if type(graph) is DefaultGraph else name(graph)
        if type(target) is Literal:
            language, datatype = target.language, None
            if language is None:
                datatype = target.datatype.value
                if datatype == XSD_STRING:
                    datatype = None
            elif target.direction is not None:
                language = f"{language}--{target.direction}"
            return new(Statement, (start, predicate.value, target.value, datatype, language, place, 1.0))
        if type(target) is NamedNode:
            return new(Statement, (start, predicate.value, target.value, IRI_VALUE, None, place, 1.0))
        if type(target) is BlankNode:
            return new(Statement, (start, predicate.value, name(target), IRI_VALUE, None, place, 1.0))
        return new(Statement, (start, predicate.value, quoted(target), QUOTED, None, place, 1.0))

    return convert


class _Lines(io.RawIOBase):
    """Hands a stream on line by line, so that at an error `number` says in which line the parser is."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.number = 0
        self._begins = True

    def read(self, size: int = -1, /) -> bytes:
        piece = self.stream.readline(size)
        if self._begins and piece:
            self.number += 1
            if self.number == 1:
                piece = piece.removeprefix(BOM)
        self._begins = piece.endswith(b"\n")
        return piece


def reason_of(error: SyntaxError) -> str:
    """What is wrong, without pyoxigraph's account of where.

    >>> reason_of(SyntaxError("Parser error at line 2 column 1: Quads must be followed by a dot"))
    'Quads must be followed by a dot'
    """
    message = str(error.msg or error)
    return message.split(": ", 1)[1] if message.startswith("Parser error") and ": " in message else message
