"""What a trained model does with pictures it has not seen: answers, retrieval, alignment, detection, captions."""

from collections.abc import Mapping

from kept.probing.media.corpora import batches, read_corpus
from kept.probing.media.intervals import interval
from kept.probing.media.objects import detection
from kept.probing.media.pairs import alignment, retrieval
from kept.probing.media.questions import answers
from kept.probing.media.written import captions

__all__ = [
    "TASKS",
    "alignment",
    "answers",
    "batches",
    "captions",
    "detection",
    "interval",
    "read_corpus",
    "retrieval",
]

TASKS: Mapping[str, str] = {
    "answers": "a closed list of answers",
    "retrieval": "texts by pictures and pictures by texts",
    "alignment": "the regions that words name",
    "detection": "objects, their classes and boxes",
    "captions": "texts written about pictures",
}
