"""Loss, gradient, optimiser and schedule against the oracle: plain torch, no shared code."""

import math

import pytest
import small_family
import torch
from oracle import Facts, Oracle
from PIL import Image
from runs import configure, metrics, run, state

from minigpt4.train import batches as module
from minigpt4.train.optimiser import Optimiser
from minigpt4.train.packing import Example

STEPS, WARMUP, BATCH, BATCHES = 3, 1, 2, 2
RATES = (2e-3, 1e-2, 5e-3)  # large, so that every step's gradient shows in the next one's loss
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


class Independent:
    """The same training, written out: one example at a time, AdamW and the schedule by hand."""

    def __init__(self, name: str, start: dict[str, torch.Tensor]):
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
        each = []
        for example in examples:
            for target in example.targets:
                ids = example.before + target
                logits = self.oracle.logits(ids, [images[example.key]])
                for n, wanted in enumerate(target, len(example.before)):
                    row = logits[n - 1]
                    each.append(torch.log(torch.exp(row - row.max()).sum()) + row.max())
                    each[-1] = each[-1] - row[wanted]
        return torch.stack(each).mean()

    def step(self, number: int, loss: torch.Tensor) -> dict[str, torch.Tensor]:
        """The gradient."""
        gradients = torch.autograd.grad(loss, [self.oracle.weights[name] for name in NAMES])
        first, peak, least = RATES
        if number < WARMUP:
            rate = first + (peak - first) * number / WARMUP
        else:
            rate = least + (peak - least) * math.cos(math.pi * number / STEPS / 2) ** 2
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


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("name", ["vicuna-7b", "vicuna-13b", "llama2-7b"])
def test_a_training_equals_the_same_in_plain_torch(name, stage, settings, monkeypatch):
    """To 1e-5: the loss of each step, its gradient, and the projection at the end."""
    seen: list[list[Example]] = []
    gradients: list[dict[str, torch.Tensor]] = []
    measure = Optimiser.gradient_norm

    def stash(self):
        norm = measure(self)
        both = zip(("weight", "bias"), self.parameters, strict=True)
        gradients.append({name: value.grad.clone() for name, value in both})
        return norm

    monkeypatch.setattr(Optimiser, "gradient_norm", stash)
    images: dict[str, torch.Tensor] = {}
    make = module.Batches.step

    def record(self, number, mine):
        out = make(self, number, mine)
        seen.extend(batch.examples for batch in out)
        return out

    monkeypatch.setattr(module.Batches, "step", record)
    chosen = settings(
        model=name,
        steps=STEPS,
        warmup=WARMUP,
        batch=BATCH,
        batches=BATCHES,
        lr_start=RATES[0],
        lr_peak=RATES[1],
        lr_min=RATES[2],
        start="checkpoint",
    )
    for source in chosen["data"]:
        source["weight"] = 1  # of either stage
    config = configure(chosen, name, stage)
    out = run(chosen, name, stage)

    from minigpt4.train.files import FileSums
    from minigpt4.train.photos import read_source

    for photo in read_source(config.data[0], FileSums()).photos:
        images[photo.key] = pixels(photo.read())
    start = small_family.small_model(name).image_encoder.projection.state_dict()
    twin = Independent(name, {k: v.clone() for k, v in start.items()})
    assert len(seen) == STEPS * BATCHES
    assert {len(batch) for batch in seen} == {BATCH}
    for number, row in enumerate(metrics(out)):
        step = seen[number * BATCHES : (number + 1) * BATCHES]
        loss = sum(twin.loss(examples, images) for examples in step) / BATCHES
        assert row["loss"] == pytest.approx(loss.item(), rel=1e-5)
        for key, expected in twin.step(number, loss).items():
            error = (gradients[number][key] - expected).norm()
            assert error < 1e-5 * expected.norm()
        norm = torch.cat([g.flatten() for g in gradients[number].values()]).norm()
        assert row["grad_norm"] == pytest.approx(float(norm), rel=1e-5)
    for key, value in state(out)["projection"].items():
        expected = twin.oracle.weights[f"llama_proj.{key}"].detach().float()
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-5)
        assert not torch.allclose(value, start[key], atol=1e-3)
