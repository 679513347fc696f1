"""Which emoji are things that a sentence can name, and what some of them are kinds of."""

from __future__ import annotations

import re

ANIMAL, VEHICLE, BUILDING = "animal", "vehicle", "building"
CATEGORIES: dict[str, str | None] = {
    "animal-mammal": ANIMAL,
    "animal-bird": ANIMAL,
    "animal-amphibian": ANIMAL,
    "animal-reptile": ANIMAL,
    "animal-marine": ANIMAL,
    "animal-bug": ANIMAL,
    "plant-flower": "flower",
    "plant-other": None,
    "food-fruit": "fruit",
    "food-vegetable": None,
    "food-prepared": None,
    "food-asian": None,
    "food-sweet": None,
    "drink": None,
    "dishware": None,
    "place-building": BUILDING,
    "place-religious": BUILDING,
    "place-other": None,
    "transport-ground": VEHICLE,
    "transport-water": VEHICLE,
    "transport-air": VEHICLE,
    "hotel": None,
    "time": None,
    "sky-weather": None,
    "sky & weather": None,
    "event": None,
    "award-medal": None,
    "sport": None,
    "game": None,
    "arts-crafts": None,
    "arts & crafts": None,
    "clothing": None,
    "sound": None,
    "music": None,
    "musical-instrument": "musical instrument",
    "phone": None,
    "computer": None,
    "light-video": None,
    "light & video": None,
    "book-paper": None,
    "money": None,
    "mail": None,
    "writing": None,
    "office": None,
    "lock": None,
    "tool": None,
    "science": None,
    "medical": None,
    "household": None,
}
"""Unicode's subgroups of things, and the word by which scenes count them. None where members are of many kinds."""

READABLE = re.compile(r"[a-zñ]{2,}(-[a-zñ]{2,})?( [a-zñ]{2,}){0,1}")
COLOURS = frozenset("black white grey red orange yellow green blue purple pink brown gold".split())
NO_THINGS = frozenset(
    """
    badminton baggage bank blossom bird bookmark bowling brick bubbles bug camping carousel castle chains
    construction coral cooking cricket desert derelict droplet equipment feather fire foggy fog fireworks firecracker
    fish flag foot hallway herb ice landslide lacrosse ledger link locked unlocked lotus mate metro memo
    microbe motorway moai national nest package performing phoenix pick pill publication rain reminder
    rock sail school seat shamrock softball sound sparkles sparkler station sunrise sunset tennis thermometer
    ticket train wave wedding whale wheel wind wing wood wrapped yarn
    """.split()
) | frozenset(
    {
        *("mouse trap", "ear corn", "pig nose", "paw prints", "spiral shell", "spider web", "guide dog", "service dog"),
        *("teddy bear", "carousel horse", "barber pole", "bus stop", "railway track", "oil drum", "fuel pump"),
        *(
            "police car light",
            "stop sign",
            "ring buoy",
            "anchor",
            "parachute",
            "suspension railway",
            "mountain railway",
        ),
        *("mountain cableway", "light rail", "railway car", "tram car", "hot springs", "roller coaster", "circus tent"),
        *("tent", "mirror ball", "high voltage", "love hotel", "building construction", "mount fuji", "national park"),
        *("desert island", "milky way", "water wave", "wind face", "shooting star", "level slider", "control knobs"),
        *("muted speaker", "ice hockey", "field hockey", "cricket game", "ping pong", "goal net", "martial arts"),
        *("playing cards", "spade suit", "heart suit", "diamond suit", "club suit", "hot beverage", "pouring liquid"),
        *("wilted flower", "white flower", "fallen leaf", "empty nest", "rosette", "bouquet", "potted plant"),
        *("avocado", "tomato", "olive", "cucumber", "eggplant", "bell pepper", "hot pepper", "pea pod", "chestnut"),
        *("coconut", "leafy green", "root vegetable", "green apple", "fried shrimp", "postal horn", "film frames"),
        *("bookmark tabs", "chart increasing", "chart decreasing", "bar chart", "broken chain", "outbox tray"),
        *("inbox tray", "incoming envelope", "optical disk", "computer disk", "hindu temple", "shinto shrine"),
        *("performing arts", "water buffalo", "baby chick", "hatching chick", "spouting whale", "fire engine light"),
        *("snow-capped mountain", "flying saucer", "timer clock", "thong sandal", "jack-o-lantern", "carp streamer"),
        *("pine decoration", "tanabata tree", "confetti ball", "police light", "brown mushroom", "oncoming bus"),
        *("oncoming automobile", "oncoming taxi", "motorized wheelchair", "manual wheelchair", "kaaba", "skateboard"),
        *("roller skate", "satellite", "chess pawn", "left luggage", "nazar amulet", "prayer beads", "e-mail"),
        *("airplane departure", "airplane arrival", "low battery", "open book", "closed book", "books", "houses"),
        *("clinking glasses", "linked paperclips", "round pushpin", "shallow pan", "ear of corn", "bow and arrow"),
        *(
            "label",
            "joker",
            "musical note",
            "musical notes",
            "musical score",
            "knot",
            "hook",
            "poodle",
            "tropical fish",
        ),
        *("automobile", "ox", "ewe", "telephone", "telephone receiver", "office building", "classical building"),
        *("minibus", "cityscape", "cyclone", "comet", "ribbon", "thread", "gear", "steaming bowl", "dna", "sake"),
        *("turkey", "chicken", "shrimp", "lobster", "squid", "oyster", "dodo", "unicorn", "sauropod", "dragon"),
    }
)
"""Names of no single thing, of a part, of something else as well, or of what another drawn thing could be called."""


def category_of(label: str, subgroup: str) -> tuple[bool, str | None]:
    """Whether an emoji is a thing that scenes draw, and the word that counts it.

    >>> category_of("dog", "animal-mammal"), category_of("grinning face", "face-smiling")
    ((True, 'animal'), (False, None))
    """
    if subgroup not in CATEGORIES or not READABLE.fullmatch(label) or label in NO_THINGS:
        return False, None
    if COLOURS & set(label.split()):
        return False, None
    if label.split()[-1] in {"face", "sign", "symbol", "moon", "button"} or "thirty" in label:
        return False, None
    return True, CATEGORIES[subgroup]
