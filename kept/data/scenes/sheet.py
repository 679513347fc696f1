"""A contact sheet: scenes with their boxes, and captions whose words have the colours of the boxes that they name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from kept.data.record import Record
from kept.data.scenes.layout import compose
from kept.data.scenes.records import caption_record, question_records
from kept.data.scenes.world import World
from kg.storage import atomic_file

COLUMNS, ROWS = 4, 3
SIDE, PAD, TEXT = 336, 22, 128
LINE, FONT = 20, 15
INK, FADED, PAPER = "#20242c", "#737a87", "#ffffff"
PENS = ("#c2185b", "#1565c0", "#2e7d32", "#b45309", "#6a1b9a", "#00796b", "#5d4037", "#ad1457", "#283593", "#558b2f")

Word = tuple[str, str]
"""A word and its colour."""


def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font that matplotlib brings."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def draw_sheet(world: World, numbers: Sequence[int], path: Path) -> None:
    """Draw scenes in rows of COLUMNS and write a PNG."""
    rows = -(-len(numbers) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (SIDE + PAD) + PAD, rows * (SIDE + TEXT + PAD) + PAD), PAPER)
    for place, number in enumerate(numbers):
        left, top = place % COLUMNS * (SIDE + PAD) + PAD, place // COLUMNS * (SIDE + TEXT + PAD) + PAD
        draw_scene(world, number, sheet, left, top)
    with atomic_file(path) as partial:
        sheet.save(partial, "PNG", optimize=True)


def draw_scene(world: World, number: int, sheet: Image.Image, left: int, top: int) -> None:
    """One picture with its boxes, its split and artist, its caption and a question."""
    scene = compose(world, number)
    record = caption_record(world, scene)
    sheet.paste(scene.render().resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, top))
    pen = ImageDraw.Draw(sheet)
    small = font("DejaVuSans.ttf", 11)
    pens = [PENS[place % len(PENS)] for place in range(len(record.regions))]
    corners = [[round(side * SIDE) for side in region.box] for region in record.regions]
    for (x, y, right, bottom), colour in zip(corners, pens, strict=True):
        pen.rectangle((left + x, top + y, left + right - 1, top + bottom - 1), outline=colour, width=2)
    # Names come last, so that no box lies on one.
    for region, (x, y, _, _), colour in zip(record.regions, corners, pens, strict=True):
        width = round(small.getlength(region.label or "")) + 6
        tag = (left + min(x, SIDE - width), max(top, top + y - 15))
        pen.rectangle((*tag, tag[0] + width, tag[1] + 15), fill=colour)
        pen.text((tag[0] + 3, tag[1] + 1), region.label or "", fill=PAPER, font=small)
    height = top + SIDE + 6
    pen.text((left, height), f"{scene.split}  ·  {scene.artist}", fill=FADED, font=font("DejaVuSans.ttf", 12))
    words = list(coloured(record))
    height = write_words(pen, words, left, height + 18, font("DejaVuSans.ttf", FONT - 2))
    for asked in question_records(world, scene):
        said = [(word, FADED) for word in (asked.question or "").split()] + [(asked.answer or "", INK)]
        write_words(pen, said, left, height + 3, font("DejaVuSans-Oblique.ttf", 12))


def coloured(record: Record) -> Iterator[Word]:
    """The caption's words, each in the colour of the first region that it names."""
    text, start = record.text or "", 0
    for word in text.split(" "):
        named = [one.region for one in record.grounding if one.start < start + len(word) and start < one.end]
        yield word, PENS[named[0] % len(PENS)] if named else INK
        start += len(word) + 1


def write_words(
    pen: ImageDraw.ImageDraw, words: Sequence[Word], left: int, top: int, face: ImageFont.FreeTypeFont
) -> int:
    """Words in lines of SIDE pixels; returns where the next line would begin."""
    across, space = 0.0, face.getlength(" ")
    for word, colour in words:
        width = face.getlength(word)
        if across and across + width > SIDE:
            across, top = 0.0, top + LINE - 3
        pen.text((left + across, top), word, fill=colour, font=face)
        across += width + space
    return top + LINE - 3
