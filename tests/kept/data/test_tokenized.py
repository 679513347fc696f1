"""Records as flat arrays: what was said about each record comes back out of every batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.data.batch import Batch, Host
from kept.data.noise import Noise, key_of, mix
from kept.data.record import Mention, Record
from kept.data.tokenized import KnownPairs, TokenizedRecords
from kept.data.tokenizer import load_tokenizer, train_tokenizer
from kg.errors import InputError
from tests.kept import tiny

PIECES = tiny.tokenizer()


def batch_of(*records: Record, pictures: bool = False) -> Batch:
    corpus = tiny.corpus(records, tiny.encoded() if pictures else None)
    return corpus.batch(np.arange(len(records)), tiny.NOISE)


def words(ids: torch.Tensor) -> str:
    return str(PIECES.decode(ids.tolist()))


def test_mentions_cover_the_pieces_of_their_names() -> None:
    batch = batch_of(*tiny.RECORDS)
    for row, record in enumerate(tiny.RECORDS):
        spans = [slice(int(batch.mentions.start[row, k]), int(batch.mentions.end[row, k])) for k in range(3)]
        found = [words(batch.text.ids[row, span]) for span in spans[: len(record.mentions)]]
        assert found == [tiny.ENTITIES[mention.entity].lower() for mention in record.mentions]
        assert batch.mentions.entity[row, : len(found)].tolist() == [mention.entity for mention in record.mentions]
        assert batch.mentions.mask[row].tolist() == [k < len(found) for k in range(3)]
    assert torch.equal(batch.mentions.visible, batch.mentions.mask)
    assert (batch.mentions.host == Host.TEXT).all()


def test_text_is_that_of_the_tokenizer_and_the_rest_is_padding() -> None:
    batch = batch_of(*tiny.RECORDS)
    for row, record in enumerate(tiny.RECORDS):
        expected = PIECES(record.text or "")
        length = len(expected["input_ids"])
        assert batch.text.ids[row, :length].tolist() == expected["input_ids"]
        assert batch.text.mask[row].tolist() == [place < length for place in range(batch.text.ids.shape[1])]
        given = [-1 if word is None else word for word in expected.word_ids()]
        assert batch.text.words[row, :length].tolist() == given
        assert batch.text.special[row].tolist() == [
            place >= length or given[place] < 0 for place in range(batch.text.ids.shape[1])
        ]


def test_the_mention_that_a_record_is_about() -> None:
    assert batch_of(*tiny.RECORDS).mentions.answer.tolist() == [1, 1, 0, 1, -1, -1, 1, 0, -1, 2]


def test_mentions_that_the_cut_removes_or_shortens_are_dropped() -> None:
    record = tiny.RECORDS[tiny.TEXT_ONLY]
    whole = TokenizedRecords.build([record], PIECES)
    (_, _, first_end), (_, _, last_end) = whole.mentions.tolist()
    for length in range(3, int(whole.lengths[0]) + 1):
        # One place is taken by [SEP].
        cut = TokenizedRecords.build([record], PIECES, max_length=length)
        assert len(cut.mentions) == (length > first_end) + (length > last_end), length
        assert cut.answer.tolist() == [1 if length > last_end else -1]
        assert cut.lengths.tolist() == [length]


def test_dropped_mentions_do_not_shift_the_answer() -> None:
    record = Record(id="x", text="Paris, Rome", mentions=(Mention(50, 60, 3), Mention(7, 11, 7)), tail=1)
    corpus = TokenizedRecords.build([record], PIECES)
    assert corpus.mentions[:, 0].tolist() == [7]
    assert corpus.answer.tolist() == [0]


def test_known_mentions_by_enumeration() -> None:
    batch = batch_of(*tiny.RECORDS, pictures=True)
    joined = {(head, tail) for head, _, tail in tiny.CAPITALS.tolist()}
    joined |= {(tail, head) for head, tail in joined}
    mentions = batch.mentions
    for row in range(len(batch)):
        present = mentions.entity[row][mentions.mask[row]].tolist()
        expected = [any((entity, other) in joined for other in present) for entity in present]
        assert mentions.known[row][mentions.mask[row]].tolist() == expected
        assert not mentions.known[row][~mentions.mask[row]].any()
    assert mentions.known.any()


def test_an_entity_is_not_known_by_an_edge_to_itself() -> None:
    loops = KnownPairs(np.array([[7, 0, 7]]), 9)
    twice = Record(id="x", text="Rome is Rome", mentions=(Mention(0, 4, 7), Mention(8, 12, 7)))
    corpus = TokenizedRecords.build([twice], PIECES, known=loops)
    assert not corpus.batch(np.arange(1), tiny.NOISE).mentions.known.any()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 5)), max_size=12),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_known_pairs_by_enumeration(triples: list[tuple[int, int, int]], left: int, right: int) -> None:
    pairs = KnownPairs(np.array(triples, dtype=np.int32).reshape(-1, 3), 6)
    found = pairs.contains(np.array([left]), np.array([right]))
    assert found.tolist() == [any({head, tail} == {left, right} for head, _, tail in triples)]


def test_pictures_come_with_what_a_linker_saw_in_them() -> None:
    batch = batch_of(*tiny.RECORDS, pictures=True)
    pictured = [record.image is not None for record in tiny.RECORDS]
    assert batch.image is not None
    assert batch.image.mask.tolist() == pictured
    assert (batch.mentions.host[:, -1] == Host.IMAGE).all()
    assert batch.mentions.mask[:, -1].tolist() == pictured
    assert batch.mentions.entity[:, -1][batch.image.mask].tolist() == [0, 2, 4, 6, 0]
    assert batch.identity is not None
    same = batch.identity[:, None] == batch.identity[None, :]
    expected = [
        [one.id == two.id or (one.image == two.image and one.image is not None) for two in tiny.RECORDS]
        for one in tiny.RECORDS
    ]
    assert same.tolist() == expected


def test_a_batch_without_a_picture_has_no_picture_field() -> None:
    batch = batch_of(tiny.RECORDS[tiny.TEXT_ONLY], pictures=True)
    assert batch.image is None
    assert batch.identity is None


def test_a_record_does_not_depend_on_its_company() -> None:
    corpus = tiny.corpus(pictures=tiny.pixels())
    order = [7, 0, 5, 0, 8]
    together = corpus.batch(np.array(order), tiny.NOISE)
    for place, row in enumerate(order):
        alone = corpus.batch(np.array([row]), tiny.NOISE)
        length = int(alone.text.mask.sum())
        assert torch.equal(alone.text.ids[0], together.text.ids[place, :length])
        assert alone.keys[0] == together.keys[place] == key_of(tiny.RECORDS[row].id)
        if alone.image is not None and together.image is not None:
            torch.testing.assert_close(alone.image.pixels[0], together.image.pixels[place])


def test_taking_rows_of_a_batch_takes_them_of_every_field() -> None:
    batch = batch_of(*tiny.RECORDS, pictures=True)
    rows = torch.tensor([7, 0, 0])
    taken = batch.take(rows)
    assert len(taken) == 3
    assert torch.equal(taken.text.words, batch.text.words[rows])
    assert torch.equal(taken.mentions.known, batch.mentions.known[rows])
    assert taken.image is not None
    assert batch.image is not None
    assert torch.equal(taken.image.states, batch.image.states[rows])
    assert taken.image.pixels is None


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="there are no records to tokenise"):
        tiny.corpus([])
    with pytest.raises(InputError, match=r"pictures: no picture 'absent.png', which a record names"):
        tiny.corpus([Record(id="x", text="x", image="absent.png")])


def differs(one: Record, two: Record) -> bool:
    entities = [{mention.entity for mention in record.mentions} for record in (one, two)]
    same_picture = one.image is not None and one.image == two.image
    return not (same_picture or one.text == two.text or entities[0] & entities[1])


def test_records_that_differ_by_enumeration() -> None:
    records = [*tiny.RECORDS, Record(id="copy", text=tiny.RECORDS[tiny.NO_MENTION].text)]
    corpus = tiny.corpus(records)
    left, right = (part.ravel() for part in np.meshgrid(np.arange(len(records)), np.arange(len(records))))
    expected = [differs(records[i], records[j]) for i, j in zip(left, right, strict=True)]
    assert corpus.differs(left, right).tolist() == expected


def test_the_tokenizer_spells_what_it_never_saw(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["Paris is the capital of France."] * 3, 60)
    assert tokenizer.unk_token_id not in tokenizer("a quick brown fox jumps over dogs")["input_ids"]
    tokenizer.save_pretrained(str(tmp_path))
    again = load_tokenizer(tmp_path)
    assert again("Paris, oddly")["input_ids"] == tokenizer("Paris, oddly")["input_ids"]
    assert again.mask_token_id == tokenizer.mask_token_id
    with pytest.raises(InputError, match=r"no tokenizer.json in this folder"):
        load_tokenizer(tmp_path / "absent")


KEYS = torch.tensor([key_of(str(number)) for number in range(2000)])


def test_noise_is_uniform_and_independent() -> None:
    draws = Noise(0, 0).uniform(KEYS, 20, "mask").double()
    assert draws.min() >= 0
    assert draws.max() < 1
    assert draws.mean().item() == pytest.approx(0.5, abs=0.005)
    assert draws.var().item() == pytest.approx(1 / 12, abs=0.002)
    counts = torch.histc(draws, 50, 0, 1)
    expected = draws.numel() / 50
    # Chi squared with 49 degrees of freedom; above 95 once in ten thousand.
    assert ((counts - expected) ** 2 / expected).sum() < 95
    for other in (
        Noise(0, 1).uniform(KEYS, 20, "mask"),
        Noise(1, 0).uniform(KEYS, 20, "mask"),
        Noise(0, 0).uniform(KEYS, 20, "word"),
        Noise(0, 0).uniform(KEYS + 1, 20, "mask"),
        draws.roll(1, 0),
        draws.roll(1, 1),
    ):
        together = torch.stack([draws.flatten(), other.flatten().double()])
        assert abs(torch.corrcoef(together)[0, 1].item()) < 0.02


def test_noise_belongs_to_the_record_and_the_position() -> None:
    noise, some = Noise(7, 2), KEYS[[5, 900, 5]]
    draws = noise.uniform(some, 6, "mask")
    assert torch.equal(draws[0], draws[2])
    assert torch.equal(draws, noise.uniform(KEYS, 9, "mask")[[5, 900, 5], :6])
    assert len(draws[:2].unique()) == 12


def test_integers_are_even_over_their_range() -> None:
    drawn = Noise(0, 0).integers(KEYS, 20, 7, "piece")
    shares = torch.bincount(drawn.flatten(), minlength=7) / drawn.numel()
    torch.testing.assert_close(shares, torch.full((7,), 1 / 7), atol=0.006, rtol=0)


def test_the_mixer_is_splitmix64() -> None:
    """Against the reference in Python's own integers."""

    def reference(x: int) -> int:
        x &= 2**64 - 1
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
        return x ^ (x >> 31)

    values = [0, 1, -1, 2**63 - 1, -(2**63), 0x1234567890ABCDEF]
    found = [value % 2**64 for value in mix(torch.tensor(values)).tolist()]
    assert found == [reference(value) for value in values]
