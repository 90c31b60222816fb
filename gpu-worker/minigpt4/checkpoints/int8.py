"""Eight-bit linear layers for CPUs: weights scaled per output channel, inputs per token.

The format is compressed-tensors' `int-quantized` (W8A8), which vLLM runs with the CPU's 8-bit
kernels. It rounds to nearest, symmetrically, and needs no calibration data.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

KINDS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
LARGEST = 127

_WEIGHTS = {
    "num_bits": 8,
    "type": "int",
    "symmetric": True,
    "strategy": "channel",
    "dynamic": False,
}
CONFIG = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": _WEIGHTS,
            "input_activations": _WEIGHTS | {"strategy": "token", "dynamic": True},
        }
    },
}


def is_linear(name: str) -> bool:
    """Whether a tensor is the matrix of a linear layer of one of the model's blocks."""
    return name.endswith(".weight") and name.split(".")[-2] in KINDS


def quantise(name: str, weight: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """float [out, in] -> int8 [out, in] and bfloat16 scales [out, 1], by their checkpoint names.

    Rounds the values with the scale as stored in bfloat16, so that values and scale agree.
    """
    scale = (weight.abs().amax(dim=1, keepdim=True) / LARGEST).clamp_min(1e-12)
    scale = scale.to(torch.bfloat16)
    values = (weight / scale.float()).round().clamp(-LARGEST, LARGEST).to(torch.int8)
    yield name, values.contiguous()
    yield f"{name}_scale", scale


def dequantised(tensors: Mapping[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The tensors of a quantised checkpoint with its matrices as values times scale.

    All are copies, so that none keeps a mapped file in memory.
    """
    out = {}
    for name, value in tensors.items():
        if (scale := tensors.get(f"{name}_scale")) is not None:
            out[name] = (value.float() * scale.float()).to(dtype)
        elif not name.endswith(".weight_scale"):
            out[name] = value.clone()
    return out


def declare(config: Path) -> None:
    """Declares in a checkpoint's config.json that its linear layers are quantised."""
    found = json.loads(config.read_text())
    config.write_text(json.dumps(found | {"quantization_config": CONFIG}, indent=2) + "\n")
