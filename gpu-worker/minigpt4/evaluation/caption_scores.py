"""CIDEr-D and BLEU-4 by the published implementation, `pycocoevalcap`.

The COCO caption challenge used this code. Its tokenizer needs Java; caption_words.py gives the same
words without it.
"""

from collections.abc import Sequence

import numpy as np

from ..input_error import InputError
from .caption_words import joined
from .measures import MODEL, Measure, mean, measured

CIDER, BLEU = "CIDEr-D", "BLEU-4"


def _published() -> tuple[type, type]:
    try:
        from pycocoevalcap.bleu.bleu_scorer import BleuScorer
        from pycocoevalcap.cider.cider_scorer import CiderScorer
    except ImportError:
        raise InputError(
            "CIDEr and BLEU need pycocoevalcap, which is not installed",
            "install its group: uv sync --inexact --extra cpu --group evaluation",
        ) from None
    return CiderScorer, BleuScorer


def check_installed() -> None:
    """Raises InputError early, before hours of questions."""
    _published()


class References:
    """The human captions of a set of photos, over which the rarity of words is counted."""

    def __init__(self, captions: Sequence[Sequence[str]]):
        self._words = [[joined(caption) for caption in of_one] for of_one in captions]

    def __len__(self) -> int:
        return len(self._words)

    def cider(self, answers: Sequence[str]) -> np.ndarray:
        """CIDEr-D of each answer, [N], on the scale of the published numbers (0 to 10)."""
        scorer_of, _ = _published()
        scorer = scorer_of(n=4, sigma=6.0)
        for answer, references in zip(answers, self._words, strict=True):
            scorer += (joined(answer), references)
        return np.asarray(scorer.compute_score()[1])

    def bleu_counts(self, answers: Sequence[str]) -> np.ndarray:
        """The counts that BLEU-4 sums over the answers, [N, 10].

        Words, the closest reference's words, then for sequences of 1 to 4 words how many there are
        and how many are right.
        """
        _, scorer_of = _published()
        scorer = scorer_of(n=4)
        for answer, references in zip(answers, self._words, strict=True):
            scorer += (joined(answer), references)
        rows = []
        for found in scorer.ctest:
            closest = min((abs(size - found["testlen"]), size) for size in found["reflen"])[1]
            rows.append([found["testlen"], closest, *found["guess"], *found["correct"]])
        return np.asarray(rows, dtype=float)

    def scores(self, section: str, answers: Sequence[str], of: str = MODEL) -> list[Measure]:
        return [
            mean(section, CIDER, self.cider(answers), of),
            measured(section, BLEU, self.bleu_counts(answers), bleu4, of),
        ]


def bleu4(sums: np.ndarray) -> np.ndarray:
    """Sums of `bleu_counts`, [R, 10] -> BLEU-4 of each row, 0 to 100, as the published code.

    It has the same guards against division by zero.
    """
    said, wanted, guess, right = sums[:, 0], sums[:, 1], sums[:, 2:6], sums[:, 6:10]
    precision = np.prod((right + 1e-15) / (guess + 1e-9), axis=1) ** 0.25
    shorter = (said + 1e-15) / (wanted + 1e-9)
    return 100 * precision * np.where(shorter < 1, np.exp(1 - 1 / np.minimum(shorter, 1)), 1)


def pairwise_cider(captions: Sequence[str], rarity: "Rarity") -> np.ndarray:
    """CIDEr-D of each caption with each other as its only reference, [N, N]."""
    said = [joined(caption).split() for caption in captions]
    lengths = np.array([max(len(one) - 1, 0) for one in said])
    total = np.zeros((len(said), len(said)))
    for size in range(1, 5):
        grams = [_grams(one, size) for one in said]
        index = {gram: n for n, gram in enumerate(dict.fromkeys(g for of in grams for g in of))}
        weights = np.zeros((len(said), max(len(index), 1)))
        for row, of in enumerate(grams):
            for gram in of:
                weights[row, index[gram]] += rarity.of(gram)
        norms = np.linalg.norm(weights, axis=1)
        for row, weight in enumerate(weights):
            common = (np.minimum(weight, weights) * weights).sum(1)
            scale = norms[row] * norms
            total[row] += np.where(scale > 0, common / np.where(scale > 0, scale, 1), common)
    away = lengths[:, None] - lengths[None]
    return 10 * total / 4 * np.exp(-(away**2) / (2 * 6.0**2))


class Rarity:
    """How rare a sequence of words is in the captions of a set of photos, as CIDEr weighs it."""

    def __init__(self, captions: Sequence[Sequence[str]]):
        self._photos: dict[tuple[str, ...], int] = {}
        for of_one in captions:
            said = [joined(caption).split() for caption in of_one]
            for gram in {g for one in said for size in range(1, 5) for g in _grams(one, size)}:
                self._photos[gram] = self._photos.get(gram, 0) + 1
        self._all = np.log(float(max(len(captions), 1)))

    def of(self, gram: tuple[str, ...]) -> float:
        return self._all - np.log(max(1.0, self._photos.get(gram, 0)))


def _grams(said: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(said[n : n + size]) for n in range(len(said) - size + 1)]
