"""Int8 layers multiply as the served model's do, and their gradient points where float32's does."""

import small_family
import torch
import torch.nn.functional as F
from test_packing import FIVE, features, gradient_of, prefix, qwen_model
from torch import nn

from minigpt4.train.int8_layers import Int8Linear, with_int8_layers
from minigpt4.train.learner import Learner
from minigpt4.train.packing import Example


def layer(bias: bool = True) -> nn.Linear:
    torch.manual_seed(4)
    return nn.Linear(96, 64, bias=bias).requires_grad_(False)


def by_hand(values: torch.Tensor, linear: nn.Linear) -> torch.Tensor:
    """Weights scaled per row, rounded with the scale as bfloat16 has it; inputs per token."""
    of_weight = (linear.weight.abs().amax(1) / 127).bfloat16().double()
    weight = (linear.weight / of_weight[:, None]).round().clamp(-127, 127)
    of_rows = values.abs().amax(-1, keepdim=True).double() / 127
    rows = (values / of_rows).round()
    return (rows @ weight.T) * of_rows * of_weight + (0 if linear.bias is None else linear.bias)


def test_a_layers_values_are_the_w8a8_schemes():
    values = torch.randn(2, 7, 96, generator=torch.Generator().manual_seed(1))
    for linear in (layer(), layer(bias=False)):
        found = Int8Linear(linear)(values)
        torch.testing.assert_close(found.double(), by_hand(values, linear), atol=1e-5, rtol=1e-5)
        close = F.linear(values, linear.weight, linear.bias)
        assert 1e-4 < (found - close).norm() / close.norm() < 0.02


def test_a_row_of_zeros_stays_zero_and_disturbs_no_other_row():
    values = torch.randn(3, 96, generator=torch.Generator().manual_seed(2))
    alone = Int8Linear(layer(bias=False))(values[2:])
    values[:2] = 0
    found = Int8Linear(layer(bias=False))(values)
    assert not found[:2].any()
    torch.testing.assert_close(found[2:], alone)


def test_the_gradient_is_close_to_float32s():
    values = torch.randn(50, 96, generator=torch.Generator().manual_seed(3)).requires_grad_()
    pull = torch.randn(50, 64, generator=torch.Generator().manual_seed(4))
    (Int8Linear(layer())(values) * pull).sum().backward()
    expected = pull @ layer().weight
    assert (values.grad - expected).norm() < 0.02 * expected.norm()


def test_a_learner_in_int8_has_nearly_float32s_losses_and_direction():
    for make in (lambda: small_family.small_model("vicuna-7b"), qwen_model):
        whole, small = Learner(make(), "cpu", "float32"), Learner(make(), "cpu", "int8")
        layers = [m for m in small._decoder.modules() if isinstance(m, (nn.Linear, Int8Linear))]
        assert layers and all(isinstance(each, Int8Linear) for each in layers)
        assert isinstance(small._language_model.get_output_embeddings(), nn.Linear)
        found, pulls = [], []
        for learner in (whole, small):
            example = Example("a", prefix(learner), FIVE)
            losses = learner.losses(features(learner, 1), [example]).each
            found.append(losses.detach())
            pulls.append(gradient_of(learner, losses.sum()))
        assert 1e-5 < (found[0] - found[1]).norm() / found[0].norm() < 0.05
        assert F.cosine_similarity(*pulls, dim=0) > 0.95


def test_every_linear_layer_is_replaced_at_any_depth():
    model = nn.Sequential(layer(), nn.ReLU(), nn.ModuleDict({"inner": nn.Linear(64, 8)}))
    with_int8_layers(model)
    assert [type(m) for m in model.modules() if "Linear" in type(m).__name__] == [Int8Linear] * 2
