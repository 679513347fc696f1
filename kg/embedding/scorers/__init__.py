"""Similarity scorers, one small class each."""

from kg.embedding.scorers.analogy import ANALOGY
from kg.embedding.scorers.base import SCORERS, DotScorer, Scorer
from kg.embedding.scorers.complex import ComplEx
from kg.embedding.scorers.conv_transe import ConvTransE
from kg.embedding.scorers.conve import ConvE
from kg.embedding.scorers.convkb import ConvKB
from kg.embedding.scorers.cp import CP
from kg.embedding.scorers.distmult import DistMult
from kg.embedding.scorers.hole import HolE
from kg.embedding.scorers.kg2e import KG2E
from kg.embedding.scorers.ntn import NTN
from kg.embedding.scorers.quate import QuatE
from kg.embedding.scorers.rescal import RESCAL
from kg.embedding.scorers.rotate import RotatE
from kg.embedding.scorers.simple import SimplE
from kg.embedding.scorers.sme import SME
from kg.embedding.scorers.transd import TransD
from kg.embedding.scorers.transe import TransE
from kg.embedding.scorers.transh import TransH
from kg.embedding.scorers.transparse import TranSparse
from kg.embedding.scorers.transr import TransR
from kg.embedding.scorers.tucker import TuckER

__all__ = [
    "ANALOGY",
    "CP",
    "KG2E",
    "NTN",
    "RESCAL",
    "SCORERS",
    "SME",
    "ComplEx",
    "ConvE",
    "ConvKB",
    "ConvTransE",
    "DistMult",
    "DotScorer",
    "HolE",
    "QuatE",
    "RotatE",
    "Scorer",
    "SimplE",
    "TranSparse",
    "TransD",
    "TransE",
    "TransH",
    "TransR",
    "TuckER",
]
