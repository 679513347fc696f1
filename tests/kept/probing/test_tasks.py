from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kept.probing.floors import Chance, Majority
from kept.probing.items import MASK, ProbeItem, ProbeSet
from kept.probing.run import evaluate
from kept.probing.scores import ScoreStore
from kept.probing.tasks import TASKS
from kept.probing.tasks.base import contains_words, gives_away
from kept.probing.world import Swap, World
from kg.errors import InputError
from kg.split import PARTS
from tests.contracts import Contract
from tests.kept.probing.worlds import Guesser, Oracle, make_world


class ProbeContract(Contract):
    """What every probe task promises."""

    family = TASKS
    member: str

    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        return make_world(tmp_path)

    def build(self, world: World) -> ProbeSet:
        return TASKS[self.member]().build(world)

    def test_equal_worlds_give_equal_items(self, world: World, tmp_path: Path) -> None:
        assert self.build(world) == self.build(make_world(tmp_path))

    def test_it_has_items_of_its_own_name(self, world: World) -> None:
        probe = self.build(world)
        assert probe.items and {item.task for item in probe.items} == {self.member} == {probe.task}
        assert probe.version == TASKS[self.member].version

    def test_ids_are_unique_and_golds_are_candidates(self, world: World) -> None:
        self.build(world).check()

    def test_other_truths_are_no_golds(self, world: World) -> None:
        assert not any(set(item.gold) & set(item.also_true) for item in self.build(world).items)

    def test_no_query_names_its_answer(self, world: World) -> None:
        probe = self.build(world)
        for item in probe.items:
            names = {candidate.key: candidate.name for candidate in item.space(probe.spaces).candidates}
            for gold in item.gold:
                assert not gives_away(item.query, names[gold]), item

    def test_a_cloze_has_one_place_for_the_answer(self, world: World) -> None:
        assert {item.query.count(MASK) for item in self.build(world).items} <= {0, 1}

    def test_the_end_that_is_asked_for_is_gold(self, world: World) -> None:
        for item in self.build(world).items:
            assert getattr(item, item.asks) in (*item.gold, None)
            assert getattr(item.blind(), item.asks) is None

    def test_a_picture_is_not_named(self, world: World) -> None:
        for item in self.build(world).items:
            assert item.image is None or item.blind().subject is None

    def test_it_survives_the_disk(self, world: World, tmp_path: Path) -> None:
        probe = self.build(world)
        probe.save(tmp_path / "saved")
        assert ProbeSet.load(tmp_path / "saved") == probe

    def test_floors_and_oracle_stand_where_they_must(self, world: World, tmp_path: Path) -> None:
        probe, store = self.build(world), ScoreStore(tmp_path / "scores.arrows")
        headline = TASKS[self.member].metrics[0]
        chance = evaluate(Chance(), probe, store)["answer"]
        assert np.allclose(chance.values(headline), 1 / chance.candidates)
        assert (evaluate(Majority.from_world(world), probe, store)["answer"].values(headline) <= 1).all()
        # The new and the old answer to a swapped fact cannot both be first.
        single = replace(probe, items=tuple(item for item in probe.items if item.split != "old"))
        assert evaluate(Oracle(single.items), single, store)["answer"].values(headline).min() == 1
        assert set(evaluate(Guesser(), probe, store)) == set(Guesser.routes)


class TestFacts(ProbeContract):
    member = "facts"

    def test_each_fact_with_wording_is_asked_once(self, world: World) -> None:
        probe = self.build(world)
        worded = world.split.rows("A", "B-dev", "B-test", "C", "D")
        assert len(probe.items) + sum(probe.dropped.values()) == len(worded)
        assert len({item.provenance for item in probe.items}) == len(probe.items)

    def test_the_part_is_the_fact_s_own(self, world: World) -> None:
        of = {world.keys(row): world.split.part(row) for row in range(world.graph.num_triples)}
        for item in self.build(world).items:
            assert item.split == of[item.subject, item.relation, item.object]  # type: ignore[index]

    def test_the_answer_in_the_question_is_dropped(self, world: World) -> None:
        probe = self.build(world)
        assert probe.dropped == {"the question names the answer": 1}
        assert "city/10" not in {item.object for item in probe.items}

    def test_candidates_are_the_relation_s_objects_and_other_truths_stand_aside(self, world: World) -> None:
        probe = self.build(world)
        assert {c.key for c in probe.spaces["region"].candidates} == {"region/0", "region/1", "region/2"}
        borders = [item for item in probe.items if item.relation == "borders" and item.subject == "country/0"]
        assert {item.gold + item.also_true for item in borders} == {
            ("country/1", "country/2"),
            ("country/2", "country/1"),
        }

    def test_slices_cut_b_by_the_subject_and_d_by_the_rules(self, world: World) -> None:
        inferable = world.split.inferable.copy()
        inferable[world.split.rows("D")[:1]] = True
        probe = self.build(world)
        slices = {(item.split, item.meta.get("slice")) for item in probe.items}
        wanted = {("A", None), ("C", None), ("B-dev", "seen"), ("B-test", "seen"), ("B-test", "unseen")}
        assert slices == wanted | {("D", "other")}
        derived = self.build(replace(world, split=replace(world.split, inferable=inferable)))
        assert {item.meta["slice"] for item in derived.items if item.split == "D"} == {"inferable"}
        unseen = {item.subject for item in probe.items if item.meta.get("slice") == "unseen"}
        assert unseen == {"country/11"}

    def test_wordings_vary_and_come_from_training(self, world: World) -> None:
        capitals = [item for item in self.build(world).items if item.relation == "capital"]
        starts = {item.query.startswith(MASK) for item in capitals}
        assert starts == {True, False}
        assert not any("govern" in item.query for item in capitals)


class TestUnrestrictedFacts(ProbeContract):
    member = "facts-unrestricted"

    def test_every_entity_is_a_candidate(self, world: World) -> None:
        probe = self.build(world)
        assert len(probe.spaces["entities"].candidates) == world.graph.num_entities
        assert [item.query for item in probe.items] == [item.query for item in TASKS["facts"]().items(world)]


class TestParaphrasedFacts(ProbeContract):
    member = "facts-paraphrase"

    def test_only_held_out_wordings_are_used(self, world: World) -> None:
        probe = self.build(world)
        assert {item.relation for item in probe.items} == {"capital", "borders"}
        assert probe.dropped["no held-out wording"] == 12
        assert all("govern" in item.query or "next to" in item.query for item in probe.items)


class TestUnseenEntities(ProbeContract):
    member = "unseen-entities"

    def test_subjects_are_held_out_of_text(self, world: World) -> None:
        items = self.build(world).items
        assert {(item.subject, item.split) for item in items} == {("country/11", "B-test")}
        assert {item.relation for item in items} == {"capital", "region"}


class TestPictureFacts(ProbeContract):
    member = "picture-facts"

    def test_only_the_picture_says_what_it_is_about(self, world: World) -> None:
        for item in self.build(world).items:
            shown = item.meta["pictured"]
            assert item.image == world.pictures[shown]
            assert "this country" in item.query.lower()
            assert world.graph.label(world.graph.entities.id(shown)) not in item.query
            assert shown not in repr(item.blind()).replace(str(item.image), "")

    def test_a_sentence_begins_with_a_capital(self, world: World) -> None:
        assert all(item.query[0].isupper() or item.query.startswith(MASK) for item in self.build(world).items)

    def test_a_world_without_pictures_is_refused(self, world: World) -> None:
        with pytest.raises(InputError, match="no pictures"):
            self.build(replace(world, pictures={}))


class TestConceptChoice(ProbeContract):
    member = "concept-choice"

    def test_three_of_four_are_of_other_kinds(self, world: World) -> None:
        kinds = dict(world.keys(row)[::2] for row in range(world.graph.num_triples) if world.keys(row)[1] == "kind_of")
        items = self.build(world).items
        assert len(items) == 8
        for item in items:
            assert item.choices is not None and len({choice.key for choice in item.choices}) == 4
            assert [kinds[choice.key] == item.object for choice in item.choices].count(True) == 1

    def test_choices_are_of_one_part_so_that_none_is_ruled_out_by_what_text_says(self, world: World) -> None:
        parts = np.array(world.split.parts)
        of = [row for row in range(len(parts)) if world.keys(row)[1] == "kind_of"]
        parts[of] = [PARTS.index("A" if n % 2 else "B-test") for n in range(len(of))]
        probe = self.build(replace(world, split=replace(world.split, parts=parts)))
        part = {world.keys(row)[0]: PARTS[parts[row]] for row in of}
        assert probe.items
        for item in probe.items:
            assert {part[choice.key] for choice in item.choices or ()} == {item.split}
        assert len(probe.items) + sum(probe.dropped.values()) == len(of)

    def test_the_right_place_varies(self, world: World) -> None:
        places = {[c.key for c in item.choices or ()].index(item.gold[0]) for item in self.build(world).items}
        assert len(places) > 2

    def test_question_and_cloze(self, world: World) -> None:
        insects = [item for item in self.build(world).items if item.object == "kind/insect"]
        assert {item.meta["question"] for item in insects} == {"Which of these is an insect?"}
        assert {item.query for item in insects} == {"[MASK] is a kind of insect."}
        plain = self.build(replace(world, templates={}))  # type: ignore[arg-type]
        assert "Which of these is a mammal?" in {item.query for item in plain.items}

    def test_a_world_without_groups_is_refused(self, world: World) -> None:
        with pytest.raises(InputError, match="group_relation"):
            self.build(replace(world, group_relation=None))


class TestSwap(ProbeContract):
    member = "swap"

    def test_new_and_old_share_their_request(self, world: World) -> None:
        by_split: dict[str, list[ProbeItem]] = {"new": [], "old": []}
        for item in self.build(world).items:
            by_split[item.split].append(item)
        for swap, new, old in zip(world.swaps, by_split["new"], by_split["old"], strict=True):
            assert (new.gold, old.gold) == ((swap.new,), (swap.old,))
            assert replace(new.blind(), id="", split="") == replace(old.blind(), id="", split="")

    def test_a_question_that_names_an_answer_is_dropped(self, world: World) -> None:
        probe = self.build(replace(world, swaps=(*world.swaps, Swap("country/10", "capital", "city/10", "city/0"))))
        assert len(probe.items) == 4 and sum(probe.dropped.values()) == 1

    def test_a_world_without_changes_is_refused(self, world: World) -> None:
        with pytest.raises(InputError, match="no fact of this world changes"):
            self.build(replace(world, swaps=()))


@pytest.mark.parametrize(
    ("text", "words", "there"),
    [
        ("The capital of Guinea-Bissau", "Bissau", True),
        ("Niger borders Nigeria", "nigeria", True),
        ("Nigeria", "Niger", False),
        ("Nigeria and Niger", "Niger", True),
        ("anything", "", False),
        ("Côte d'Ivoire", "CÔTE", True),
    ],
)
def test_whole_words_are_found(text: str, words: str, there: bool) -> None:
    assert contains_words(text, words) is there
