"""Words are those of the published scorer's tokenizer, whose output is the fixture."""

import json
from pathlib import Path

import pytest

from minigpt4.evaluation.caption_words import joined, words

PUBLISHED = json.loads(Path(__file__).with_name("published_scores.json").read_text())


@pytest.mark.parametrize("row", PUBLISHED["words"], ids=lambda row: row["text"][:30])
def test_words_are_those_of_the_published_tokenizer(row):
    assert joined(row["text"]) == row["words"]


def test_words_of_captions_and_answers_are_those_of_the_published_tokenizer():
    for photo in PUBLISHED["photos"]:
        assert joined(photo["answer"]) == photo["answer_words"]


def test_punctuation_and_case_do_not_count():
    assert words('"A Dog!" -- runs; (fast)...') == ["a", "dog", "runs", "-lrb-", "fast", "-rrb-"]
    assert words("") == words(" ... ") == []
