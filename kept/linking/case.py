"""When a piece of text may stand for a name, by upper and lower case."""

from __future__ import annotations

MIN_SHOUTED = 4


def case_fits(name: str, surface: str, *, starts_sentence: bool) -> bool:
    """Whether `surface`, equal to `name` but for case, may stand for it.

    - spelt alike: yes;
    - a name without capitals ("dog") may begin a sentence with one ("Dog");
    - a name with capitals ("France") may be shouted ("FRANCE", four letters or more), but never goes all lower case:
      "turkey" is not Turkey, "has" not the province Has.

    >>> case_fits("dog", "Dog", starts_sentence=True), case_fits("Turkey", "turkey", starts_sentence=False)
    (True, False)
    """
    if surface == name:
        return True
    if name == name.lower():
        return starts_sentence and surface == name[0].upper() + name[1:]
    return surface == surface.upper() and sum(letter.isalpha() for letter in surface) >= MIN_SHOUTED


def is_common_word(surface: str, stop_words: set[str], min_length: int) -> bool:
    """Whether a lower-case surface of one word is too common or too short to name anything.

    >>> is_common_word("on", {"on"}, 3), is_common_word("dog", {"on"}, 3)
    (True, False)
    """
    if surface != surface.lower() or " " in surface:
        return False
    return len(surface) < min_length or surface in stop_words
