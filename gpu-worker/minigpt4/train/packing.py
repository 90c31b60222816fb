"""Packs examples into a batch: several targets of a photo share one prefix, as a tree.

Each target attends to the prefix and to itself, and its positions continue from the prefix. So the
losses are the same as of separate sequences, at the cost of one prefix. A target's last token
predicts nothing, so it is not an input.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Example:
    """`before`: ids with expanded image placeholders; `targets`: ids to learn after them."""

    key: str
    before: list[int]
    targets: list[list[int]]

    @property
    def target_tokens(self) -> int:
        return sum(map(len, self.targets))


@dataclass(frozen=True)
class Packed:
    """Rows padded at the right. The logits at `places` (flat over [B, T]) predict `wanted`."""

    ids: torch.Tensor  # [B, T]
    images: torch.Tensor  # [B, T], True at image tokens
    positions: torch.Tensor  # [B, T]
    seen: torch.Tensor | None  # [B, T, T], True where query may attend to key; None: causal
    places: torch.Tensor  # [N]
    wanted: torch.Tensor  # [N]
    owner: torch.Tensor  # [N], the example of each target token


def pack(examples: Sequence[Example], image_token_id: int) -> Packed:
    """Every example has at least one target, and every target at least one token."""
    lengths = [len(e.before) + e.target_tokens - len(e.targets) for e in examples]
    count, width = len(examples), max(lengths)
    ids = torch.zeros(count, width, dtype=torch.long)
    images = torch.zeros(count, width, dtype=torch.bool)  # neither padding nor targets
    positions = torch.arange(width).repeat(count, 1)
    plain = all(len(e.targets) == 1 for e in examples)
    seen = None if plain else torch.ones(width, width, dtype=torch.bool).tril().repeat(count, 1, 1)
    places: list[int] = []
    wanted: list[int] = []
    owner: list[int] = []
    for n, example in enumerate(examples):
        prefix = at = len(example.before)
        ids[n, :prefix] = torch.tensor(example.before)
        images[n, :prefix] = ids[n, :prefix] == image_token_id
        for target in example.targets:
            end = at + len(target) - 1
            ids[n, at:end] = torch.tensor(target[:-1], dtype=torch.long)
            positions[n, at:end] = torch.arange(prefix, prefix + end - at)
            if seen is not None:
                seen[n, at:end, prefix:at] = False
            places += [n * width + prefix - 1, *range(n * width + at, n * width + end)]
            wanted += target
            owner += [n] * len(target)
            at = end
        if seen is not None:  # padding attends only to itself, and nothing attends to it
            seen[n, at:] = torch.eye(width, dtype=torch.bool)[at:]
    flat = (torch.tensor(each) for each in (places, wanted, owner))
    return Packed(ids, images, positions, seen, *flat)
