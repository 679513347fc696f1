"""Interaction blocks: the ways in which the streams of a model meet."""

from kept.modeling.blocks.add import Addition
from kept.modeling.blocks.base import BLOCKS, Block, Place
from kept.modeling.blocks.co import CoAttention
from kept.modeling.blocks.cross import CrossAttention
from kept.modeling.blocks.merge import MergeAttention, SingleThenTwo
from kept.modeling.blocks.tangled import TangledAttention

__all__ = [
    "BLOCKS",
    "Addition",
    "Block",
    "CoAttention",
    "CrossAttention",
    "MergeAttention",
    "Place",
    "SingleThenTwo",
    "TangledAttention",
]
