"""A measured number with its 95 % interval: Wilson's for a rate, the bootstrap's for a mean."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from .wilson import Rate

RESAMPLES = 2000
SEED = 20261130
MODEL, SWAPPED, HUMAN = "model", "swapped", "one human"


@dataclass(frozen=True)
class Measure:
    """`of` says whose number it is: the model's, that of swapped photos, or a baseline's.

    `unit` is rate (0 to 1, of `count` cases) or mean (over `count` cases).
    """

    section: str
    name: str
    of: str
    value: float
    low: float
    high: float
    count: int
    unit: str

    def as_json(self) -> dict:
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }


def rate(section: str, name: str, hits: Iterable[bool], of: str = MODEL) -> Measure:
    hits = list(hits)
    found = Rate(sum(hits), len(hits))
    return Measure(section, name, of, found.value, *found.interval, len(hits), "rate")


def bootstrap(
    values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]
) -> tuple[float, float]:
    """values [N, ...] -> the middle 95 % of `statistic` over resamples of the N cases.

    `statistic` takes sums over resampled cases, [R, ...], and gives R numbers. The seed is fixed:
    the same values have the same interval.
    """
    draw = np.random.default_rng(SEED)
    count = len(values)
    times = draw.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)  # [R, N]
    sums = np.tensordot(times, values, axes=(1, 0))
    low, high = np.percentile(statistic(sums), (2.5, 97.5))
    return float(low), float(high)


def mean(
    section: str, name: str, values: Sequence[float], of: str = MODEL, unit: str = "mean"
) -> Measure:
    """Of numbers that belong to one case each; shares of 1 have the unit rate."""
    found = np.asarray(values, dtype=float)
    if not len(found):
        return Measure(section, name, of, math.nan, math.nan, math.nan, 0, unit)
    low, high = bootstrap(found, lambda sums: sums / len(found))
    return Measure(section, name, of, float(found.mean()), low, high, len(found), unit)


def ratio(
    section: str, name: str, parts: Sequence[tuple[float, float]], of: str = MODEL
) -> Measure:
    """Of (part, whole) pairs: the sum of parts by the sum of wholes, resampled by case."""
    found = np.asarray(parts, dtype=float).reshape(-1, 2)
    if not found[:, 1].sum():
        return Measure(section, name, of, math.nan, math.nan, math.nan, len(found), "rate")
    low, high = bootstrap(found, lambda sums: sums[:, 0] / np.maximum(sums[:, 1], 1e-12))
    value = float(found[:, 0].sum() / found[:, 1].sum())
    return Measure(section, name, of, value, low, high, len(found), "rate")


def measured(
    section: str,
    name: str,
    values: Sequence[float],
    statistic: Callable[[np.ndarray], np.ndarray],
    of: str = MODEL,
) -> Measure:
    """Of rows of numbers [N, ...] whose sums over the cases `statistic` takes."""
    found = np.asarray(values, dtype=float)
    low, high = bootstrap(found, statistic)
    value = float(statistic(found.sum(0, keepdims=True))[0])
    return Measure(section, name, of, value, low, high, len(found), "mean")
