"""Facts about what a picture shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from kept.probing.items import ProbeItem, ProbeSet
from kept.probing.tasks.base import TASKS
from kept.probing.tasks.facts import Facts
from kept.probing.world import World
from kg.errors import InputError


@TASKS.register("picture-facts")
class PictureFacts(Facts):
    """A picture, then "the capital of this country is [MASK]": what is shown is named nowhere.

    The subject of the item is absent and the question says "this country" (`RelationTemplates.subject`), so the model
    has to recognise the picture, then know the fact. `meta["pictured"]` holds the key of what is shown, for reports.
    """

    def build(self, world: World) -> ProbeSet:
        if not world.pictures:
            raise InputError("picture-facts: this world has no pictures")
        return super().build(world)

    def rows(self, world: World, part: str) -> np.ndarray:
        rows = super().rows(world, part)
        heads = np.asarray(world.graph.triples)[rows, 0]
        shown = np.array([key in world.pictures for key in world.graph.entities.keys(heads)], dtype=bool)
        return rows[shown]

    def subject_name(self, world: World, relation: str, head: int) -> str:
        return world.templates[relation].subject

    def query(self, world: World, relation: str, head: int, *, fact: str) -> str | None:
        text = super().query(world, relation, head, fact=fact)
        return text and text[0].upper() + text[1:]

    def item(self, world: World, part: str, row: int, query: str, meta: dict[str, Any]) -> ProbeItem:
        item = super().item(world, part, row, query, meta)
        pictured = item.subject or ""
        return replace(item, subject=None, image=world.pictures[pictured], meta={**meta, "pictured": pictured})
