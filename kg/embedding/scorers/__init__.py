"""Similarity scorers, one small class each."""

from kg.embedding.scorers.base import SCORERS, DotScorer, Scorer
from kg.embedding.scorers.complex import ComplEx
from kg.embedding.scorers.distmult import DistMult
from kg.embedding.scorers.rotate import RotatE
from kg.embedding.scorers.transe import TransE

__all__ = ["SCORERS", "ComplEx", "DistMult", "DotScorer", "RotatE", "Scorer", "TransE"]
