"""What the data scripts share: finding installed packages, writing N-Triples, counting what was dropped."""

from __future__ import annotations

import gzip
import importlib.metadata
import importlib.util
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from kg.errors import InputError
from kg.storage import atomic_file

RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
RDFS_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
RDFS_COMMENT = "http://www.w3.org/2000/01/rdf-schema#comment"
SKOS_ALT_LABEL = "http://www.w3.org/2004/02/skos/core#altLabel"
SCHEMA_IMAGE = "https://schema.org/image"
XSD = "http://www.w3.org/2001/XMLSchema#"

ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def package_folder(module: str, distribution: str, version: str) -> Path:
    """The folder of an installed package, found without importing it (some import what older Pythons lack).

    Raises:
        InputError: when the package is absent or of another version, with the line that installs it.
    """
    wanted = f"{distribution}=={version}"
    found = installed_version(distribution)
    if found != version:
        raise InputError(f"{wanted} is needed, {found} is installed; pip install '{wanted}'")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise InputError(f"{wanted} is installed but has no module {module!r}; install it again")
    return Path(spec.origin).parent


def installed_version(distribution: str) -> str:
    """The version of a package.

    Raises:
        InputError: when it is not installed, with the line that installs it.
    """
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        raise InputError(f"{distribution} is not installed; pip install 'kept-toolkit[demo]' brings it") from None


def verify(what: str, found: int, expected: int) -> None:
    """Refuse a source that is not the one whose holes and errors are known."""
    if found != expected:
        raise InputError(f"{what}: expected {expected}, found {found}; the installed package is not the known one")


class Statements:
    """A growing set of RDF statements, written sorted so that equal facts give equal bytes.

    >>> statements = Statements()
    >>> statements.link("http://example.org/a", "http://example.org/p", "http://example.org/b")
    >>> statements.text("http://example.org/a", RDFS_LABEL, "A", language="en")
    >>> len(statements)
    2
    """

    def __init__(self) -> None:
        self._lines: set[str] = set()

    def __len__(self) -> int:
        return len(self._lines)

    def link(self, subject: str, predicate: str, target: str) -> None:
        """Add a statement between two IRIs."""
        self._lines.add(f"<{subject}> <{predicate}> <{target}> .\n")

    def text(
        self, subject: str, predicate: str, value: str, *, language: str | None = None, datatype: str | None = None
    ) -> None:
        """Add a statement about a literal; a datatype is a local name of XML Schema."""
        suffix = f"@{language}" if language else f"^^<{XSD}{datatype}>" if datatype else ""
        self._lines.add(f'<{subject}> <{predicate}> "{value.translate(ESCAPES)}"{suffix} .\n')

    def write(self, path: Path) -> None:
        """Write gzipped N-Triples without a time stamp, whole or not at all."""
        with atomic_file(path) as partial:
            partial.write_bytes(gzip.compress("".join(sorted(self._lines)).encode(), mtime=0))


class Tally(Counter[str]):
    """How many facts were dropped, by reason."""

    def drop(self, reason: str, count: int = 1) -> None:
        """Count a dropped fact; nothing is recorded for a count of zero."""
        if count:
            self[reason] += count


def local_name(text: str) -> str:
    """A text as the last part of an IRI.

    >>> local_name("São Tomé")
    'S%C3%A3o_Tom%C3%A9'
    """
    return quote(text.replace(" ", "_"), safe="")


def repeated(names: Iterable[str]) -> set[str]:
    """The names, case-folded, that occur more than once."""
    return {name for name, count in Counter(name.casefold() for name in names).items() if count > 1}
