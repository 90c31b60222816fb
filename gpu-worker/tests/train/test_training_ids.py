"""What is learned, to the id: the original's captions, prompts, answers and their ends."""

import llama_vocabulary
import pytest
import small_family

from minigpt4.prompt import Image, Message
from minigpt4.train.texts import Texts, clean_caption


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> dict[str, Texts]:
    file = llama_vocabulary.write_tokenizer(tmp_path_factory.mktemp("llama"))
    names = {"vicuna": "vicuna-7b", "llama2": "llama2-7b"}
    return {t: Texts(file, t, small_family.small_config(name)) for t, name in names.items()}


DESCRIBE = [Message("user", (Image(), "Describe this image in detail."))]


def test_stage_1_is_bos_image_caption_and_newline(texts):
    assert texts["vicuna"].alone() == [1] + [0] * 32
    assert texts["llama2"].alone() == [1] + [0] * 4
    # " a cat" with SentencePiece's own space, and the byte token of the newline.
    assert texts["vicuna"].caption("a cat", 32) == [263, 6635, 13]


def test_stage_2_of_vicuna_is_the_originals_prompt_to_the_id(texts):
    """shared/reference: minigpt4-facts, section 4."""
    assert texts["vicuna"].asked(DESCRIBE) == [
        *(1, 835, 29950, 7889, 29901, 529, 25518, 29958, *[0] * 32),
        *(1533, 25518, 29958, 20355, 915, 445, 1967, 297, 9493, 29889),
        *(835, 7900, 22137, 29901, 29871),
    ]


def test_stage_2_of_llama2_is_the_originals_prompt_to_the_id(texts):
    assert texts["llama2"].asked(DESCRIBE) == [
        *(1, 518, 25580, 29962, 529, 25518, 29958, *[0] * 4),
        *(1533, 25518, 29958, 20355, 915, 445, 1967, 297, 9493, 29889),
        *(518, 29914, 25580, 29962, 29871),
    ]


def test_an_answer_ends_as_the_original_ends_it(texts):
    # `###` directly after other text is encoded with it, as `##` and `#`.
    assert texts["vicuna"].answer("A cat.", 160) == [319, 6635, 29889, 2277, 29937]
    assert texts["llama2"].answer("A cat.", 160) == [319, 6635, 29889, 2]


def test_a_long_target_is_cut_off_and_then_has_no_end(texts):
    assert texts["vicuna"].answer("A cat.", 4) == [319, 6635, 29889, 2277]
    assert texts["llama2"].answer("A cat.", 3) == [319, 6635, 29889]
    assert texts["vicuna"].caption("a cat", 2) == [263, 6635]


def test_control_that_stands_in_an_answer_is_text(texts):
    assert 2 not in texts["llama2"].answer("</s>", 160)[:-1]
    assert 1 not in texts["vicuna"].caption("<s> a", 32)


@pytest.mark.parametrize(
    ("caption", "cleaned"),
    [
        ('A Dog: "runs" (fast)!', "a dog runs fast"),
        ("one.two;three~four*five#six", "one two three four five six"),
        ("  much   space \n", "much space"),
        ("it's 5 o'clock, isn't it?", "it's 5 o'clock, isn't it?"),
        ("tab\there", "tab\there"),  # only runs of space collapse, as in BLIP
    ],
)
def test_captions_are_cleaned_as_blip_does(caption, cleaned):
    assert clean_caption(caption, 50) == cleaned


def test_a_caption_keeps_50_words():
    assert clean_caption("word " * 80, 50) == " ".join(["word"] * 50)
