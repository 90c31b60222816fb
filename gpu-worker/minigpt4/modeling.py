"""The reference model in transformers' style; tests compare the engine's plugin with it."""

import torch
from torch import nn
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .config import MiniGPT4Config
from .image_encoder import ImageEncoder


class MiniGPT4ForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """The whole model. A prompt may hold any number of images, anywhere in it.

    `input_ids` hold K placeholder ids (`config.image_token_id`) for each image, in order;
    `pixel_values` [images, 3, side, side] runs over all prompts of the batch in the same order.
    """

    config_class = MiniGPT4Config
    base_model_prefix = "language_model"
    input_modalities = ("image", "text")
    _tied_weights_keys = {  # noqa: RUF012 - transformers reads a plain dict
        "language_model.lm_head.weight": "language_model.model.embed_tokens.weight"
    }
    _keep_in_fp32_modules_strict = {"image_encoder"}  # noqa: RUF012
    _supports_sdpa = True

    def __init__(self, config: MiniGPT4Config):
        super().__init__(config)
        self.image_encoder = ImageEncoder(config)
        text = config.get_text_config()
        self.language_model = MODEL_FOR_CAUSAL_LM_MAPPING[type(text)](text)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.get_output_embeddings()

    def embed(
        self, input_ids: torch.Tensor, pixel_values: torch.Tensor | None = None
    ) -> torch.Tensor:
        """input_ids [B, T] -> embeddings [B, T, hidden], image tokens at their placeholders.

        Raises ValueError if the numbers of placeholders and images differ.
        """
        embeds = self.get_input_embeddings()(input_ids)
        places = input_ids == self.config.image_token_id
        images = 0 if pixel_values is None else len(pixel_values)
        wanted = images * self.config.num_image_tokens
        if int(places.sum()) != wanted:
            raise ValueError(
                f"input_ids hold {int(places.sum())} image placeholders; {images} pixel_values "
                f"need {wanted}: expand each image to {self.config.num_image_tokens} of them"
            )
        if images:
            tokens = self.image_encoder(pixel_values).to(embeds)
            embeds = embeds.masked_scatter(places[..., None], tokens)
        return embeds

    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.FloatTensor | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        **kwargs,
    ) -> CausalLMOutputWithPast:
        """Next-token logits, and the loss if `labels` are given, as of the language model."""
        if inputs_embeds is None:
            past = kwargs.get("past_key_values")
            if past is not None and past.get_seq_length() and pixel_values is None:
                # Generated ids are text, even one that marks images in a prompt.
                inputs_embeds = self.get_input_embeddings()(input_ids)
            else:
                inputs_embeds = self.embed(input_ids, pixel_values)
        return self.language_model(
            inputs_embeds=inputs_embeds, attention_mask=attention_mask, **kwargs
        )

    def prepare_inputs_for_generation(
        self, input_ids, pixel_values=None, is_first_iteration=False, **kwargs
    ):
        inputs = super().prepare_inputs_for_generation(
            input_ids, is_first_iteration=is_first_iteration, **kwargs
        )
        # Later steps find the image in the key-value cache.
        if is_first_iteration or not kwargs.get("use_cache", True):
            inputs["pixel_values"] = pixel_values
        return inputs
