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
COLOURS = frozenset(("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown"))
LAST_WORDS = frozenset(("face", "sign", "symbol", "moon", "button", "thirty"))
NO_THINGS = """
airplane arrival, airplane departure, anchor, automobile, avocado, baby chick, badminton, bank, bar chart, barber
pole, bell pepper, bird, blossom, bookmark, bookmark tabs, books, bouquet, bowling, brick, broken chain, bubbles, bug,
building construction, bus stop, carousel horse, carp streamer, castle, chains, chart decreasing, chart increasing,
chess pawn, chestnut, chicken, circus tent, cityscape, classical building, clinking glasses, closed book, club suit,
coconut, comet, computer disk, confetti ball, construction, control knobs, cooking, coral, cricket, cricket game,
cucumber, cyclone, diamond suit, dna, dodo, dragon, droplet, eggplant, empty nest, ewe, fallen leaf, feather, field
hockey, film frames, fire, firecracker, fireworks, fish, flying saucer, fog, foggy, fried shrimp, fuel pump, gear,
goal net, guide dog, hatching chick, heart suit, herb, high voltage, hindu temple, hook, hot beverage, hot pepper, hot
springs, houses, ice, ice hockey, inbox tray, incoming envelope, joker, kaaba, knot, label, lacrosse, ledger, level
slider, light rail, link, linked paperclips, lobster, locked, lotus, love hotel, low battery, manual wheelchair, mate,
memo, metro, microbe, milky way, minibus, mirror ball, motorized wheelchair, motorway, mountain cableway, mountain
railway, mouse trap, musical note, musical notes, musical score, muted speaker, office building, oil drum, olive,
oncoming automobile, oncoming bus, oncoming taxi, open book, optical disk, outbox tray, ox, oyster, package,
parachute, paw prints, pea pod, performing arts, phoenix, pick, pig nose, pill, pine decoration, ping pong, poodle,
postal horn, potted plant, pouring liquid, prayer beads, railway car, railway track, ribbon, ring buoy, rock, roller
coaster, roller skate, root vegetable, rosette, round pushpin, sake, satellite, sauropod, school, seat, service dog,
shamrock, shinto shrine, shooting star, shrimp, skateboard, softball, spade suit, sparkler, sparkles, spider web,
spiral shell, spouting whale, squid, station, steaming bowl, sunrise, sunset, suspension railway, tanabata tree, teddy
bear, telephone, telephone receiver, tennis, tent, thermometer, thong sandal, thread, ticket, timer clock, tomato,
train, tram car, tropical fish, turkey, unicorn, unlocked, water buffalo, water wave, wedding, whale, wheel, wilted
flower, wing, wood, yarn, aubergine, house building, optical disc, airplane arriving, open lock, firework sparkler
"""
"""Names of no single thing, of a part, of something else as well, or of what another drawn thing could be called."""
LEFT_OUT = frozenset(" ".join(NO_THINGS.split()).split(", "))


def category_of(label: str, subgroup: str) -> tuple[bool, str | None]:
    """Whether an emoji is a thing that scenes draw, and the word that counts it.

    >>> category_of("dog", "animal-mammal"), category_of("grinning face", "face-smiling")
    ((True, 'animal'), (False, None))
    """
    if subgroup not in CATEGORIES or not READABLE.fullmatch(label) or label in LEFT_OUT:
        return False, None
    words = re.split("[ -]", label)
    if COLOURS & set(words) or words[-1] in LAST_WORDS:
        return False, None
    return True, CATEGORIES[subgroup]
