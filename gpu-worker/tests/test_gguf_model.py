"""A GGUF file becomes the model that was written into it, for both architectures."""

import hashlib
import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from minigpt4.checkpoints import embedded, gguf_model, int8

WIDTH, MIDDLE, BLOCKS, HEADS, KV_HEADS = 32, 48, 2, 4, 2
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>"]
LETTERS = [chr(c) for c in range(33, 127)] + ["Ġ", "Ċ"]
TOKENS = [*CONTROL, *LETTERS, "Ġt", "he", "Ġthe"]
MERGES = ["Ġ t", "h e", "Ġt he"]
CONFIGS = {"llama": (LlamaConfig, LlamaForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM)}


def random_model(architecture: str):
    config, model = CONFIGS[architecture]
    torch.manual_seed(3)
    made = model(
        config(
            vocab_size=len(TOKENS),
            hidden_size=WIDTH,
            intermediate_size=MIDDLE,
            num_hidden_layers=BLOCKS,
            num_attention_heads=HEADS,
            num_key_value_heads=KV_HEADS,
            tie_word_embeddings=True,
            rms_norm_eps=gguf_model.NORM_EPS[architecture],
            max_position_embeddings=64,
        )
    ).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.2)
    return made


def interleaved(values: np.ndarray, heads: int) -> np.ndarray:
    """transformers' rotary halves -> the pairs that llama.cpp writes for `llama`."""
    return values.reshape(heads, 2, -1, values.shape[-1]).swapaxes(1, 2).reshape(values.shape)


def write(path: Path, model, architecture: str, output: torch.Tensor | None = None) -> Path:
    """The model as a GGUF file; `output` is another matrix for the output's embedding."""
    names = {ours: theirs for theirs, ours in gguf_model.TENSOR_NAMES.items() if theirs != "output"}
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(MIDDLE)
    writer.add_block_count(BLOCKS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_context_length(64)
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2" if architecture == "qwen2" else "smollm")
    writer.add_token_list(TOKENS)
    kinds = [gguf_model.CONTROL if token in CONTROL else 1 for token in TOKENS]
    writer.add_token_types(kinds)
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    for name, value in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        *path_parts, kind, suffix = name.removeprefix("model.").split(".")
        if path_parts and path_parts[-1] in ("self_attn", "mlp"):
            kind = f"{path_parts[-1]}.{kind}"
        block = f"blk.{path_parts[1]}." if path_parts else ""
        values = value.numpy()
        if architecture == "llama" and kind.endswith(("q_proj", "k_proj")):
            values = interleaved(values, HEADS if kind.endswith("q_proj") else KV_HEADS)
        writer.add_tensor(f"{block}{names[kind]}.{suffix}", np.ascontiguousarray(values))
    if output is not None:
        writer.add_tensor("output.weight", output.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("architecture", CONFIGS)
def test_every_weight_and_the_configuration_come_back(tmp_path, architecture):
    model = random_model(architecture)
    reader = gguf.GGUFReader(write(tmp_path / "model.gguf", model, architecture))
    found = dict(gguf_model.weights(reader))
    wanted = {n: v for n, v in model.state_dict().items() if n != "lm_head.weight"}
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    text = gguf_model.text_config(reader, "float32")
    config, kind = CONFIGS[architecture]
    again = kind(config(**text)).eval()
    again.load_state_dict(found, strict=False)
    again.tie_weights()
    ids = torch.tensor([[1, 9, 40, 7]])
    assert torch.equal(again(input_ids=ids).logits, model(input_ids=ids).logits)
    assert text["eos_token_id"] == 2 and text["vocab_size"] == len(TOKENS)


def test_the_output_embedding_stands_for_both_where_the_file_has_two(tmp_path):
    other = torch.randn(len(TOKENS), WIDTH)
    path = write(tmp_path / "model.gguf", random_model("qwen2"), "qwen2", other)
    found = dict(gguf_model.weights(gguf.GGUFReader(path)))
    assert torch.equal(found["model.embed_tokens.weight"], other)


def test_the_tokenizer_reads_and_writes_as_the_file_says(tmp_path):
    path = write(tmp_path / "model.gguf", random_model("qwen2"), "qwen2")
    reader = gguf.GGUFReader(path)
    tokenizer = gguf_model.tokenizer(reader, "<|image_pad|>", None)
    ids = tokenizer.encode("see the cat").ids
    assert TOKENS.index("Ġthe") in ids and tokenizer.decode(ids) == "see the cat"
    assert tokenizer.encode("<|image_pad|>").ids == [3]
    renamed = gguf_model.tokenizer(reader, "<image>", 0)
    assert renamed.token_to_id("<image>") == 0
    with pytest.raises(KeyError, match="no control token <picture>"):
        gguf_model.tokenizer(reader, "<picture>", None)


def test_eight_bits_round_each_output_channel_to_its_own_scale():
    weight = torch.randn(6, 64, generator=torch.Generator().manual_seed(0)) * torch.logspace(
        -3, 1, 6
    ).unsqueeze(1)
    weight[5] = 0  # a channel that is never used
    name = "model.layers.0.mlp.up_proj.weight"
    (kept, values), (scaled, scale) = int8.quantise(name, weight)
    assert (kept, scaled) == (name, f"{name}_scale")
    assert values.dtype == torch.int8 and scale.dtype == torch.bfloat16 and scale.shape == (6, 1)
    error = (values.float() * scale.float() - weight).abs()
    assert (error <= scale.float() * 0.75 + 1e-9).all()  # half a step, and what bfloat16 rounds
    assert error[:5].norm() / weight.norm() < 0.02
    assert (values[5] == 0).all()
    norm = torch.ones(3, dtype=torch.bfloat16)
    stored = {name: values, f"{name}_scale": scale, "model.norm.weight": norm}
    back = int8.dequantised(stored, torch.float32)
    assert back.keys() == {name, "model.norm.weight"}
    assert (back[name] == values.float() * scale.float()).all()
    assert torch.equal(back["model.norm.weight"], norm)


@pytest.mark.parametrize(
    ("name", "linear"),
    [
        ("model.layers.3.self_attn.q_proj.weight", True),
        ("model.layers.3.self_attn.q_proj.bias", False),
        ("model.layers.3.input_layernorm.weight", False),
        ("model.embed_tokens.weight", False),
    ],
)
def test_only_matrices_of_blocks_are_quantised(name, linear):
    assert int8.is_linear(name) is linear


def test_a_language_model_that_is_another_file_is_refused(tmp_path, monkeypatch):
    parts = [tmp_path / f"part{n}.bin" for n in (1, 2)]
    for part in parts:
        part.write_bytes(b"other weights")
    monkeypatch.setattr(
        embedded, "package_file", lambda package, name, extra: parts[int(package[-1]) - 1]
    )
    recipe = embedded.RECIPES["mini"]
    cut = embedded.Recipe(**vars(recipe) | {"packages": ("part-1", "part-2")})
    with pytest.raises(embedded.WrongPart, match=r"not the one that mini was trained with.*nano"):
        embedded.language_model_file(cut, tmp_path)
    whole = b"".join(part.read_bytes() for part in parts)
    right = embedded.Recipe(**vars(cut) | {"sha256": hashlib.sha256(whole).hexdigest()})
    assert embedded.language_model_file(right, tmp_path).read_bytes() == whole


def test_a_quantised_checkpoint_says_so_in_its_configuration(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "minigpt4"}')
    int8.declare(path)
    found = json.loads(path.read_text())
    assert found["model_type"] == "minigpt4"
    group = found["quantization_config"]["config_groups"]["group_0"]
    assert (group["weights"]["num_bits"], group["input_activations"]["strategy"]) == (8, "token")
