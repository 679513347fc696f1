"""Features of regions that bring none: the picture, cut out at each box."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kept.data.pictures import MAX_PIXELS
from kg.errors import InputError

if TYPE_CHECKING:
    from kept.data.record import Record

WHITE = (255, 255, 255, 255)


class Crops:
    """Regions as small pictures: each box cut out, brought to size x size, its colours in [-1, 1]; (R, 3 size size).

    Args:
        root: the folder that pictures are relative to.
        size: side of the small picture.

        >>> Crops(Path("."), size=8).width
        192
    """

    def __init__(self, root: Path, size: int) -> None:
        self.root, self.size = root, size

    @property
    def width(self) -> int:
        return 3 * self.size**2

    def __call__(self, record: Record) -> NDArray[np.floating]:
        from PIL import Image

        if record.image is None:
            raise InputError(f"record {record.id}: has regions and no picture to cut them out of")
        path = self.root / record.image
        try:
            with Image.open(path) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise InputError(f"{path}: {width} x {height} pixels are more than {MAX_PIXELS:,}")
                ground = Image.new("RGBA", picture.size, WHITE)
                ground.alpha_composite(picture.convert("RGBA"))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file, record {record.id} names it") from None
        except (OSError, SyntaxError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: not a picture that can be read ({' '.join(str(error).split())})") from None
        whole = ground.convert("RGB")
        scale = np.array([width, height, width, height])
        rows = [self._cut(whole, tuple(np.array(region.box) * scale)) for region in record.regions]
        return np.stack(rows)

    def _cut(self, picture: Any, box: tuple[float, ...]) -> NDArray[np.float32]:
        left, top = (min(int(edge), size - 1) for edge, size in zip(box[:2], picture.size, strict=True))
        right, bottom = (min(ceil(edge), size) for edge, size in zip(box[2:], picture.size, strict=True))
        cut = picture.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
        small = cut.resize((self.size, self.size))
        return (np.asarray(small, dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1).ravel()


def region_features(spec: Any, root: Path) -> Crops | None:
    """What gives regions their features by a recipe; None where records bring them."""
    return Crops(root, spec.size) if spec.of == "crops" else None
