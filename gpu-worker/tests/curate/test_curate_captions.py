"""What captions say together, by rule; and what is made of them without any model."""

import re
from pathlib import Path

import pytest
from curate_servers import CAKE, DOG, shard

from minigpt4.commands import curate as command
from minigpt4.curate.captions import (
    agreed_colours,
    conflict,
    consensus,
    main_nouns,
    shows_food,
    tidy_caption,
    to_merge,
)
from minigpt4.curate.filters import RULES
from minigpt4.curate.photos import read_photos
from minigpt4.curate.tasks import BY_RULE, KINDS, PRESETS, TaskOptions, tasks_of
from minigpt4.curate.words import nouns, sentences, singular
from minigpt4.input_error import InputError
from minigpt4.train.split import split

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A brown dog is running on a lawn with a red ball in its mouth .", "dog lawn ball mouth"),
        ("Two young girls wearing pink dresses", "girl dress"),
        ("A man sits on a park bench and reads a newspaper .", "man bench park newspaper"),
        ("The children 's hands are dirty", "child hand"),
        ("a woman is playing guitar onstage", "woman guitar"),
        ("Three men in uniforms stand in front of a bus", "man uniform front bus"),
        ("The dog is very happy .", "dog"),
        ("A tall brick building", "building brick"),
    ],
)
def test_nouns_are_found_by_rule(text, wanted):
    found = set(nouns(text))
    assert set(wanted.split()) <= found
    assert not found & {"running", "wearing", "brown", "red", "happy", "sits", "stand", "tall"}


def test_plurals_become_singular_and_words_that_only_look_plural_stay():
    pairs = "dogs dog women woman boxes box glass glass dog's dog dogs' dog puppies puppy bus bus"
    given, wanted = pairs.split()[::2], pairs.split()[1::2]
    assert [singular(word) for word in given] == wanted


def test_sentences_end_where_they_end():
    assert sentences('He met Mr. Brown. "Hi!" It is 3.5 m long.\nA line') == [
        "He met Mr. Brown.",
        '"Hi!"',
        "It is 3.5 m long.",
        "A line",
    ]


def test_the_caption_that_the_others_support_speaks_for_all():
    odd = "A purple elephant dances on the moon ."
    assert consensus((*DOG, odd)) != odd
    assert "dog" in consensus((odd, *DOG))
    assert tidy_caption("a dog 's ball , on the lawn .") == "A dog's ball, on the lawn."


def test_main_things_are_named_by_two_captions():
    assert set(main_nouns(DOG)) >= {"dog", "ball"}
    assert "fence" not in main_nouns(DOG)
    assert main_nouns(("A cat on a sofa .",)) == ["cat", "sofa"] or set(
        main_nouns(("A cat on a sofa .",))
    ) == {"cat", "sofa"}


def test_captions_to_merge_say_much_and_do_not_contradict_each_other():
    chosen = to_merge(DOG)
    assert 2 <= len(chosen) <= 3
    assert "A dog with a red ball ." not in chosen
    together = " ".join(chosen)
    assert {"lawn", "fence"} <= set(nouns(together))
    assert to_merge(("A dog runs .", "a dog runs")) == []
    assert to_merge(("A dog runs .",)) == []


def test_captions_that_disagree_on_count_or_colour_are_not_merged():
    assert conflict("Two dogs run .", "Three dogs run .")
    assert conflict("A black dog runs .", "A white dog runs .")
    assert not conflict("A black dog runs .", "A black and white dog runs .")
    assert not conflict("A black dog runs .", "A dog runs past a white fence .")
    chosen = to_merge(("Two brown dogs run on the beach .", "Three dogs run in the wet sand ."))
    assert chosen == []


def test_a_colour_needs_two_captions_that_agree_and_none_that_contradicts():
    assert agreed_colours(DOG)["dog"] == "brown"
    assert agreed_colours((*DOG, "A black dog runs ."))  # the ball is still red
    assert "dog" not in agreed_colours((*DOG, "A black dog runs ."))
    assert "dog" not in agreed_colours(("A brown dog .", "A dog ."))
    both = "A brown dog and a white dog run ."
    assert "dog" not in agreed_colours((both, both.replace("run", "play")))
    spotted = ("A black and white dog runs .", "The black and white dog is here .")
    assert agreed_colours(spotted)["dog"] == "black and white"


def test_food_photos_are_those_whose_captions_agree_on_a_dish():
    assert shows_food(CAKE)
    assert not shows_food(DOG)
    assert not shows_food(("A man fishes .", "A fish in the water .", "A fish is caught ."))


def made(captions, **wanted):
    return {task.kind: task for task in tasks_of("photo", captions, TaskOptions(**wanted))}


def test_creative_tasks_get_one_caption_and_the_presets_question():
    found = made(CAKE, creative_per_photo=6)
    assert set(PRESETS) <= set(found)
    for kind, preset in PRESETS.items():
        assert found[kind].prompt == preset
        assert found[kind].typed.count("cake") == 1 or kind in ("recipe",)
        assert "people described" not in found[kind].typed
    assert "recipe" not in made(DOG, creative_per_photo=6)
    assert "recipe" in made(CAKE, creative_per_photo=1)
    assert sum(kind in PRESETS for kind in made(DOG, creative_per_photo=1)) == 1
    assert not set(made(DOG, creative_per_photo=0)) & set(PRESETS)


def test_the_presets_are_those_of_the_edge():
    source = (REPOSITORY / "src" / "tasks.ts").read_text()
    told = dict(re.findall(r'(\w+):\s*\{\s*prompt:\s*"([^"]+)"', source))
    assert {kind: told.get(kind) for kind in PRESETS} == PRESETS


def test_the_command_knows_the_kinds():
    assert command.KINDS == KINDS


def test_a_description_is_asked_to_be_as_long_as_the_captions_allow():
    assert made(DOG)["merged"].least_words == 30
    short = made(("A dog runs fast .", "A dog on grass ."))["merged"]
    assert short.least_words < 30
    assert f"at least {short.least_words} words" in short.typed


def test_answers_by_rule_are_borne_out_by_the_captions():
    kinds = ("caption", "thing", "presence", "colour")
    answers = {}
    for n in range(40):
        for task in tasks_of(f"photo-{n}", DOG, TaskOptions(kinds)):
            answers.setdefault(task.kind, set()).add((task.prompt, task.answer))
    assert {answer for _, answer in answers["colour"]} <= {
        "The dog is brown.",
        "The ball is red.",
    }
    for prompt, answer in answers["presence"]:
        yes = answer.startswith("Yes")
        assert yes == ("dog" in prompt), (prompt, answer)
    assert {answer[:2] for _, answer in answers["presence"]} == {"Ye", "No"}
    for _, answer in answers["thing"]:
        assert answer.startswith("The picture shows a") and " is running" not in answer


def test_one_caption_does_not_say_what_a_picture_lacks():
    for n in range(20):
        for task in tasks_of(f"p{n}", ("A brown dog runs .",), TaskOptions(("presence",))):
            assert task.answer.startswith("Yes")


def test_the_same_seed_draws_the_same():
    first = tasks_of("photo", DOG, TaskOptions(seed=7))
    assert first == tasks_of("photo", DOG, TaskOptions(seed=7))
    drawn = {tuple(t.prompt for t in tasks_of("photo", DOG, TaskOptions(seed=n))) for n in range(9)}
    assert len(drawn) > 1


def test_without_captions_only_descriptions_by_the_model_are_made():
    assert [task.kind for task in tasks_of("photo", (), TaskOptions())] == ["described"]


def test_shards_are_read_and_damaged_samples_are_named(tmp_path):
    path = shard(
        tmp_path / "00000.tar",
        {"a": DOG, "b": CAKE},
        {"c.txt": b"no picture", "d.jpg": b"x", "d.json": b"[1]", "e.jpg": b"x", "e.txt": b"\xff"},
    )
    found = read_photos([str(path)], 0, 42, None)
    assert {photo.key for photo in found.photos} == {"a", "b"}
    assert dict(found.damaged).keys() == {"c", "d", "e"}
    assert found.photos[0].captions in (DOG, CAKE)
    assert found.photos[0].read()[:2] == b"\xff\xd8"
    again = read_photos([str(tmp_path / "{00000..00000}.tar")], 0, 42, None)
    assert [photo.key for photo in again.photos] == [photo.key for photo in found.photos]


def test_a_shard_that_ends_early_gives_what_it_has(tmp_path):
    path = shard(tmp_path / "00000.tar", {"a": DOG, "b": CAKE})
    path.write_bytes(path.read_bytes()[:3600])
    found = read_photos([str(path)], 0, 42, None)
    assert [photo.key for photo in found.photos] == ["a"]
    assert any("broken" in why or "ends early" in why for _, why in found.damaged)


def test_photos_for_measuring_are_never_curated(tmp_path):
    keys = {f"photo-{n}": DOG for n in range(20)}
    path = shard(tmp_path / "flickr8k" / "00000.tar", keys)
    found = read_photos([str(path)], 5, 42, None)
    assert found.left_out == 5
    assert not split(keys, 5, 0).held_out & {photo.key for photo in found.photos}
    # What the data set is known to keep is more than there is.
    with pytest.raises(InputError, match="no photo is left"):
        read_photos([str(path)], None, 42, None)
    assert found.sets == ["flickr8k"]


def test_a_data_set_is_known_by_name_where_no_folder_names_it(tmp_path):
    path = shard(tmp_path / "00000.tar", {"a": DOG})
    assert read_photos([f"flickr8k={path}"], 0, 42, None).sets == ["flickr8k"]
    assert read_photos([str(path)], None, 42, None).sets == ["own"]


def test_a_limit_draws_the_same_photos_first(tmp_path):
    path = shard(tmp_path / "00000.tar", {f"photo-{n}": DOG for n in range(20)})
    few = [photo.key for photo in read_photos([str(path)], 0, 42, 5).photos]
    more = [photo.key for photo in read_photos([str(path)], 0, 42, 9).photos]
    other = [photo.key for photo in read_photos([str(path)], 0, 43, 5).photos]
    assert more[:5] == few and other != few


def test_rules_and_kinds_by_rule_have_names():
    assert len(RULES) == 12 and set(BY_RULE) < set(KINDS)
