"""How well texts agree with people's captions: the same measures for the model, for swapped photos
and for one human."""

from collections.abc import Sequence

import numpy as np

from .baselines import left_out, swapped
from .caption_words import words
from .chair import object_mentions
from .content_words import overlap
from .measures import HUMAN, MODEL, SWAPPED, Measure, mean, rate, ratio
from .nouns import main_nouns, nouns
from .shards import Sample

PRECISION, RECALL = "content words in a caption", "captions' content words said"
UNSUPPORTED = "content words in no caption"
MAIN_NOUN = "main noun said"
CHAIR_MENTIONS, CHAIR_ANSWERS = "CHAIR, mentions", "CHAIR, answers"
WORDS = "words"

TextAndCaptions = tuple[str, Sequence[str]]  # a text, and the captions to compare it with


def says_main_noun(text: str, captions: Sequence[str]) -> bool:
    return not main_nouns(captions).isdisjoint(nouns(text))


def caption_agreement(
    section: str, rounds: Sequence[Sequence[TextAndCaptions]], of: str = MODEL
) -> list[Measure]:
    """Measures rounds [R][N] of texts about the same N photos; a photo counts by its mean."""

    def per_photo(values: list[list[float]]) -> np.ndarray:
        return np.asarray(values, dtype=float).mean(0)

    def share(name: str, hits: list[list[bool]]) -> Measure:
        if len(hits) == 1:
            return rate(section, name, hits[0], of)
        return mean(section, name, per_photo(hits), of, "rate")

    overlaps = [[overlap(text, captions) for text, captions in one] for one in rounds]
    chairs = [[object_mentions(text, captions) for text, captions in one] for one in rounds]
    mentions = [
        (sum(one.invented for one in of_photo), sum(one.mentions for one in of_photo))
        for of_photo in zip(*chairs, strict=True)
    ]
    precision = per_photo([[each.precision for each in one] for one in overlaps])
    recall = per_photo([[each.recall for each in one] for one in overlaps])
    return [
        mean(section, PRECISION, precision, of, "rate"),
        mean(section, UNSUPPORTED, 1 - precision, of, "rate"),
        mean(section, RECALL, recall, of, "rate"),
        share(MAIN_NOUN, [[says_main_noun(*told) for told in one] for one in rounds]),
        ratio(section, CHAIR_MENTIONS, mentions, of),
        share(CHAIR_ANSWERS, [[each.invented > 0 for each in one] for one in chairs]),
        mean(section, WORDS, per_photo([[len(words(t)) for t, _ in one] for one in rounds]), of),
    ]


def model_swapped_human(
    section: str, samples: Sequence[Sample], answers: Sequence[str]
) -> list[Measure]:
    captions = [sample.captions for sample in samples]
    own = list(zip(answers, captions, strict=True))
    other = list(zip(swapped(answers), captions, strict=True))
    return [
        *caption_agreement(section, [own]),
        *caption_agreement(section, [other], SWAPPED),
        *caption_agreement(section, left_out(samples), HUMAN),
    ]
