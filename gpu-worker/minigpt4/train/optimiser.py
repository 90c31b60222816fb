"""AdamW over the projection, and the learning-rate schedule."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from ..input_error import InputError
from .config import TrainConfig, defaults


@dataclass(frozen=True)
class Schedule:
    """The original's learning rate: linear warmup, then a cosine over the whole run's steps.

    The cosine is not offset by the warmup. When warmup ends, the rate drops from its peak onto a
    curve that began at step 0, as in the original's LinearWarmupCosineLRScheduler.
    """

    start: float
    peak: float
    least: float
    warmup: int
    steps: int

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warmup:
            return min(self.peak, self.start + (self.peak - self.start) * step / self.warmup)
        turned = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.least + (self.peak - self.least) * turned


def scale_of(name: str, scales: Mapping[str, float]) -> float:
    """The factor of the longest prefix that matches the name."""
    fitting = [prefix for prefix in scales if name.startswith(prefix)]
    return scales[max(fitting, key=len)] if fitting else 1.0


class Optimiser:
    """AdamW in float32, whose rate follows the schedule. Biases have no weight decay."""

    def __init__(self, projection: nn.Module, config: TrainConfig, device: str):
        """Raises InputError for an lr_scale that matches no parameter."""
        named = dict(projection.named_parameters())
        usual = defaults(config.model, config.stage)["lr_scale"]
        for prefix in config.lr_scale:
            if prefix not in usual and not any(name.startswith(prefix) for name in named):
                raise InputError(
                    f"lr_scale: no parameter begins with {prefix!r}",
                    f"the projection's are {', '.join(named)}",
                )
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in named.items():
            decay = config.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((scale_of(name, config.lr_scale), decay), []).append(parameter)
        self.parameters = list(named.values())
        self._scales = [scale for scale, _ in groups]
        self._schedule = Schedule(
            config.lr_start, config.lr_peak, config.lr_min, config.warmup, config.steps
        )
        self._adam = torch.optim.AdamW(
            [
                {"params": parameters, "weight_decay": decay}
                for (_, decay), parameters in groups.items()
            ],
            lr=0.0,
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
        )
        self.scaler = torch.amp.GradScaler(device, enabled=config.precision == "fp16")
        self._clip = config.clip

    def rate(self, step: int) -> float:
        return self._schedule.rate(step)

    def clear(self) -> None:
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)

    def gradient_norm(self) -> float:
        """The norm of the unscaled gradient before clipping; infinite on an overflow."""
        self.scaler.unscale_(self._adam)
        bound = float("inf") if self._clip is None else self._clip
        return float(nn.utils.clip_grad_norm_(self.parameters, bound))

    def step(self, step: int) -> bool:
        """Call it after gradient_norm. False if fp16 overflowed and the step was skipped."""
        for group, scale in zip(self._adam.param_groups, self._scales, strict=True):
            group["lr"] = self.rate(step) * scale
        before = self.scaler.get_scale()
        self.scaler.step(self._adam)
        self.scaler.update()
        return self.scaler.get_scale() >= before

    def state(self) -> dict:
        return {"adam": self._adam.state_dict(), "scaler": self.scaler.state_dict()}

    def restore(self, state: dict) -> None:
        self._adam.load_state_dict(state["adam"])
        self.scaler.load_state_dict(state["scaler"])
