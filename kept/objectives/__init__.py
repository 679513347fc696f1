"""Pre-training objectives, one file for each family, one contract for all."""

from kept.objectives.base import OBJECTIVES, Context, Forward, Loss, Objective, Term, View
from kept.objectives.contrast import ImageTextContrast
from kept.objectives.entities import MaskedEntityPrediction
from kept.objectives.matching import ImageTextMatching
from kept.objectives.mlm import MaskedLanguageModeling

__all__ = [
    "OBJECTIVES",
    "Context",
    "Forward",
    "ImageTextContrast",
    "ImageTextMatching",
    "Loss",
    "MaskedEntityPrediction",
    "MaskedLanguageModeling",
    "Objective",
    "Term",
    "View",
]
