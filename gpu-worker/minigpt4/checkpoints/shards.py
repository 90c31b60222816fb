"""Writes tensors into safetensors shards, with one tensor in memory at a time.

The format: https://github.com/huggingface/safetensors#format
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..input_error import InputError
from .progress import Progress
from .tensors import SAFE, SAFE_NAMES, Stored, chunks, forget

INDEX = f"{SAFE}.index.json"


@dataclass(frozen=True)
class Output:
    """A tensor of the checkpoint: `combine` makes it from `inputs`, mapped from their files."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    inputs: tuple[Stored, ...]
    combine: Callable[..., torch.Tensor]

    @property
    def bytes(self) -> int:
        count = self.dtype.itemsize
        for side in self.shape:
            count *= side
        return count


def divide(outputs: Sequence[Output], shard_bytes: int) -> dict[str, list[Output]]:
    """File name -> its tensors, in order, so that sources are read in order too."""
    parts: list[list[Output]] = [[]]
    filled = 0
    for output in outputs:
        if parts[-1] and filled + output.bytes > shard_bytes:
            parts.append([])
            filled = 0
        parts[-1].append(output)
        filled += output.bytes
    if len(parts) == 1:
        return {SAFE: parts[0]}
    return {
        f"model-{n:05d}-of-{len(parts):05d}.safetensors": part for n, part in enumerate(parts, 1)
    }


def index(files: dict[str, list[Output]]) -> str | None:
    """The shards' index as JSON; None for a single file."""
    if len(files) == 1:
        return None
    table = {output.name: name for name, outputs in files.items() for output in outputs}
    total = sum(output.bytes for outputs in files.values() for output in outputs)
    found = {"metadata": {"total_size": total}, "weight_map": dict(sorted(table.items()))}
    return json.dumps(found, indent=2) + "\n"


def _header(outputs: Sequence[Output]) -> bytes:
    table: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for output in outputs:
        table[output.name] = {
            "dtype": SAFE_NAMES[output.dtype],
            "shape": list(output.shape),
            "data_offsets": [at, at + output.bytes],
        }
        at += output.bytes
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def check_finite(part: torch.Tensor, output: Output) -> None:
    if not part.dtype.is_floating_point or part.dtype.itemsize < 2:
        return  # a quantised weight
    low, high = torch.aminmax(part)
    if not (torch.isfinite(low) and torch.isfinite(high)):
        source = output.inputs[0]
        raise InputError(
            f"{source.file}: tensor {source.name} holds NaN or infinity (as {output.dtype})",
            "the file is damaged, or from a failed training: download it again",
        )


def write_shard(path: Path, outputs: Sequence[Output], progress: Progress) -> str:
    """Writes one shard, which gets its name once it is on the disk. Returns its sha256."""
    # Wider types first, so that every tensor begins at a multiple of its element size.
    outputs = sorted(outputs, key=lambda output: -output.dtype.itemsize)
    part, total = path.with_name(path.name + ".part"), hashlib.sha256()
    with part.open("wb") as file:

        def put(data: bytes | memoryview) -> None:
            file.write(data)
            total.update(data)

        put(_header(outputs))
        for output in outputs:
            given = [stored.read() for stored in output.inputs]
            value = output.combine(*given)
            if value.shape != output.shape or value.dtype != output.dtype:
                raise AssertionError(f"{output.name}: {value.shape} {value.dtype}")
            for piece in chunks(value):
                check_finite(piece, output)
                put(memoryview(piece.view(torch.uint8).numpy()))
                progress.advance(piece.nbytes)
            for stored, tensor in zip(output.inputs, given, strict=True):
                if stored.mapped:
                    forget(tensor)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    return total.hexdigest()
