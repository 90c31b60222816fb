"""Where mini's training begins: components that say what varies, tokens that lean to words."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from minigpt4.input_error import InputError
from minigpt4.train import start


def test_components_are_ordered_uncorrelated_and_keep_their_proportions():
    draw = torch.Generator().manual_seed(0)
    hidden = torch.randn(400, 3, generator=draw) * torch.tensor([9.0, 3.0, 1.0])
    values = hidden @ torch.randn(3, 12, generator=draw) + torch.randn(400, 12, generator=draw)
    values = values * torch.logspace(-2, 2, 12) + 50  # channels of unlike scale
    values[:, 4] = 7  # one that never varies
    found = start.principal_components(values, 3)
    made = values @ found["weight"].float().T + found["bias"]
    assert made.mean(0).abs().max() < 0.05
    spread = made.T @ made / len(made)
    assert (spread - torch.diag(spread.diag())).abs().max() < 0.02 * spread.diag().max()
    variances = spread.diag()
    assert variances[0] > variances[1] > variances[2] > 0
    assert variances.sum() == pytest.approx(3, rel=0.02)
    again = start.principal_components(values, 3)
    assert torch.equal(again["weight"], found["weight"])


def tokenizer(words: list[str]) -> Tokenizer:
    made = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


def test_a_photo_leans_to_the_words_that_people_say_of_its_like():
    words = ["?", "dog", "cat", "snow", "beach"]
    embeddings = torch.eye(8)[:5] * 2
    draw = torch.Generator().manual_seed(1)
    kinds = torch.randint(0, 2, (600,), generator=draw)
    places = torch.randint(0, 2, (600,), generator=draw)
    components = torch.stack([kinds * 2.0 - 1, places * 2.0 - 1], dim=1) * 30
    captions = [
        (f"A {words[1 + k]} in the {words[3 + p]} .", f"the {words[1 + k]}")
        for k, p in zip(kinds.tolist(), places.tolist(), strict=True)
    ]
    weight, bias = start.word_rows(components, captions, tokenizer(words), embeddings, 1)
    assert weight.shape == (8, 2) and bias.shape == (8,)
    token = components @ weight.T + bias  # [N, 8]
    assert torch.equal(token[:, 2] > token[:, 1], kinds == 1)
    assert torch.equal(token[:, 4] > token[:, 3], places == 1)
    assert token.norm(dim=1).mean() == pytest.approx(2, rel=0.01)


def test_words_of_like_meaning_are_one_group():
    table = torch.tensor([[1.0, 0.1], [0.1, 1.0], [0.9, 0.0], [0.0, 0.9], [1.0, 0.0]])
    groups = start.alike(table, 2)
    assert groups[0] == groups[2] == groups[4] != groups[1] == groups[3]


def test_what_names_nothing_is_no_word():
    assert start.words_of(["A dog and the dog's ball .", "Two DOGS"]) == {
        "dog",
        "s",
        "ball",
        "dogs",
    }


def test_class_names_stand_in_the_order_of_the_classes(tmp_path):
    listing = tmp_path / "photos.jsonl"
    listing.write_text('{"synset": "n2", "name": "cat"}\n{"synset": "n1", "name": "dog"}\n')
    assert start.class_names(listing) == ["dog", "cat"]
    listing.write_text('{"synset": "n2"}\n')
    with pytest.raises(InputError, match=r"photos\.jsonl"):
        start.class_names(listing)
