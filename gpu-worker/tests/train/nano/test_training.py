"""The arithmetic of training: folded parts change nothing, only the target counts."""

import pytest
import torch

from minigpt4.config import MiniGPT4Config
from minigpt4.modeling import MiniGPT4ForConditionalGeneration
from minigpt4.projection import ClassProjection
from minigpt4.train.nano.features import Features
from minigpt4.train.nano.run import Learner
from minigpt4.train.nano.sampling import (
    View,
    Views,
    fold_standardisation,
    standardisation,
    unfold_standardisation,
)

TEXT = {
    "model_type": "llama", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
    "tie_word_embeddings": True, "pad_token_id": 2,
}  # fmt: skip


@pytest.fixture
def learner() -> Learner:
    torch.manual_seed(0)
    model = MiniGPT4ForConditionalGeneration(MiniGPT4Config(text_config=dict(TEXT))).eval()
    model.requires_grad_(False)
    return Learner(model, model.image_encoder.projection.state_dict())


@pytest.fixture
def features() -> Features:
    draw = torch.Generator().manual_seed(0)
    classes = torch.eye(1000)[[3, 3, 7, 9]]
    classes[1] = torch.eye(1000)[5]  # a view whose first class is wrong
    raw = torch.rand(6, 64, generator=draw) * 5 + 2
    return Features(
        classes, torch.tensor([3, 3, 7, 9]), raw, torch.tensor([0, 0, 0, 0, 1, 2]), torch.rand(6)
    )


def view(index: int) -> View:
    return View(torch.eye(1000)[index], index, torch.ones(64) * index / 9, 0, 0.5)


def test_standardisation_folds_into_the_projection(features):
    features.raw[:, 9] = 0.16  # a stem channel that never varies
    projection = ClassProjection(MiniGPT4Config(text_config=dict(TEXT)))
    mean, std = standardisation(features)
    classes = features.classes[[0, 1, 2, 3, 0, 1]]
    expected = projection(classes, (features.raw - mean) / std)
    original = {name: value.clone() for name, value in projection.state_dict().items()}
    folded = fold_standardisation(original, mean, std)
    for name, value in unfold_standardisation(folded, mean, std).items():
        torch.testing.assert_close(value, original[name], atol=1e-3, rtol=1e-3)
    projection.load_state_dict(folded)
    torch.testing.assert_close(projection(classes, features.raw), expected, atol=1e-3, rtol=1e-3)
    assert projection.raw.weight.half().isfinite().all()
    nudged = features.raw + torch.eye(64)[9] * 1e-4
    torch.testing.assert_close(projection(classes, nudged), expected, atol=1e-2, rtol=1e-2)


def test_what_all_classes_share_folds_into_the_projection(learner):
    with torch.no_grad():
        learner.shared.normal_()
    folded = ClassProjection(learner.config)
    folded.load_state_dict(learner.state())
    classes = torch.softmax(torch.randn(2, 1000), -1)
    flat = learner.projection.classes(classes) + learner.shared
    torch.testing.assert_close(folded.classes(classes), flat, atol=1e-5, rtol=1e-4)


def test_a_step_changes_the_projection_and_nothing_else(learner):
    frozen = {n: p.clone() for n, p in learner._llm.named_parameters()}
    before = learner.state()
    loss = learner.loss([view(3), view(7)], [([1, 16, 5], [6, 7]), ([1, 16], [8])])
    loss.backward()
    torch.optim.SGD(learner.parameters, lr=1.0).step()
    after = learner.state()
    assert all(not torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(p, frozen[n]) for n, p in learner._llm.named_parameters())
    assert all(p.grad is None for p in learner._llm.parameters())


def test_only_target_tokens_count_and_padding_does_not(learner):
    short, long = ([1, 16, 5], [6, 7]), ([1, 16, 5, 9, 9, 9], [6, 7, 8])
    alone = [learner.loss([view(n)], [e]).item() for n, e in ((3, short), (7, long))]
    both = learner.loss([view(3), view(7)], [short, long]).item()
    assert both == pytest.approx((2 * alone[0] + 3 * alone[1]) / 5, abs=0.02)  # bfloat16
    # One target token of uniform logits would cost log 64; two prompts of unlike length agree.
    assert alone[0] == pytest.approx(torch.tensor(64.0).log().item(), abs=0.5)


def test_views_the_encoder_gets_wrong_are_left_out_and_every_class_is_drawn(features):
    views = Views(features, torch.randn(1000, 1280), *standardisation(features), seed=1)
    drawn = [views.next(balanced=n % 2 == 0) for n in range(3000)]
    assert all(v.classes.argmax() == v.index for v in drawn)
    assert all(v.classes.sum() == pytest.approx(1, abs=1e-5) for v in drawn)
    assert len({v.index for v in drawn}) > 600  # synthetic vectors reach classes without a photo
    assert views._right == [0, 2, 3]
