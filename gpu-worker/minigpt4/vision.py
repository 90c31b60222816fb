"""The family's frozen vision encoder: EVA-CLIP ViT-g/14 without its last block, and `ln_vision`.

Architecture: https://arxiv.org/abs/2211.07636; as BLIP-2 cut it, https://arxiv.org/abs/2301.12597.
The blocks are transformers' BLIP-2 vision blocks. This module corrects two differences from
MiniGPT-4: the norm after the last block has an epsilon of its own, and the residual stream starts
in float32 whatever the weights' precision is.
"""

import torch
from torch import nn
from transformers.models.blip_2.modeling_blip_2 import Blip2Encoder, Blip2VisionEmbeddings

from .config import EvaConfig


class EvaEmbeddings(Blip2VisionEmbeddings):
    """Patches, a class token in front, and learned absolute positions, summed in float32.

    The original keeps class token and positions in float32 next to half-precision convolutions,
    and its concatenation promotes to float32; transformers' forward rounds both to the weight's
    dtype.
    """

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """pixel_values [N, 3, side, side] -> [N, 1 + (side / 14)^2, hidden]."""
        patches = self.patch_embedding(pixel_values)  # [N, hidden, side / 14, side / 14]
        patches = patches.flatten(2).transpose(1, 2).float()
        first = self.class_embedding.expand(len(patches), -1, -1)
        return torch.cat([first, patches], dim=1) + self.position_embedding


class EvaVisionEncoder(nn.Module):
    """Pixels -> one state per patch, after the class token's."""

    def __init__(self, config: EvaConfig):
        super().__init__()
        config._attn_implementation = "sdpa"
        self.embeddings = EvaEmbeddings(config)
        self.encoder = Blip2Encoder(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=config.ln_eps)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """pixel_values [N, 3, 224, 224] -> [N, 257, 1408] at the released size."""
        states = self.encoder(inputs_embeds=self.embeddings(pixel_values)).last_hidden_state
        return self.post_layernorm(states)
