"""Text <-> entities: mentions of a graph's names, found by a spaCy component."""

from kept.linking.linker import Linker
from kept.linking.mention import LinkedMention, Mention

__all__ = ["LinkedMention", "Linker", "Mention"]
