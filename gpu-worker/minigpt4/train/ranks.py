"""The processes of one run: a single one, or those that `torchrun` starts, one per GPU."""

import os
from collections.abc import Sequence
from datetime import timedelta

import torch
import torch.distributed as dist

from ..input_error import InputError

PATIENCE = timedelta(hours=24)  # the ranks' shares of the survey may take very different times


class Ranks:
    """This process is `rank` of `world`. All ranks make the same calls in the same order."""

    def __init__(self, device: str):
        self.rank = int(os.environ.get("RANK", 0))
        self.world = int(os.environ.get("WORLD_SIZE", 1))
        wanted = "cuda" if device == "auto" and torch.cuda.is_available() else device
        self.device = "cpu" if wanted == "auto" else wanted
        if self.device == "cuda":
            if not torch.cuda.is_available():
                raise InputError("device: cuda, but PyTorch sees no GPU", "pass --device cpu")
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        self._group = self.world > 1
        if self._group:
            backend = "nccl" if self.device == "cuda" else "gloo"
            dist.init_process_group(backend, timeout=PATIENCE)

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, count: int) -> range:
        """The indices among `count` that this rank works on."""
        return range(self.rank, count, self.world)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Sums over all ranks, in place."""
        if self._group:
            dist.all_reduce(values)
        return values

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Sums gradients in one message. Every parameter must have one."""
        if not self._group:
            return
        flat = self.sum(torch.cat([each.grad.flatten() for each in parameters]))
        for each, part in zip(
            parameters, flat.split([each.numel() for each in parameters]), strict=True
        ):
            each.grad.copy_(part.view_as(each))

    def gather(self, value: object) -> list:
        """Returns every rank's value, on every rank."""
        if not self._group:
            return [value]
        out: list = [None] * self.world
        dist.all_gather_object(out, value)
        return out

    def wait(self) -> None:
        if self._group:
            dist.barrier()

    def close(self) -> None:
        if self._group:
            dist.destroy_process_group()
