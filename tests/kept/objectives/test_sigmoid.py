"""The sigmoid contrast against its formula and transformers' SigLIP."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import normalize

from kept.objectives.sigmoid import siglip_loss


def unit(rows: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(rows, 6, generator=generator, dtype=torch.float64), dim=1)


SCALE, BIAS = torch.tensor(5.0, dtype=torch.float64), torch.tensor(-2.0, dtype=torch.float64)


def test_the_formula() -> None:
    image, texts, positive = unit(3, 0), unit(4, 1), torch.eye(3, 4, dtype=torch.bool)
    positive[0, 3] = True
    total = 0.0
    for i in range(3):
        for j in range(4):
            logit = 5.0 * float(image[i] @ texts[j]) - 2.0
            total -= math.log(1 / (1 + math.exp(-logit if positive[i, j] else logit)))
    assert siglip_loss(image, texts, positive, SCALE, BIAS).item() == pytest.approx(total)


def test_like_transformers() -> None:
    from transformers import SiglipConfig, SiglipModel

    torch.manual_seed(0)
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = small | {"vocab_size": 11, "max_position_embeddings": 4, "projection_size": 8}
    vision = small | {"image_size": 4, "patch_size": 2}
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).eval()
    torch.nn.init.constant_(model.logit_scale, 1.0)
    torch.nn.init.constant_(model.logit_bias, -1.5)
    with torch.no_grad():
        ids, pixels = torch.randint(11, (3, 4)), torch.randn(3, 3, 4, 4)
        peer = model(input_ids=ids, pixel_values=pixels, return_loss=True)
        scale, bias, own = model.logit_scale.exp(), model.logit_bias, torch.eye(3, dtype=torch.bool)
        found = siglip_loss(peer.image_embeds, peer.text_embeds, own, scale, bias)
    torch.testing.assert_close(found / 3, peer.loss)


def test_rows_add_up_and_gradients_are_right() -> None:
    image, texts, positive = unit(4, 4).requires_grad_(), unit(5, 5).requires_grad_(), torch.eye(4, 5).bool()
    whole = siglip_loss(image, texts, positive, SCALE, BIAS)
    parts = [siglip_loss(image[rows], texts, positive[rows], SCALE, BIAS) for rows in (slice(1), slice(1, 4))]
    torch.testing.assert_close(parts[0] + parts[1], whole)
    assert torch.autograd.gradcheck(lambda *x: siglip_loss(x[0], x[1], positive, SCALE, BIAS), (image, texts))


def test_large_logits_stay_finite() -> None:
    x = torch.eye(2, requires_grad=True)
    loss = siglip_loss(x, x, ~torch.eye(2).bool(), torch.tensor(1e4), torch.tensor(-1e3))
    assert loss.isfinite()
    assert torch.autograd.grad(loss, x)[0].isfinite().all()
    assert siglip_loss(x[:0], x, torch.zeros(0, 2).bool(), torch.tensor(1.0), torch.tensor(0.0)).item() == 0
