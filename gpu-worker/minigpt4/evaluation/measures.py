"""Measures with 95 % intervals: Wilson's for a rate, the bootstrap's for a mean."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

Z = 1.959964  # of a normal distribution, for 95 %
RESAMPLES = 2000
SEED = 20261130
MODEL, SWAPPED, HUMAN = "model", "swapped", "one human"


@dataclass(frozen=True)
class Rate:
    """`hits` of `total`, with Wilson's 95 % score interval."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        return self.hits / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        if not self.total:
            return (0.0, 1.0)
        n, p = self.total, self.value
        middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
        return (max(0.0, middle - half), min(1.0, middle + half))

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.hits}/{self.total} = {100 * self.value:.1f} % "
            f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
        )


@dataclass(frozen=True)
class Measure:
    """`of` says whose number it is: the model's, the swapped photos', or a baseline's.

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

    `statistic` takes sums over resampled cases, [R, ...], and returns R numbers. The seed is fixed,
    so the same values have the same interval.
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
    """The mean of one number per case; shares of 1 have the unit rate."""
    found = np.asarray(values, dtype=float)
    if not len(found):
        return Measure(section, name, of, math.nan, math.nan, math.nan, 0, unit)
    low, high = bootstrap(found, lambda sums: sums / len(found))
    return Measure(section, name, of, float(found.mean()), low, high, len(found), unit)


def ratio(
    section: str, name: str, parts: Sequence[tuple[float, float]], of: str = MODEL
) -> Measure:
    """The sum of parts over the sum of wholes, of (part, whole) pairs, resampled by case."""
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
    """The `statistic` of the sums over the cases of rows of numbers [N, ...]."""
    found = np.asarray(values, dtype=float)
    low, high = bootstrap(found, statistic)
    value = float(statistic(found.sum(0, keepdims=True))[0])
    return Measure(section, name, of, value, low, high, len(found), "mean")
