"""The reference computes what the model's description says, and each sentence of it matters.

The oracle is a second writing of the model that shares nothing with the product. What the
description does not let the outputs show: a bias on the vision encoder's keys shifts all scores of
a query alike and leaves the softmax as it was, so the zeros there are checked by name.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import torch
from oracle import Facts, Oracle, original_weights
from safetensors.torch import load_file
from small_family import SIDE, save, small_config, small_model

from minigpt4.config import MiniGPT4Config
from minigpt4.modeling import MiniGPT4ForConditionalGeneration
from minigpt4.models import FAMILY

TOLERANCE = 1e-4
QFORMER = [name for name, family in FAMILY.items() if family.qformer]


def facts(config: MiniGPT4Config, **turned) -> Facts:
    own = Facts(
        vision_heads=config.vision_config.num_attention_heads,
        qformer_heads=config.qformer_config.num_attention_heads if config.qformer_config else 0,
        text_heads=config.text_config.num_attention_heads,
        rms_eps=config.text_config.rms_norm_eps,
    )
    return replace(own, **turned)


@cache
def reference(name: str) -> MiniGPT4ForConditionalGeneration:
    return small_model(name)


def oracle(name: str, **turned) -> Oracle:
    return Oracle(reference(name).state_dict(), facts(small_config(name), **turned))


@cache
def pixels() -> torch.Tensor:
    """Three different pictures, normalised; [3, 3, side, side]."""
    return torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(7))


@cache
@torch.no_grad()
def stages(name: str) -> dict[str, torch.Tensor]:
    """The reference's outputs for the three pictures and one prompt, each [pictures, ...]."""
    model = reference(name)
    states = model.image_encoder.vision(pixels())
    ids = prompt(name, "text", 0, "text")
    return {
        "vision": states,
        "bridge": model.image_encoder.bridge(states),
        "image_tokens": model.image_encoder(pixels()),
        "logits": model(input_ids=torch.tensor([ids]), pixel_values=pixels()[:1]).logits,
    }


def oracle_stage(second: Oracle, name: str, stage: str) -> torch.Tensor:
    if stage == "logits":
        return second.logits(prompt(name, "text", 0, "text"), [pixels()[0]])[None]
    of_one: dict[str, Callable] = {
        "vision": second.vision,
        "bridge": lambda image: second.bridge(second.vision(image)),
        "image_tokens": second.image_tokens,
    }
    return torch.stack([of_one[stage](image) for image in pixels()])


def error(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape
    return float((a.double() - b.double()).abs().max())


def prompt(name: str, *parts: str | int) -> list[int]:
    """BOS, and per part either eleven text ids or one image's placeholders."""
    generator = torch.Generator().manual_seed(len(parts))
    out = [1]
    for part in parts:
        if part == "text":
            out += torch.randint(3, 1000, (11,), generator=generator).tolist()
        else:
            out += [0] * small_config(name).num_image_tokens
    return out


@pytest.mark.parametrize("stage", ["vision", "bridge", "image_tokens", "logits"])
@pytest.mark.parametrize("name", FAMILY)
def test_every_stage_equals_the_oracle(name: str, stage: str):
    expected = oracle_stage(oracle(name), name, stage)
    assert expected.abs().max() > 1  # so that the tolerance is meaningful
    assert error(stages(name)[stage], expected) < TOLERANCE


@pytest.mark.parametrize(
    "parts",
    [(0, "text"), ("text", 0, "text"), ("text", 0), (0, 1, "text"), ("text", 0, "text", 1, "text")],
    ids=["first", "middle", "last", "two in a row", "two in two turns"],
)
@pytest.mark.parametrize("name", FAMILY)
@torch.no_grad()
def test_logits_equal_the_oracle_wherever_images_stand(name: str, parts: tuple):
    ids, images = prompt(name, *parts), [pixels()[n] for n in parts if n != "text"]
    found = reference(name)(input_ids=torch.tensor([ids]), pixel_values=torch.stack(images)).logits
    assert error(found[0], oracle(name).logits(ids, images)) < TOLERANCE
    swapped = [pixels()[2], *images[1:]] if len(images) == 1 else images[::-1]
    assert error(found[0], oracle(name).logits(ids, swapped)) > 0.1


@pytest.mark.parametrize("name", FAMILY)
@torch.no_grad()
def test_logits_equal_the_oracle_without_an_image(name: str):
    ids = prompt(name, "text", "text")
    found = reference(name)(input_ids=torch.tensor([ids])).logits
    assert error(found[0], oracle(name).logits(ids, [])) < TOLERANCE


@pytest.mark.parametrize("name", FAMILY)
@torch.no_grad()
def test_images_of_a_batch_go_to_their_own_prompts(name: str):
    prompts = [prompt(name, "text", 0, "text"), prompt(name, 0, "text", "text")]
    found = reference(name)(input_ids=torch.tensor(prompts), pixel_values=pixels()[1:]).logits
    for row, ids, image in zip(found, prompts, pixels()[1:], strict=True):
        assert error(row, oracle(name).logits(ids, [image])) < TOLERANCE


@torch.no_grad()
def test_any_number_of_images_is_encoded_one_like_the_other():
    expected = stages("vicuna-7b")["image_tokens"].repeat(3, 1, 1)
    assert error(reference("vicuna-7b").image_encoder(pixels().repeat(3, 1, 1, 1)), expected) < 1e-5


@pytest.mark.parametrize("name", FAMILY)
@torch.no_grad()
def test_greedy_answers_are_the_oracles(name: str):
    ids = prompt(name, "text", 0, "text")
    answers = [
        reference(name)
        .generate(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            pixel_values=image[None],
            max_new_tokens=6,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=2,
        )[0, len(ids) :]
        .tolist()
        for image in pixels()[:2]
    ]
    second, expected = oracle(name), []
    for _ in range(6):
        expected.append(int(second.logits(ids + expected, [pixels()[0]])[-1].argmax()))
    assert answers[0] == expected
    assert answers[1] != expected  # another picture, another answer
    assert len(set(expected)) > 2


@pytest.mark.parametrize("name", FAMILY)
def test_a_saved_checkpoint_is_the_same_model(name: str, tmp_path):
    folder = save(name, tmp_path / name)
    second = Oracle(load_file(folder / "model.safetensors"), facts(small_config(name)))
    model = MiniGPT4ForConditionalGeneration.from_pretrained(folder).eval()
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    ids = prompt(name, "text", 0, "text")
    with torch.no_grad():
        found = model(input_ids=torch.tensor([ids]), pixel_values=pixels()[:1]).logits
    assert error(found[0], second.logits(ids, [pixels()[0]])) < TOLERANCE


EVERYWHERE = [
    ("vision", {"ln_vision_eps": 1e-6}),
    ("vision", {"block_eps": 1e-5}),
    ("vision", {"gelu": "tanh"}),
    ("vision", {"vision_heads": 2}),
    ("logits", {"text_heads": 1}),
    ("logits", {"rotary": "pairs"}),
    ("logits", {"rotary_base": 500000.0}),
]
WITH_QFORMER = [
    ("bridge", {"ln_vision_eps": 1e-6}),
    ("bridge", {"attended_from": 1}),
    ("bridge", {"qformer_eps": 1e-6}),
    ("bridge", {"qformer_heads": 2}),
    ("bridge", {"query_norm": False}),
    ("bridge", {"cross_attention_every": 4}),
]
JOINED = [("bridge", {"joined": "columns"}), ("bridge", {"joined": "squares"})]


def described(value: object) -> str | None:
    return " ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else None


@pytest.mark.parametrize(
    ("name", "stage", "turned"),
    [
        (name, stage, turned)
        for name, family in FAMILY.items()
        for stage, turned in EVERYWHERE + (WITH_QFORMER if family.qformer else JOINED)
    ],
    ids=described,
)
def test_a_turned_fact_is_noticed(name: str, stage: str, turned: dict):
    assert error(stages(name)[stage], oracle_stage(oracle(name, **turned), name, stage)) > TOLERANCE


@pytest.mark.parametrize("name", FAMILY)
def test_the_other_familys_rms_epsilon_is_noticed(name: str):
    other = {1e-6: 1e-5, 1e-5: 1e-6}[small_config(name).text_config.rms_norm_eps]
    second = oracle_stage(oracle(name, rms_eps=other), name, "logits")
    assert error(stages(name)["logits"], second) > TOLERANCE


def drop(w: dict, prefix: str) -> None:
    for key in [key for key in w if key.startswith(prefix)]:
        del w[key]


def swap(w: dict, a: str, b: str) -> None:
    w[a], w[b] = w[b], w[a]


def one_block_more(w: dict) -> None:
    w |= {k.replace("blocks.2.", "blocks.3."): v for k, v in w.items() if "blocks.2." in k}


def reorder_qkv(w: dict) -> None:
    q, k, v = w["blocks.1.attn.qkv.weight"].chunk(3)
    w["blocks.1.attn.qkv.weight"] = torch.cat([k, q, v])


def zero(w: dict, name: str) -> None:
    w[name] = torch.zeros_like(w[name])


def transpose_patches(w: dict) -> None:
    w["patch_embed.proj.weight"] = w["patch_embed.proj.weight"].transpose(2, 3)


def blue_first(w: dict) -> None:
    w["patch_embed.proj.weight"] = w["patch_embed.proj.weight"].flip(1)


LAYER = "Qformer.bert.encoder.layer.0"
CHANGED = {
    "one block fewer": ("vision", lambda w: drop(w, "blocks.2.")),
    "one block more": ("vision", one_block_more),
    "no class token": ("vision", lambda w: zero(w, "cls_token")),
    "no query bias": ("vision", lambda w: zero(w, "blocks.0.attn.q_bias")),
    "no value bias": ("vision", lambda w: zero(w, "blocks.0.attn.v_bias")),
    "query and value biases swapped": (
        "vision",
        lambda w: swap(w, "blocks.0.attn.q_bias", "blocks.0.attn.v_bias"),
    ),
    "keys before queries": ("vision", reorder_qkv),
    "norms of a block swapped": (
        "vision",
        lambda w: swap(w, "blocks.0.norm1.weight", "blocks.0.norm2.weight"),
    ),
    "patches read down": ("vision", transpose_patches),
    "blue first": ("vision", blue_first),
    "no projection bias": ("image_tokens", lambda w: zero(w, "llama_proj.bias")),
    "tied head": ("logits", lambda w: w.update({"lm_head.weight": w["model.embed_tokens.weight"]})),
}
CHANGED_QFORMER = {
    "self- and cross-attention outputs swapped": (
        "bridge",
        lambda w: swap(
            w,
            f"{LAYER}.attention.output.dense.weight",
            f"{LAYER}.crossattention.output.dense.weight",
        ),
    ),
    "no query bias in the Q-Former": (
        "bridge",
        lambda w: zero(w, f"{LAYER}.crossattention.self.query.bias"),
    ),
    "ln_vision as 1 and 0": (
        "vision",
        lambda w: w.update({"ln_vision.weight": torch.ones(64), "ln_vision.bias": torch.zeros(64)}),
    ),
}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (name, change)
        for name, family in FAMILY.items()
        for change in CHANGED | (CHANGED_QFORMER if family.qformer else {})
    ],
)
def test_a_changed_weight_is_noticed(name: str, change: str):
    stage, apply = (CHANGED | CHANGED_QFORMER)[change]
    second = oracle(name)
    apply(second.weights)
    assert error(stages(name)[stage], oracle_stage(second, name, stage)) > TOLERANCE


def test_without_a_qformer_the_norm_after_vision_is_plain():
    weights = original_weights(reference("llama2-7b").state_dict())
    assert not any(key.startswith(("Qformer", "query_tokens")) for key in weights)
    assert torch.equal(weights["ln_vision.weight"], torch.ones(64))
    assert not weights["ln_vision.bias"].any()


@pytest.mark.parametrize("name", QFORMER)
def test_cross_attention_is_on_even_layers_only(name: str):
    weights = original_weights(reference(name).state_dict())
    found = {key.split(".")[4] for key in weights if ".crossattention." in key}
    assert found == {"0", "2"}
    assert not any(
        part in key for key in weights for part in (".intermediate.", ".output.LayerN..")
    )


def test_a_bias_of_the_keys_has_no_place_in_the_original_names():
    state = reference("vicuna-7b").state_dict()
    key = "image_encoder.vision.encoder.layers.1.self_attn.qkv.bias"
    state[key] = torch.ones_like(state[key])
    with pytest.raises(ValueError, match=r"layers\.1\.self_attn\.qkv\.bias"):
        original_weights(state)


def full_size(name: str) -> dict[str, torch.Size]:
    """Shapes of the true model under the original names, without a byte of weights."""
    family = FAMILY[name]
    text = {"hidden_size": family.language_model.hidden_size, "num_hidden_layers": 1}
    config = MiniGPT4Config(
        vision_config={"tower": "eva-clip-g"},
        qformer_config={} if family.qformer else None,
        text_config=text,
        num_image_tokens=family.image_tokens,
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        state = MiniGPT4ForConditionalGeneration(config).state_dict()
    # A bias of zeros for the keys cannot be looked at on the meta device.
    state = {k: torch.empty(v.shape, device="meta") for k, v in state.items()}
    out = {}
    for key, value in state.items():
        if key.endswith("qkv.bias"):
            n = key.split(".")[4]
            out[f"blocks.{n}.attn.q_bias"] = out[f"blocks.{n}.attn.v_bias"] = value.chunk(3)[
                0
            ].shape
        else:
            [renamed] = original_weights({key: value})
            out[renamed] = value.shape
    return out


@pytest.mark.parametrize("name", FAMILY)
def test_the_default_sizes_are_the_released_models(name: str):
    shapes, family = full_size(name), FAMILY[name]

    def parameters(*prefixes: str) -> int:
        return sum(shape.numel() for key, shape in shapes.items() if key.startswith(prefixes))

    assert parameters("cls_token", "pos_embed", "patch_embed", "blocks.") == 985_894_528
    assert shapes["pos_embed"] == (1, 257, 1408)
    assert shapes["blocks.38.attn.qkv.weight"] == (4224, 1408)
    assert shapes["blocks.38.mlp.fc1.weight"] == (6144, 1408)
    assert "blocks.39.norm1.weight" not in shapes
    hidden = {"vicuna-7b": 4096, "vicuna-13b": 5120, "llama2-7b": 4096}[name]
    assert shapes["llama_proj.weight"] == (hidden, 768 if family.qformer else 5632)
    if family.qformer:
        assert round(parameters("Qformer", "query_tokens") / 1e6, 1) == 105.2
        assert shapes["query_tokens"] == (1, 32, 768)
        crossed = {int(key.split(".")[4]) for key in shapes if ".crossattention." in key}
        assert crossed == {0, 2, 4, 6, 8, 10}
        key = "Qformer.bert.encoder.layer.10.crossattention.self.key.weight"
        assert shapes[key] == (768, 1408)
