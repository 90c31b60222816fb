"""The original's learning rate: linear warmup, then a cosine over the whole run's steps.

The cosine is not offset by the warmup: when warmup ends, the rate drops from its peak onto a curve
that began at step 0, as in the original's LinearWarmupCosineLRScheduler.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    start: float
    peak: float
    least: float
    warmup: int
    steps: int

    def rate(self, step: int) -> float:
        """Of a step, counted from 0."""
        if step < self.warmup:
            return min(self.peak, self.start + (self.peak - self.start) * step / self.warmup)
        turned = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.least + (self.peak - self.least) * turned
