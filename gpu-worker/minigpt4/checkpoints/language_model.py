"""Checks and reads the folder of a LLaMA-family language model."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import torch

from ..input_error import InputError
from ..models import LanguageModel
from . import layout
from .shards import Output
from .tensors import Stored, check, folder_tensors

FINAL_NORM = "model.norm.weight"
FLOATS = (torch.float16, torch.bfloat16, torch.float32)
BOS, EOS = 1, 2  # `<s>` and `</s>`; Vicuna v0's generation_config.json says 0 and 1, wrongly
_QUANTISED = re.compile(
    r"\.(qweight|qzeros|scales|g_idx|weight|bias|weight_(scale|scale_inv|scale_2|packed|shape|"
    r"zero_point|g_idx|global_scale)|input_(scale|zero_point|global_scale)|[kv]_scale)$"
)


def read_json(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: missing", "use the whole folder") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not JSON ({error})", "download the file again") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: not a JSON object")
    return found


def check_config(
    folder: Path,
    words: LanguageModel,
    model: str,
    *,
    delta: bool = False,
    base: bool = False,
    any_name: bool = False,
) -> dict:
    """Reads config.json. Raises InputError, which names the field, for another model.

    `delta` and `base` say which half of an unmerged pair the folder should be.
    """
    path = folder / "config.json"
    found = read_json(path)
    bring = f"bring {words.repository} (version 0 for Vicuna)" if not base else "bring LLaMA 1"
    rope = found.get("rope_parameters") or {}
    fields = {
        "model_type": (found.get("model_type"), "llama"),
        "hidden_size": (found.get("hidden_size"), words.hidden_size),
        "intermediate_size": (found.get("intermediate_size"), words.intermediate_size),
        "num_hidden_layers": (found.get("num_hidden_layers"), words.layers),
        "num_attention_heads": (found.get("num_attention_heads"), words.heads),
        "num_key_value_heads": (found.get("num_key_value_heads") or words.heads, words.heads),
        "rms_norm_eps": (found.get("rms_norm_eps", 1e-6), words.rms_norm_eps),
        # The oldest conversions name it max_sequence_length.
        "max_position_embeddings": (
            found.get("max_position_embeddings", found.get("max_sequence_length", 2048)),
            words.context_length,
        ),
        "hidden_act": (found.get("hidden_act", "silu"), "silu"),
        "rope_theta": (found.get("rope_theta", rope.get("rope_theta", 10000.0)), 10000.0),
        "rope_scaling": (found.get("rope_scaling"), None),
        "rope_type": (rope.get("rope_type", "default"), "default"),
        "tie_word_embeddings": (found.get("tie_word_embeddings", False), False),
        "attention_bias": (found.get("attention_bias", False), False),
    }
    for field, (value, wanted) in fields.items():
        if value != wanted:
            raise InputError(f"{path}: {field} is {value!r}, {model} needs {wanted!r}", bring)
    architectures = found.get("architectures") or ["LlamaForCausalLM"]
    if [str(name).lower() for name in architectures] != ["llamaforcausallm"]:
        raise InputError(f"{path}: architectures is {architectures}, not LlamaForCausalLM", bring)
    rows = found.get("vocab_size")
    sizes = words.vocab_sizes[:1] if base else words.vocab_sizes
    if rows not in sizes:
        wanted = " or ".join(map(str, sizes))
        raise InputError(f"{path}: vocab_size is {rows!r}, {model} needs {wanted}", bring)
    if not any_name:
        for name in (str(found.get("_name_or_path", "")), folder.resolve().name):
            _check_name(path, name, model, delta)
    return found


def _check_name(path: Path, name: str, model: str, delta: bool) -> None:
    other = "pass --accept-other llm if the name is wrong"
    if version := re.search(r"v1[._][0-9]", name):
        raise InputError(
            f"{path}: '{name}' names version {version[0]}; MiniGPT-4 was trained with another",
            f"use the right version (Vicuna v0), or {other}",
        )
    if "delta" in name.lower() and not delta:
        raise InputError(
            f"{path}: '{name}' is a delta, which is not a model by itself",
            f"pass it as --delta, with LLaMA as --base, or {other}",
        )
    if model.startswith("llama2") and re.search(r"llama-2-\d+b(-hf)?$", name.lower()):
        raise InputError(f"{path}: '{name}' is the base model, not the chat model", other)


def _mean_of_final_norm(tensors: dict[str, Stored]) -> float:
    return tensors[FINAL_NORM].read().float().mean().item()


def _is_difference(tensors: dict[str, Stored]) -> bool:
    """Whether this is a delta: a trained norm's weights are near 1, their change near 0."""
    return abs(_mean_of_final_norm(tensors)) < 0.1


def merged(
    folder: Path, config: dict, words: LanguageModel, model: str, ignore: Iterable[str]
) -> list[Output]:
    """The tensors of a complete language model, quantised ones unchanged. Raises InputError."""
    tensors = folder_tensors(folder)
    shapes = layout.llama(words, config["vocab_size"])
    if config.get("quantization_config"):
        _check_quantised(folder, tensors, shapes, words, model)
    else:
        check(tensors, shapes, layout.LLAMA_STRAYS, folder, model, ignore)
        _check_dtypes(tensors, shapes)
        if _is_difference(tensors):
            raise InputError(
                f"{tensors[FINAL_NORM].file}: the mean of {FINAL_NORM} is "
                f"{_mean_of_final_norm(tensors):.3f}: this is an unmerged delta",
                "pass it as --delta, with LLaMA as --base",
            )
    return [
        Output(f"language_model.{name}", stored.shape, stored.dtype, (stored,), _as_it_is)
        for name, stored in tensors.items()
        if name in shapes or (config.get("quantization_config") and not _stray(name))
    ]


def _as_it_is(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _stray(name: str) -> bool:
    return re.fullmatch(layout.LLAMA_STRAYS, name) is not None


def _check_dtypes(tensors: dict[str, Stored], names: Iterable[str]) -> None:
    for name in names:
        if tensors[name].dtype not in FLOATS:
            raise InputError(
                f"{tensors[name].file}: tensor {name} is {tensors[name].dtype}, but config.json "
                "declares no quantisation",
                "use float16, or a quantised model with its quantization_config",
            )


def _check_quantised(
    folder: Path,
    tensors: dict[str, Stored],
    shapes: dict[str, tuple[int, ...]],
    words: LanguageModel,
    model: str,
) -> None:
    """Checks AWQ, GPTQ, fp8 and the like: everything but the linear layers is as usual."""
    linears = layout.llama_linears(words)
    whole = {n: s for n, s in shapes.items() if n.removesuffix(".weight") not in linears}
    whole.pop("lm_head.weight", None)  # some formats quantise it too
    held = {name: stored for name, stored in tensors.items() if name in whole}
    check(held, whole, "", folder, model)
    for layer in (*linears, "lm_head"):
        if not any(f"{layer}.{kind}" in tensors for kind in ("weight", "qweight", "weight_packed")):
            raise InputError(
                f"{folder}: no weight of the quantised layer {layer}", "use the complete model"
            )
    for name in tensors:
        layer = _QUANTISED.sub("", name)
        known = name in whole or layer in linears or layer == "lm_head"
        scale = re.fullmatch(
            r"model\.layers\.\d+\.self_attn(\.attn)?", layer
        )  # a scale of the cache
        if not (known or scale or _stray(name)):
            raise InputError(f"{folder}: tensor {name} is not part of a quantised {model}")


def added(
    delta: Path,
    base: Path,
    delta_config: dict,
    base_config: dict,
    words: LanguageModel,
    model: str,
    ignore: Iterable[str],
) -> list[Output]:
    """Base plus delta in float16, as in FastChat 0.1.10; extra rows of the delta are kept."""
    changes, origin = folder_tensors(delta), folder_tensors(base)
    shapes = layout.llama(words, delta_config["vocab_size"])
    check(changes, shapes, layout.LLAMA_STRAYS, delta, model, ignore)
    before = layout.llama(words, base_config["vocab_size"])
    check(origin, before, layout.LLAMA_STRAYS, base, f"{model}'s base", ignore)
    _check_dtypes(changes, shapes)
    _check_dtypes(origin, shapes)
    if not _is_difference(changes):
        raise InputError(
            f"{changes[FINAL_NORM].file}: the mean of {FINAL_NORM} is "
            f"{_mean_of_final_norm(changes):.3f}: this is a merged model, not a delta",
            "pass it as --llm, without --base",
        )
    if _is_difference(origin):
        raise InputError(
            f"{origin[FINAL_NORM].file}: the mean of {FINAL_NORM} is "
            f"{_mean_of_final_norm(origin):.3f}: the base is a delta itself",
            "pass LLaMA as --base",
        )
    return [
        Output(f"language_model.{name}", stored.shape, torch.float16, (origin[name], stored), _plus)
        for name, stored in changes.items()
        if name in shapes
    ]


def _plus(base: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
    out = delta.to(torch.float16, copy=True)
    out[: len(base)] += base.to(torch.float16)
    return out


def text_config(config: dict, words: LanguageModel, dtype: torch.dtype) -> dict:
    """transformers' Llama configuration, from the checked values."""
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": config["vocab_size"],
        "hidden_size": words.hidden_size,
        "intermediate_size": words.intermediate_size,
        "num_hidden_layers": words.layers,
        "num_attention_heads": words.heads,
        "num_key_value_heads": words.heads,
        "head_dim": words.hidden_size // words.heads,
        "hidden_act": "silu",
        "max_position_embeddings": words.context_length,
        "rms_norm_eps": words.rms_norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "tie_word_embeddings": False,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": None,
        "dtype": str(dtype).removeprefix("torch."),
    }
