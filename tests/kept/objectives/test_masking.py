"""Which pieces the shared view hides, which targets it sets, and what becomes of the mentions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.data.batch import IGNORE, Batch, Host
from kept.data.noise import Noise
from kept.data.record import Record
from kept.objectives.base import View
from kept.objectives.masking import mask_view
from tests.kept import tiny
from tests.kept.tiny import record

LONG = record("long", "Rome and Papua New Guinea, then Port Moresby and again Rome, in one breath.", 7, 4, 5, about=4)
SLOTS = 20
PIECES = tiny.tokenizer()
MASK, SEP = int(PIECES.mask_token_id), int(PIECES.sep_token_id)
FIRST = max(PIECES.all_special_ids) + 1


def batch_of(*records: Record, pictures: bool = False) -> Batch:
    corpus = tiny.corpus(records, tiny.encoded() if pictures else None)
    return corpus.batch(np.arange(len(records)), tiny.NOISE)


def masked(batch: Batch, *, rate: float = 0.0, ask_answer: float = 1.0, slots: int = SLOTS, seed: int = 0) -> View:
    context = tiny.context(Noise(seed, 0), tiny.corpus())
    return mask_view(batch, context, rate=rate, ask_answer=ask_answer, slots=slots)


def pieces(text: str) -> list[int]:
    return list(PIECES(text, add_special_tokens=False)["input_ids"])


def words(ids: Sequence[int] | torch.Tensor) -> str:
    return str(PIECES.decode([int(one) for one in ids]))


def test_a_whole_name_becomes_one_mask() -> None:
    batch = batch_of(LONG)
    view = masked(batch)
    guinea = pieces("Papua New Guinea")
    assert len(guinea) > 3
    ids = view.batch.text.ids[0].tolist()
    assert ids.count(MASK) == 1
    expected = batch.text.ids[0].tolist()
    start = int(batch.mentions.start[0, 1])
    assert expected[start : start + len(guinea)] == guinea
    expected[start : start + len(guinea)] = [MASK]
    assert ids == expected
    assert view.targets["place"].tolist() == [start]
    assert view.targets["asked"].tolist() == [1]


def test_the_number_of_masks_does_not_tell_the_length_of_a_name() -> None:
    views = [masked(batch_of(record("r", f"They say {tiny.ENTITIES[e]} is far.", e, about=e))) for e in (4, 7)]
    assert torch.equal(views[0].batch.text.ids, views[1].batch.text.ids)


def test_a_name_is_asked_for_piece_by_piece_with_its_end() -> None:
    name = masked(batch_of(LONG)).targets["name"][0].tolist()
    guinea = pieces("Papua New Guinea")
    assert name == [*guinea, SEP, *[IGNORE] * (SLOTS - len(guinea) - 1)]


def test_a_name_longer_than_its_slots_is_cut() -> None:
    view = masked(batch_of(LONG), slots=3)
    assert view.targets["name"][0].tolist() == pieces("Papua New Guinea")[:3]
    assert view.counts["names"] == 3


def test_mentions_behind_the_mask_move_up_with_their_words() -> None:
    batch = batch_of(LONG)
    view = masked(batch)
    found, ids = view.batch.mentions, view.batch.text.ids[0]
    spans = {int(e): ids[s:t].tolist() for e, s, t in zip(found.entity[0], found.start[0], found.end[0], strict=True)}
    assert spans == {7: pieces("Rome"), 4: [MASK], 5: pieces("Port Moresby")}
    assert not view.batch.text.special[0, view.targets["place"][0]]


def test_the_asked_entity_is_hidden_wherever_the_text_names_it() -> None:
    twice = record("twice", "Rome, says Spain, is Rome.", 7, 2, about=7)
    again = (twice.text or "").rindex("Rome")
    twice = replace(twice, mentions=(*twice.mentions, type(twice.mentions[0])(again, again + 4, 7)))
    view = masked(batch_of(twice))
    assert view.batch.mentions.visible[0].tolist() == [False, True, False]
    assert view.batch.mentions.mask[0].tolist() == [True, True, True]
    assert int((view.batch.text.ids == MASK).sum()) == 1


def test_what_a_picture_shows_stays() -> None:
    view = masked(batch_of(tiny.RECORDS[0], pictures=True), ask_answer=0.0, seed=1)
    mentions = view.batch.mentions
    assert mentions.host[0].tolist() == [Host.TEXT, Host.TEXT, Host.IMAGE]
    assert mentions.visible[0, 2]
    assert (mentions.start[0, 2], mentions.end[0, 2]) == (0, 1)


def test_mentions_inside_the_asked_one_lose_their_words_and_their_entity() -> None:
    nested = record("nested", "Papua New Guinea is large.", 4, about=4)
    nested = replace(nested, mentions=(*nested.mentions, type(nested.mentions[0])(10, 16, 0)))
    view = masked(batch_of(nested))
    found, place = view.batch.mentions, int(view.targets["place"][0])
    assert found.visible[0].tolist() == [False, False]
    assert (found.start[0].tolist(), found.end[0].tolist()) == ([place, place], [place + 1, place + 1])


def test_the_answer_is_asked_as_often_as_told() -> None:
    batch = batch_of(*(replace(LONG, id=f"r{number}") for number in range(3000)))
    asked = masked(batch, ask_answer=0.7).targets["asked"]
    shares = torch.bincount(asked, minlength=3) / len(asked)
    # 0.7 for the answer itself, the rest drawn evenly among all three.
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.8, 0.1]), atol=0.025, rtol=0)


def test_a_record_without_a_mention_has_a_word_masked() -> None:
    view = masked(batch_of(tiny.RECORDS[tiny.NO_MENTION]), rate=0.0)
    chosen = view.targets["pieces"][0] != IGNORE
    assert view.targets["asked"].tolist() == [-1]
    assert len(set(view.batch.text.words[0][chosen].tolist())) == 1
    assert view.counts == {"mlm": int(chosen.sum()), "names": 0}


def test_an_empty_record_has_nothing_to_mask() -> None:
    view = masked(batch_of(tiny.RECORDS[tiny.EMPTY]), rate=1.0)
    assert view.counts == {"mlm": 0, "names": 0}
    assert MASK not in view.batch.text.ids


def test_words_are_masked_at_their_rate_and_in_their_shares() -> None:
    batch = batch_of(*(replace(tiny.RECORDS[tiny.UNKNOWN], id=f"r{number}") for number in range(4000)))
    view = masked(batch, rate=0.3)
    chosen = view.targets["pieces"] != IGNORE
    able = view.batch.text.mask & ~view.batch.text.special
    able &= torch.arange(able.shape[1]) != view.targets["place"][:, None]
    assert not (chosen & ~able).any()
    assert chosen.sum() / able.sum() == pytest.approx(0.3, abs=0.01)
    ids, original = view.batch.text.ids[chosen], view.targets["pieces"][chosen]
    assert (ids == MASK).float().mean() == pytest.approx(0.8, abs=0.01)
    assert (ids == original).float().mean() == pytest.approx(0.1 + 0.1 / (len(PIECES) - FIRST), abs=0.01)
    drawn = ids[(ids != MASK) & (ids != original)]
    assert int(drawn.min()) >= FIRST
    assert len(drawn.unique()) == pytest.approx(len(PIECES) - FIRST, abs=3)


@settings(max_examples=40, deadline=None)
@given(
    chosen=st.lists(st.sampled_from([*tiny.RECORDS, LONG]), min_size=1, max_size=6),
    rate=st.floats(0.0, 1.0),
    ask_answer=st.floats(0.0, 1.0),
    seed=st.integers(0, 10**6),
)
def test_nothing_but_chosen_words_and_one_name_changes(
    chosen: list[Record], rate: float, ask_answer: float, seed: int
) -> None:
    """Putting the targets back in their places restores the text; specials and padding are no targets."""
    batch = batch_of(*chosen)
    view = masked(batch, rate=rate, ask_answer=ask_answer, seed=seed)
    text, targets, found = view.batch.text, view.targets, batch.mentions
    assert view.counts["mlm"] == int((targets["pieces"] != IGNORE).sum())
    assert view.counts["names"] == int((targets["name"] != IGNORE).sum())
    for row in range(len(batch)):
        ids, hidden = text.ids[row].clone(), targets["pieces"][row]
        assert not (text.special[row] & (hidden != IGNORE)).any()
        for word in text.words[row][hidden != IGNORE].unique():
            assert (hidden[text.words[row] == word] != IGNORE).all(), "a word is masked in part"
        ids[hidden != IGNORE] = hidden[hidden != IGNORE]
        restored = ids[text.mask[row]].tolist()
        asked = int(targets["asked"][row])
        if asked >= 0:
            start, end = int(found.start[row, asked]), int(found.end[row, asked])
            name = batch.text.ids[row, start:end].tolist()
            assert restored[start] == MASK
            restored[start : start + 1] = name
            wanted = targets["name"][row]
            assert wanted[wanted != IGNORE].tolist() == [*name, SEP][:SLOTS]
        assert restored == batch.text.ids[row][batch.text.mask[row]].tolist(), words(restored)


def test_masks_belong_to_records_and_epochs() -> None:
    whole = masked(batch_of(*tiny.RECORDS), rate=0.5, ask_answer=0.5)
    for row, one in enumerate(tiny.RECORDS):
        alone = masked(batch_of(one), rate=0.5, ask_answer=0.5)
        length = int(alone.batch.text.mask.sum())
        assert torch.equal(whole.batch.text.ids[row, :length], alone.batch.text.ids[0, :length])
        assert torch.equal(whole.targets["asked"][row], alone.targets["asked"][0])
    later = mask_view(
        batch_of(*tiny.RECORDS), tiny.context(Noise(0, 1), tiny.corpus()), rate=0.5, ask_answer=0.5, slots=SLOTS
    )
    assert not torch.equal(later.targets["asked"], whole.targets["asked"])
