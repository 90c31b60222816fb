"""Content words and CHAIR: how much of an answer people say too."""

import pytest

from minigpt4.evaluation.caption_agreement import caption_agreement, says_main_noun
from minigpt4.evaluation.chair import ObjectMentions, object_mentions
from minigpt4.evaluation.content_words import content_words, overlap, stem
from minigpt4.evaluation.measures import MODEL


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("runs", "running"),
        ("riding", "rides"),
        ("jumped", "jumping"),
        ("kids", "child"),
        ("racing", "race"),
        ("skates", "skating"),
    ],
)
def test_forms_of_a_word_are_one(word, other):
    assert stem(word) == stem(other)


@pytest.mark.parametrize(
    ("word", "other"), [("red", "ring"), ("sing", "sting"), ("grass", "grasp")]
)
def test_other_words_stay_apart(word, other):
    assert stem(word) != stem(other)


def test_words_that_say_nothing_do_not_count():
    assert content_words("The image shows that there is a dog.") == {"dog"}
    assert content_words("It is on the left side of this picture.") == set()


def test_precision_and_recall_are_shares_of_distinct_words():
    found = overlap("A brown dog runs. The dog runs.", ["A dog is running on grass", "Brown dog"])
    assert found.precision == 1
    assert found.recall == pytest.approx(3 / 4)  # brown, dog, run of these and grass
    assert overlap("A flying saucer", ["A dog"]).unsupported == 1
    assert overlap("", ["A dog"]).precision == 0


def test_chair_counts_mentions_that_no_caption_has():
    captions = ("A man rides a horse .", "Someone on a horse")
    assert object_mentions("A woman on a pony holds an umbrella.", captions) == ObjectMentions(3, 1)
    assert object_mentions("Hello there.", captions) == ObjectMentions(0, 0)


def test_an_answer_has_the_main_noun_or_not():
    captions = ("A dog runs.", "The dog is fast.", "A brown animal runs.")
    assert says_main_noun("Two dogs in a field.", captions)
    assert says_main_noun("A puppy.", captions)
    assert not says_main_noun("A brown animal.", captions)


def test_a_photo_counts_once_with_the_mean_of_its_rounds():
    rounds = [[("A dog.", ("a dog",))], [("A cat.", ("a dog",))]]
    found = {m.name: m for m in caption_agreement("x", rounds)}
    assert found["main noun said"].value == 0.5
    assert found["main noun said"].count == 1
    assert found["CHAIR, mentions"].value == 0.5
    assert found["words"].value == 2
    assert {m.of for m in found.values()} == {MODEL}
