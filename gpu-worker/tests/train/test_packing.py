"""Several targets behind one prefix are as many separate sequences; only targets count."""

import pytest
import small_family
import torch
import torch.nn.functional as F
from transformers import Qwen2Config, Qwen2ForCausalLM

from minigpt4.train.learner import Learner
from minigpt4.train.packing import Example, pack

IMAGE = 0
PREFIX = [1, 40, *[IMAGE] * 32, 50, 60]


def qwen_model():
    """vicuna-7b's small model with Qwen2 for a language model: biases, tied ends, shared heads."""
    model = small_family.small_model("vicuna-7b")
    torch.manual_seed(3)
    config = Qwen2Config(
        vocab_size=1000, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
    )  # fmt: skip
    model.language_model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        for parameter in model.language_model.parameters():
            parameter.normal_(std=0.3)
    return model


MODELS = {
    "llama": lambda: small_family.small_model("vicuna-7b"),
    "llama without a Q-Former": lambda: small_family.small_model("llama2-7b"),
    "qwen2": qwen_model,
}


@pytest.fixture(params=MODELS)
def learner(request) -> Learner:
    return Learner(MODELS[request.param](), "cpu", "float32")


def features(learner: Learner, count: int) -> tuple[torch.Tensor]:
    draw = torch.Generator().manual_seed(5)
    width = learner.projection.in_features
    tokens = 32 if width == 48 else 4
    return (torch.randn(count, tokens, width, generator=draw),)


def prefix(learner: Learner) -> list[int]:
    return PREFIX if learner.projection.in_features == 48 else [1, 40, *[IMAGE] * 4, 50, 60]


def gradient_of(learner: Learner, loss: torch.Tensor) -> torch.Tensor:
    learner.projection.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in learner.projection.parameters()])


FIVE = [[7, 8, 9, 10], [11], [12, 13], [7, 8, 20], [30, 31, 32, 33, 34, 35]]


def test_five_targets_behind_one_prefix_have_the_losses_of_five_sequences(learner):
    """And pull the projection the same way, to 1e-5."""
    row, before = features(learner, 1), prefix(learner)
    packed = learner.losses(row, [Example("a", before, FIVE)])
    together = gradient_of(learner, packed.each.sum())
    alone = [learner.losses(row, [Example("a", before, [target])]) for target in FIVE]
    apart = gradient_of(learner, sum(one.each.sum() for one in alone))
    torch.testing.assert_close(packed.each, torch.cat([a.each for a in alone]), atol=1e-5, rtol=0)
    assert packed.each.max() > 1  # so that the tolerance is meaningful
    assert (together - apart).norm() < 1e-5 * apart.norm()


def test_a_batch_of_different_rows_has_the_losses_of_single_rows(learner):
    before = prefix(learner)
    examples = [
        Example("a", before, FIVE),
        Example("b", [*before, 70, 71, 72], [[5, 6]]),
        Example("c", before, [[9], [8, 7]]),
    ]
    rows = features(learner, 3)
    packed = learner.losses(rows, examples)
    for n, example in enumerate(examples):
        alone = learner.losses((rows[0][n : n + 1],), [example])
        mine = packed.each[packed.owner == n]
        torch.testing.assert_close(mine, alone.each, atol=1e-5, rtol=1e-5)


def test_the_loss_is_that_of_the_whole_models_own_forward(learner):
    """transformers' forward over the whole sequence, without mask or positions of ours."""
    row, before, target = features(learner, 1), prefix(learner), [7, 8, 9, 10]
    found = learner.losses(row, [Example("a", before, [target])])
    ids = torch.tensor([before + target])
    llm = learner._language_model
    embeds = llm.get_input_embeddings()(ids).clone()
    embeds[ids == IMAGE] = learner.projection(row[0])[0]
    logits = llm(inputs_embeds=embeds).logits[0, len(before) - 1 : -1]
    expected = F.cross_entropy(logits, torch.tensor(target), reduction="none")
    torch.testing.assert_close(found.each, expected, atol=1e-5, rtol=1e-5)


def test_a_single_target_needs_no_mask_and_a_tree_hides_its_branches_from_each_other():
    assert pack([Example("a", PREFIX, [[7, 8, 9]])], IMAGE).seen is None
    packed = pack([Example("a", [1, 2], [[3, 4, 5], [6, 7]])], IMAGE)
    assert packed.ids.tolist() == [[1, 2, 3, 4, 6]]  # last tokens predict nothing
    assert packed.positions.tolist() == [[0, 1, 2, 3, 2]]
    assert packed.seen.int().tolist() == [
        [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]]
    ]
    assert packed.places.tolist() == [1, 2, 3, 1, 4]
    assert packed.wanted.tolist() == [3, 4, 5, 6, 7]


def test_padding_and_placeholders_in_targets_are_not_images():
    packed = pack([Example("a", [1, IMAGE, 2], [[IMAGE, 5], [6]]), Example("b", [1], [[3]])], IMAGE)
    assert packed.images.tolist() == [[False, True, False, False], [False] * 4]
    assert packed.ids.tolist() == [[1, IMAGE, 2, IMAGE], [1, 0, 0, 0]]


def test_only_target_positions_get_logits(learner, monkeypatch):
    seen = []
    head = learner._language_model.get_output_embeddings()
    head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    learner.losses(features(learner, 1), [Example("a", prefix(learner), FIVE)])
    assert [tuple(rows.shape) for rows in seen] == [(sum(map(len, FIVE)), rows.shape[1])
                                                    for rows in seen]  # fmt: skip
    assert all(rows.is_contiguous() for rows in seen)
