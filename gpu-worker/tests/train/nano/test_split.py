"""The held-out photos are decided once, and training never opens one."""

import hashlib
from pathlib import Path

from minigpt4.train.nano.photos import Photo
from minigpt4.train.nano.split import held_out, training_photos

SYNSETS = [f"n{n:08d}" for n in range(1000)]


def test_the_hundred_smallest_hashes_are_held_out_in_any_order():
    chosen = held_out(SYNSETS)
    assert len(chosen) == 100
    assert chosen == held_out(reversed(SYNSETS)) == held_out(SYNSETS + SYNSETS)
    digests = {s: hashlib.sha256(s.encode()).digest() for s in SYNSETS}
    assert max(digests[s] for s in chosen) < min(digests[s] for s in SYNSETS if s not in chosen)


def test_training_photos_keep_their_class_index_and_leave_out_the_held_out():
    photos = [Photo(Path(s), s, s, (s,), "a thing", ("thing",)) for s in SYNSETS]
    seen = training_photos(photos)
    assert len(seen) == 900
    assert all(photos[index] is photo for index, photo in seen)
    assert held_out(SYNSETS).isdisjoint(photo.synset for _, photo in seen)
