"""The processes of one run: alone, or as many as `torchrun` starts, one for each GPU."""

import os
from collections.abc import Sequence
from datetime import timedelta

import torch
import torch.distributed as dist

from ..checkpoints.refusal import Refused

PATIENCE = timedelta(hours=24)  # one rank's share of the survey may take much longer than another's


class Ranks:
    """`rank` of `world`; every rank makes the same calls in the same order."""

    def __init__(self, device: str):
        self.rank = int(os.environ.get("RANK", 0))
        self.world = int(os.environ.get("WORLD_SIZE", 1))
        wanted = "cuda" if device == "auto" and torch.cuda.is_available() else device
        self.device = "cpu" if wanted == "auto" else wanted
        if self.device == "cuda":
            if not torch.cuda.is_available():
                raise Refused("device: cuda, and PyTorch sees no GPU", "pass --device cpu")
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        self._group = self.world > 1
        if self._group:
            backend = "nccl" if self.device == "cuda" else "gloo"
            dist.init_process_group(backend, timeout=PATIENCE)

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, count: int) -> range:
        """Which of `count` pieces of work are this rank's, taken in turn."""
        return range(self.rank, count, self.world)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Over all ranks, in place."""
        if self._group:
            dist.all_reduce(values)
        return values

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """In one message; every parameter has a gradient."""
        if not self._group:
            return
        flat = self.sum(torch.cat([each.grad.flatten() for each in parameters]))
        for each, part in zip(
            parameters, flat.split([each.numel() for each in parameters]), strict=True
        ):
            each.grad.copy_(part.view_as(each))

    def gather(self, value: object) -> list:
        """What every rank says, on every rank."""
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
