"""AdamW's groups, and what fp16 does when it overflows."""

import pytest
import torch

from minigpt4.train.config import make
from minigpt4.train.optimiser import Optimiser, scale_of


def config(**changed):
    places = {"checkpoint": "c", "out": "o", "data": [{"path": "a.tar"}]}
    return make("vicuna-7b", 1, places, {"warmup": 0, "lr_peak": 1e-2, "lr_min": 0}, changed)


def test_the_longest_prefix_that_fits_decides():
    scales = {"classes": 5, "classes.bias": 2, "raw": 0.1}
    names = ("classes.weight", "classes.bias", "raw.weight", "grid.weight")
    assert [scale_of(name, scales) for name in names] == [5, 2, 0.1, 1]


def test_weights_decay_and_biases_do_not():
    layer = torch.nn.Linear(3, 2)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    optimiser = Optimiser(layer, config(weight_decay=0.5), "cpu")
    optimiser.clear()
    assert optimiser.gradient_norm() == 0
    assert optimiser.step(0)
    torch.testing.assert_close(layer.weight.data, before["weight"] * (1 - 1e-2 * 0.5))
    assert torch.equal(layer.bias.data, before["bias"])


def test_a_gradient_is_clipped_and_its_original_norm_is_returned():
    layer = torch.nn.Linear(3, 2)
    optimiser = Optimiser(layer, config(clip=0.1), "cpu")
    optimiser.clear()
    layer.weight.grad += 1
    assert optimiser.gradient_norm() == pytest.approx(6**0.5)
    assert layer.weight.grad.norm() == pytest.approx(0.1, rel=1e-4)


def test_a_step_that_overflows_fp16_is_left_out_and_the_scale_halved():
    layer = torch.nn.Linear(3, 2)
    before = layer.weight.data.clone()
    optimiser = Optimiser(layer, config(precision="fp16"), "cpu")
    scale = optimiser.scaler.get_scale()
    for gradient, taken in ((float("inf"), False), (1.0, True)):
        optimiser.clear()
        optimiser.scaler.scale(layer.weight.sum() * gradient).backward()
        norm = optimiser.gradient_norm()
        assert optimiser.step(0) == taken
        assert (norm < float("inf")) == taken
        assert torch.equal(layer.weight.data, before) == (not taken)
    assert optimiser.scaler.get_scale() == scale / 2
    assert norm == pytest.approx(6**0.5)
