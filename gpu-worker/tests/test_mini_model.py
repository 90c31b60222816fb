"""mini's shape: pooled features of several depths, their components, another language model."""

import pytest
import torch
from transformers import Qwen2ForCausalLM

from minigpt4.bridge import pool, pooled_size
from minigpt4.config import MiniGPT4Config
from minigpt4.modeling import MiniGPT4ForConditionalGeneration

STAGES, COMPONENTS, CLASS_TOKENS, TOKENS = [5, 6], 24, 2, 5
TEXT = {
    "model_type": "qwen2", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
    "tie_word_embeddings": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> MiniGPT4ForConditionalGeneration:
    torch.manual_seed(0)
    return MiniGPT4ForConditionalGeneration(
        MiniGPT4Config(
            text_config=dict(TEXT),
            bridge_config={
                "num_class_tokens": CLASS_TOKENS, "raw_size": COMPONENTS, "stages": STAGES,
            },
            num_image_tokens=TOKENS,
        )
    ).eval()  # fmt: skip


def test_the_language_model_is_the_one_that_the_configuration_names(model, tmp_path):
    assert isinstance(model.language_model, Qwen2ForCausalLM)
    model.save_pretrained(tmp_path)
    again = MiniGPT4ForConditionalGeneration.from_pretrained(tmp_path).eval()
    assert isinstance(again.language_model, Qwen2ForCausalLM)
    assert list(again.config.bridge_config.stages) == STAGES
    ids = torch.tensor([[16] * TOKENS + [3, 4]])
    pixels = torch.randn(1, 3, 260, 260, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        first, second = (m(input_ids=ids, pixel_values=pixels).logits for m in (model, again))
    assert torch.equal(first, second)


@torch.inference_mode()
def test_features_are_classes_and_components_of_what_is_pooled(model):
    pixels = torch.randn(2, 3, 260, 260, generator=torch.Generator().manual_seed(1))
    classes, raw = model.image_encoder.features(pixels)
    assert classes.shape == (2, 1000) and raw.shape == (2, COMPONENTS)
    maps = model.image_encoder.vision(pixels)
    assert [part.shape[-1] for part in maps] == [130, 130, 65, 33, 17, 17, 9, 9, 9]
    pooled = pool(maps, STAGES)
    assert pooled.shape == (2, pooled_size(STAGES))
    expected = model.image_encoder.bridge.components(pooled)
    torch.testing.assert_close(raw, expected, atol=1e-4, rtol=1e-4)
    tokens = model.image_encoder(pixels)
    assert tokens.shape == (2, TOKENS, TEXT["hidden_size"])
