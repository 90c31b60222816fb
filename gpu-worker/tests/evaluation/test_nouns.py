"""Which nouns a text names, on both sides of every rule."""

import pytest

from minigpt4.evaluation.nouns import (
    OBJECT_OF,
    THING_OF,
    all_objects,
    main_nouns,
    main_things,
    nouns,
    objects,
    singular,
    things,
)


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("dogs", "dog"),
        ("men", "man"),
        ("children", "child"),
        ("beaches", "beach"),
        ("puppies", "puppy"),
        ("boxes", "box"),
        ("leaves", "leaf"),
        ("grass", "grass"),
        ("bus", "bus"),
        ("tennis", "tennis"),
        ("dress", "dress"),
    ],
)
def test_plurals_become_singular_and_other_words_stay(plural, one):
    assert singular(plural) == one


def test_a_noun_is_itself_a_thing_joins_synonyms_and_an_object_joins_people():
    text = "A cyclist and two boys pass a greyhound."
    assert nouns(text) == ["cyclist", "boy", "greyhound"]
    assert things(text) == ["rider", "boy", "dog"]
    assert objects(text) == ["person", "person", "dog"]


def test_whole_words_only():
    assert nouns("A caterpillar, a carpet-less dogma") == []


@pytest.mark.parametrize(
    ("noun", "verb"),
    [
        ("a boy on a swing", "boys swing at the ball"),
        ("two blue slides", "he slides down"),
        ("the big wave", "people wave"),
        ("in the park", "cars park here"),
        ("a drink", "they drink"),
    ],
)
def test_a_word_that_may_be_a_verb_is_a_noun_where_a_noun_can_stand(noun, verb):
    ambiguous = {"swing", "slide", "wave", "park", "drink"}
    assert ambiguous & set(nouns(noun))
    assert not ambiguous & set(nouns(verb))


CAPTIONS = ("A dog runs on grass .", "Two puppies on the lawn", "A brown animal", "A dog by a tree")


def test_the_main_noun_is_that_of_most_captions_and_ties_all_count():
    assert main_nouns(CAPTIONS) == {"dog"}
    assert main_nouns(["a cat", "a hat"]) == {"cat", "hat"}
    assert main_nouns(["running", "fast"]) == set()


def test_a_main_thing_is_named_by_two_captions_or_more():
    assert main_things(CAPTIONS) == {"dog", "grass"}
    assert main_things(["a cat", "a hat"]) == set()


def test_all_objects_are_those_of_any_caption():
    assert all_objects(CAPTIONS) == {"dog", "grass", "animal", "tree"}


def test_the_table_names_every_thing_once_and_gives_it_an_object():
    assert set(THING_OF.values()) == set(OBJECT_OF)
    assert all(word == word.lower() for word in THING_OF)
