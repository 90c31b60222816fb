"""The order of samples, as a pure function of the seed and the step, so that any step can resume.

Every component (a source of captions, a task of answers) has an order of its own, drawn anew for
each of its epochs. The next component is drawn by weight, per batch or per sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

import numpy as np

CHUNK = 256  # steps that are drawn at once
COMPONENTS, ORDERS = 1, 2  # separate random streams for the two kinds of draws


@dataclass(frozen=True)
class Pick:
    """A sample: item `index` of a component, in one of the component's epochs."""

    component: int
    index: int
    epoch: int


class Order:
    """`sizes` and `weights` are the components'; `per_batch`: a batch has one component."""

    def __init__(
        self,
        seed: int,
        sizes: Sequence[int],
        weights: Sequence[float],
        batch: int,
        batches: int,
        per_batch: bool,
    ):
        self._seed, self._sizes = seed, list(sizes)
        self._bounds = np.cumsum(weights) / np.sum(weights)
        self._batch, self._batches, self._per_batch = batch, batches, per_batch
        self._taken = [np.zeros(len(sizes), dtype=np.int64)]  # samples taken before each chunk
        self._chunk = lru_cache(maxsize=4)(self._draw)
        self._permutation = lru_cache(maxsize=2 * len(sizes))(self._permute)

    def _draw(self, chunk: int) -> np.ndarray:
        """The component of every sample of the chunk's steps, [steps, batches, batch]."""
        shape = (CHUNK, self._batches, 1 if self._per_batch else self._batch)
        drawn = np.random.default_rng([self._seed, COMPONENTS, chunk]).random(shape)
        chosen = np.searchsorted(self._bounds, drawn, side="right").clip(max=len(self._sizes) - 1)
        return np.broadcast_to(chosen, (CHUNK, self._batches, self._batch))

    def _permute(self, component: int, epoch: int) -> np.ndarray:
        draw = np.random.default_rng([self._seed, ORDERS, component, epoch])
        return draw.permutation(self._sizes[component])

    def _before(self, chunk: int) -> np.ndarray:
        while len(self._taken) <= chunk:
            last = self._draw(len(self._taken) - 1)
            counts = np.bincount(last.ravel(), minlength=len(self._sizes))
            self._taken.append(self._taken[-1] + counts)
        return self._taken[chunk]

    def step(self, step: int) -> list[list[Pick]]:
        """The batches of a step, counted from 0."""
        chunk, place = divmod(step, CHUNK)
        chosen = self._chunk(chunk)
        taken = self._before(chunk) + np.bincount(
            chosen[:place].ravel(), minlength=len(self._sizes)
        )
        return [[self._next(taken, component) for component in row] for row in chosen[place]]

    def _next(self, taken: np.ndarray, component: int) -> Pick:
        component = int(component)
        epoch, place = divmod(int(taken[component]), self._sizes[component])
        taken[component] += 1
        return Pick(component, int(self._permutation(component, epoch)[place]), epoch)

    def draw(self, *what: str | int) -> Random:
        """Random numbers for another draw, which `what` names."""
        return Random(f"{self._seed} {what}")
