"""Which photos are held out: decided once, here, from the synset ids alone."""

import hashlib
from collections.abc import Iterable, Sequence

from .photos import Photo

HELD_OUT = 100


def held_out(synsets: Iterable[str]) -> frozenset[str]:
    """The 100 synsets whose SHA-256 is smallest; no feature of their photos is ever trained on.

    Their names may be trained through synthetic class vectors.
    """
    return frozenset(
        sorted(set(synsets), key=lambda synset: hashlib.sha256(synset.encode()).hexdigest())[
            :HELD_OUT
        ]
    )


def training_photos(photos: Sequence[Photo]) -> list[tuple[int, Photo]]:
    """The photos that may be looked at in training, each with its class index."""
    kept_back = held_out(photo.synset for photo in photos)
    return [(n, photo) for n, photo in enumerate(photos) if photo.synset not in kept_back]
