"""The folder of a run: configuration, metrics, projection, and the state to continue from.

config.json, metrics.jsonl, loss.png, projection.safetensors (and projector.pth, the family's),
damaged.jsonl, duplicates.jsonl, state/training.pt.
"""

import fcntl
import hashlib
import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..checkpoints.tensors import torch_tensors
from ..input_error import InputError
from ..models import FAMILY
from .config import TrainConfig
from .files import replace_atomically, write_atomically

PROJECTION = "projection.safetensors"
PROJECTOR = "projector.pth"  # for the family, as `assemble --projector` takes it
HALF_ERROR = 1e-3  # largest error of half precision, relative to the tensor's norm
ORIGINAL = "llama_proj."  # the projection's prefix in MiniGPT-4's files


class RunFolder:
    """One process at a time trains in it, and only that process writes."""

    def __init__(self, config: TrainConfig):
        self.path = Path(config.out)
        self._config = config
        self._lock: BinaryIO | None = None
        self._metrics: BinaryIO | None = None

    @property
    def _state(self) -> Path:
        return self.path / "state" / "training.pt"

    def open(self) -> None:
        """Raises InputError if another process trains in this folder."""
        (self.path / "state").mkdir(parents=True, exist_ok=True)
        self._lock = (self.path / "state" / "lock").open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"out: another process trains in {self.path}", "wait for it, or pass another --out"
            ) from None

    def read(self, inputs: dict[str, str]) -> dict | None:
        """The state that an earlier run left. Raises InputError if it is another training's."""
        if not self._state.exists():
            return None
        try:
            state = torch.load(self._state, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load raises many exception types on other files
            raise InputError(
                f"{self._state}: is not the state of a training ({type(error).__name__})",
                "remove it to start again, or pass another --out",
            ) from None
        before = json.loads(state["identity"])
        now = self._config.identity() | inputs
        for name in sorted(now.keys() | before.keys()):
            if before.get(name) != now.get(name):
                raise InputError(
                    f"{name}: {self.path} holds a training with {before.get(name)!r}, this one has "
                    f"{now.get(name)!r}",
                    "pass another --out, or that training's settings to continue it",
                )
        return state

    def begin(self, metrics_bytes: int, about: dict) -> None:
        """Cuts the metrics to the state that the run continues from."""
        resolved = json.loads(self._config.as_json()) | about
        write_atomically(
            self.path / "config.json", (json.dumps(resolved, indent=2) + "\n").encode()
        )
        self._metrics = (self.path / "metrics.jsonl").open("ab")
        if self._metrics.tell() < metrics_bytes:
            raise InputError(
                f"{self.path}/metrics.jsonl: is shorter than the saved training",
                "restore the file, or remove the folder to start again",
            )
        self._metrics.truncate(metrics_bytes)

    def log(self, row: dict) -> None:
        self._metrics.write((json.dumps(row) + "\n").encode())
        self._metrics.flush()

    def rows(self) -> list[dict]:
        """The metrics so far."""
        return [json.loads(line) for line in (self.path / "metrics.jsonl").read_text().splitlines()]

    def save(self, state: dict, inputs: dict[str, str]) -> None:
        os.fsync(self._metrics.fileno())
        identity = json.dumps(self._config.identity() | inputs, sort_keys=True)
        whole = state | {"identity": identity, "metrics_bytes": self._metrics.tell()}
        replace_atomically(self._state, lambda part: torch.save(whole, part))

    def save_projection(self, state: dict[str, torch.Tensor], about: dict[str, str]) -> None:
        tensors = {name: smallest(value) for name, value in state.items()}
        replace_atomically(
            self.path / PROJECTION,
            lambda part: save_file(tensors, part, metadata={"format": "pt"} | about),
        )
        if self._config.model in FAMILY:
            table = {f"{ORIGINAL}{name}": value.float() for name, value in tensors.items()}
            replace_atomically(
                self.path / PROJECTOR,
                lambda part: torch.save({"model": table, "provenance": about}, part),
            )

    def close(self) -> None:
        for file in (self._metrics, self._lock):
            if file:
                file.close()


def smallest(value: torch.Tensor) -> torch.Tensor:
    """The tensor in half precision if the error is small, otherwise unchanged."""
    value = value.detach().cpu().contiguous().float()
    half = value.half()
    error = (value - half.float()).norm()
    return half if half.isfinite().all() and error <= HALF_ERROR * value.norm() else value


def read_projection(path: Path, wanted: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A projection's tensors in float32, from this trainer's file or MiniGPT-4's.

    `wanted` is the state to fill, which gives names and shapes. Raises InputError.
    """
    try:
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            table = torch_tensors(path, under="model")
            found = {
                name.removeprefix(ORIGINAL): stored.read()
                for name, stored in table.items()
                if name.startswith(ORIGINAL)
            }
    except FileNotFoundError:
        raise InputError(f"start: {path} is missing", "check --from") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"start: {path} is not a projection ({error})", "check --from") from None
    for name, tensor in wanted.items():
        if name not in found or found[name].shape != tensor.shape:
            has = list(found[name].shape) if name in found else "missing"
            raise InputError(
                f"start: in {path.name} {name} is {has}; the model needs {list(tensor.shape)}",
                "pass --from a projection of this model",
            )
    return {name: found[name].float() for name in wanted}


def code_version() -> str:
    """The package's version, and a digest of its source code."""
    try:
        number = version("minigpt4-worker")
    except PackageNotFoundError:
        number = "0"
    root, total = Path(__file__).parents[1], hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        total.update(f"{file.relative_to(root)}\n".encode() + file.read_bytes())
    return f"{number}+{total.hexdigest()[:12]}"
