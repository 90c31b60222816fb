"""Writes files in the original formats with random weights, at true or small widths.

Each tensor is a part of one table of random numbers, chosen by the seed and the tensor's name. It
is the same in every run, and fast enough for billions of values. Layouts: layout.py and the
sources named there.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from ..input_error import InputError
from ..models import BLIP2_QFORMER, EVA_VIT_G, FAMILY, LanguageModel
from . import layout
from .dimensions import Dimensions, QFormer, Vision, declare, released
from .made_up_tokenizer import LEARNT, make
from .progress import Progress

GAIN = 1.5  # over 1 / sqrt(fan in): large enough that logits depend on picture and prompt
TABLE = 2**24 + 43  # odd, so that rows of a matrix begin at different numbers
SHARD_BYTES = 2 * 2**30
HEAD = 1024  # outputs of EVA-CLIP's head
QUERY_POSITIONS = 512  # of BERT's buffer of position ids

Shape = tuple[int, ...]


def small(model: str) -> Dimensions:
    """Small widths and depths in the true structure: patches, queries and tokens as released."""
    family = FAMILY[model]
    words = family.language_model
    rows = tuple(LEARNT + size - 32000 for size in words.vocab_sizes)
    return Dimensions(
        Vision(width=64, blocks=3, heads=4, mlp=96),
        QFormer(width=48, layers=4, heads=4, mlp=96, t5_width=80) if family.qformer else None,
        replace(words, hidden_size=128, intermediate_size=256, layers=3, heads=4, vocab_sizes=rows),
    )


class Weights:
    """Random tensors by name."""

    def __init__(self, seed: int):
        self._seed = seed
        self._table = torch.randn(TABLE, generator=torch.Generator().manual_seed(seed))

    def normal(self, name: str, shape: Shape, deviation: float) -> torch.Tensor:
        """[*shape], float32, mean 0."""
        drawn = hashlib.sha256(f"{self._seed} {name}".encode()).digest()
        at = int.from_bytes(drawn[:8], "big") % TABLE
        out = torch.empty(math.prod(shape))
        for start in range(0, len(out), TABLE):
            part = out[start : start + TABLE]
            first = self._table[at : at + len(part)]
            part[: len(first)] = first
            part[len(first) :] = self._table[: len(part) - len(first)]
        return out.mul_(deviation).reshape(shape)

    def of(self, name: str, shape: Shape) -> torch.Tensor:
        """Plausible values for this name: norms near 1, biases near 0, matrices scaled."""
        if name.endswith(("embed_tokens.weight", "query_tokens")):
            return self.normal(name, shape, 1.0)
        if name in ("cls_token", "pos_embed"):
            return self.normal(name, shape, 0.3)
        if len(shape) == 1:
            around = 0.0 if name.endswith("bias") else 1.0  # q_bias and v_bias too
            return around + self.normal(name, shape, 0.1)
        return self.normal(name, shape, GAIN / math.sqrt(math.prod(shape[1:])))

    def all_of(self, shapes: Mapping[str, Shape], dtype: torch.dtype) -> dict[str, torch.Tensor]:
        return {name: self.of(name, shape).to(dtype) for name, shape in shapes.items()}


def write_eva(file: Path, vision: Vision, weights: Weights) -> None:
    """Writes eva_vit_g.pth: a bare float16 table, with an extra block, final norm and head."""
    shapes = (
        layout.eva(vision)
        | layout.eva_block(vision, vision.blocks)
        | layout.norm("norm", vision.width)
        | layout.both("head", HEAD, vision.width)
    )
    torch.save(weights.all_of(shapes, torch.float16), file)


def write_qformer(file: Path, dimensions: Dimensions, weights: Weights) -> None:
    """blip2_pretrained_flant5xxl.pth: under `model`, float32, with T5's projection."""
    qformer = dimensions.qformer
    shapes = layout.lavis_qformer(qformer, dimensions.vision.width)
    shapes |= layout.both("t5_proj", qformer.t5_width, qformer.width)
    table = weights.all_of(shapes, torch.float32)
    table["Qformer.bert.embeddings.position_ids"] = torch.arange(QUERY_POSITIONS)[None]
    torch.save({"model": table}, file)


def frequencies(words: LanguageModel) -> torch.Tensor:
    """The rotary buffer `inv_freq` [head size / 2] that old checkpoints include."""
    size = words.hidden_size // words.heads
    return 1.0 / 10000.0 ** (torch.arange(0, size, 2).float() / size)


def write_projector(file: Path, dimensions: Dimensions, weights: Weights) -> None:
    """Writes a checkpoint as MiniGPT-4's training does: no frozen weights, but buffers."""
    words, qformer = dimensions.language_model, dimensions.qformer
    shapes = layout.both("llama_proj", words.hidden_size, dimensions.projection_width)
    table = weights.all_of(shapes, torch.float32)
    moments = {
        number: {
            "step": torch.tensor(1000.0),
            "exp_avg": weights.normal(f"{name} first moment", shape, 1e-4),
            "exp_avg_sq": weights.normal(f"{name} second moment", shape, 1e-4).square(),
        }
        for number, (name, shape) in enumerate(shapes.items())
    }
    group = {"lr": 1e-5, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.05}
    if qformer:
        table["Qformer.bert.embeddings.position_ids"] = torch.arange(QUERY_POSITIONS)[None]
    for layer in range(words.layers):
        name = f"llama_model.model.layers.{layer}.self_attn.rotary_emb.inv_freq"
        table[name] = frequencies(words)
    whole = {
        "model": table,
        "optimizer": {"state": moments, "param_groups": [group | {"params": [0, 1]}]},
        "config": {"model": {"arch": "mini_gpt4", "has_qformer": qformer is not None}},
        "scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 0},
        "epoch": 4,
    }
    torch.save(whole, file)


class LanguageModelFolders:
    """The language model as base plus delta, as a fine-tuned model is; merged, or as the two.

    The merged tensors are the float16 sum, so that both ways give the same model.
    """

    def __init__(self, dimensions: Dimensions, weights: Weights, shard_bytes: int):
        self._words, self._weights, self._bytes = dimensions.language_model, weights, shard_bytes
        self._rows = self._words.vocab_sizes[-1]  # including the padding row, if there is one
        self._pieces = self._words.vocab_sizes[0]

    def _base(self, name: str, shape: Shape) -> torch.Tensor:
        return self._weights.of(name, shape).half()

    def _delta(self, name: str, shape: Shape) -> torch.Tensor:
        scale = 0.02 if len(shape) == 1 else 0.05 / math.sqrt(shape[-1])
        return self._weights.normal(f"{name} delta", shape, scale).half()

    def _merged(self, name: str, shape: Shape) -> torch.Tensor:
        out = self._delta(name, shape)
        rows = self._pieces if shape[0] == self._rows else shape[0]
        out[:rows] += self._base(name, (rows, *shape[1:]))
        return out

    def write(self, folder: Path, part: str = "merged", safe: bool = False) -> None:
        """`part`: merged, delta or base."""
        words = self._words
        rows = self._pieces if part == "base" else self._rows
        shapes = dict(sorted(layout.llama(words, rows).items(), key=_place))
        made = {"merged": self._merged, "delta": self._delta, "base": self._base}[part]
        sizes = {name: 2 * math.prod(shape) for name, shape in shapes.items()}
        shards = _divide(sizes, min(self._bytes, sum(sizes.values()) // 3 + 1))
        folder.mkdir()
        stem, ending = ("model", "safetensors") if safe else ("pytorch_model", "bin")
        table, progress = {}, Progress(f"writing {folder.name}", sum(sizes.values()))
        for number, names in enumerate(shards, 1):
            file = f"{stem}-{number:05d}-of-{len(shards):05d}.{ending}"
            tensors = {}
            for name in names:
                tensors[name] = made(name, shapes[name])
                progress.advance(sizes[name])
                if name.endswith("q_proj.weight"):
                    root = name.removesuffix("q_proj.weight")
                    tensors[f"{root}rotary_emb.inv_freq"] = frequencies(words)
            table |= dict.fromkeys(tensors, file)
            if safe:
                save_file(tensors, folder / file, metadata={"format": "pt"})
                (folder / file).chmod(0o644)
            else:
                torch.save(tensors, folder / file)
        progress.finish()
        index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": table}
        _json(folder / f"{stem}.{ending}.index.json", index)
        self._write_texts(folder, rows)

    def _write_texts(self, folder: Path, rows: int) -> None:
        words = self._words
        vicuna = len(words.vocab_sizes) > 1
        config = {
            "architectures": ["LlamaForCausalLM"],
            "bos_token_id": 1,
            "eos_token_id": 2,
            "hidden_act": "silu",
            "hidden_size": words.hidden_size,
            "initializer_range": 0.02,
            "intermediate_size": words.intermediate_size,
            "max_position_embeddings": words.context_length,
            "model_type": "llama",
            "num_attention_heads": words.heads,
            "num_hidden_layers": words.layers,
            "pad_token_id": 0,
            "rms_norm_eps": words.rms_norm_eps,
            "tie_word_embeddings": False,
            "torch_dtype": "float16",
            "use_cache": True,
            "vocab_size": rows,
        }
        _json(folder / "config.json", config)
        # Vicuna v0's file has the same wrong values.
        ids = {"bos_token_id": 0, "eos_token_id": 1} if vicuna else {}
        _json(
            folder / "generation_config.json",
            {"bos_token_id": 1, "eos_token_id": 2} | ids | {"pad_token_id": 0},
        )
        special = {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True}
        _json(folder / "tokenizer_config.json", special | {"model_max_length": 2048})
        if rows > self._pieces:
            _json(folder / "added_tokens.json", {"[PAD]": self._pieces})
        (folder / "tokenizer.model").write_bytes(make(self._pieces))


def _place(item: tuple[str, Shape]) -> tuple[int, int]:
    """Sorts parameters as the model does: embedding, layers, norm, head."""
    name = item[0]
    if name.startswith("model.layers."):
        return 1, int(name.split(".")[2])
    return {"model.embed_tokens.weight": (0, 0), "model.norm.weight": (2, 0)}.get(name, (3, 0))


def _divide(sizes: Mapping[str, int], limit: int) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if parts[-1] and filled + size > limit:
            parts.append([])
            filled = 0
        parts[-1].append(name)
        filled += size
    return parts


def write_blip2(folder: Path, dimensions: Dimensions, weights: Weights) -> None:
    """Writes Hugging Face's BLIP-2 FLAN-T5-XXL with the same ViT and Q-Former, and little of T5."""
    vision, qformer = dimensions.vision, dimensions.qformer or QFormer()
    eva = weights.all_of(layout.eva(vision), torch.float16)
    lavis = weights.all_of(layout.lavis_qformer(qformer, vision.width), torch.float32)
    eva |= {name: lavis[name] for name in ("ln_vision.weight", "ln_vision.bias")}
    first: dict[str, torch.Tensor] = {"query_tokens": lavis["query_tokens"]}
    for name in layout.blip2_vision(vision):
        parts = [eva[old] for old in layout.eva_name(name)]
        if len(parts) == 2:
            parts.insert(1, torch.zeros_like(parts[0]))
        first[f"vision_model.{name}"] = torch.cat(parts).float()
    second = {
        f"qformer.{name}": lavis[layout.lavis_name(name)]
        for name in layout.blip2_qformer(qformer, vision.width)
    }
    projection = layout.both("language_projection", qformer.t5_width, qformer.width)
    second |= weights.all_of(projection, torch.float32)
    third = {
        f"language_model.{name}": weights.of(name, (64, qformer.t5_width))
        for name in ("shared.weight", "encoder.block.0.layer.0.SelfAttention.q.weight")
    }
    folder.mkdir()
    table, parts = {}, (first, second, third)
    for number, tensors in enumerate(parts, 1):
        file = f"model-{number:05d}-of-{len(parts):05d}.safetensors"
        save_file(tensors, folder / file, metadata={"format": "pt"})
        (folder / file).chmod(0o644)
        table |= dict.fromkeys(tensors, file)
    _json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": table})
    _json(folder / "config.json", {"model_type": "blip-2"})


def synth(
    model: str,
    out: Path,
    *,
    size: str = "small",
    seed: int = 0,
    delta: bool = False,
    hf_blip2: bool = False,
    shard_bytes: int = SHARD_BYTES,
) -> Path:
    """Writes a set of files that `assemble --synthetic` takes, into the new folder `out`.

    `delta`: a v0 delta and its LLaMA instead of the merged language model. `hf_blip2`: Hugging
    Face's BLIP-2 folder instead of eva_vit_g.pth and blip2_pretrained_flant5xxl.pth. Raises
    InputError if `out` is not empty, or the model has no delta.
    """
    family = FAMILY[model]
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise InputError(f"{out}: already exists", "name a new folder with --out")
    if delta and family.template != "vicuna":
        raise InputError(f"{model}: its language model was never published as a delta")
    out.mkdir(parents=True, exist_ok=True)
    dimensions = small(model) if size == "small" else released(model)
    weights = Weights(seed)
    if hf_blip2:
        write_blip2(out / "blip2-flan-t5-xxl", dimensions, weights)
    else:
        write_eva(out / EVA_VIT_G.name, dimensions.vision, weights)
        if dimensions.qformer:
            write_qformer(out / BLIP2_QFORMER.name, dimensions, weights)
    write_projector(out / family.projector.name, dimensions, weights)
    folders = LanguageModelFolders(dimensions, weights, shard_bytes)
    billions = model.rpartition("-")[2]
    if delta:
        folders.write(out / f"{model}-delta-v0", "delta")
        folders.write(out / f"llama-{billions}", "base")
    else:
        name = family.language_model.repository.rpartition("/")[2]
        folders.write(out / name, safe=family.template == "llama2")
    declare(out, model, dimensions, size=size, seed=seed)
    return out


def _json(path: Path, value: Mapping | Iterable) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
