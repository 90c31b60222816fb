"""Whether an answer has the form of its task. docs/evaluation.md has the rules."""

import re
from collections.abc import Callable, Mapping

from .caption_words import words
from .failures import POEM_LINES, has_sentence, lines, repeats, sentences
from .html_page import read_page

STORY_SENTENCES, STORY_WORDS = 3, 40
ADVERTISEMENT_WORDS = (8, 200)
VERSE_WORDS = 16  # longer lines are prose
ITEM = re.compile(r"^\s*(?:[-*\u2022\u2013]|\d+[.)]|step\s+\d+\s*[:.)-]?)\s*\S", re.IGNORECASE)
NUMBERED = re.compile(r"^\s*(?:\*\*)?(?:\d+[.)]|step\s+\d+)", re.IGNORECASE)
INGREDIENTS = re.compile(r"^\W*(?:the )?ingredients?\b", re.IGNORECASE)
STEPS = re.compile(
    r"^\W*(?:the )?(?:steps?|instructions?|directions?|method|preparation|procedure|how to make)\b",
    re.IGNORECASE,
)


def is_poem(text: str, ended: bool) -> bool:
    """Four lines or more, with 2 to 16 words each on average; not cut off."""
    found = lines(text)
    if not ended or len(found) < POEM_LINES:
        return False
    mean = sum(len(words(line)) for line in found) / len(found)
    return 2 <= mean <= VERSE_WORDS


def is_recipe(text: str, ended: bool) -> bool:
    """A heading or line of two or more ingredients, then two or more steps; not cut off."""
    rows = [row for row in text.splitlines() if row.strip()]
    start = next((n for n, row in enumerate(rows) if INGREDIENTS.match(row)), None)
    if start is None or not ended:
        return False
    steps = [
        n
        for n, row in enumerate(rows)
        if n > start and STEPS.match(row) and not (NUMBERED.match(row) and ITEM.match(row))
    ]
    if steps:
        ingredients, listed = rows[start : steps[0]], rows[steps[0] + 1 :]
    else:
        first = next((n for n, row in enumerate(rows) if n > start and NUMBERED.match(row)), None)
        if first is None:
            return False
        ingredients, listed = rows[start:first], rows[first:]
    in_line = re.split(r"[,;]| and ", ingredients[0].partition(":")[2])
    count = len(ingredients) - 1 + sum(bool(words(part)) for part in in_line)
    return count >= 2 and sum(bool(ITEM.match(row)) for row in listed) >= 2


def is_story(text: str, ended: bool) -> bool:
    """Three sentences or more, 40 words or more, without loops; not cut off."""
    return (
        ended
        and len(sentences(text)) >= STORY_SENTENCES
        and len(words(text)) >= STORY_WORDS
        and has_sentence(text)
        and not repeats(text)
    )


def is_advertisement(text: str, ended: bool) -> bool:
    """8 to 200 words without loops; not cut off. The judge decides whether it persuades."""
    least, most = ADVERTISEMENT_WORDS
    return ended and least <= len(words(text)) <= most and not repeats(text)


def is_website(text: str, ended: bool) -> bool:
    """A page that parses. Text around the page may be cut off, the page may not."""
    return read_page(text).parses


FORMS: Mapping[str, Callable[[str, bool], bool]] = {
    "story": is_story,
    "poem": is_poem,
    "recipe": is_recipe,
    "advertisement": is_advertisement,
    "website": is_website,
}
