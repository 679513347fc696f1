"""Readers of the image-text data that people have, all to `kept.data.record.Record`."""

from kept.data.readers.base import READERS, Files, Reader
from kept.data.readers.coco import CocoCaptions, CocoInstances
from kept.data.readers.features import RegionFeatures
from kept.data.readers.flickr import Flickr30k
from kept.data.readers.gqa import GQA
from kept.data.readers.nlvr import NLVR
from kept.data.readers.pairs import Pairs
from kept.data.readers.rejects import Rejects, Unfit
from kept.data.readers.tars import WebDataset
from kept.data.readers.visual_genome import VisualGenome
from kept.data.readers.vqa import VQA

__all__ = [
    "GQA",
    "NLVR",
    "READERS",
    "VQA",
    "CocoCaptions",
    "CocoInstances",
    "Files",
    "Flickr30k",
    "Pairs",
    "Reader",
    "RegionFeatures",
    "Rejects",
    "Unfit",
    "VisualGenome",
    "WebDataset",
]
