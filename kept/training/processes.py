"""The processes that train together, as accelerate finds them: on a machine without accelerators on its cores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from accelerate import Accelerator, PartialState


def accelerator() -> Accelerator:
    """What moves batches and adds up gradients."""
    from accelerate import Accelerator

    return Accelerator(cpu=not torch.accelerator.is_available())


def processes() -> PartialState:
    """Which of the processes this is, and a place to wait for the others.

    >>> processes().is_main_process
    True
    """
    from accelerate import PartialState

    return PartialState(cpu=not torch.accelerator.is_available())
