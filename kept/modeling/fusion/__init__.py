"""Knowledge fusion: how entity vectors enter a model."""

from kept.modeling.fusion.base import FUSIONS, Fusion
from kept.modeling.fusion.ernie import MentionFusion

__all__ = ["FUSIONS", "Fusion", "MentionFusion"]
