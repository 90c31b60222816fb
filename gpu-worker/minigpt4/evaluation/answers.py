"""What an answer says: whether a name is in it, which colour, light or dark."""

import re
from collections.abc import Iterable

from ..train.nano.measure import COLOURS


def plain(text: str) -> str:
    """Lowercase words and single spaces; hyphens, accents of spelling and punctuation aside."""
    return " ".join(re.findall(r"[^\W_]+", text.lower().replace("'", "")))


def mentions(answer: str, names: Iterable[str]) -> bool:
    """Whether any of the names stands in the answer as whole words, singular or plain plural."""
    said = f" {plain(answer)} "
    return any(
        f" {plain(name)}{ending} " in said for name in names if plain(name) for ending in ("", "s")
    )


def first_word(answer: str, words: Iterable[str]) -> str | None:
    """The first of `words` that the answer says."""
    wanted = set(words)
    return next((word for word in plain(answer).split() if word in wanted), None)


def said_colour(answer: str) -> str | None:
    return first_word(answer.replace("gray", "grey").replace("Gray", "grey"), COLOURS)


def said_light(answer: str) -> str | None:
    return first_word(answer, ("light", "dark"))
