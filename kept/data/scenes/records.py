"""A scene as training records: its caption with everything that is known of it, and its questions."""

from __future__ import annotations

from kept.data.record import Record
from kept.data.scenes.language import caption
from kept.data.scenes.layout import Scene
from kept.data.scenes.questions import ask
from kept.data.scenes.world import World

CHUNK = 250
"""Scenes of one piece of work; also the pictures of one folder."""
CAPTION = "scene"


def picture_of(scene: Scene) -> str:
    """The picture's path under `pictures`: artist, folder, number."""
    return f"{scene.artist}/{scene.number // CHUNK:05d}/{scene.number:07d}.png"


def caption_record(world: World, scene: Scene) -> Record:
    """The scene in words, with regions, relations, mentions of entities, and which words name which regions."""
    text = caption(world, scene, world.options.random(scene.number, "caption"))
    return Record(
        id=f"scene-{scene.number:07d}",
        text=text.text,
        mentions=tuple(text.mentions),
        image=picture_of(scene),
        regions=scene.regions,
        relations=scene.relations,
        grounding=tuple(text.grounding),
        source=CAPTION,
    )


def question_records(world: World, scene: Scene) -> list[Record]:
    """Its questions; `source` is the kind, `triples` holds the fact that a question of the graph takes."""
    questions = ask(world, scene, world.options.questions, world.options.random(scene.number, "questions"))
    return [
        Record(
            id=f"scene-{scene.number:07d}/{question.kind}",
            image=picture_of(scene),
            regions=scene.regions,
            question=question.text,
            answer=question.answer,
            choices=question.choices,
            triples=() if question.triple is None else (question.triple,),
            source=question.kind,
        )
        for question in questions
    ]
