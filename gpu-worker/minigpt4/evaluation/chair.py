"""CHAIR (Rohrbach et al. 2018): objects that an answer names but the picture does not have.

The original uses segmentations and captions. This version uses captions alone, so an object that no
person mentions counts as invented. One human against the other four gives the lowest possible
value.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .nouns import all_objects, objects


@dataclass(frozen=True)
class ObjectMentions:
    """The mentions of objects in one answer, and how many of them are invented."""

    mentions: int
    invented: int


def object_mentions(answer: str, captions: Sequence[str]) -> ObjectMentions:
    there = all_objects(captions)
    found = objects(answer)
    return ObjectMentions(len(found), sum(name not in there for name in found))
