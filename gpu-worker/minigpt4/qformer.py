"""BLIP-2's Q-Former, whose 32 learned queries read the patches; and its replacement without one.

Architecture: https://arxiv.org/abs/2301.12597, a BERT-base whose queries have a feed-forward of
their own and cross-attend to the patches on every second layer. transformers' module computes the
same as the original and stays in float32, as the original does.
"""

import torch
from torch import nn
from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerModel

from .config import MiniGPT4Config

PATCHES_JOINED = 4  # MiniGPT-4's releases without a Q-Former


class QFormer(Blip2QFormerModel):
    """The Q-Former with its queries, so that one stage is one module."""

    def __init__(self, config: MiniGPT4Config):
        part = config.qformer_config
        part._attn_implementation = "sdpa"
        super().__init__(part)
        self.query_tokens = nn.Parameter(torch.zeros(1, config.num_image_tokens, part.hidden_size))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """states [N, 257, 1408], including the class token's -> [N, 32, 768]."""
        queries = self.query_tokens.expand(len(states), -1, -1)
        return super().forward(query_embeds=queries, encoder_hidden_states=states).last_hidden_state


class JoinedPatches(nn.Module):
    """Replaces a Q-Former: joins four neighbours of a row into one token, drops the class token."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """states [N, 257, 1408] -> [N, 64, 5632], patches in raster order."""
        patches = states[:, 1:]
        images, count, width = patches.shape
        return patches.reshape(images, count // PATCHES_JOINED, PATCHES_JOINED * width)
