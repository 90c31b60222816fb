"""Reads a language model from a GGUF file: weights, config and tokenizer in transformers' form.

Two architectures: `llama` (SmolLM2) and `qwen2` (Qwen2.5). The format and its names:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from collections.abc import Iterator

import gguf
import numpy as np
import torch
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
)

CONTROL = 3  # token type of a control token

TENSOR_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "token_embd": "embed_tokens",
    "output": "embed_tokens",
    "output_norm": "norm",
}
ARCHITECTURES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}
# The file has it rounded to float32.
NORM_EPS = {"llama": 1e-5, "qwen2": 1e-6}
# How each vocabulary splits text before it merges bytes; the pattern is Qwen2's own.
QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def field(reader: gguf.GGUFReader, name: str):
    """The value of a metadata field. Raises KeyError, which names the field, if it is missing."""
    found = reader.get_field(name)
    if found is None:
        raise KeyError(f"the GGUF file has no field {name}")
    return found.contents()


def weights(reader: gguf.GGUFReader) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields transformers' names and float32 values, one tensor at a time.

    For `llama` the format interleaves the two rotary halves of each head in queries and keys; this
    function restores transformers' order. Input and output embeddings are one matrix. If the file
    has both, the output's is used, because it is quantised less.
    """
    architecture = field(reader, "general.architecture")
    heads = {}
    if architecture == "llama":
        heads = {
            "attn_q": field(reader, "llama.attention.head_count"),
            "attn_k": field(reader, "llama.attention.head_count_kv"),
        }
    names = {tensor.name for tensor in reader.tensors}
    for tensor in reader.tensors:
        *block, kind, suffix = tensor.name.split(".")  # blk.N.kind.weight or kind.weight
        if kind == "token_embd" and "output.weight" in names:
            continue
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if kind in heads:
            shape = values.shape
            values = values.reshape(heads[kind], -1, 2, shape[-1]).swapaxes(1, 2).reshape(shape)
        prefix = f"layers.{block[1]}." if block else ""
        name = f"model.{prefix}{TENSOR_NAMES[kind]}.{suffix}"
        yield name, torch.from_numpy(np.array(values, dtype=np.float32))


def embeddings(reader: gguf.GGUFReader) -> torch.Tensor:
    """The matrix that `weights` gives as `embed_tokens`, float32 [vocabulary, hidden]."""
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    found = tensors.get("output.weight") or tensors["token_embd.weight"]
    values = gguf.quants.dequantize(found.data, found.tensor_type)
    return torch.from_numpy(np.array(values, dtype=np.float32))


def text_config(reader: gguf.GGUFReader, dtype: str) -> dict:
    """The language model's config.json, for weights kept in `dtype`."""
    architecture = field(reader, "general.architecture")

    def own(name: str):
        return field(reader, f"{architecture}.{name}")

    width, heads = own("embedding_length"), own("attention.head_count")
    ids = {
        name: reader.get_field(f"tokenizer.ggml.{key}_token_id")
        for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))
    }
    return {
        "model_type": architecture,
        "architectures": [ARCHITECTURES[architecture]],
        "vocab_size": len(field(reader, "tokenizer.ggml.tokens")),
        "hidden_size": width,
        "intermediate_size": own("feed_forward_length"),
        "num_hidden_layers": own("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": own("attention.head_count_kv"),
        "head_dim": width // heads,
        "max_position_embeddings": own("context_length"),
        "rms_norm_eps": NORM_EPS[architecture],
        "rope_parameters": {"rope_type": "default", "rope_theta": own("rope.freq_base")},
        "tie_word_embeddings": True,
        **{f"{name}_token_id": found.contents() for name, found in ids.items() if found},
        "dtype": dtype,
    }


def tokenizer(reader: gguf.GGUFReader, image_token: str, renamed: int | None) -> Tokenizer:
    """The model's byte-level BPE tokenizer, whose control token `image_token` marks images.

    If the vocabulary has no such token, its control token `renamed` gets that name.
    """
    tokens = list(field(reader, "tokenizer.ggml.tokens"))
    if renamed is not None:
        tokens[renamed] = image_token
    types = field(reader, "tokenizer.ggml.token_type")
    merges = field(reader, "tokenizer.ggml.merges")
    out = Tokenizer(
        models.BPE(
            vocab={token: n for n, token in enumerate(tokens)},
            merges=[tuple(merge.split(" ")) for merge in merges],
        )
    )
    if field(reader, "tokenizer.ggml.pre") == "qwen2":
        out.normalizer = normalizers.NFC()
        words = pre_tokenizers.Split(Regex(QWEN2_WORDS), behavior="isolated")
        to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    else:
        words = pre_tokenizers.Digits(individual_digits=True)
        to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    out.pre_tokenizer = pre_tokenizers.Sequence([words, to_bytes])
    out.decoder = decoders.ByteLevel()
    control = [t for t, kind in zip(tokens, types, strict=True) if kind == CONTROL]
    if image_token not in control:
        raise KeyError(f"the GGUF file's vocabulary has no control token {image_token}")
    out.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in control])
    return out
