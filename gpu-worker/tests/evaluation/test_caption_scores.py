"""CIDEr-D and BLEU-4 against values that the published package gave, its tokenizer included."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pycocoevalcap.cider.cider_scorer", reason="group `evaluation`")

from minigpt4.evaluation.caption_scores import (
    BLEU,
    CIDER,
    Rarity,
    References,
    bleu4,
    pairwise_cider,
)

PUBLISHED = json.loads(Path(__file__).with_name("published_scores.json").read_text())
CAPTIONS = [photo["captions"] for photo in PUBLISHED["photos"]]
ANSWERS = [photo["answer"] for photo in PUBLISHED["photos"]]


def test_cider_of_each_answer_is_the_published_value():
    wanted = [photo["cider_d"] for photo in PUBLISHED["photos"]]
    assert References(CAPTIONS).cider(ANSWERS) == pytest.approx(wanted, abs=1e-9)


def test_bleu_of_all_answers_is_the_published_value():
    counts = References(CAPTIONS).bleu_counts(ANSWERS)
    found = bleu4(counts.sum(0, keepdims=True))[0]
    assert found == pytest.approx(100 * PUBLISHED["bleu"][3], rel=1e-9)


def test_scores_carry_intervals_that_hold_the_value():
    for measure in References(CAPTIONS).scores("captions", ANSWERS):
        assert measure.name in (CIDER, BLEU)
        assert measure.low <= measure.value <= measure.high
        assert measure.count == len(CAPTIONS)


def test_an_answer_with_a_captions_words_scores_above_other_photos_answers():
    references = References(CAPTIONS)
    own = [captions[0] for captions in CAPTIONS]
    assert references.cider(own).mean() > 2 * references.cider(own[1:] + own[:1]).mean()


def test_pairwise_cider_is_the_published_one_with_a_single_reference():
    """The weights of words come from all photos; so the published scorer is given all."""
    pair = [CAPTIONS[0][0], CAPTIONS[0][1], "A cat."]
    found = pairwise_cider(pair, Rarity([[caption] for caption in [*pair, "Snow.", "A bus."]]))
    for n, answer in enumerate(pair):
        # A photo whose single caption is pair[m], answered by pair[n].
        scores = References([[caption] for caption in [*pair, "Snow.", "A bus."]]).cider(
            [answer] * 3 + ["", ""]
        )
        assert found[n] == pytest.approx(scores[:3], abs=1e-9)
    assert np.diag(found) == pytest.approx([10, 10, 5], abs=1e-9)  # "a cat" has no three words
