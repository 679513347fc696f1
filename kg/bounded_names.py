"""The index of names of a graph that does not fit in memory, by ranges of names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kg.arrays import id_type
from kg.columns import Column, Ranges, TextColumn
from kg.literals import LiteralTable, one_array
from kg.numbering import chunks, text_cuts
from kg.predicates import Role
from kg.strings import folded, named_once, take
from kg.vocabulary import NameIndex, Vocabulary, local_names


def join_names(entities: Vocabulary, literals: LiteralTable, folder: Path, bound: int) -> NameIndex:
    """The index of names, by ranges of names."""
    import pyarrow.compute as pc

    texts, owners = TextColumn(folder / "folded"), Column(folder / "owners", np.int64)
    labelled = np.zeros(len(entities), dtype=bool)
    roles, subjects = literals.table["role"].to_numpy(), literals.table["subject"].to_numpy()
    values = one_array(literals.table["value"])
    for rows in chunks(len(roles)):
        named = np.flatnonzero(roles[rows] <= Role.ALIAS)
        texts.append(folded(take(values, named + rows.start)))
        owners.append(subjects[rows][named])
        labelled[subjects[rows][roles[rows] == Role.LABEL]] = True
    for rows in chunks(len(entities)):
        bare = np.flatnonzero(~labelled[rows]) + rows.start
        texts.append(folded(local_names(take(entities.array, bare))))
        owners.append(bare)
    all_texts, all_owners = texts.whole(), owners.whole()
    cuts = text_cuts([all_texts], bound)
    parts = Ranges(
        np.arange(1, len(cuts) + 1),
        lambda at: [TextColumn(folder / f"names-{at}"), Column(folder / f"owners-{at}", np.int64)],
    )
    for rows in chunks(len(all_owners)):
        piece = all_texts.slice(rows.start, rows.stop - rows.start)
        part = np.zeros(len(piece), np.int64)
        for cut in cuts:
            part += np.asarray(pc.greater_equal(piece, cut))
        parts.deal(part, [piece, all_owners[rows]])
    texts.remove()
    owners.remove()
    names, of = TextColumn(folder / "names"), Column(folder / "names-entity", id_type(len(entities)))
    for some, who in parts.parts:
        assert isinstance(some, TextColumn) and isinstance(who, Column)
        index = NameIndex(*named_once(some.whole(), who.whole()))
        names.append(index.names)
        of.append(index.entities)
        some.remove()
        who.remove()
    return NameIndex(names.whole(), of.whole())
