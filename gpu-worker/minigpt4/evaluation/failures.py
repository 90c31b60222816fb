"""The paper's failures as rules: what is wrong with a description or a poem, if anything.

MiniGPT-4 counts an answer as failed if it repeats words or sentences, consists of fragments, or is
unrelated to the picture (section 4.3). docs/evaluation.md has the rules.
"""

import re
from collections import Counter
from collections.abc import Sequence

from .caption_words import word_set, words
from .nouns import THING_OF, all_objects, objects, singular

REPETITION, FRAGMENT, OFF_IMAGE, EMPTY = "repetition", "fragment", "off-image", "empty"
NOT_ENGLISH, APOLOGY = "not English", "apology"
# The paper counts these; the report shows the other two separately.
FAILURES = (REPETITION, FRAGMENT, OFF_IMAGE, EMPTY)

# Longer than 19 of 20 human captions, because one caption is not a detailed description.
DETAILED_WORDS = 20
POEM_LINES = 4
LOOP = {
    1: 4,
    2: 3,
    3: 3,
    4: 3,
    5: 2,
    6: 2,
    7: 2,
    8: 2,
}  # length of a sequence -> repetitions in a row that make a loop
REPEATED_SHARE = 0.3  # share of four-word sequences that occurred before
REFRAIN = 3  # times that a line of a poem must occur to count as repeated

VERBS = word_set(
    """is are was were am be has have had do does did can could may might must will would shall
    should seems seem appears appear looks look stands stand sits sit lies lie runs run walks walk
    plays play jumps jump rides ride holds hold wears wear watches watch shows show depicts depict
    features feature captures capture contains contain includes include suggests suggest makes make
    takes take gets get goes go comes come gives give adds add creates create surrounds surround
    covers cover fills fill enjoys enjoy leaps leap swims swim flies fly climbs climb throws throw
    catches catch carries carry pulls pull pushes push chases chase leans lean smiles smile stares
    stare poses pose reaches reach turns turn moves move slides slide swings swing rests rest waits
    wait eats eat drinks drink talks talk laughs laugh sings sing dances dance performs perform
    races race splashes splash kicks kick hits hit rolls roll falls fall hangs hang rises rise
    shines shine lights light blows blow barks bark leads lead follows follow stretches stretch
    says say knows know feels feel loves love wants want tries try keeps keep brings bring finds
    find dreams dream grows grow stood sat ran walked played jumped rode held wore watched
    looked made took got went came gave smiled laughed flew saw knew felt found"""
)
ENGLISH = word_set(
    """the a an and of in is to with on at it that this are his her their for by from as there
    was were be he she they its into while or not you we i has have over through down up out
    wearing playing standing running sitting walking looking two three one my your our so when
    where all who like but no what will can"""
)
# Words of German, French, Spanish, Italian and Dutch; none is an English word.
FOREIGN = word_set(
    """der das und mit dem den ein eine einem einen im ist auf von zu sich nicht auch el los las un
    una por del le les des et dans est sur avec qui il di che della het een zijn van op en que se
    son como pour au"""
)
APOLOGIES = re.compile(
    r"\bi(?:'m| am) (?:\w+ )?sorry\b|\bi apologi[sz]e\b|\bmy apologies\b|^sorry\b"
    r"|\bas an ai\b|\b(?:ai|language) (?:language )?model\b"
    r"|\bi(?:'m| am)? ?(?:cannot|can't|can not|unable to|not able to|do not|don't) "
    r"(?:actually |directly )?"
    r"(?:see|view|access|process|analy[sz]e|provide|help|assist|have the ab)",
    re.IGNORECASE,
)
END = re.compile(r"""[.!?\u2026]["'\u201d\u2019)\]*]*\s*$""")
SENTENCE = re.compile(r"""[^.!?\n]+(?:[.!?]+["'\u201d\u2019)]*|\n|$)""")


def sentences(text: str) -> list[str]:
    return [found.strip() for found in SENTENCE.findall(text) if words(found)]


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if words(line)]


def is_empty(text: str) -> bool:
    """Fewer than two words."""
    return len(words(text)) < 2


def loops(said: Sequence[str], poem: bool = False) -> bool:
    """Whether a sequence of 1 to 8 words repeats in a row as often as LOOP says.

    A poem may say a line twice, so its loops of any length need three repetitions.
    """
    for size, times in LOOP.items():
        times = max(times, REFRAIN) if poem else times
        for start in range(len(said) - size * times + 1):
            row = said[start : start + size * times]
            if list(row) == list(row[:size]) * times:
                return True
    return False


def repeated_share(said: Sequence[str], size: int = 4) -> float:
    """The share of the sequences of `size` words that occurred before."""
    found = [tuple(said[n : n + size]) for n in range(len(said) - size + 1)]
    return 1 - len(set(found)) / len(found) if found else 0.0


def repeats(text: str, poem: bool = False) -> bool:
    """Whether it has a loop, says a sentence twice (a poem's line: three times) or little new."""
    said = words(text)
    parts = lines(text) if poem else sentences(text)
    known = Counter(tuple(words(part)) for part in parts)
    most = max((count for part, count in known.items() if len(part) > 2), default=0)
    little_new = len(said) >= 15 and repeated_share(said) > REPEATED_SHARE
    return loops(said, poem) or most >= (REFRAIN if poem else 2) or little_new


def has_sentence(text: str) -> bool:
    """Whether a sentence of four words or more has a verb."""
    return any(
        len(words(part)) >= 4 and not VERBS.isdisjoint(words(part)) for part in sentences(text)
    )


def is_fragment(text: str, ended: bool) -> bool:
    """Whether a description was cut off, has no sentence, is mostly scraps, or is too short."""
    parts = sentences(text)
    scraps = sum(len(words(part)) < 3 for part in parts)
    return (
        not ended
        or not END.search(text)
        or not has_sentence(text)
        or scraps * 2 > len(parts)
        or len(words(text)) < DETAILED_WORDS
    )


def is_no_poem(text: str, ended: bool) -> bool:
    """Whether a poem was cut off, has fewer than four lines, or lines of hardly a word."""
    found = lines(text)
    return (
        not ended or len(found) < POEM_LINES or sum(len(words(n)) for n in found) < 2 * len(found)
    )


def is_off_image(text: str, captions: Sequence[str]) -> bool:
    """Whether it names no object of any caption; false if the captions name none."""
    there = all_objects(captions)
    return bool(there) and there.isdisjoint(objects(text))


def is_english(text: str) -> bool:
    """Whether the text is English.

    Its letters are Latin, nine of ten without accents. One word of seven is a common English word,
    and these outnumber common words of other languages.
    """
    letters = [letter for letter in text if letter.isalpha()]
    if letters and sum(letter.isascii() for letter in letters) < 0.9 * len(letters):
        return False
    said = words(text)
    if len(said) < 6:
        return True
    common = sum(word in ENGLISH for word in said)
    known = common + sum(singular(word) in THING_OF for word in said)
    return 7 * known >= len(said) and common >= sum(word in FOREIGN for word in said)


def apologises(text: str) -> bool:
    """Whether the model speaks of itself: it is sorry, cannot see, is an AI."""
    return bool(APOLOGIES.search(text.replace("\u2019", "'").strip()))


def failures(text: str, captions: Sequence[str], ended: bool, poem: bool = False) -> frozenset[str]:
    """What is wrong with an answer; for an empty one only that."""
    if is_empty(text):
        return frozenset({EMPTY})
    fragment = is_no_poem if poem else is_fragment
    found = {
        REPETITION: repeats(text, poem),
        FRAGMENT: fragment(text, ended),
        OFF_IMAGE: is_off_image(text, captions),
        NOT_ENGLISH: not is_english(text),
        APOLOGY: apologises(text),
    }
    return frozenset(name for name, wrong in found.items() if wrong)
