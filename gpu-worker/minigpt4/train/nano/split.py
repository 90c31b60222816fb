"""Decides which photos are held out, from the synset ids alone."""

import hashlib
from collections.abc import Iterable, Sequence

from .photos import Photo

HELD_OUT = 100


def held_out(synsets: Iterable[str]) -> frozenset[str]:
    """The 100 synsets with the smallest SHA-256. No feature of their photos is trained on.

    Their names may be trained on with synthetic class vectors.
    """
    return frozenset(
        sorted(set(synsets), key=lambda synset: hashlib.sha256(synset.encode()).hexdigest())[
            :HELD_OUT
        ]
    )


def training_photos(photos: Sequence[Photo]) -> list[tuple[int, Photo]]:
    """The photos to train on, each with its class index."""
    kept_back = held_out(photo.synset for photo in photos)
    return [(n, photo) for n, photo in enumerate(photos) if photo.synset not in kept_back]
