"""What every backend is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from kg.errors import InputError
from kg.registry import Registry

if TYPE_CHECKING:
    from kg.graph import KnowledgeGraph


class Backend(ABC):
    """Another library's (or format's) form of a graph.

    Attributes:
        loads: whether `load` is there.
        keeps_literals: whether labels and other literals go with the triples.
        keeps_spelling: whether a literal comes back as it was written, not only with the same value.
    """

    loads: ClassVar[bool] = True
    keeps_literals: ClassVar[bool] = True
    keeps_spelling: ClassVar[bool] = True

    @abstractmethod
    def export(self, kg: KnowledgeGraph) -> Any:
        """The graph in the other library's form."""

    def load(self, other: Any) -> KnowledgeGraph:
        """The inverse of `export`: equal statements, so equal keys, ids and hash.

        An entity without any statement has no place in RDF or TSV and does not come back from them.
        """
        raise InputError(f"{type(self).__name__}: goes out only, it does not keep the keys of entities")


BACKENDS: Registry[type[Backend]] = Registry("backend")
