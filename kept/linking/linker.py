"""Finding the entities of a graph in text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from kept.linking.mention import LinkedMention, Mention

if TYPE_CHECKING:
    from kept.linking.component import KGLinker
    from kg import KnowledgeGraph


class Linker:
    """Links texts to the entities of a graph by their labels and aliases.

    Matches are the longest on token boundaries, upper and lower case as in `kept.linking.case`. Classes are not linked:
    "language" in a sentence is no mention of the class. How the linker chooses among several bearers of a name is said
    in `kept.linking.component`; `explain` shows what it weighed.

    >>> from kg import KnowledgeGraph
    >>> kg = KnowledgeGraph.from_triples([("FR", "capital", "PA")], labels={"FR": "France", "PA": "Paris"})
    >>> linker = Linker.from_graph(kg)
    >>> [kg.label(mention.entity) for mention in linker.link("Paris is the capital of France.")]
    ['Paris', 'France']
    """

    def __init__(self, component: KGLinker) -> None:
        self._component = component

    @classmethod
    def from_graph(
        cls, kg: KnowledgeGraph, *, language: str = "en", min_lower: int = 3, ignore_case: bool = False
    ) -> Linker:
        """A linker over the names of a graph in one language and those without a language.

        Args:
            language: the language of the names and of the stop words.
            min_lower: the least length of a lower-case name of one word.
            ignore_case: accept any mixture of case, for input typed in haste; stop words still do not link.
        """
        from kept.linking.component import KGLinker, plain_pipeline

        nlp = plain_pipeline()
        return cls(KGLinker(nlp, kg, language=language, min_lower=min_lower, ignore_case=ignore_case))

    def link(self, text: str, *, expect: Collection[int] = ()) -> list[Mention]:
        """The mentions of a text, in order; `expect` are type ids to prefer among the bearers of a name."""
        return [Mention(found.start, found.end, found.entity) for found in self.explain(text, expect=expect)]

    def explain(self, text: str, *, expect: Collection[int] = ()) -> list[LinkedMention]:
        """The mentions of a text with all their candidates."""
        return self._component.find(self._component.nlp.make_doc(text), expect)

    def link_many(self, texts: Iterable[str]) -> Iterator[list[Mention]]:
        """The mentions of many texts, some ten thousand short ones a second."""
        for text in texts:
            yield self.link(text)
