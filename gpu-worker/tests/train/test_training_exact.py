"""Loss, gradient, optimiser and schedule against the oracle: plain torch, no shared code."""

import math
from collections import Counter
from dataclasses import dataclass

import pytest
import small_family
import torch
from oracle import Facts, Oracle
from PIL import Image
from runs import configure, metrics, run, run_until, state

from minigpt4.train import batches as module
from minigpt4.train.config import TrainConfig
from minigpt4.train.files import FileSums
from minigpt4.train.optimiser import Optimiser
from minigpt4.train.packing import Example
from minigpt4.train.photos import read_source

DECAY, BETAS, EPSILON = 0.05, (0.9, 0.999), 1e-8
NAMES = ("llama_proj.weight", "llama_proj.bias")


def pixels(path_bytes: bytes) -> torch.Tensor:
    """The original's: RGB, squashed to the square by PIL's bicubic filter, CLIP's statistics."""
    import io

    import numpy as np

    side = small_family.SIDE
    image = Image.open(io.BytesIO(path_bytes)).convert("RGB")
    values = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC), np.float32) / 255
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])
    return ((torch.from_numpy(values) - mean) / std).permute(2, 0, 1)


@dataclass(frozen=True)
class Plan:
    """How many steps there are, and their learning rates."""

    steps: int
    warmup: int
    first: float
    peak: float
    least: float

    def rate(self, number: int) -> float:
        if number < self.warmup:
            return self.first + (self.peak - self.first) * number / self.warmup
        turned = math.cos(math.pi * number / self.steps / 2) ** 2
        return self.least + (self.peak - self.least) * turned


# Large rates, so that every step's gradient shows in the next one's loss.
SHORT = Plan(3, 1, 2e-3, 1e-2, 5e-3)
PAPER = {1: Plan(20_000, 5000, 1e-6, 1e-4, 8e-5), 2: Plan(1000, 200, 1e-6, 3e-5, 1e-5)}


class Independent:
    """The same training, written out: one example at a time, AdamW and the schedule by hand."""

    def __init__(self, name: str, start: dict[str, torch.Tensor], plan: Plan):
        self.plan = plan
        config = small_family.small_config(name)
        weights = dict(small_family.small_model(name).state_dict())
        qformer = config.qformer_config
        facts = Facts(
            vision_heads=config.vision_config.num_attention_heads,
            qformer_heads=qformer.num_attention_heads if qformer else 0,
            text_heads=config.text_config.num_attention_heads,
            rms_eps=config.text_config.rms_norm_eps,
        )
        self.oracle = Oracle(weights, facts)
        self.moments = {name: [0.0, 0.0] for name in NAMES}
        for name in NAMES:
            value = start[name.removeprefix("llama_proj.")].double()
            self.oracle.weights[name] = value.requires_grad_(True)

    def loss(self, examples: list[Example], images: dict[str, torch.Tensor]) -> torch.Tensor:
        """Mean cross-entropy over the target tokens of one GPU's batch."""
        times = Counter(
            (example.key, tuple(example.before), tuple(target))
            for example in examples
            for target in example.targets
        )
        total = torch.zeros((), dtype=torch.float64)
        for (key, before, target), count in times.items():
            logits = self.oracle.logits([*before, *target], [images[key]])
            for n, wanted in enumerate(target, len(before)):
                row = logits[n - 1]
                loss = torch.log(torch.exp(row - row.max()).sum()) + row.max() - row[wanted]
                total = total + count * loss
        return total / sum(count * len(target) for (_, _, target), count in times.items())

    def step(self, number: int, loss: torch.Tensor) -> dict[str, torch.Tensor]:
        """The gradient."""
        gradients = torch.autograd.grad(loss, [self.oracle.weights[name] for name in NAMES])
        rate = self.plan.rate(number)
        for name, gradient in zip(NAMES, gradients, strict=True):
            mean, square = self.moments[name]
            mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
            square = BETAS[1] * square + (1 - BETAS[1]) * gradient**2
            self.moments[name] = [mean, square]
            up = mean / (1 - BETAS[0] ** (number + 1))
            down = (square / (1 - BETAS[1] ** (number + 1))).sqrt() + EPSILON
            weight = self.oracle.weights[name].detach()
            decay = DECAY if name.endswith("weight") else 0.0
            weight = weight * (1 - rate * decay) - rate * up / down
            self.oracle.weights[name] = weight.requires_grad_(True)
        return dict(zip(("weight", "bias"), gradients, strict=True))


class Recorder:
    """What a run learns from, batch by batch, and the gradient of each of its steps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.batches: list[list[Example]] = []
        self.gradients: list[dict[str, torch.Tensor]] = []
        make, measure = module.Batches.step, Optimiser.gradient_norm
        batches, gradients = self.batches, self.gradients

        def step(self, number, mine):
            out = make(self, number, mine)
            # Batches are made ahead of time; a run that is stopped has made one step too many.
            batches.extend(batch.examples for batch in out)
            return out

        def gradient_norm(self):
            norm = measure(self)
            both = zip(("weight", "bias"), self.parameters, strict=True)
            gradients.append({name: value.grad.clone() for name, value in both})
            return norm

        monkeypatch.setattr(module.Batches, "step", step)
        monkeypatch.setattr(Optimiser, "gradient_norm", gradient_norm)


def check(recorded: Recorder, twin: Independent, config: TrainConfig, rows: list[dict]) -> None:
    """Each step's loss, gradient and rate are the twin's, to 1e-5. The twin takes the steps."""
    images: dict[str, torch.Tensor] = {}
    for source in config.data:
        for photo in read_source(source, FileSums()).photos:
            images[photo.key] = pixels(photo.read())
    assert {len(batch) for batch in recorded.batches} == {config.batch}
    for number, row in enumerate(rows):
        step = recorded.batches[number * config.batches :][: config.batches]
        loss = sum(twin.loss(examples, images) for examples in step) / config.batches
        assert row["loss"] == pytest.approx(loss.item(), rel=1e-5)
        assert row["lr"] == pytest.approx(twin.plan.rate(number), rel=1e-5)
        gradient = recorded.gradients[number]
        for key, expected in twin.step(number, loss).items():
            assert (gradient[key] - expected).norm() < 1e-5 * expected.norm()
        norm = torch.cat([g.flatten() for g in gradient.values()]).norm()
        assert row["grad_norm"] == pytest.approx(float(norm), rel=1e-5)


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("name", ["vicuna-7b", "vicuna-13b", "llama2-7b"])
def test_a_training_equals_the_same_in_plain_torch(name, stage, settings, monkeypatch):
    """To 1e-5: the loss of each step, its gradient, and the projection at the end."""
    recorded = Recorder(monkeypatch)
    chosen = settings(
        model=name,
        steps=SHORT.steps,
        warmup=SHORT.warmup,
        batch=2,
        batches=2,
        lr_start=SHORT.first,
        lr_peak=SHORT.peak,
        lr_min=SHORT.least,
        start="checkpoint",
    )
    for source in chosen["data"]:
        source["weight"] = 1  # of either stage
    out = run(chosen, name, stage)
    start = small_family.small_model(name).image_encoder.projection.state_dict()
    twin = Independent(name, {k: v.clone() for k, v in start.items()}, SHORT)
    assert len(recorded.batches) == SHORT.steps * 2
    check(recorded, twin, configure(chosen, name, stage), metrics(out))
    for key, value in state(out)["projection"].items():
        expected = twin.oracle.weights[f"llama_proj.{key}"].detach().float()
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-5)
        assert not torch.allclose(value, start[key], atol=1e-3)


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("name", ["vicuna-7b", "llama2-7b"])
def test_at_the_papers_settings_it_equals_plain_torch_too(name, stage, paper_settings, monkeypatch):
    """The first steps of 20,000 (1,000), each the mean over 4 batches of 64 (one of 12)."""
    recorded = Recorder(monkeypatch)
    chosen = paper_settings(name, stage)
    out = run_until(3, chosen, name, stage, monkeypatch)
    if stage == 1:
        torch.manual_seed(42)
        width = {"vicuna-7b": 48, "llama2-7b": 4 * small_family.WIDTH}[name]
        start = torch.nn.Linear(width, small_family.TEXT[name][0]).state_dict()
    else:
        start = small_family.small_model(name).image_encoder.projection.state_dict()
    twin = Independent(name, {k: v.clone() for k, v in start.items()}, PAPER[stage])
    rows = metrics(out)
    assert [row["photos"] for row in rows] == [{1: 4 * 64, 2: 12}[stage]] * 3
    check(recorded, twin, configure(chosen, name, stage), rows)
    for key, value in state(out)["projection"].items():
        expected = twin.oracle.weights[f"llama_proj.{key}"].detach()
        torch.testing.assert_close(value, expected.float(), atol=1e-5, rtol=1e-5)
        moved, wanted = value.double() - start[key], expected - start[key]
        # Three steps of 1e-6 are some hundred times a weight's last bit in float32.
        assert (moved - wanted).norm() < 0.02 * wanted.norm()
