"""The paper's failures: each rule with answers on both sides of it."""

import pytest

from minigpt4.evaluation.failures import (
    APOLOGY,
    EMPTY,
    FRAGMENT,
    NOT_ENGLISH,
    OFF_IMAGE,
    REPETITION,
    apologises,
    failures,
    has_sentence,
    is_empty,
    is_english,
    is_fragment,
    is_no_poem,
    is_off_image,
    repeats,
)

CAPTIONS = ("A brown dog runs on the beach .", "A dog by the sea .", "A dog plays in the sand")
GOOD = (
    "A brown dog is running along a wide beach. The sea behind it is calm and grey. "
    "Small waves reach the sand, and the dog looks happy as it chases something that we cannot see."
)
POEM = (
    "A dog runs where the waters play,\nIts paws are light on sand,\n"
    "It greets the sea, it greets the day,\nThe tide is close at hand."
)


def test_a_good_description_and_a_good_poem_have_no_failure():
    assert failures(GOOD, CAPTIONS, ended=True) == set()
    assert failures(POEM, CAPTIONS, ended=True, poem=True) == set()


@pytest.mark.parametrize(
    "text",
    [
        "A dog a dog a dog runs on the beach.",
        "The the the the dog.",
        "It is a very nice day. The dog runs. It is a very nice day.",
        "A man in a red shirt and a hat and a man in a red shirt and a hat and a man in a red "
        "shirt and a hat and a boy.",
        "a dog in the grass a dog in the grass",
    ],
)
def test_loops_and_repeated_sentences_are_repetition(text):
    assert repeats(text)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "A very, very, very big dog.",
        "The dog runs. The cat runs. The dog and the cat run on and on.",
        "Stop. Stop.",
        "A man in a red shirt throws a ball, and a man in a blue shirt catches it.",
    ],
)
def test_emphasis_and_shared_words_are_no_repetition(text):
    assert not repeats(text)


def test_a_poem_may_say_a_line_twice_and_not_three_times():
    refrain = "O dog upon the sand"
    twice = f"{refrain}\nyou run so fast\n{refrain}\nthe tide goes past"
    assert not repeats(twice, poem=True)
    assert repeats(f"{twice}\n{refrain}", poem=True)
    assert not repeats(f"{refrain}\n{refrain}\nyou run so fast\nthe tide goes past", poem=True)


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        (GOOD, False),  # cut at the last token
        (GOOD.removesuffix("see."), True),  # no end of a sentence
        ("A brown dog is running along a wide beach.", True),  # a caption
        ("A brown dog in the sand of a wide and long beach near a calm and grey sea with waves "
         "and clouds and birds.", True),  # no verb
        ("Beach. Sand. The dog is here and it runs over the sand along the long sea and the many "
         "waves. Waves. Sea.", True),  # mostly scraps
    ],
)  # fmt: skip
def test_an_answer_that_is_cut_off_or_not_a_sentence_is_a_fragment(text, ended):
    assert is_fragment(text, ended)


def test_whole_sentences_are_no_fragment():
    assert not is_fragment(GOOD, True)
    assert not is_fragment(f'{GOOD} It seems to say: "Play with me!"', True)
    assert has_sentence("The dog looks happy.")
    assert not has_sentence("A happy dog on sand.")


def test_a_poem_needs_four_lines_of_words_and_an_end():
    assert not is_no_poem(POEM, True)
    assert is_no_poem(POEM, False)
    assert is_no_poem(POEM.replace("\n", " "), True)
    assert is_no_poem("dog\nsand\nsea\nsun", True)


def test_an_answer_that_names_no_captions_noun_is_off_image():
    assert is_off_image("A red bus stands in a busy street.", CAPTIONS)
    assert not is_off_image("A puppy in a busy street.", CAPTIONS)
    assert not is_off_image("A woman", ("A girl smiles",))  # both are people
    assert not is_off_image("A red bus", ("Running and jumping",))  # captions that name nothing


def test_fewer_than_two_words_are_empty_and_nothing_else():
    assert is_empty("")
    assert is_empty(" ... \n")
    assert is_empty("Yes.")
    assert not is_empty("A dog")
    assert failures("", CAPTIONS, ended=True) == {EMPTY}


@pytest.mark.parametrize(
    "text",
    [
        "Ein brauner Hund läuft über den Sand und spielt.",
        "这是一只狗在海滩上跑",
        "Un perro corre por la playa con una pelota roja.",
    ],
)
def test_other_languages_are_not_english(text):
    assert not is_english(text)


def test_english_with_foreign_words_is_english():
    assert is_english(GOOD)
    assert is_english(POEM)
    assert is_english("A café sells crème brûlée to people on the street.")
    assert is_english("A dog.")


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't see the image.",
        "I\u2019m very sorry. This does not work.",
        "As an AI language model, I do not look at pictures.",
        "I am unable to view images.",
        "Sorry, this is not clear.",
        "I apologize for the confusion.",
    ],
)
def test_speaking_of_itself_is_an_apology(text):
    assert apologises(text)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "The boy looks sorry and apologises to the dog.",
        "A car model stands on a shelf.",
        "I see a dog that cannot see the ball.",
    ],
)
def test_mentioning_the_picture_is_not_an_apology(text):
    assert not apologises(text)


def test_an_answer_may_fail_in_several_ways():
    text = "I'm sorry, a bus a bus a bus"
    assert failures(text, CAPTIONS, ended=False) == {REPETITION, FRAGMENT, OFF_IMAGE, APOLOGY}
    found = failures("Der Hund spielt im Sand mit dem Ball", CAPTIONS, ended=True)
    assert NOT_ENGLISH in found
