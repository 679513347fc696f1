"""The closed lists that heads choose from: answers, objects, attributes, predicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kept.data.record import Record

SORTS = ("answers", "objects", "attributes", "predicates")
MOST = 4000
"""Classes of a sort that are kept unless a recipe says otherwise; the most frequent ones."""


def collect_classes(
    records: Iterable[Record], most: Mapping[str, int], before: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """The names of each sort, those that a model has already first, then by frequency, then by name.

    Args:
        most: how many new ones of a sort are kept.
        before: the classes of the model to begin from.

        >>> from kept.data.record import Record
        >>> collect_classes([Record(id="a", answer="red")], {}, {"answers": ["blue"]})["answers"]
        ['blue', 'red']
    """
    counts: dict[str, Counter[str]] = {sort: Counter() for sort in SORTS}
    for record in records:
        counts["answers"].update([record.answer] if record.answer else [])
        counts["objects"].update(region.label for region in record.regions if region.label)
        counts["attributes"].update(name for region in record.regions for name in region.attributes)
        counts["predicates"].update(relation.predicate for relation in record.relations)
    found = {}
    for sort, count in counts.items():
        known = list(before.get(sort, ()))
        fresh = sorted((name for name in count if name not in set(known)), key=lambda name: (-count[name], name))
        found[sort] = known + fresh[: most.get(sort, MOST)]
    return found
