"""Baselines without a language model: other photos' captions, one sentence for all, a human.

The same code scores them and the model.
"""

import random
from collections.abc import Callable, Sequence

import numpy as np
import torch

from .caption_scores import Rarity, pairwise_cider
from .features import nearest
from .shards import Sample

NEIGHBOURS = 15
CONSTANTS = 40  # captions of training photos to try as the constant one, in addition to these
COMMON = (
    "A man in a blue shirt is standing in front of a building .",
    "A man in a black shirt and a woman are standing on the street .",
    "A dog is running through the grass .",
    "A black and white dog is running in the water .",
    "A young boy in a red shirt is playing in the water .",
    "A man and a woman .",
    "A group of people are standing in the snow .",
    "Two dogs are playing on the grass .",
)
SEED = 0


def nearest_caption(
    query: torch.Tensor, known: torch.Tensor, training: Sequence[Sample]
) -> list[str]:
    """The first caption of the most similar training photo."""
    return [training[n].captions[0] for n in nearest(query, known, 1)[:, 0].tolist()]


def consensus(
    query: torch.Tensor,
    known: torch.Tensor,
    training: Sequence[Sample],
    neighbours: int = NEIGHBOURS,
    done: Callable[[], None] = lambda: None,
) -> list[str]:
    """The caption of the nearest training photos that is most like the others, by CIDEr-D.

    From Devlin et al. 2015. The rarity of words is counted over the training photos.
    """
    rarity = Rarity([sample.captions for sample in training])
    found = []
    for places in nearest(query, known, neighbours).tolist():
        captions = [caption for n in places for caption in training[n].captions]
        like = pairwise_cider(captions, rarity)
        np.fill_diagonal(like, 0)
        found.append(captions[int(like.sum(1).argmax())])
        done()
    return found


def best_constant(
    training: Sequence[Sample],
    choosing: Sequence[Sample],
    score: Callable[[Sequence[str]], float],
    tried: int = CONSTANTS,
) -> str:
    """The one caption that scores best as the answer to every photo in `choosing`.

    Candidates are some training photos' captions and typical sentences.
    """
    captions = [caption for sample in training for caption in sample.captions]
    draw = random.Random(SEED)
    candidates = [*COMMON, *draw.sample(captions, min(tried, len(captions)))]
    return max(candidates, key=lambda caption: score([caption] * len(choosing)))


def left_out(samples: Sequence[Sample]) -> list[list[tuple[str, tuple[str, ...]]]]:
    """One human against the others: for each n, each photo's n-th caption and the rest.

    Photos with fewer captions repeat theirs in turn.
    """
    most = max(len(sample.captions) for sample in samples)
    rounds = []
    for n in range(most):
        one_round = []
        for sample in samples:
            place = n % len(sample.captions)
            rest = sample.captions[:place] + sample.captions[place + 1 :]
            one_round.append((sample.captions[place], rest))
        rounds.append(one_round)
    return rounds


def swapped(answers: Sequence[str]) -> list[str]:
    """Each photo gets the answer to the one after it; the last one that to the first."""
    return [*answers[1:], *answers[:1]]
