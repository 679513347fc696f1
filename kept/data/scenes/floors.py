"""What can be answered without the picture: by chance, by the commonest answer, and by the question alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

PRIOR = 2.0
"""How many questions the habit of an answer counts for, beside what the same question was answered with."""


class Item(NamedTuple):
    """A question as floors see it."""

    kind: str
    question: str
    answer: str
    choices: tuple[str, ...]


def floors(train: Iterable[Item], parts: Mapping[str, Sequence[Item]]) -> dict[str, dict[str, dict[str, float]]]:
    """For each kind and split the accuracy of answers that see no picture.

    - chance: one of the choices at random;
    - majority: of the choices, the one that in training was right most often of the times it was offered;
    - question: the same among questions of the same words, (right + PRIOR p) / (offered + PRIOR), where p is the
      share of the line above.

    Returns:
        {kind: {split: {"questions", "chance", "majority", "question"}}}; shares in [0, 1].

    >>> item = Item("exist", "Is there a dog?", "yes", ("yes", "no"))
    >>> floors([item], {"dev": [item, item._replace(answer="no")]})
    {'exist': {'dev': {'questions': 2, 'chance': 0.5, 'majority': 0.5, 'question': 0.5}}}
    """
    right: Counter[tuple[str, ...]] = Counter()
    offered: Counter[tuple[str, ...]] = Counter()
    for item in train:
        for choice in item.choices:
            keys = (item.kind, choice), (item.kind, choice, item.question)
            offered.update(keys)
            right.update(keys if choice == item.answer else ())

    def habit(item: Item, choice: str) -> float:
        key = (item.kind, choice)
        return right[key] / offered[key] if offered[key] else 0.0

    def told(item: Item, choice: str) -> float:
        key = (item.kind, choice, item.question)
        return (right[key] + PRIOR * habit(item, choice)) / (offered[key] + PRIOR)

    def share(items: Sequence[Item], score: Callable[[Item, str], float]) -> float:
        return mean(max(item.choices, key=partial(score, item)) == item.answer for item in items)

    found: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for split, items in parts.items():
        for kind in sorted({item.kind for item in items}):
            of_kind = [item for item in items if item.kind == kind]
            found[kind][split] = {
                "questions": len(of_kind),
                "chance": mean(1 / len(item.choices) for item in of_kind),
                "majority": share(of_kind, habit),
                "question": share(of_kind, told),
            }
    return dict(sorted(found.items()))


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return round(sum(listed) / len(listed), 4)
