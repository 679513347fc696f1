from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.data.scenes.floors import Item, floors

CHOICES = ("a", "b", "c")
items = st.lists(
    st.builds(Item, st.just("kind"), st.sampled_from("xy"), st.sampled_from(CHOICES), st.just(CHOICES)), max_size=25
)


@settings(max_examples=100, deadline=None)
@given(items, items.filter(len))
def test_with_fixed_choices_the_majority_is_that_of_training(train: list[Item], test: list[Item]) -> None:
    found = floors(train, {"test": test})["kind"]["test"]
    counts = Counter(item.answer for item in train)
    commonest = max(CHOICES, key=lambda choice: counts[choice])
    assert found["majority"] == round(float(np.mean([item.answer == commonest for item in test])), 4)
    assert found["chance"] == round(1 / 3, 4) and found["questions"] == len(test)


def test_what_questions_tell_alone() -> None:
    """Bananas are yellow and cars are red: the question is enough, the commonest answer is not."""
    colours = ("red", "yellow")
    banana, car = (Item("colour", text, answer, colours) for text, answer in (("banana?", "yellow"), ("car?", "red")))
    found = floors([banana] * 5 + [car] * 4, {"test": [banana, car]})["colour"]["test"]
    assert (found["majority"], found["question"]) == (0.5, 1.0)
    unseen = Item("colour", "sky?", "yellow", colours)
    assert floors([banana] * 5 + [car] * 4, {"test": [unseen]})["colour"]["test"]["question"] == 1.0


def test_answers_count_by_how_often_they_were_offered() -> None:
    """An answer that is right whenever it is offered beats one that is offered always and right more often."""
    train = [Item("k", str(n), "rare", ("rare", "often")) for n in range(3)]
    train += [Item("k", str(n), "often", ("often", "other")) for n in range(5)]
    train += [Item("k", str(n), "other", ("often", "other")) for n in range(5)]
    test = Item("k", "?", "rare", ("often", "rare"))
    assert floors(train, {"test": [test]})["k"]["test"]["majority"] == 1.0
