"""Facts that changed after training: does the answer follow?"""

from __future__ import annotations

from dataclasses import replace

from kept.probing.items import MASK, ProbeItem, ProbeSet
from kept.probing.tasks.base import TASKS, Task, fact_id, gives_away
from kept.probing.world import Swap, World
from kg.errors import InputError
from kg.verbalize import verbalize


@TASKS.register("swap")
class SwappedFacts(Task):
    """Questions about facts that the graph changed after training, each judged against the new and the old object.

    The split `new` counts answers that follow the change, `old` those that stay; both come from the same scores, for
    the request is the same. Ask a model before and after its vectors were refitted.
    """

    version = "1"

    def build(self, world: World) -> ProbeSet:
        if not world.swaps:
            raise InputError("swap: no fact of this world changes")
        items = [item for swap in world.swaps for item in self._items(world, swap)]
        asked = sorted({item.relation for item in items if item.relation})
        dropped = len(world.swaps) - len(items) // 2
        reasons = {"the question names an answer": dropped} if dropped else {}
        return ProbeSet(
            self.name, self.version, tuple(items), {key: world.range_of(key) for key in asked}, reasons
        ).check()

    def _items(self, world: World, swap: Swap) -> tuple[ProbeItem, ...]:
        """The item of the new object and that of the old, or nothing when the question names one of them."""
        fact, relation = fact_id(*swap), world.graph.relations.id(swap.relation)
        subject, old, new_object = (world.graph.entities.id(key) for key in (swap.subject, swap.old, swap.new))
        template = world.pick(world.templates[swap.relation].train, "wording", fact)
        query = verbalize(template, world.candidate(subject).name, MASK).text
        if any(gives_away(query, world.candidate(answer).name) for answer in (old, new_object)):
            return ()
        kept = tuple(key for key in world.true_objects(subject, relation) if key not in (swap.old, swap.new))
        new = ProbeItem(
            id=f"{self.name}/new/{fact}",
            task=self.name,
            split="new",
            query=query,
            answer_space=swap.relation,
            gold=(swap.new,),
            also_true=kept,
            relation=swap.relation,
            subject=swap.subject,
            object=swap.new,
            provenance=f"{swap.subject} {swap.relation} {swap.new} (was {swap.old})",
        )
        return new, replace(new, id=f"{self.name}/old/{fact}", split="old", gold=(swap.old,), object=swap.old)
