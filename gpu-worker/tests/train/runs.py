"""Short runs of the trainer in this process and in others, and what they leave."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from minigpt4 import cli
from minigpt4.train.config import TrainConfig, make
from minigpt4.train.outcome import Interrupted
from minigpt4.train.run import Run, train

WORKER = Path(__file__).parents[2]


def configure(settings: dict, model: str = "vicuna-7b", stage: int = 1) -> TrainConfig:
    return make(model, stage, settings)


def run(settings: dict, model: str = "vicuna-7b", stage: int = 1) -> Path:
    """The run's folder."""
    return train(configure(settings, model, stage)).parent


def run_until(
    step: int, settings: dict, model: str, stage: int, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder of a run that SIGTERM stops after this step."""
    take = Run._step

    def stopped(self, number, batches):
        if number + 1 == step:
            signal.raise_signal(signal.SIGTERM)
        return take(self, number, batches)

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Run, "_step", stopped)
        run(settings, model, stage)
    return Path(settings["out"])


def metrics(out: Path | str) -> list[dict]:
    path = Path(out) / "metrics.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def state(out: Path | str) -> dict:
    return torch.load(Path(out) / "state" / "training.pt", weights_only=True)


def projection(out: Path | str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    with safe_open(Path(out) / "projection.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, file.metadata()


def same_training(a: Path | str, b: Path | str) -> None:
    """Bit for bit: losses, projection, optimiser and metrics."""
    told = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in metrics(out)] for out in (a, b)
    ]
    assert told[0] == told[1]
    first, second = state(a), state(b)
    for name, tensor in first["projection"].items():
        assert torch.equal(tensor, second["projection"][name])
    for n, moments in first["optimiser"]["adam"]["state"].items():
        for name, tensor in moments.items():
            assert torch.equal(tensor, second["optimiser"]["adam"]["state"][n][name])
    (tensors, about), (others, other_about) = projection(a), projection(b)
    assert all(torch.equal(tensor, others[name]) for name, tensor in tensors.items())
    assert about == other_about


def command(settings: dict, folder: Path, model: str = "vicuna-7b", stage: int = 1) -> list[str]:
    """Arguments of `minigpt4-worker`, its settings in a file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(settings))
    return ["train", f"stage{stage}", model, "--config", str(folder / "run.json")]


def exit_code(arguments: list[str]) -> int:
    try:
        cli.main(arguments)
    except SystemExit as ended:
        return ended.code
    return 0


def start(arguments: list[str], **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "minigpt4.cli", *arguments],
        cwd=WORKER,
        env=os.environ | {"PYTHONPATH": str(WORKER), "OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
