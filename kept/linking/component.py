"""The spaCy component `kg_linker`: sets `doc.ents` to the entities of a graph.

    import spacy
    nlp = spacy.blank("en")
    nlp.add_pipe("kg_linker", config={"graph": "world.kg"})
    [(span.text, span.kb_id_) for span in nlp("Paris is the capital of France.").ents]

Among the bearers of one name it takes the entity e with the highest

    log(1 + degree(e)) + log(1/2) [if the name is an alias of e] + log(1/2) [if it is spelt in another case]
        + CONTEXT * overlap of the other words with the gloss of e's type + EXPECTED [if its type is expected]
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

import spacy
from spacy.language import Language
from spacy.matcher import PhraseMatcher
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc, Span
from spacy.util import filter_spans, get_lang_class

from kept.linking.case import case_fits, is_common_word
from kept.linking.gloss import Glosses, stem
from kept.linking.mention import LinkedMention, belief

if TYPE_CHECKING:
    from kg import KnowledgeGraph

CONTEXT = 6.0
EXPECTED = 20.0
HALF = math.log(0.5)
SENTENCE_ENDS = frozenset(".!?:;")
SIGN = re.compile(r"[^\w\s]|_")


class Bearer(NamedTuple):
    """An entity under one of its names."""

    entity: int
    name: str
    prior: float


@Language.factory("kg_linker", default_config={"graph": "", "language": "en", "min_lower": 3, "ignore_case": False})
def make_linker(nlp: Language, name: str, graph: str, language: str, min_lower: int, ignore_case: bool) -> KGLinker:
    """Build the component from the path of a graph directory."""
    from kg import KnowledgeGraph

    return KGLinker(nlp, KnowledgeGraph.open(graph), language=language, min_lower=min_lower, ignore_case=ignore_case)


def plain_pipeline() -> Language:
    """A blank pipeline that cuts at white space and around every other sign, whatever stands beside it.

    A name is then cut alike alone and in a sentence, which spaCy's own rules do not promise ("Washington D.C.").
    """
    nlp = spacy.blank("xx")
    nlp.tokenizer = Tokenizer(nlp.vocab, prefix_search=SIGN.match, infix_finditer=SIGN.finditer)
    return nlp


class KGLinker:
    """Finds names with spaCy's `PhraseMatcher` and settles which entity each stands for.

    Args:
        nlp: the pipeline whose tokenizer cuts the texts, and so the names.
        kg: the graph.
        language, min_lower, ignore_case: see `Linker.from_graph`.
    """

    def __init__(self, nlp: Language, kg: KnowledgeGraph, *, language: str, min_lower: int, ignore_case: bool) -> None:
        self.nlp = nlp
        self.kg = kg
        self.min_lower = min_lower
        self.ignore_case = ignore_case
        self.stop_words: set[str] = get_lang_class(language).Defaults.stop_words
        self.glosses = Glosses(kg, self.stop_words)
        self.matcher = PhraseMatcher(nlp.vocab, attr="LOWER")
        self.bearers: dict[int, list[Bearer]] = defaultdict(list)
        classes = {kind for kinds in self.glosses.types_of.values() for kind in kinds}
        for entity in range(kg.num_entities):
            if entity not in classes:
                self._add(entity, language)

    def _add(self, entity: int, language: str) -> None:
        prior = math.log1p(self.kg.degree(entity))
        for place, name in enumerate(self.kg.names(entity, language)):
            pattern = self.nlp.make_doc(name)
            if not len(pattern) or not any(token.is_alpha or token.is_digit for token in pattern):
                continue
            key = self.nlp.vocab.strings.add(name.lower())
            if key not in self.bearers:
                self.matcher.add(name.lower(), [pattern])
            self.bearers[key].append(Bearer(entity, name, prior + (HALF if place else 0.0)))

    def __call__(self, doc: Doc) -> Doc:
        """Set `doc.ents`; `span.kb_id_` is the key of the entity, `span.label_` the label of its type."""
        spans = []
        for found in self.find(doc):
            types = self.glosses.types_of.get(found.entity)
            label = self.kg.label(types[0]) if types else "ENTITY"
            key = self.kg.entities.key(found.entity)
            spans.append(doc.char_span(found.start, found.end, label=label, kb_id=key))
        doc.set_ents(filter_spans([span for span in spans if span is not None]))
        return doc

    def find(self, doc: Doc, expect: Collection[int] = ()) -> list[LinkedMention]:
        """The longest names in a document, from left to right, each with its bearers."""
        fitting: dict[tuple[int, int], list[Bearer]] = {}
        spans = []
        for key, start, end in self.matcher(doc):
            span = doc[start:end]
            bearers = self._fitting(span, self.bearers[key])
            if bearers:
                fitting[start, end] = bearers
                spans.append(span)
        found = []
        for span in filter_spans(spans):
            scores = self._scores(doc, span, fitting[span.start, span.end], expect)
            found.append(LinkedMention(span.start_char, span.end_char, span.text, belief(scores)))
        return found

    def _fitting(self, span: Span, bearers: list[Bearer]) -> list[Bearer]:
        surface = span.text
        if is_common_word(surface, self.stop_words, self.min_lower):
            return []
        if self.ignore_case:
            return bearers
        before = span.doc[span.start - 1].text if span.start else "."
        starts = before in SENTENCE_ENDS
        return [bearer for bearer in bearers if case_fits(bearer.name, surface, starts_sentence=starts)]

    def _scores(self, doc: Doc, span: Span, bearers: list[Bearer], expect: Collection[int]) -> dict[int, float]:
        surface = span.text
        entities = {bearer.entity for bearer in bearers}
        context = self._context(doc, span) if len(entities) > 1 else {}
        scores: dict[int, float] = {}
        for entity, name, prior in bearers:
            score = prior + (0.0 if name == surface else HALF)
            if len(entities) > 1:
                score += CONTEXT * self.glosses.overlap(context, entity)
                score += EXPECTED * (not set(expect).isdisjoint(self.glosses.types_of.get(entity, ())))
            scores[entity] = max(score, scores.get(entity, -math.inf))
        return scores

    def _context(self, doc: Doc, span: Span) -> dict[str, float]:
        """The stems around a span, each weighed by the root of its distance in tokens."""
        weights: dict[str, float] = {}
        for token in doc:
            distance = max(span.start - token.i, token.i - span.end + 1)
            word = token.lower_
            if distance > 0 and token.is_alpha and word not in self.stop_words:
                weights[stem(word)] = max(weights.get(stem(word), 0.0), 1 / math.sqrt(distance))
        return weights
