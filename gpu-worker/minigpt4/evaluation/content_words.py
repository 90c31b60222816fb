"""Content words: how many of an answer's are in human captions, and the reverse."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .caption_words import word_set, words
from .nouns import IRREGULAR, SAME, THING_OF, singular

EMPTY = word_set(
    """a an the this that these those there here it its he his him she her hers they them their we
    us our you your i my me who whom whose which what where when how why one ones two some any each
    every all both few many much more most other another same such own
    is are was were be been being am do does did done doing has have having had can could may might
    must shall should will would not n't no nor 's 're 've 'll 'd 'm
    and or but if then than so as because while whilst although though
    in on at of to with by for from into onto up down out over off under near through along across
    around behind beside between during after before above below against toward towards upon within
    without about just only also very too quite rather
    image picture photo photograph scene background foreground front back side middle left right
    show shows showing shown depict depicts depicting depicted feature features featuring see seen
    appear appears appearing seem seems"""
)


def stem(word: str) -> str:
    """A word's stem: runs, running -> run; riding, ride -> rid; known nouns stay unchanged."""
    word = SAME.get(singular(word), singular(word))
    if word in THING_OF:
        return IRREGULAR.get(word, word)
    for ending in ("ing", "ed"):
        root = word.removesuffix(ending)
        if root != word and len(root) > 2 and any(vowel in root for vowel in "aeiouy"):
            doubled = len(root) > 3 and root[-1] == root[-2] and root[-1] not in "lsz"
            word = root[:-1] if doubled else root
            break
    if f"{word}e" in THING_OF:
        return f"{word}e"  # racing -> race
    return word.removesuffix("e") if len(word) > 3 else word


def content_words(text: str) -> frozenset[str]:
    """The stems of a text's words, without words that have no meaning of their own."""
    return frozenset(
        stem(word) for word in words(text) if word not in EMPTY and any(map(str.isalpha, word))
    )


@dataclass(frozen=True)
class Overlap:
    """`precision`: share of the answer's content words that any caption has.

    `recall`: share of the captions' content words that the answer has.
    """

    precision: float
    recall: float

    @property
    def unsupported(self) -> float:
        return 1 - self.precision


def overlap(answer: str, captions: Iterable[str]) -> Overlap:
    """For an answer without content words, both are 0."""
    said, known = content_words(answer), frozenset().union(*map(content_words, captions))
    common = len(said & known)
    return Overlap(common / len(said) if said else 0.0, common / len(known) if known else 0.0)


def mean_unsupported(answers: Sequence[str], captions: Sequence[Sequence[str]]) -> float:
    shares = [overlap(a, c).unsupported for a, c in zip(answers, captions, strict=True)]
    return sum(shares) / len(shares)
