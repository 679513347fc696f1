"""Knowledge graphs: from a dump to a memory-mapped graph and to entity vectors.

`kg` knows nothing of language models and is usable alone. Heavy libraries are imported where they are used, so
`import kg` stays light.

    >>> from kg import KnowledgeGraph
    >>> KnowledgeGraph.from_triples([("Paris", "capital of", "France")]).num_triples
    1
"""

from typing import TYPE_CHECKING, Any

from kg.errors import InputError

if TYPE_CHECKING:
    from kg.graph import KnowledgeGraph

__all__ = ["InputError", "KnowledgeGraph"]


def __getattr__(name: str) -> Any:
    if name == "KnowledgeGraph":
        from kg.graph import KnowledgeGraph

        return KnowledgeGraph
    raise AttributeError(f"module 'kg' has no attribute {name!r}")
