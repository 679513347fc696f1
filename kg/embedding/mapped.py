"""Tables that lie in files and are mapped into memory, for more entities than memory holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from kg.errors import InputError


@dataclass(frozen=True)
class MappedTables:
    """A folder of float32 tables; what a step does not touch stays on disk, as far as the system wants the room.

    >>> import tempfile
    >>> MappedTables(Path(tempfile.mkdtemp())).make("entities", (3, 2)).tolist()
    [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """

    folder: Path

    def make(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """A table of zeros in a file of its own; an older one of that name is replaced.

        Raises:
            InputError: where the disk has no room for it, or no right to write is given.
        """
        path = self.folder / f"{name}.bin"
        size = 1
        for length in shape:
            size *= length
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            with path.open("wb") as file:
                file.truncate(4 * size)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        return torch.from_file(str(path), shared=True, size=size, dtype=torch.float32).view(shape)
