"""CHAIR (Rohrbach et al. 2018): objects that an answer names and that are not in the picture.

The original knows what is in a picture from segmentations and captions. Here captions alone say
it, so what no person mentioned counts as invented; one human against the other four, measured
beside, is the floor.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .nouns import all_objects, objects


@dataclass(frozen=True)
class Named:
    """Objects that one answer names, each mention counted, and how many of them are invented."""

    mentions: int
    invented: int


def named(answer: str, captions: Sequence[str]) -> Named:
    there = all_objects(captions)
    found = objects(answer)
    return Named(len(found), sum(name not in there for name in found))
