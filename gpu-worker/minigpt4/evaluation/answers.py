"""Finds in an answer a name, a colour, or whether a picture is light or dark."""

import re
from collections.abc import Iterable

from ..train.nano.measure import COLOURS


def plain(text: str) -> str:
    """Lowercase words and single spaces, without hyphens, accents and punctuation."""
    return " ".join(re.findall(r"[^\W_]+", text.lower().replace("'", "")))


def mentions(answer: str, names: Iterable[str]) -> bool:
    """Whether the answer has any of the names as whole words, singular or regular plural."""
    said = f" {plain(answer)} "
    return any(
        f" {plain(name)}{ending} " in said for name in names if plain(name) for ending in ("", "s")
    )


def first_word(answer: str, words: Iterable[str]) -> str | None:
    """The first of `words` in the answer."""
    wanted = set(words)
    return next((word for word in plain(answer).split() if word in wanted), None)


def said_colour(answer: str) -> str | None:
    return first_word(answer.replace("gray", "grey").replace("Gray", "grey"), COLOURS)


def said_light(answer: str) -> str | None:
    return first_word(answer, ("light", "dark"))
