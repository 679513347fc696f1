"""Fitted vectors in a folder that restores all of it: tables, ids, labels, scorer, settings, hash of the graph."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from kg.embedding.checkpoint import contiguous, read_tensors
from kg.embedding.config import FitConfig
from kg.embedding.neighbors import Neighbor, NeighborIndex
from kg.embedding.scorers import SCORERS, Scorer
from kg.embedding.scorers.base import TABLES
from kg.errors import InputError, nearest
from kg.storage import atomic_directory, read_arrow, read_json, write_arrow, write_json

if TYPE_CHECKING:
    import torch_geometric.data

FORMAT = 1
SUGGESTIONS = 100_000


@dataclass(frozen=True)
class Vectors:
    """Entity and relation vectors with their names.

    `entities` is float32 (N, entity width) and `relations` (2R, relation width), inverse relations in the second half;
    with a GNN encoder they are its output. `parameters` are the scorer's own, if it has any (a TuckER core). Row `i`
    belongs to `keys[i]`, `labels[i]`.

    On disk: `vectors.safetensors`, `entities.arrow`, `relations.arrow`, `config.json`; written whole or not at all.
    """

    entities: np.ndarray
    relations: np.ndarray
    keys: list[str]
    labels: list[str]
    relation_keys: list[str]
    config: FitConfig
    graph: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def from_model(
        cls,
        model: Scorer,
        config: FitConfig,
        *,
        keys: list[str],
        relation_keys: list[str],
        labels: list[str] | None = None,
        graph: str = "",
        figures: dict[str, Any] | None = None,
    ) -> Vectors:
        """The states of a fitted scorer. `graph` is the hash of the graph it was fitted to."""
        if len(keys) != model.num_entities or len(relation_keys) != model.num_relations:
            raise InputError(
                f"keys: {len(keys)} entities and {len(relation_keys)} relations are named, the model has "
                f"{model.num_entities} and {model.num_relations}"
            )
        with torch.no_grad():
            states = model.eval().states()
        own = {
            name: tensor
            for name, tensor in model.state_dict().items()
            if name not in TABLES and not name.startswith(("encoder.", "features."))
        }
        entities, relations = (table.detach().float().cpu().numpy().copy() for table in states[:2])
        return cls(entities, relations, keys, labels or keys, relation_keys, config, graph, figures or {}, own)

    def save(self, folder: Path | str) -> None:
        """Write the folder, replacing an older one in one rename."""
        import pyarrow as pa

        tables = {"entities": torch.from_numpy(self.entities), "relations": torch.from_numpy(self.relations)}
        with atomic_directory(Path(folder)) as partial:
            own = {f"scorer.{name}": tensor for name, tensor in self.parameters.items()}
            save_file(contiguous({**tables, **own}), partial / "vectors.safetensors")
            ids = np.arange(len(self.keys), dtype=np.int64)
            write_arrow(partial / "entities.arrow", pa.table({"id": ids, "key": self.keys, "label": self.labels}))
            write_arrow(
                partial / "relations.arrow",
                pa.table({"id": np.arange(len(self.relation_keys), dtype=np.int64), "key": self.relation_keys}),
            )
            config = {"format": FORMAT, "graph": self.graph, "figures": self.figures, "fit": self.config.model_dump()}
            write_json(partial / "config.json", config)

    @classmethod
    def load(cls, folder: Path | str) -> Vectors:
        """Read a folder that `save` wrote.

        Raises:
            InputError: no such folder, a missing or broken file, or a format of a newer version, naming it.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of vectors")
        config = read_json(folder / "config.json")
        version = config.get("format") if isinstance(config, dict) else None
        if not isinstance(version, int):
            raise InputError(f"{folder / 'config.json'}: not the configuration of entity vectors")
        if version > FORMAT:
            raise InputError(f"{folder}: vectors of format {version}, this version of kept reads up to {FORMAT}")
        tensors = read_tensors(folder / "vectors.safetensors")
        entities, relations = (read_arrow(folder / f"{name}.arrow") for name in ("entities", "relations"))
        for name, table in (("entities", entities), ("relations", relations)):
            expected = len(table) * (2 if name == "relations" else 1)
            if name not in tensors or len(tensors[name]) != expected:
                raise InputError(f"{folder / 'vectors.safetensors'}: does not fit {name}.arrow ({len(table)} rows)")
        return cls(
            entities=tensors["entities"].numpy(),
            relations=tensors["relations"].numpy(),
            keys=entities["key"].to_pylist(),
            labels=entities["label"].to_pylist(),
            relation_keys=relations["key"].to_pylist(),
            config=FitConfig.parse(config["fit"]),
            graph=config["graph"],
            figures=config["figures"],
            parameters={
                name.removeprefix("scorer."): tensor for name, tensor in tensors.items() if name.startswith("scorer.")
            },
        )

    def scorer(self) -> Scorer:
        """The scorer over these vectors (free ones, also where a GNN made them), in eval mode."""
        make = SCORERS[self.config.scorer]
        model = make(len(self.keys), len(self.relation_keys), dim=self.config.dim, **self.config.scorer_options)
        tables = {"entities": torch.tensor(self.entities), "relations": torch.tensor(self.relations)}
        model.load_state_dict({**tables, **self.parameters})
        return model.eval()

    def id(self, name: str) -> int:
        """The row of an entity by key, or by label (case does not matter; the first of equal ones).

        Raises:
            InputError: where neither is known, with the nearest label.
        """
        row = self._by_key.get(name)
        if row is None:
            row = self._by_label.get(name.casefold())
        if row is None:
            hint = f"; {nearest(name, self.labels)}" if 0 < len(self.labels) <= SUGGESTIONS else ""
            raise InputError(f"no entity is called {name!r}{hint}")
        return row

    def neighbors(self, entity: str | int, k: int = 10) -> list[Neighbor]:
        """The `k` nearest other entities by cosine: (id, label, similarity), nearest first."""
        return self.index.neighbors(self.id(entity) if isinstance(entity, str) else entity, k)

    def relation_id(self, name: str) -> int:
        """The row of a relation by key, or by the last part of one.

        Raises:
            InputError: where it is unknown or several have that last part, with the nearest key.
        """
        if name in self.relation_keys:
            return self.relation_keys.index(name)
        ends = [row for row, key in enumerate(self.relation_keys) if re.split("[/#:]", key)[-1] == name]
        if len(ends) != 1:
            what = "several relations end" if ends else "no relation is called or ends"
            raise InputError(f"{what} so: {name!r}; {nearest(name, self.relation_keys)}")
        return ends[0]

    def answers(self, entity: str | int, relation: str | int, k: int = 10, *, inverse: bool = False) -> list[Neighbor]:
        """The `k` entities that score best as the tail of (entity, relation, ?), or as the head with `inverse`.

        Known facts are among them. Where the scorer is a matrix product, FAISS finds them; others score all entities.
        """
        model = self.model
        head = torch.tensor([self.id(entity) if isinstance(entity, str) else entity])
        asked = torch.tensor([self.relation_id(relation) if isinstance(relation, str) else relation])
        with torch.no_grad():
            states = model.states()
            query = model.queries(head, model.inverse(asked) if inverse else asked, states)
            factors = model.as_product(query, states.entities[:1])
            if factors is not None:
                return self.answer_index.search(factors[0][0].numpy(), k)
            scores = model.compare(query, states.entities)[0]
        values, rows = scores.topk(min(k, len(scores)))
        found = zip(rows.tolist(), values.tolist(), strict=True)
        return [Neighbor(row, self.labels[row], value) for row, value in found]

    def to_pyg(self) -> torch_geometric.data.Data:
        """Entities as `x`, relations as `relation_x`, names as `keys` and `labels`."""
        from torch_geometric.data import Data

        tables = {"x": torch.tensor(self.entities), "relation_x": torch.tensor(self.relations)}
        return Data(**tables, keys=self.keys, labels=self.labels, relation_keys=self.relation_keys)

    @cached_property
    def model(self) -> Scorer:
        """`scorer()`, made once."""
        return self.scorer()

    @cached_property
    def answer_index(self) -> NeighborIndex:
        """The FAISS index of what queries are multiplied with, for scorers that are products."""
        states, first = self.model.states(), torch.zeros(1, dtype=torch.long)
        factors = self.model.as_product(self.model.queries(first, first, states), states.entities)
        if factors is None:
            raise InputError(f"{self.config.scorer} is no matrix product; there is no index for its answers")
        return NeighborIndex(factors[1].detach().numpy(), self.labels, cosine=False)

    @cached_property
    def index(self) -> NeighborIndex:
        """The FAISS index over the entities, built on first use."""
        return NeighborIndex(self.entities, self.labels)

    @cached_property
    def _by_key(self) -> dict[str, int]:
        return {key: row for row, key in enumerate(self.keys)}

    @cached_property
    def _by_label(self) -> dict[str, int]:
        return {label.casefold(): row for row, label in reversed(list(enumerate(self.labels)))}
