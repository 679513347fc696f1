"""Nouns with their articles, and captions that know which of their words name which region."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from kept.data.record import Grounding, Mention
from kept.data.scenes.layout import Scene
from kept.data.scenes.relations import INVERSE
from kept.data.scenes.world import World

SINGULAR, PLURAL, MASS = "singular", "plural", "mass"
MASS_WORDS = """
bacon bread broccoli butter garlic popcorn rice salt soap spaghetti sushi luggage candy custard fondue falafel food
root salad cream ice oden rain tea toast
"""
MASS_NOUNS = frozenset(MASS_WORDS.split())
SINGULAR_IN_S = frozenset(("bus", "atlas", "canvas", "lens", "christmas", "gas", "species", "series"))
SINGULAR_ENDINGS = ("ss", "us", "is")
IRREGULAR = {
    **{"mouse": "mice", "goose": "geese", "ox": "oxen", "foot": "feet", "tooth": "teeth", "wolf": "wolves"},
    **{"knife": "knives", "leaf": "leaves", "loaf": "loaves", "shelf": "shelves", "scarf": "scarves"},
    **{"child": "children", "person": "people", "man": "men", "woman": "women", "sheep": "sheep", "fish": "fish"},
    **{"deer": "deer", "moose": "moose", "bison": "bison", "shrimp": "shrimp", "squid": "squid", "swine": "swine"},
    **{"fruit": "fruits", "die": "dice", "piano": "pianos", "photo": "photos", "potato": "potatoes"},
    **{"tomato": "tomatoes", "mango": "mangoes", "mosquito": "mosquitoes", "tornado": "tornadoes", "roof": "roofs"},
}
VOWELS = "aeiou"
NOT_AN = ("uni", "use", "eu", "one", "uk", "ewe")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def number_of(label: str) -> str:
    """Whether a name is of one thing, of several, or of a stuff.

    >>> number_of("dog"), number_of("jeans"), number_of("sliced bread"), number_of("octopus")
    ('singular', 'plural', 'mass', 'singular')
    """
    last = label.split()[-1].lower()
    if last in MASS_NOUNS:
        return MASS
    ends_in_s = last.endswith("s") and not last.endswith(SINGULAR_ENDINGS) and last not in SINGULAR_IN_S
    return PLURAL if ends_in_s else SINGULAR


def plural(label: str) -> str:
    """The name of several.

    >>> plural("dog"), plural("kitchen knife"), plural("cherry"), plural("toy"), plural("jeans")
    ('dogs', 'kitchen knives', 'cherries', 'toys', 'jeans')
    """
    *before, last = label.split()
    if number_of(label) == PLURAL:
        return label
    if last in IRREGULAR:
        new = IRREGULAR[last]
    elif last.endswith("fish"):
        new = last
    elif last.endswith("y") and last[-2:-1] not in VOWELS:
        new = last[:-1] + "ies"
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        new = last + "es"
    else:
        new = last + "s"
    return " ".join((*before, new))


def article(words: str, label: str) -> str:
    """The indefinite article before words that end in a name; "some" before several things and stuffs.

    >>> article("orange dog", "dog"), article("unicorn", "unicorn"), article("red jeans", "jeans")
    ('an', 'a', 'some')
    """
    if number_of(label) != SINGULAR:
        return "some"
    return "an" if words[0].lower() in VOWELS and not words.lower().startswith(NOT_AN) else "a"


def verb(label: str) -> str:
    """ "is" or "are"."""
    return "are" if number_of(label) == PLURAL else "is"


class Text:
    """A text while it is written, with what its words name."""

    def __init__(self, world: World, scene: Scene) -> None:
        self.world, self.scene = world, scene
        self.text = ""
        self.mentions: list[Mention] = []
        self.grounding: list[Grounding] = []

    def write(self, words: str) -> None:
        """Add words that name nothing."""
        self.text += words

    def name(self, regions: Sequence[int], attributes: str, noun: str) -> None:
        """Add a noun with its attributes: the noun mentions the thing's entity, all of it names the regions."""
        start = len(self.text)
        self.text += f"{attributes} " if attributes else ""
        noun_start = len(self.text)
        self.text += noun
        entity = self.world.knowledge.entities[self.scene.stamps[regions[0]].thing]
        if entity >= 0:
            self.mentions.append(Mention(noun_start, len(self.text), entity))
        self.grounding += [Grounding(start, len(self.text), region) for region in regions]


LISTS = (
    ("", " on {a_ground}."),
    ("", " before {a_ground}."),
    ("A picture of ", "."),
    ("A picture of ", " on {a_ground}."),
    ("{a_ground} with ", "."),
    ("There is ", " in the picture."),
    ("There is ", ". The background is {background}."),
    ("This scene shows ", "."),
    ("One sees ", " on {background}."),
)
WORDINGS = {
    "left of": ("to the left of", "left of"),
    "right of": ("to the right of", "right of"),
    "above": ("above", "higher up than"),
    "below": ("below", "further down than"),
}


def caption(world: World, scene: Scene, random: Random) -> Text:
    """All objects in one sentence, and up to two sentences of where one is to another.

    Objects of one thing are counted ("two dogs") and have no attributes; only things that are there once are said to
    be left of or above others, so that every "the" is clear.
    """
    before, after = random.choice(LISTS)
    groups: dict[int, list[int]] = {}
    for region, thing in enumerate(scene.things):
        groups.setdefault(thing, []).append(region)
    order = random.sample(list(groups), len(groups))
    if before == "There is " and (len(groups[order[0]]) > 1 or verb(label_of(world, order[0])) == "are"):
        before = "There are "
    text = Text(world, scene)
    ground = f"{scene.background} background"
    words = {"background": scene.background, "a_ground": f"{article(ground, ground)} {ground}"}
    text.write(before.format(**words))
    for place, thing in enumerate(order):
        if place:
            text.write(" and " if place == len(order) - 1 else ", ")
        name_group(text, world, thing, groups[thing], random)
    text.write(after.format(**words))
    text.text = text.text[0].upper() + text.text[1:]
    add_relations(text, world, groups, random)
    return text


def label_of(world: World, thing: int) -> str:
    return world.things[thing].label


def name_group(text: Text, world: World, thing: int, regions: list[int], random: Random) -> None:
    """ "a small red dog", or "two dogs"."""
    label = label_of(world, thing)
    if len(regions) > 1:
        if number_of(label) == SINGULAR:
            text.name(regions, NUMBERS[len(regions)], plural(label))
        else:
            text.write(f"{NUMBERS[len(regions)]} times ")
            text.name(regions, "", label)
        return
    attributes = " ".join(word for word in text.scene.regions[regions[0]].attributes if random.random() < 0.5)
    text.write(article(f"{attributes} {label}".strip(), label) + " ")
    text.name(regions, attributes, label)


def add_relations(text: Text, world: World, groups: dict[int, list[int]], random: Random) -> None:
    """Sentences of where one thing is to another."""
    single = {regions[0] for regions in groups.values() if len(regions) == 1}
    sayable = [
        relation
        for relation in text.scene.relations
        if relation.predicate in INVERSE and relation.subject in single and relation.object in single
    ]
    told: set[frozenset[int]] = set()
    for relation in random.sample(sayable, min(len(sayable), random.randint(0, 2))):
        pair = frozenset((relation.subject, relation.object))
        if pair in told:
            continue
        told.add(pair)
        subject, other = (label_of(world, text.scene.stamps[region].thing) for region in (relation[0], relation[2]))
        text.write(" The ")
        text.name([relation.subject], "", subject)
        text.write(f" {verb(subject)} {random.choice(WORDINGS[relation.predicate])} the ")
        text.name([relation.object], "", other)
        text.write(".")
