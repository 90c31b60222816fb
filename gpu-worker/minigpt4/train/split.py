"""Decides which photos are held out, by the SHA-256 of their keys alone.

A split of some of the keys holds out every key that a split of all keys holds out. So training on a
few shards never uses a photo that is held out when testing on all shards.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

TEST, CHOOSE = 500, 300  # of the shared photos; see data_sets.py


@dataclass(frozen=True)
class Split:
    """`test` is used once, at the end; `choose` is for choosing between models."""

    test: frozenset[str]
    choose: frozenset[str]

    @property
    def held_out(self) -> frozenset[str]:
        return self.test | self.choose


def split(keys: Iterable[str], test: int = TEST, choose: int = CHOOSE) -> Split:
    """The keys of smallest SHA-256: the first `test`, then the next `choose`."""
    ranked = sorted(set(keys), key=lambda key: hashlib.sha256(key.encode()).hexdigest())
    return Split(frozenset(ranked[:test]), frozenset(ranked[test : test + choose]))
