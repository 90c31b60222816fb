"""English by rule: words, sentences, what is a noun, and whether captions speak of it.

It uses no tagger. A noun ends a run of content words after a determiner, a number or a preposition;
lexicon.py lists the words that are not nouns.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache

from .lexicon import (
    ADJECTIVES,
    ALIKE,
    BROADER,
    DETERMINERS,
    FRAME,
    FUNCTION,
    NOT_VERBS,
    NUMBERS,
    PREPOSITIONS,
    VERBS,
    word_set,
)

WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*|\d+(?:[.,]\d+)*")
SPACED = re.compile(r"\s+(['\u2019](?:s|t|re|ve|ll|d|m)\b)")
SENTENCE_END = re.compile(r"[.!?\u2026]([\"'\u201d\u2019)]*)\s+")
BREAK = re.compile(r"[.,;:!?()…\"“”\n]")
ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|vs|etc|e\.g|i\.e)\.$")

IRREGULAR = {
    "men": "man", "women": "woman", "children": "child", "people": "person", "feet": "foot",
    "teeth": "tooth", "geese": "goose", "mice": "mouse", "leaves": "leaf", "knives": "knife",
    "wolves": "wolf", "shelves": "shelf", "halves": "half", "wives": "wife", "lives": "life",
    "scarves": "scarf", "loaves": "loaf", "oxen": "ox", "policemen": "policeman",
    "firemen": "fireman", "fishermen": "fisherman", "cowboys": "cowboy", "buses": "bus",
    "movies": "movie", "cookies": "cookie", "ties": "tie", "pies": "pie", "hoodies": "hoodie",
    "horses": "horse", "houses": "house", "noses": "nose", "hoses": "hose", "roses": "rose",
    "vases": "vase", "purses": "purse", "nurses": "nurse", "bases": "base", "cases": "case",
    "canoes": "canoe", "shoes": "shoe", "gas": "gas", "clothes": "clothes", "axes": "axe",
}  # fmt: skip
SAME_IN_PLURAL = word_set(
    "grass dress glass bus gas tennis glasses sunglasses jeans pants shorts trousers scissors "
    "goggles skis sheep fish deer moss boss class cross mass pass mess chess canvas circus "
    "cactus campus octopus lens hibiscus christmas atlas iris compass harness wilderness "
    "fitness business across clothes stairs headphones binoculars this is was his its yes "
    "woods gymnastics"
)


def words(text: str) -> list[str]:
    """Lowercase words and numbers, in order, with hyphens and apostrophes inside."""
    return [word.lower().replace("\u2019", "'") for word in WORD.findall(_closed_up(text))]


def _closed_up(text: str) -> str:
    """Joins "the dog 's ball", as some data sets write it."""
    return SPACED.sub(r"\1", text)


def sentences(text: str) -> list[str]:
    """Sentences end with . ! ? or an ellipsis, or with the line.

    They do not end with an abbreviation, or with a quotation inside the sentence.
    """
    out: list[str] = []
    for line in text.splitlines():
        line, begin = line.strip(), 0
        for found in SENTENCE_END.finditer(line):
            quoted = found[1] and line[found.end() : found.end() + 1].islower()
            if not quoted and not ABBREVIATION.search(line[begin : found.start() + 1]):
                out.append(line[begin : found.end()].strip())
                begin = found.end()
        out.append(line[begin:])
    return [part for part in out if part]


@cache
def singular(word: str) -> str:
    """`dogs`, `dog's` and `dogs'` -> `dog`; words that only look plural stay unchanged."""
    if word.endswith(("'s", "s'")):
        word = word[:-2] if word.endswith("'s") else word[:-1]
    if word in IRREGULAR:
        return IRREGULAR[word]
    if word in SAME_IN_PLURAL or len(word) < 4 or not word.endswith("s"):
        return word
    if word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "sses", "xes", "zes", "oes")):
        return word[:-2]
    return word[:-1]


@cache
def root(word: str) -> str:
    """The common root of `running`, `runs` and `run`; irregular forms have their own."""
    base = singular(word)
    for ending in ("ing", "ed"):
        if base.endswith(ending) and len(base) - len(ending) >= 3 and base not in NOT_VERBS:
            base = base[: -len(ending)]
            if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "lsz":
                base = base[:-1]
            break
    return base[:-1] if base.endswith("e") and len(base) > 3 else base


def is_content(word: str) -> bool:
    return word not in FUNCTION and not word.isdigit() and len(word) > 1


def content_words(text: str) -> list[str]:
    return [word for word in words(text) if is_content(word)]


def _pieces(text: str) -> Iterator[str | None]:
    """Lowercase words, with None where punctuation separates two words."""
    text, last = _closed_up(text), 0
    for found in WORD.finditer(text):
        if BREAK.search(text[last : found.start()]):
            yield None
        yield found[0].lower().replace("\u2019", "'")
        last = found.end()


OPENERS = DETERMINERS | PREPOSITIONS | NUMBERS.keys()
ADJECTIVE_ENDINGS = (
    "ful",
    "ous",
    "ive",
    "less",
    "ish",
    "est",
    "able",
    "ible",
    "ic",
    "ward",
    "like",
)


def _verb_like(word: str) -> bool:
    if word in NOT_VERBS:
        return False
    ends = (word.endswith("ing") and len(word) > 4) or (word.endswith("ed") and len(word) > 3)
    return ends or word in VERBS


def is_adjective(word: str) -> bool:
    return (
        word in ADJECTIVES
        or word.endswith(ADJECTIVE_ENDINGS)
        or ("-" in word and word.endswith(("ed", "ing", "old", "sized", "style")))
        or (word.endswith("ed") and word not in {"bed", "sled", "shed", "seed", "weed", "speed"})
    )


def _nouns_of_run(run: list[str]) -> list[str]:
    """The nouns of a run of content words: the head, nouns before it, and the object of a verb."""
    after: list[str] = []
    for n, word in enumerate(run):
        # "a man wearing a hat" ends at the verb; "a brown running dog" continues.
        last = n == len(run) - 1
        if n > 0 and _verb_like(word) and (last or not is_adjective(run[n - 1])):
            run, after = run[:n], run[n + 1 :]
            break
    while run and run[-1].endswith("ly") and len(run[-1]) > 4 and run[-1] not in LY_NOUNS:
        run = run[:-1]
    out: list[str] = []
    if run:
        *before, head = run
        if not _no_noun(head):
            out.append(head)
        out += [w for w in before if not (is_adjective(w) or _verb_like(w) or w in NUMBERS)]
    return out + (_nouns_of_run(after) if after else [])


LY_NOUNS = word_set("family butterfly belly jelly lily fly assembly italy ally bully rally")


def _no_noun(word: str) -> bool:
    if word in FRAME:
        return False
    return is_adjective(word) or (word.endswith("ing") and len(word) > 4 and word not in NOT_VERBS)


@lru_cache(8192)  # many rules look at the same captions
def nouns(text: str) -> tuple[str, ...]:
    """The nouns of a text in the singular, in order, with repetitions."""
    out: list[str] = []
    for sentence in sentences(text):
        run: list[str] | None = []  # a sentence may open with a bare noun: "Dogs run."
        for word in [*_pieces(sentence), None]:
            if word is not None and is_content(word) and not word.isdigit():
                if word in NUMBERS and word not in ("couple", "pair", "trio", "dozen"):
                    out += _heads(run)
                    run = []
                elif run is not None:
                    run.append(word)
                elif word.endswith("ing") and _verb_like(word):
                    run = []  # "is playing guitar"
                continue
            out += _heads(run)
            if word is None:
                run = None if run is None else []
            elif word in OPENERS or word in ("and", "or", "has", "have", "had"):
                run = []
            else:
                run = [] if word.isdigit() else None
    return tuple(out)


def _heads(run: list[str] | None) -> list[str]:
    return [singular(word) for word in _nouns_of_run(run)] if run else []


@cache
def _alike(word: str) -> frozenset[str]:
    groups = [group.split() for group in ALIKE]
    return frozenset(w for group in groups if word in group for w in group) | {word}


@cache
def narrower(noun: str) -> frozenset[str]:
    """The words that imply `noun`, including `noun` itself."""
    out = set(_alike(noun))
    for word in tuple(out):
        out |= set(BROADER.get(word, "").split())
    for word in tuple(out):
        out |= _alike(word) if word != noun else set()
        out |= set(BROADER.get(word, "").split())
    return frozenset(out)


class Support:
    """What a photo's captions support."""

    def __init__(self, captions: Iterable[str]):
        said = [word for caption in captions for word in words(caption)]
        self.said = frozenset(said)
        self.numbers = frozenset(NUMBERS[w] for w in said if w in NUMBERS) | frozenset(
            int(w) for w in said if w.isdigit()
        )
        self._singular = frozenset(map(singular, said))
        self._roots = frozenset(map(root, said))
        self._parts = frozenset(part for word in said for part in word.split("-") if "-" in word)

    def word(self, word: str) -> bool:
        """Whether a caption has the word, in any form."""
        return word in self.said or singular(word) in self._singular or root(word) in self._roots

    def noun(self, noun: str) -> bool:
        """Whether a caption has the noun, or a word that implies it."""
        noun = singular(noun)
        if noun in FRAME or self.word(noun) or noun in self._parts:
            return True
        if any(singular(word) in self._singular for word in narrower(noun)):
            return True
        parts = noun.split("-")
        if len(parts) > 1 and all(self.word(part) for part in parts):
            return True
        # Somebody who skis is a skier, even if no caption says so.
        return noun.endswith(("er", "or")) and any(
            f"{base}{ending}" in self.said
            for base in {noun[:-2], noun[:-1], noun[:-3] if noun[-3:-2] == noun[-4:-3] else noun}
            for ending in ("s", "ing", "ed", "es", f"{noun[-3]}ing")
        )

    def unsupported(self, text: str) -> list[str]:
        """The nouns of a text that no caption supports, each once, in order."""
        return list(dict.fromkeys(noun for noun in nouns(text) if not self.noun(noun)))


@lru_cache(256)
def support_of(captions: tuple[str, ...]) -> Support:
    return Support(captions)


def mentions(text: str, noun: str) -> bool:
    """Whether a text has `noun`, or a word that means it."""
    said = {singular(word) for word in words(text)}
    said |= {part for word in said for part in word.split("-")}
    return any(singular(word) in said for word in narrower(noun))
