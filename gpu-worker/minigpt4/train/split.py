"""Which photos are held out: decided by the SHA-256 of their keys alone, in any order of them.

Of a part of the keys, the held-out ones include all that are held out of the whole: whoever trains
on a few shards never sees a photo that is kept for testing on all of them.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

TEST, CHOOSE = 500, 300  # of the shared photos; see data_sets.py


@dataclass(frozen=True)
class Split:
    """`test` is looked at once, at the end; `choose` is what choices are made on."""

    test: frozenset[str]
    choose: frozenset[str]

    @property
    def held_out(self) -> frozenset[str]:
        return self.test | self.choose


def split(keys: Iterable[str], test: int = TEST, choose: int = CHOOSE) -> Split:
    """The keys of smallest SHA-256: the first `test`, then the next `choose`."""
    ranked = sorted(set(keys), key=lambda key: hashlib.sha256(key.encode()).hexdigest())
    return Split(frozenset(ranked[:test]), frozenset(ranked[test : test + choose]))
