"""Pictures encoded once: captions give each entity its place, drawings are linked to the nearest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from kept.data.batch import Image
from kept.modeling.streams import pool
from kept.training.encode import CAPTIONS, caption_index, encode_pictures, see
from kg.errors import InputError
from tests.kept import tiny
from tests.kept.tiny import record

CAPTIONED = [
    *(
        record(f"a{number}", f"A banner of France, the {word}.", 0, image="0.png")
        for number, word in enumerate("abcdef")
    ),
    record("b", "A banner of Spain.", 2, image="1.png"),
    record("two", "Italy is led by Rome.", 6, 7, image="3.png"),
    record("bare", "Wien is old.", 8),
]


def test_an_entity_lies_where_its_first_captions_lie() -> None:
    model, corpus = tiny.model(), tiny.corpus(CAPTIONED)
    index = caption_index(model, [corpus])
    assert index.entities.tolist() == [0, 2]
    rows = np.arange(CAPTIONS)
    with torch.no_grad():
        text = model.encode(corpus.batch(rows, tiny.NOISE), knowledge=False, pictures=False).streams["text"]
        expected = normalize(model.contrast.embed_text(pool(text)).mean(0), dim=0)
    torch.testing.assert_close(index.captions[0], expected)
    torch.testing.assert_close(index.captions.norm(dim=1), torch.ones(2))


def test_without_captions_there_is_nothing_to_link() -> None:
    with pytest.raises(InputError, match="no record has a picture and exactly one mention"):
        caption_index(tiny.model(), [tiny.corpus(CAPTIONED[-2:])])


def test_drawings_are_states_of_the_tower_with_their_links() -> None:
    model, pictures = tiny.model(), tiny.pixels()
    linker = caption_index(model, [tiny.corpus(CAPTIONED)])
    encoded = encode_pictures(model, pictures, linker, drawings=3)
    assert encoded.states.shape == (4, 3, tiny.STATES, tiny.WIDTH)
    assert list(encoded.names) == list(pictures.names)
    image, _ = pictures.draw(np.arange(4), torch.arange(4), tiny.NOISE)
    states, links = see(model, linker, image)
    # These pictures are always drawn alike.
    for drawing in range(3):
        torch.testing.assert_close(encoded.states[:, drawing].float(), states, rtol=2e-3, atol=2e-3)
        assert torch.equal(encoded.links[:, drawing], links)
    assert set(links.tolist()) <= {0, 2}


def test_encoded_pictures_are_read_as_the_pixels_were() -> None:
    model, pictures = tiny.model(), tiny.pixels()
    encoded = encode_pictures(model, pictures, caption_index(model, [tiny.corpus(CAPTIONED)]), drawings=1)
    rows = tiny.rows(*tiny.FULL)
    batch = tiny.corpus().batch(rows, tiny.NOISE)
    assert batch.image is not None
    image = Image(mask=batch.image.mask, states=encoded.states[:, 0].float())
    with torch.no_grad():
        one, two = (model.encode(given, knowledge=False).summary for given in (batch, replace(batch, image=image)))
    torch.testing.assert_close(one, two, rtol=1e-2, atol=5e-3)
