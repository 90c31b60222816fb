"""The reference model: images anywhere, bounded memory, one answer however it is computed."""

import pytest
import torch

from minigpt4.config import MiniGPT4Config
from minigpt4.image_encoder import IMAGES_AT_ONCE, ImageEncoder
from minigpt4.modeling import MiniGPT4ForConditionalGeneration
from minigpt4.processing import expand_image_tokens

TEXT = {
    "model_type": "llama", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
    "tie_word_embeddings": True, "pad_token_id": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny() -> MiniGPT4ForConditionalGeneration:
    """The full encoder under a language model of two small layers, random weights."""
    torch.manual_seed(0)
    return MiniGPT4ForConditionalGeneration(MiniGPT4Config(text_config=dict(TEXT))).eval()


def pictures(n: int, side: int = 64) -> torch.Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(n))


@torch.inference_mode()
def test_many_images_go_through_in_bounded_chunks_and_come_out_the_same(tiny):
    sizes: list[int] = []
    hook = tiny.image_encoder.vision.register_forward_pre_hook(
        lambda _, inputs: sizes.append(len(inputs[0]))
    )
    together = tiny.image_encoder(pictures(9))
    hook.remove()
    assert max(sizes) <= IMAGES_AT_ONCE and sum(sizes) == 9
    alone = torch.cat([tiny.image_encoder(one[None]) for one in pictures(9)])
    assert together.shape == (9, tiny.config.num_image_tokens, 32)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_the_encoder_is_float32_under_an_engines_other_default(tiny):
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        encoder = ImageEncoder(tiny.config).eval()
    finally:
        torch.set_default_dtype(default)
    encoder.load_state_dict(tiny.image_encoder.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        tokens = encoder(pictures(2))
    assert tokens.dtype == torch.float32
    torch.testing.assert_close(tokens, tiny.image_encoder(pictures(2)))


@torch.inference_mode()
def test_images_stand_where_their_placeholders_stand(tiny):
    ids = torch.tensor([expand_image_tokens([1, 5, 16, 6, 7, 16, 8], tiny.config)])
    pixels = pictures(2)
    embeds = tiny.embed(ids, pixels)
    tokens = tiny.image_encoder(pixels)
    k = tiny.config.num_image_tokens
    torch.testing.assert_close(embeds[0, 2 : 2 + k], tokens[0])
    torch.testing.assert_close(embeds[0, 4 + k : 4 + 2 * k], tokens[1])
    words = tiny.get_input_embeddings()(torch.tensor([1, 5]))
    torch.testing.assert_close(embeds[0, :2], words)
    other = tiny.embed(ids, pixels.flip(0))
    torch.testing.assert_close(other[0, 2 : 2 + k], tokens[1])


@pytest.mark.parametrize("images", [0, 1, 3])
def test_a_wrong_number_of_images_is_refused(tiny, images):
    ids = torch.tensor([expand_image_tokens([1, 16, 5, 16], tiny.config)])
    with pytest.raises(ValueError, match="image placeholders"):
        tiny.embed(ids, pictures(images) if images else None)


@torch.inference_mode()
def test_generation_with_a_cache_equals_recomputing_every_step(tiny):
    ids = torch.tensor([expand_image_tokens([1, 16, 5], tiny.config)])
    pixels = pictures(1)
    answer = tiny.generate(
        input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids),
        max_new_tokens=8, min_new_tokens=8, do_sample=False, suppress_tokens=[16],
    )  # fmt: skip
    steps = ids
    for _ in range(8):
        logits = tiny(input_ids=steps, pixel_values=pixels).logits[:, -1]
        logits[:, [16, tiny.config.text_config.eos_token_id]] = -torch.inf
        steps = torch.cat([steps, logits.argmax(-1, keepdim=True)], dim=1)
    assert answer.tolist() == steps.tolist()


@torch.inference_mode()
def test_a_placeholders_id_that_was_generated_is_text(tiny):
    ids = torch.tensor([expand_image_tokens([1, 16, 5], tiny.config)])
    answer = tiny.generate(
        input_ids=ids, pixel_values=pictures(1), attention_mask=torch.ones_like(ids),
        max_new_tokens=3, do_sample=False, suppress_tokens=[n for n in range(64) if n != 16],
    )  # fmt: skip
    assert answer[0, ids.shape[1] :].tolist() == [16, 16, 16]


@torch.inference_mode()
def test_a_saved_model_comes_back_the_same(tiny, tmp_path):
    tiny.save_pretrained(tmp_path)
    again = MiniGPT4ForConditionalGeneration.from_pretrained(tmp_path).eval()
    ids = torch.tensor([expand_image_tokens([1, 16, 5, 9], tiny.config)])
    torch.testing.assert_close(
        again(input_ids=ids, pixel_values=pictures(1)).logits,
        tiny(input_ids=ids, pixel_values=pictures(1)).logits,
    )
    assert again.config.get_text_config().architectures == ["LlamaForCausalLM"]
