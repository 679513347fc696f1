"""Pre-training objectives, one file for each family, one contract for all."""

from kept.objectives.alignment import WordRegionAlignment
from kept.objectives.base import OBJECTIVES, Context, Forward, Loss, Objective, Term, View
from kept.objectives.contrast import ImageTextContrast, SigmoidContrast
from kept.objectives.detection import ObjectDetection
from kept.objectives.entities import MaskedEntityPrediction
from kept.objectives.generation import AnswerGeneration, Captioning, ImageConditionedDenoising
from kept.objectives.hard_matching import HardImageTextMatching
from kept.objectives.language import MaskedUnits, PermutationLanguageModeling, PrefixLanguageModeling
from kept.objectives.matching import ImageTextMatching
from kept.objectives.mlm import MaskedLanguageModeling
from kept.objectives.modality import ModalityMasking
from kept.objectives.momentum import MomentumContrast
from kept.objectives.picture_features import PictureFeatures
from kept.objectives.questions import ImageQuestionAnswering
from kept.objectives.regions import MaskedObjectClassification, MaskedObjectRegression
from kept.objectives.scene_graphs import (
    AttributePrediction,
    ObjectPrediction,
    RelationPrediction,
    StructuralKnowledgeMasking,
)

__all__ = [
    "OBJECTIVES",
    "AnswerGeneration",
    "AttributePrediction",
    "Captioning",
    "Context",
    "Forward",
    "HardImageTextMatching",
    "ImageConditionedDenoising",
    "ImageQuestionAnswering",
    "ImageTextContrast",
    "ImageTextMatching",
    "Loss",
    "MaskedEntityPrediction",
    "MaskedLanguageModeling",
    "MaskedObjectClassification",
    "MaskedObjectRegression",
    "MaskedUnits",
    "ModalityMasking",
    "MomentumContrast",
    "ObjectDetection",
    "ObjectPrediction",
    "Objective",
    "PermutationLanguageModeling",
    "PictureFeatures",
    "PrefixLanguageModeling",
    "RelationPrediction",
    "SigmoidContrast",
    "StructuralKnowledgeMasking",
    "Term",
    "View",
    "WordRegionAlignment",
]
