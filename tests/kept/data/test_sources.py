from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kept.data.leaks import count_leaks
from kept.data.record import Record
from kept.data.shards import write_records
from kept.data.sources import SOURCES, Captions, Facts, PictureFacts, Records, Sayable, Texts
from kept.linking import Linker
from kg import InputError
from tests.contracts import Contract
from tests.worlds import toy_graph, toy_split, toy_templates


@pytest.fixture
def world(tmp_path: Path) -> Sayable:
    kg = toy_graph()
    split = toy_split(kg, seed=4)
    return Sayable(kg, split, toy_templates(tmp_path), Linker.from_graph(split.graph(kg)))


class SourceContract(Contract):
    """Records come again alike, under ids of their own, link what they say, and say nothing that is hidden."""

    family = SOURCES

    def options(self, folder: Path) -> dict[str, Any]:
        return {}

    @pytest.fixture
    def source(self, tmp_path: Path) -> Any:
        return SOURCES[self.member](**self.options(tmp_path))

    def test_comes_again_alike(self, source: Any, world: Sayable) -> None:
        first = list(source.records(world))
        assert first
        assert list(source.records(world)) == first

    def test_ids_are_unique(self, source: Any, world: Sayable) -> None:
        ids = [record.id for record in source.records(world)]
        assert len(ids) == len(set(ids))

    def test_mentions_lie_in_the_text_and_name_their_entity(self, source: Any, world: Sayable) -> None:
        for record in source.records(world):
            for mention in record.mentions:
                assert record.text is not None
                names = [name.casefold() for name in world.kg.names(mention.entity)]
                assert record.text[mention.start : mention.end].casefold() in names

    def test_says_nothing_hidden(self, source: Any, world: Sayable) -> None:
        assert count_leaks(source.records(world), world.kg, world.split).examples == []

    def test_survives_the_disk(self, source: Any, world: Sayable, tmp_path: Path) -> None:
        made = list(source.records(world))
        write_records(tmp_path / "again", made)
        assert list(SOURCES["records"](folder=str(tmp_path / "again")).records(world)) == made


class TestFacts(SourceContract):
    member = "facts"

    def test_states_every_fact_of_its_parts_in_every_wording(self, world: Sayable) -> None:
        made = list(Facts().records(world))
        said = {(row, text) for row, text in ((record.triples[0], record.text) for record in made)}
        expected = sum(
            len(world.templates[world.kg.relations.key(relation)].train)
            for _, relation, _ in world.kg.triples[world.split.rows("A", "C")].tolist()
        )
        assert len(made) == len(said) == expected

    def test_head_and_tail_point_at_what_was_meant(self, world: Sayable) -> None:
        for record in Facts().records(world):
            assert record.head is not None and record.tail is not None
            linked = record.mentions[record.head].entity, record.mentions[record.tail].entity
            assert linked == (record.triples[0][0], record.triples[0][2])

    def test_takes_some_wordings_by_lot(self, world: Sayable) -> None:
        few = list(Facts(wordings=1).records(world))
        rows = [record.id.split("/")[1] for record in few]
        assert len(rows) == len(set(rows))
        assert {record.id for record in few} <= {record.id for record in Facts().records(world)}
        others = list(Facts(wordings=1).records(replace(world, seed=9)))
        assert [record.id for record in few] != [record.id for record in others]

    def test_can_state_b_for_the_verbalised_arm(self, world: Sayable) -> None:
        made = list(Facts(parts=("B-dev", "B-test")).records(world))
        assert count_leaks(made, world.kg, world.split).total >= len(made) > 0


class TestCaptions(SourceContract):
    member = "captions"

    def test_every_picture_but_those_of_held_out_entities(self, world: Sayable) -> None:
        shown = {record.depicts for record in Captions().records(world)}
        pictured = {entity for entity in range(world.kg.num_entities) if world.kg.images(entity)}
        assert shown == pictured - set(world.split.held_out.tolist())


class TestPictureFacts(SourceContract):
    member = "picture-facts"

    def test_the_text_does_not_name_what_is_shown(self, world: Sayable) -> None:
        for record in PictureFacts().records(world):
            assert record.depicts == record.triples[0][0]
            assert record.head is None and record.tail is not None
            assert record.mentions[record.tail].entity == record.triples[0][2]
            assert world.kg.label(record.depicts) not in (record.text or "")

    def test_probe_pictures_get_no_facts(self, world: Sayable) -> None:
        first = next(iter(PictureFacts().records(world))).depicts
        assert first is not None
        spared = replace(world, name_only=frozenset([first]))
        assert first not in {record.depicts for record in PictureFacts().records(spared)}
        assert first in {record.depicts for record in Captions().records(spared)}


class TestTexts(SourceContract):
    member = "texts"

    def options(self, folder: Path) -> dict[str, Any]:
        (folder / "corpus.txt").write_text("Paris!\n\nA dog in Rome\r\nlast line", encoding="utf-8")
        return {"paths": (str(folder / "corpus.txt"),)}

    def test_one_record_a_line(self, source: Texts, world: Sayable) -> None:
        made = list(source.records(world))
        assert [record.text for record in made] == ["Paris!", "A dog in Rome", "last line"]
        assert [record.id.rsplit(":", 1)[1] for record in made] == ["1", "3", "4"]
        assert [len(record.mentions) for record in made] == [1, 2, 0]

    def test_bad_files_are_named_with_their_line(self, world: Sayable, tmp_path: Path) -> None:
        def complaint(write: Callable[[Path], object]) -> str:
            write(tmp_path / "bad.txt")
            with pytest.raises(InputError) as caught:
                list(Texts(paths=(str(tmp_path / "bad.txt"),), max_line=50).records(world))
            return str(caught.value)

        assert "no such file" in complaint(lambda path: None)
        assert "bad.txt:2: a line of more than 50 characters" in complaint(lambda p: p.write_text("a\n" + "b" * 51))
        assert "not a text in UTF-8" in complaint(lambda path: path.write_bytes(b"a\n\xff\n"))


class TestRecords(SourceContract):
    member = "records"

    def options(self, folder: Path) -> dict[str, Any]:
        write_records(folder / "made", [Record(id="a", text="Nothing"), Record(id="b")])
        return {"folder": str(folder / "made")}

    def test_reads_what_was_written(self, source: Records, world: Sayable) -> None:
        assert [record.id for record in source.records(world)] == ["a", "b"]
