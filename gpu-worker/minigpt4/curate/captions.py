"""Compares the captions of one photo, by rules.

Which caption speaks for all, which two or three to merge, what most of them name, which colours and
counts they agree on.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from .lexicon import COLOURS, DETERMINERS, FOOD, FRAME, NUMBERS
from .words import content_words, narrower, nouns, root, singular, support_of, words

MERGED = 3
FEWEST_NEW = 2  # content words that a third caption must add


def tidy_caption(caption: str) -> str:
    """A caption as a sentence: a capital, no extra spaces, one full stop."""
    text = re.sub(r"\s+", " ", caption).strip()
    text = re.sub(r"\s+([.,;:!?'\u2019])", r"\1", text)
    text = re.sub(r"\"\s*([^\"]*?)\s*\"", r'"\1"', text)
    text = text.strip(" .,;:-")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


@lru_cache(8192)
def _roots(caption: str) -> frozenset[str]:
    return frozenset(root(word) for word in content_words(caption))


def main_nouns(captions: Sequence[str]) -> list[str]:
    """The nouns of two or more captions, the most frequent first; all nouns of a lone caption."""
    count: Counter[str] = Counter()
    for caption in captions:
        count.update({noun for noun in nouns(caption) if noun not in FRAME})
    least = 2 if len(captions) > 1 else 1
    return [noun for noun, times in count.most_common() if times >= least]


def conflict(one: str, other: str) -> bool:
    """Whether two captions disagree on a count or on the colour of a thing."""
    first, second = counts(one), counts(other)
    if any(first[noun] != second[noun] for noun in first.keys() & second.keys()):
        return True
    theirs = colours(other)
    return any(noun in theirs and not said & theirs[noun] for noun, said in colours(one).items())


@lru_cache(8192)
def counts(caption: str) -> dict[str, int]:
    """noun -> its count in the caption: "two black dogs" is dog: 2."""
    out: dict[str, int] = {}
    said = words(caption)
    for n, word in enumerate(said):
        number = NUMBERS.get(word) or (1 if word in ("a", "an") else None)
        if number is None:
            continue
        found = nouns(" ".join(said[n : n + 5]))
        if found and not (word in ("a", "an") and found[0] in FRAME):
            out.setdefault(found[0], number)
    return out


@lru_cache(8192)
def colours(caption: str) -> dict[str, frozenset[str]]:
    """noun -> the colours in front of it: "a black and white dog"."""
    out: dict[str, frozenset[str]] = {}
    said = words(caption)
    n = 0
    while n < len(said):
        if _colour(said[n]) is None:
            n += 1
            continue
        found = set()
        while n < len(said) and (_colour(said[n]) or (said[n] == "and" and n + 1 < len(said))):
            if said[n] == "and" and not _colour(said[n + 1]):
                break
            if colour := _colour(said[n]):
                found.add(colour)
            n += 1
        # The noun follows at once, or after one adjective: "a brown furry dog".
        behind = nouns(f"the {' '.join(said[n : n + 3])}") if n < len(said) else []
        if behind and said[n] not in DETERMINERS | {"in", "on", "with", "and", "is", "of"}:
            out.setdefault(behind[0], frozenset(found))
    return out


def _colour(word: str) -> str | None:
    word = {"gray": "grey", "blonde": "blond"}.get(word, word)
    return word if word in COLOURS and word != "light" else None


def agreed_colours(captions: Sequence[str]) -> dict[str, str]:
    """noun -> the colour that two captions give it and none contradicts."""
    said: dict[str, list[tuple[frozenset[str], str]]] = {}
    for caption in captions:
        for noun, found in colours(caption).items():
            ordered = [c for c in map(_colour, words(caption)) if c in found]
            spelt = " and ".join(dict.fromkeys(ordered))
            said.setdefault(noun, []).append((found, spelt))
    out = {}
    for noun, found in said.items():
        several = sum(counts(caption).get(noun, 1) > 1 for caption in captions)
        alone = {colours for colours, _ in found}
        # "A white dog and a black dog" has two dogs of one noun.
        twice = any(_times(caption, noun) > 1 for caption in captions)
        if len(found) >= 2 and len(alone) == 1 and not several and not twice:
            out[noun] = found[0][1]
    return out


def _times(caption: str, noun: str) -> int:
    return sum(word == noun for word in nouns(caption))


def consensus(captions: Sequence[str]) -> str:
    """The caption that the others support best; in a tie, the one that says most."""

    def score(caption: str) -> tuple[float, int]:
        mine = _roots(caption)
        others = [_roots(other) for other in captions if other is not caption]
        shared = sum(len(mine & other) / max(len(mine | other), 1) for other in others)
        return (round(shared, 6), len(mine))

    return max(captions, key=score)


def to_merge(captions: Sequence[str]) -> list[str]:
    """Two or three captions that together say most and do not contradict each other.

    The first one shares most with the others and says much. Each further one must be about the same
    thing and add the most new content words. Fewer than two mean that nothing can be merged.
    """
    distinct = list({_roots(caption): caption for caption in captions if _roots(caption)}.values())
    if len(distinct) < 2:
        return []
    common = set(main_nouns(captions))
    often = Counter(word for caption in captions for word in _roots(caption))

    def weight(caption: str) -> tuple[int, int]:
        return (sum(often[word] > 1 for word in _roots(caption)), len(_roots(caption)))

    chosen = [max(distinct, key=weight)]
    known = set(_roots(chosen[0]))
    while len(chosen) < MERGED:
        fitting = [
            caption
            for caption in distinct
            if caption not in chosen
            and (not common or _speaks_of(caption, common))
            and not any(conflict(caption, other) for other in chosen)
        ]
        best = max(fitting, key=lambda caption: len(_roots(caption) - known), default=None)
        new = len(_roots(best) - known) if best else 0
        if best is None or new < (1 if len(chosen) == 1 else FEWEST_NEW):
            break
        chosen.append(best)
        known |= _roots(best)
    return chosen if len(chosen) > 1 else []


def _speaks_of(caption: str, common: set[str]) -> bool:
    said = set(nouns(caption))
    return any(said & {singular(word) for word in narrower(noun)} for noun in common)


def shows_food(captions: Sequence[str]) -> bool:
    """Whether two captions, or the only one, name food or drink as a main thing."""
    return any(noun in FOOD and noun not in ("fish", "chicken") for noun in main_nouns(captions))


def is_there(captions: Sequence[str], noun: str) -> bool:
    support = support_of(tuple(captions))
    return all(support.noun(part) for part in noun.split())
