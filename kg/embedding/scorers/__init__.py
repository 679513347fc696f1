"""Similarity scorers, one small class each."""

from kg.embedding.scorers.base import SCORERS, DotScorer, Scorer
from kg.embedding.scorers.complex import ComplEx

__all__ = ["SCORERS", "ComplEx", "DotScorer", "Scorer"]
