"""Vectors in the formats of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kg.embedding.vectors import Vectors
from kg.errors import InputError, nearest
from kg.storage import atomic_directory, atomic_file

FORMATS = ("word2vec", "numpy")


def export(vectors: Vectors, out: Path | str, form: str) -> Path:
    """Write entity vectors for other programs; `Vectors.to_pyg` gives them to PyTorch Geometric in memory.

    Args:
        vectors: what to write.
        out: a text file for "word2vec" (gensim's `KeyedVectors.load_word2vec_format` reads it), a folder for "numpy".
        form: "word2vec": a line "N d", then a line for each entity, its key with blanks as underscores and its numbers;
            "numpy": `entities.npy`, `relations.npy`, and `entities.txt`, `relations.txt` with a key in each line.

    Raises:
        InputError: for another format, or a place that is taken.
    """
    out = Path(out)
    if form not in FORMATS:
        raise InputError(f"no format is called {form!r}; {nearest(form, FORMATS)}")
    if out.exists():
        raise InputError(f"{out}: already there; choose another place or remove it")
    if form == "word2vec":
        with atomic_file(out) as partial, partial.open("w", encoding="utf-8") as lines:
            lines.write(f"{len(vectors.keys)} {vectors.entities.shape[1]}\n")
            for key, row in zip(vectors.keys, vectors.entities, strict=True):
                lines.write(f"{'_'.join(key.split())} {' '.join(f'{number:.6g}' for number in row)}\n")
        return out
    with atomic_directory(out) as folder:
        for name, table, keys in (
            ("entities", vectors.entities, vectors.keys),
            ("relations", vectors.relations, vectors.relation_keys),
        ):
            np.save(folder / f"{name}.npy", table, allow_pickle=False)
            (folder / f"{name}.txt").write_text("".join(f"{key}\n" for key in keys), encoding="utf-8")
    return out
