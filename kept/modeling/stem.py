"""A few convolutions in the place of a patch's own projection."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

from kg.errors import InputError

GROUPS = 8


class ConvolutionStem(nn.Module):
    """Pictures (B, 3, H, W) -> (B, H/P x W/P, D), row by row, by convolutions whose strides multiply to the patch P.

    One step for each prime factor of P: x = conv(x) of that stride, then x + conv'(gelu(norm(x))) of stride 1; channels
    double from step to step up to D. A thing is known by the same weights wherever in
    a patch it lies, and across the borders of patches, which a projection of whole patches must learn place by place.

    Args:
        width: D, which halves from the last step to the first.
        patch: P, the side of a patch in pixels.

    Raises:
        InputError: when it cannot be halved so often, or a patch is one pixel.

    Source: Xiao et al. 2021, "Early Convolutions Help Transformers See Better", section 4, with group norms, so that no
    picture depends on its company, and residual steps as in He et al. 2016.

        >>> import torch
        >>> ConvolutionStem(32, 12)(torch.zeros(2, 3, 24, 36)).shape
        torch.Size([2, 6, 32])
    """

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        strides = prime_factors(patch)
        channels = [width // 2 ** (len(strides) - 1 - step) for step in range(len(strides))]
        if not strides or channels[0] * 2 ** (len(strides) - 1) != width:
            raise InputError(
                f"model.image.stem: a patch of {patch} wants convolutions and a width that can be halved "
                f"{max(0, len(strides) - 1)} times; {width}"
            )
        self.downs, self.mixes, self.norms = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for before, after, stride in zip([3, *channels], channels, strides, strict=False):
            kernel = stride + 1 + stride % 2
            self.downs.append(nn.Conv2d(before, after, kernel, stride, padding=1))
            self.mixes.append(nn.Conv2d(after, after, 3, padding=1))
            self.norms.append(nn.GroupNorm(math.gcd(GROUPS, after), after))

    def forward(self, pixels: Tensor) -> Tensor:
        maps = pixels
        for down, mix, norm in zip(self.downs, self.mixes, self.norms, strict=True):
            maps = down(maps)
            maps = maps + mix(functional.gelu(norm(maps)))
        return maps.flatten(2).transpose(1, 2)


def prime_factors(number: int) -> list[int]:
    """In ascending order.

    >>> prime_factors(12), prime_factors(1)
    ([2, 2, 3], [])
    """
    found, factor = [], 2
    while number > 1:
        while number % factor == 0:
            found.append(factor)
            number //= factor
        factor += 1
    return found
