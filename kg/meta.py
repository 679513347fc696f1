"""What a graph directory says about itself: its format, counts, sources and what was left out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from kg.errors import InputError

FORMAT = "kept-graph"
VERSION = 1


@dataclass(frozen=True)
class Source:
    """One dump that went into a graph: its name, size in bytes as stored, hash and number of statements."""

    path: str
    bytes: int
    sha256: str
    statements: int


@dataclass(frozen=True)
class GraphMeta:
    """The contents of `meta.json`.

    Attributes:
        statements: statements read, before duplicates and skipped ones were taken out.
        skipped: how many statements were left out, by reason.
        counted: what was kept but is worth knowing, by name.
        type_predicates: the keys of the relations that say what an entity is.
        vocabulary_hash: of entities, relations and literals; equal for all graphs over the same ids.
        hash: of the whole content.
    """

    entities: int
    relations: int
    triples: int
    literals: int
    hash: str
    vocabulary_hash: str
    language: str = "en"
    statements: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    type_predicates: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    format: str = FORMAT
    version: int = VERSION

    def to_json(self) -> dict[str, Any]:
        head = {"format": self.format, "version": self.version}
        return {**head, **{key: value for key, value in asdict(self).items() if key not in head}}

    @classmethod
    def from_json(cls, value: Any, place: str) -> GraphMeta:
        """Read what `to_json` wrote; `place` names the directory in messages.

        Raises:
            InputError: for another format, another version, or fields that do not fit.
        """
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise InputError(f"{place}: not a graph directory; `kept build-kg` makes one")
        if value.get("version") != VERSION:
            raise InputError(
                f"{place}: format version {value.get('version')}, but this kept reads version {VERSION}; "
                "build the graph again with `kept build-kg`"
            )
        known = {item.name for item in fields(cls)}
        if unknown := set(value) - known:
            raise InputError(f"{place}/meta.json: unknown key {sorted(unknown)[0]!r}")
        try:
            made = {
                **value,
                "sources": tuple(Source(**source) for source in value.get("sources", ())),
                "type_predicates": tuple(value.get("type_predicates", ())),
            }
            return cls(**made)
        except TypeError as error:
            raise InputError(f"{place}/meta.json: {error}") from None
