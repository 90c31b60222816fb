"""Finds a text in an answer, up to a few letters; this scores reading."""

from .answers import plain

LETTERS_PER_EDIT = 10


def edits(wanted: str, text: str) -> int:
    """The fewest edits (insert, drop, replace a letter) that make `wanted` a part of `text`."""
    row = [0] * (len(text) + 1)  # the match may begin anywhere
    for n, letter in enumerate(wanted, start=1):
        before, row[0] = row[0], n
        for place, other in enumerate(text, start=1):
            kept = row[place]
            row[place] = min(before + (letter != other), row[place] + 1, row[place - 1] + 1)
            before = kept
    return min(row)


def reads(wanted: str, text: str) -> bool:
    """Whether the text has `wanted`, with at most one edit for each ten letters.

    Case, punctuation and spacing do not matter. A short text must match exactly, as whole words.
    """
    want, said = plain(wanted), plain(text)
    if len(want) < LETTERS_PER_EDIT:
        return bool(want) and f" {want} " in f" {said} "
    return edits(want, said) <= len(want) // LETTERS_PER_EDIT
