"""The loss of examples through the projection and the frozen language model."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..modeling import MiniGPT4ForConditionalGeneration
from .int8_layers import with_int8_layers
from .packing import Example, pack
from .survey import Features

# What the checkpoint is read in. An int8 model computes in float32 between its int8 products.
DTYPES = {
    "float32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "int8": torch.bfloat16,
}


@dataclass(frozen=True)
class Losses:
    """The cross-entropy of each target token, and the example it belongs to."""

    each: torch.Tensor  # [N] float32
    owner: torch.Tensor  # [N]


class Learner:
    """Freezes a model except for its projection, which stays in float32.

    On a GPU the forward pass runs under autocast. On a CPU the language model has the configured
    precision, and the projection computes in float32. In int8 the output head stays float32.
    """

    def __init__(self, model: MiniGPT4ForConditionalGeneration, device: str, precision: str):
        self._image_token_id = model.config.image_token_id
        self.device = device
        self.dtype = torch.float32 if precision == "int8" else DTYPES[precision]
        self._autocast = device != "cpu" and precision != "float32"
        model.eval().requires_grad_(False)
        self.projection = model.image_encoder.projection.float().to(device).requires_grad_(True)
        if precision == "int8":
            with_int8_layers(model.language_model.get_decoder())
        self._language_model = model.language_model.to(device, self.dtype)
        self._decoder = self._language_model.get_decoder()

    def image_tokens(self, features: Features) -> torch.Tensor:
        """Features [N, ...] -> [N, K, hidden]."""
        return self.projection(*(each.to(self.device, torch.float32) for each in features))

    def losses(self, features: Features, examples: Sequence[Example]) -> Losses:
        """`features` has one row per image of the examples, in order."""
        with torch.autocast(self.device, self.dtype, enabled=self._autocast):
            return self._losses(features, examples)

    def _losses(self, features: Features, examples: Sequence[Example]) -> Losses:
        packed = pack(examples, self._image_token_id)
        embeds = self._language_model.get_input_embeddings()(packed.ids.to(self.device))
        tokens = self.image_tokens(features).to(embeds.dtype)
        embeds = embeds.masked_scatter(packed.images[..., None].to(self.device), tokens)
        mask = None
        if packed.seen is not None:
            mask = torch.zeros(packed.seen.shape, dtype=embeds.dtype)
            mask = mask.masked_fill(~packed.seen, torch.finfo(embeds.dtype).min)[:, None]
            mask = mask.to(self.device)
        hidden = self._decoder(
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=packed.positions.to(self.device),
            use_cache=False,
        ).last_hidden_state
        # Takes rows of a contiguous matrix, because for a slice of a 3-D tensor some kernels copy
        # the head's weight for every row.
        rows = hidden.reshape(-1, hidden.shape[-1])[packed.places.to(self.device)]
        logits = self._language_model.get_output_embeddings()(rows).float()
        each = F.cross_entropy(logits, packed.wanted.to(self.device), reduction="none")
        return Losses(each, packed.owner)
