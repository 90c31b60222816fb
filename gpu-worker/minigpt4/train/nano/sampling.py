"""Draws training examples: real or synthetic class vectors, with raw features of any view.

The two blocks of the projection have separate inputs, so an example may combine the class of one
view with the colours of another. Its text is made from both, and so is true.
"""

import random
from dataclasses import dataclass

import torch

from .features import Features

SYNTHETIC = 0.65  # share of synthetic class vectors, over all classes; the rest are from photos


@dataclass
class View:
    classes: torch.Tensor  # [1000]
    index: int  # class
    raw: torch.Tensor  # [64], standardised
    colour: int
    light: float


class Views:
    """An endless supply of views.

    It leaves out photos whose top class is wrong, because the projection cannot know better than
    the encoder.
    """

    def __init__(
        self,
        features: Features,
        head: torch.Tensor,
        mean: torch.Tensor,
        std: torch.Tensor,
        seed: int,
    ):
        self._right = (features.classes.argmax(-1) == features.label).nonzero()[:, 0].tolist()
        self._features = features
        self._raw = (features.raw - mean) / std
        self._by_colour = [
            (features.colour == c).nonzero()[:, 0].tolist() for c in features.colour.unique()
        ]
        unit = torch.nn.functional.normalize(head - head.mean(0), dim=-1)
        self._near = (unit @ unit.T).topk(12, dim=-1).indices  # [1000, 12], itself first
        self.draw = random.Random(seed)

    def _synthetic(self) -> tuple[torch.Tensor, int]:
        """A class distribution with some of its mass on classes that the head finds similar."""
        index = self.draw.randrange(len(self._near))
        row = torch.zeros(len(self._near))
        spread = self.draw.choice((0.0, self.draw.uniform(0.0, 0.45)))
        row[index] = 1.0 - spread
        for share in (0.6, 0.3, 0.1):
            row[self._near[index, self.draw.randrange(1, 12)]] += spread * share
        return row, index

    def next(self, balanced: bool) -> View:
        """Draws a view; `balanced` draws every colour equally often."""
        if self.draw.random() < SYNTHETIC:
            classes, index = self._synthetic()
        else:
            n = self.draw.choice(self._right)
            classes, index = self._features.classes[n], int(self._features.label[n])
        pool = self.draw.choice(self._by_colour) if balanced else range(len(self._raw))
        m = self.draw.choice(pool)
        return View(
            classes,
            index,
            self._raw[m],
            int(self._features.colour[m]),
            float(self._features.light[m]),
        )


LEAST_STD = 0.01  # keeps a nearly constant stem channel from becoming large by the division


def standardisation(features: Features) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean and deviation [64] of the raw features, which fold into the projection."""
    return features.raw.mean(0), features.raw.std(0).clamp_min(LEAST_STD)


def fold_standardisation(
    state: dict[str, torch.Tensor], mean: torch.Tensor, std: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Projection over standardised raw features -> the same map over raw features.

    The bias compensates for the weight's rounding to half precision.
    """
    weight = (state["raw.weight"] / std).half().float()
    return state | {"raw.weight": weight, "raw.bias": state["raw.bias"] - weight @ mean}


def unfold_standardisation(
    state: dict[str, torch.Tensor], mean: torch.Tensor, std: torch.Tensor
) -> dict[str, torch.Tensor]:
    """The reverse of fold_standardisation, to continue training."""
    bias = state["raw.bias"] + state["raw.weight"] @ mean
    return state | {"raw.weight": state["raw.weight"] * std, "raw.bias": bias}
