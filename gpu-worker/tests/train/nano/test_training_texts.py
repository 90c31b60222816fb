"""Training texts say what is known or measured, in decent English."""

import random
from pathlib import Path

import pytest
from PIL import Image

from minigpt4.train.nano.measure import COLOURS, brightness, colour_shares, dominant_colour
from minigpt4.train.nano.photos import Photo
from minigpt4.train.nano.texts import article, caption, gloss_sentence, noun, question_and_answer


def photo(name: str, gloss: str, *hypernyms: str) -> Photo:
    return Photo(Path(name), "n0", name, (name,), gloss, hypernyms)


TENCH = photo("tench", "freshwater game fish of Europe noted for endurance; tasty", "cyprinid")


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ("black", "black"), ("white", "white"), ("grey", "grey"), ("saddlebrown", "brown"),
        ("red", "red"), ("gold", "yellow"), ("forestgreen", "green"), ("navy", "blue"),
    ],
)  # fmt: skip
def test_plain_colours_are_called_by_their_names(colour, name):
    assert dominant_colour(Image.new("RGB", (8, 8), colour)) == name


def test_the_dominant_colour_is_the_one_most_pixels_bear():
    image = Image.new("RGB", (10, 10), "blue")
    image.paste("red", (0, 0, 10, 4))
    shares = colour_shares(image)
    assert dominant_colour(image) == "blue"
    assert shares.sum() == pytest.approx(1) and shares[COLOURS.index("red")] == pytest.approx(0.4)


def test_brightness_runs_from_black_to_white():
    values = [brightness(Image.new("RGB", (4, 4), c)) for c in ("black", "grey", "white")]
    assert values[0] == 0 and 0.4 < values[1] < 0.6 and values[2] == 1


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("owl", "an owl"), ("tench", "a tench"), ("unicycle", "a unicycle"),
        ("European finch", "a European finch"), ("largest ape", "the largest ape"),
    ],
)  # fmt: skip
def test_articles(phrase, expected):
    assert article(phrase) == expected


def test_plural_names_take_no_article():
    assert noun("sunglasses") == "sunglasses" and noun("glass") == "a glass"


def test_a_gloss_becomes_one_sentence():
    assert gloss_sentence(TENCH) == (
        "A tench is a freshwater game fish of Europe noted for endurance."
    )
    fishes = photo("goldfish", "small golden or orange-red fishes of Eurasia", "fish")
    assert gloss_sentence(fishes) == (
        "A goldfish is one of the small golden or orange-red fishes of Eurasia."
    )


@pytest.mark.parametrize("kind", ["name", "kind", "colour", "light", "describe"])
def test_answers_hold_only_what_is_known_of_class_and_view(kind):
    question, answer = question_and_answer(kind, TENCH, "green", 0.2, random.Random(0))
    assert question.endswith(("?", "."))
    truth = {
        "name": ("tench",), "kind": ("tench", "cyprinid"), "colour": ("green",),
        "light": ("dark",), "describe": ("tench", "freshwater game fish", "green", "dark"),
    }[kind]  # fmt: skip
    assert all(word in answer for word in truth)
    for other in set(COLOURS) - {"green"}:
        assert other not in answer


def test_captions_are_lowercase_and_name_the_class():
    draw = random.Random(0)
    captions = {caption(TENCH, "green", 0.9, draw) for _ in range(40)}
    assert len(captions) > 2
    assert all("tench" in text and text == text.lower() for text in captions)
