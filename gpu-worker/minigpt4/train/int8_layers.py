"""Linear layers of a frozen language model in int8, for training on a CPU.

The weights are those that a CPU serves (checkpoints/int8.py): one scale per output channel. A row
of activations, and on the way back a row of their gradient, has one scale per token. Everything
rounds to the nearest. Integer products are several times as fast as those of bfloat16 or float32
on CPUs that have them (AVX-512 VNNI).
"""

import torch
from torch import nn

from ..checkpoints import int8


def quantise_rows(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[M, K] -> int8 [M, K] and float32 scales [M, 1], whose product is close to `values`."""
    scale = (values.abs().amax(1, keepdim=True) / int8.LARGEST).clamp_min(1e-30)
    return (values / scale).round_().to(torch.int8), scale


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(weight, scale)
        whole, each = quantise_rows(rows)
        return torch._int_mm(whole, weight.t()).float().mul_(each).mul_(scale)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        weight, scale = ctx.saved_tensors
        whole, each = quantise_rows(gradient * scale)
        return torch._int_mm(whole, weight).float().mul_(each), None, None


class Int8Linear(nn.Module):
    """A frozen `nn.Linear` [N, K] that multiplies in int8 and otherwise computes in float32."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        (_, weight), (_, scale) = int8.quantise("weight", linear.weight.detach().float())
        self.register_buffer("weight", weight)  # [N, K]
        self.register_buffer("scale", scale[:, 0].float())  # [N]
        bias = None if linear.bias is None else linear.bias.detach().float()
        self.register_buffer("bias", bias)  # [N]

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """[..., K] -> [..., N]"""
        rows = _Product.apply(values.reshape(-1, values.shape[-1]), self.weight, self.scale)
        if self.bias is not None:
            rows = rows + self.bias
        return rows.view(*values.shape[:-1], -1)


def with_int8_layers(model: nn.Module) -> None:
    """Replaces every linear layer of `model`, in place."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, Int8Linear(child))
