"""Training modes: what a batch is and what its loss is."""

from kg.embedding.modes.base import MODES, Mode
from kg.embedding.modes.in_batch import InBatch
from kg.embedding.modes.k_vs_all import KVsAll
from kg.embedding.modes.negative_sampling import NegativeSampling
from kg.embedding.modes.one_vs_all import OneVsAll
from kg.embedding.modes.sampled import SampledSoftmax

__all__ = ["MODES", "InBatch", "KVsAll", "Mode", "NegativeSampling", "OneVsAll", "SampledSoftmax"]
