"""What of a dump goes into a graph, and what was counted on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

from kg.literals import speaks
from kg.predicates import Predicates


@dataclass(frozen=True)
class Policy:
    """What of a dump goes into a graph.

    Attributes:
        predicates: the predicates with a meaning.
        languages: keep only literals in these languages or without a tag; None keeps all.
        named_graphs: "keep" takes the statements of named graphs as plain ones, "drop" leaves them out.
        literals: the roles of predicates whose literals are kept: label, alias, description, image, other; None keeps
            all.
        same_as: "merge" makes one of entities that are said to be the same, "keep" leaves them apart.
    """

    predicates: Predicates = field(default_factory=Predicates)
    languages: tuple[str, ...] | None = None
    named_graphs: str = "keep"
    same_as: str = "keep"
    literals: tuple[str, ...] | None = None

    def wants(self, predicate: str) -> bool:
        """Whether the literals of a predicate are kept."""
        return self.literals is None or self.predicates.role(predicate).name.lower() in self.literals

    def speaks(self, tag: str | None) -> bool:
        """Whether what has this language tag is kept; between two languages, "en+fr", both must be wanted."""
        if tag is None or self.languages is None:
            return True
        return all(any(speaks(part, language) for language in self.languages) for part in tag.split("+"))


@dataclass
class Tally:
    """Counters of one shard."""

    statements: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        policy: Policy,
        statements: int,
        *,
        quoted: int,
        foreign: int,
        in_graphs: int,
        unwanted: int = 0,
        formulas: int = 0,
    ) -> Tally:
        """The counters by their names in `meta.json`."""
        dropped = policy.named_graphs == "drop"
        skipped = {
            "quoted statement": quoted,
            "formula": formulas,
            "language": foreign,
            "literal": unwanted,
            "named graph": in_graphs if dropped else 0,
        }
        return cls(statements, nonzero(skipped), nonzero({"in named graphs": 0 if dropped else in_graphs}))


def nonzero(counts: dict[str, int]) -> dict[str, int]:
    """Without what did not happen."""
    return {name: number for name, number in counts.items() if number}
