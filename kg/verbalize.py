"""Facts as sentences, by templates that know where the names went."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kg.errors import InputError, nearest

HEAD, TAIL, NAME = "{head}", "{tail}", "{name}"
SLOT = re.compile(r"(\{head\}|\{tail\})")

Span = tuple[int, int]


class Sentence(NamedTuple):
    """A text and where its two names stand, as character offsets `(start, end)`."""

    text: str
    head_span: Span
    tail_span: Span


@dataclass(frozen=True)
class RelationTemplates:
    """The wordings of one relation: `train` for training records, `held_out` for evaluation alone.

    `subject` stands for the head in sentences about a picture, such as "this country".
    """

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    subject: str


@dataclass(frozen=True)
class CaptionTemplates:
    """What is written under the picture of an entity of some class; each wording has one `{name}`."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]


class Templates(Mapping[str, RelationTemplates]):
    """The wordings of relations by key, and the captions of pictures by class key.

    >>> templates = Templates({"capital": RelationTemplates(("The capital of {head} is {tail}.",), (), "it")}, {})
    >>> verbalize(templates["capital"].train[0], "France", "Paris").text
    'The capital of France is Paris.'
    """

    def __init__(self, relations: Mapping[str, RelationTemplates], captions: Mapping[str, CaptionTemplates]) -> None:
        self._relations = dict(relations)
        self.captions = dict(captions)

    @classmethod
    def load(cls, path: Path | str) -> Templates:
        """Read a YAML file with `base`, `relations` (`subject`, `train`, `held_out`) and `captions`.

        Keys that are not IRIs are local to `base`.

        Raises:
            InputError: when the file is missing or malformed, or a wording lacks a slot or has one twice; the message
                names file and key.
        """
        import yaml

        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
        if not isinstance(content, dict):
            raise InputError(f"{path}: holds no relations")
        unknown = set(content) - {"base", "relations", "captions"}
        if unknown:
            key = min(unknown)
            raise InputError(f"{path}: unknown key {key!r}; {nearest(key, ('base', 'relations', 'captions'))}")
        base = content.get("base", "")
        relations = {
            absolute(base, key): RelationTemplates(
                train=wordings(path, key, about, "train", (HEAD, TAIL)),
                held_out=wordings(path, key, about, "held_out", (HEAD, TAIL)),
                subject=str(about.get("subject", "this")),
            )
            for key, about in entries(path, content, "relations")
        }
        captions = {
            absolute(base, key): CaptionTemplates(
                train=wordings(path, key, about, "train", (NAME,)),
                held_out=wordings(path, key, about, "held_out", (NAME,)),
            )
            for key, about in entries(path, content, "captions")
        }
        return cls(relations, captions)

    def __getitem__(self, relation: str) -> RelationTemplates:
        try:
            return self._relations[relation]
        except KeyError:
            raise InputError(f"no templates for the relation {relation!r}; {nearest(relation, self)}") from None

    def __contains__(self, relation: object) -> bool:
        return relation in self._relations

    def __iter__(self) -> Iterator[str]:
        return iter(self._relations)

    def __len__(self) -> int:
        return len(self._relations)


def entries(path: Path | str, content: dict[str, Any], section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The items of a section of the file, each a mapping."""
    section_content = content.get(section) or {}
    if not isinstance(section_content, dict):
        raise InputError(f"{path}: {section} must map keys to wordings")
    for key, about in section_content.items():
        if not isinstance(about, dict):
            raise InputError(f"{path}: {section}.{key} must be a mapping with 'train' and 'held_out'")
        yield key, about


def wordings(path: Path | str, key: str, about: dict[str, Any], part: str, slots: tuple[str, ...]) -> tuple[str, ...]:
    """The templates under `key.part`, each with every slot exactly once."""
    listed = about.get(part) or []
    if not isinstance(listed, list) or not all(isinstance(template, str) for template in listed):
        raise InputError(f"{path}: {key}.{part} must be a list of sentences")
    for template in listed:
        wrong = [slot for slot in slots if template.count(slot) != 1]
        if wrong:
            raise InputError(f"{path}: {key}.{part}: {template!r} must hold {wrong[0]} exactly once")
    return tuple(listed)


def absolute(base: str, key: str) -> str:
    """A key as an IRI."""
    return key if "://" in key else base + key


def verbalize(template: str, head_name: str, tail_name: str) -> Sentence:
    """Put two names into a template; a final stop of a name ("Washington D.C.") is not doubled by the sentence's.

    >>> verbalize("{tail} is the capital of {head}.", "France", "Paris")
    Sentence(text='Paris is the capital of France.', head_span=(24, 30), tail_span=(0, 5))
    """
    names = {HEAD: head_name, TAIL: tail_name}
    text, spans = "", {}
    for piece in SLOT.split(template):
        if piece in names:
            spans[piece] = (len(text), len(text) + len(names[piece]))
            text += names[piece]
        elif piece.startswith(".") and text.endswith("."):
            text += piece[1:]
        else:
            text += piece
    return Sentence(text, spans[HEAD], spans[TAIL])


def about_picture(templates: RelationTemplates, template: str, tail_name: str) -> Sentence:
    """A sentence about the entity that a picture shows: the head is "this country", not a name.

    >>> templates = RelationTemplates(("{head} is governed from {tail}.",), (), "this country")
    >>> about_picture(templates, templates.train[0], "Paris").text
    'This country is governed from Paris.'
    """
    subject = templates.subject
    return verbalize(template, subject[0].upper() + subject[1:] if template.startswith(HEAD) else subject, tail_name)


def caption(template: str, name: str) -> tuple[str, Span]:
    """Put a name into a caption; returns the text and the span of the name.

    >>> caption("The flag of {name}.", "France")
    ('The flag of France.', (12, 18))
    """
    start = template.index(NAME)
    return template.replace(NAME, name), (start, start + len(name))
