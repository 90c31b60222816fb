"""The rules that a target must pass.

A rule takes the answer and its context, and returns what is wrong, or None. The rules are strict on
purpose: a stage-2 set is small, and dropping a good answer costs less than training on a bad one.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from . import forms
from .lexicon import (
    AUXILIARIES,
    DETERMINERS,
    FIRST_NAMES,
    FOREIGN,
    FRAME,
    FUNCTION,
    NAMES_AND_WORDS,
    NOT_VERBS,
    NUMBERS,
    PLAIN_PAST,
    PREPOSITIONS,
    VERBS,
    word_set,
)
from .words import WORD, mentions, narrower, nouns, sentences, support_of, words


@dataclass(frozen=True)
class Bounds:
    """The limits for a kind of target."""

    least_words: int = 1
    most_words: int = 120
    unsupported: float | None = (
        None  # largest share of nouns without support in the captions; None: any
    )
    names: bool = True  # whether names may be invented, as in stories
    counts: bool = True  # whether numbers may be invented
    on_picture: bool = False  # whether it must name a main thing of the picture
    form: Callable[[str], str | None] | None = None
    sentences: bool = True  # whether it must consist of whole sentences
    verbs: bool = True  # whether each sentence needs a verb; slogans do not


@dataclass(frozen=True)
class AnswerContext:
    """What a rule needs to know about an answer besides its text."""

    bounds: Bounds
    captions: tuple[str, ...]
    main: tuple[str, ...] = ()
    cut_off: bool = False  # the token limit ended the answer
    least_words: int | None = None  # if the captions allow fewer than the kind's minimum


# repetition

WINDOW = 4
SAID_TWICE = 4  # words of a sentence that can count as repeated


def repetition(text: str, known: AnswerContext) -> str | None:
    """A word three times in a row, a sentence twice, or four words three times and more."""
    said = words(text)
    for first, second, third in zip(said, said[1:], said[2:], strict=False):
        if first == second == third:
            return f'"{first}" three times in a row'
    lines = [" ".join(words(part)) for part in sentences(text)]
    again = Counter(line for line in lines if len(line.split()) >= SAID_TWICE)
    # A poem may repeat a line once.
    most = 2 if known.bounds.form is forms.poem else 1
    line, times = max(again.items(), key=lambda item: item[1], default=("", 0))
    if times > most:
        return f'"{line[:60]}" {times} times'
    runs = Counter(tuple(said[n : n + WINDOW]) for n in range(len(said) - WINDOW + 1))
    run, times = max(runs.items(), key=lambda item: item[1], default=((), 0))
    if times > 2 and known.bounds.form is not forms.recipe:
        return f'"{" ".join(run)}" {times} times'
    # "on the left, a man on the left, a man on the left" repeats the same few words.
    if len(said) >= 40 and len(set(said)) / len(said) < 0.3:
        return f"{len(set(said))} different words of {len(said)}"
    return None


# fragments

# Words that end a sentence only if it is cut off: "and the.", "because."
CUT_ENDS = word_set(
    "a an the my your their its whose every and or but nor because although unless than while when "
    "where if whether since until onto among between during via amongst per"
)
# "On top of.", "looks at."; but "what it waits for", "something to play with".
HANGING = word_set("to of with from at as for into toward towards")
HANGS_ON = word_set("what who whom which that where how something anything nothing much to")
CLOSED = re.compile(r"[.!?…][\"'”\u2019)\]*_]*$")


def fragments(text: str, known: AnswerContext) -> str | None:
    """It breaks off, or has a sentence without a beginning, a verb or an end."""
    if known.cut_off:
        return "it was cut off at its longest"
    if known.bounds.form is forms.website:
        return None  # the rule on form checks that a page ends with </html>
    stripped = text.rstrip()
    if not stripped:
        return "it is empty"
    if not known.bounds.sentences:
        return _dangles(stripped)
    if not CLOSED.search(stripped):
        return f'it ends without an end: "…{stripped[-40:]}"'
    first = re.search(r"\w", stripped)
    if first and first[0].islower():
        return f'it begins in the middle: "{stripped[:40]}…"'
    for sentence in sentences(stripped):
        if trouble := _dangles(sentence):
            return trouble
        said = words(sentence)
        begin = re.search(r"[^\W\d_]", sentence)
        if begin and begin[0].islower() and len(said) > 1:
            return f'a sentence begins in the middle: "{sentence[:40]}"'
        if known.bounds.verbs and len(said) >= 2 and not has_verb(said):
            return f'a sentence without a verb: "{sentence[:60]}"'
    return None


def _dangles(sentence: str) -> str | None:
    said = words(sentence)
    ending = sentence.rstrip(" \"'”\u2019)")
    if not said or ending.endswith("?"):
        return None
    hanging = said[-1] in HANGING and not HANGS_ON & set(said[:-1])
    if said[-1] in CUT_ENDS or hanging:
        return f'a sentence stops at "{said[-1]}": "…{sentence[-40:]}"'
    return None


def has_verb(said: list[str]) -> bool:
    """Whether it has a finite verb; "a man wearing a hat" has none."""
    for n, word in enumerate(said):
        if word in AUXILIARIES or word in PLAIN_PAST:
            return True
        before = said[n - 1] if n else ""
        after_determiner = before in DETERMINERS or before in PREPOSITIONS
        if word in VERBS and n > 0 and not after_determiner:
            return True
        if (
            n > 0
            and word.endswith("ed")
            and word not in NOT_VERBS
            and not after_determiner
            and n + 1 < len(said)
        ):
            return True
        # Verbs that are in no list, such as "the dog frolics": after a noun, before more words.
        if (
            n > 1
            and word.endswith("s")
            and not word.endswith("ss")
            and word not in FUNCTION
            and not after_determiner
            and said[n - 2] in DETERMINERS | NUMBERS.keys()
            and n + 1 < len(said)
            and said[n + 1] in PREPOSITIONS | DETERMINERS
        ):
            return True
    return False


# not English


def not_english(text: str, known: AnswerContext) -> str | None:
    """It has letters of other scripts, or a sentence of another language's words."""
    letters = [letter for letter in text if letter.isalpha()]
    other = [letter for letter in letters if ord(letter) > 0x24F]
    if other and (len(other) >= 3 or len(other) / len(letters) > 0.02):
        return f'letters of another script: "{"".join(other[:12])}"'
    if "\ufffd" in text:
        return "broken characters"
    for sentence in sentences(text):
        said = words(sentence)
        english = sum(word in FUNCTION for word in said)
        for language, its in FOREIGN.items():
            foreign = sum(word in its and word not in SHARED for word in said)
            ours = sum(word in FUNCTION and word not in its for word in said)
            if foreign >= 2 and foreign > ours:
                return f'{language}: "{sentence[:60]}"'
        if len(said) >= 12 and english == 0 and known.bounds.sentences:
            return f'no English in "{sentence[:60]}"'
    letters_in_words = len(said_all := words(text))
    if letters_in_words >= 5:
        odd = [w for w in said_all if len(w) > 24 or re.search(r"[bcdfghjklmnpqrstvwxz]{7,}", w)]
        if len(odd) >= 1 and len(odd) / letters_in_words > 0.02:
            return f'no word of any language: "{odd[0][:40]}"'
    if re.search(r"[^\w\s]{6,}", re.sub(r"[.\-=_*~]{6,}", "", text)) and known.bounds.form is not (
        forms.website
    ):
        return "a run of signs"
    return None


# Words that English has too, so they do not indicate another language.
SHARED = word_set(
    "a no in as is on me so do at die man hat van pour sur plus est con per us come met son "
    "time los"
)


# apologies

APOLOGY = re.compile(
    r"\A\W*sorry\b|\bi(?:'m| am)(?: so| very| truly)? (?:sorry|unable)\b|"
    r"\bi(?:'m| am) afraid (?:i|that|this|there|it)\b|\b(?:my|our|sincere) apolog|"
    r"\bi apologi[sz]e|\bas an? ai\b|\b(?:an|as a) ai (?:language )?(?:model|assistant)|"
    r"\blanguage model\b|\bi(?:'m| am) (?:just |only )?(?:an ai|a (?:text|language|computer))|"
    r"\bi (?:cannot|can't|can not|could not|couldn't|am not able to|do not have|don't have) "
    r"(?:\w+ ){0,3}?(?:see|view|access|provide|describe|generate|create|write|assist|fulfil\w*|"
    r"answer|determine|identify|information|images?|pictures?|ability)\b|"
    r"\bunfortunately,? i\b|"
    r"\bplease (?:provide|upload|attach|let me know|give me|send me|share (?:the|an?|your) "
    r"(?:image|picture|photo|text))|"
    r"\b(?:could|can) you (?:please )?(?:provide|upload|send me|clarify)|"
    r"\bno (?:image|picture|photo|text) (?:was|is|has been) (?:provided|attached|given|shown)|"
    r"\b(?:image|picture|photo|text)(?: that)? you(?:'ve| have)? "
    r"(?:provided|uploaded|shared|sent|attached)|"
    r"\blet me know if|\bi hope this helps|\bfeel free to (?:ask|reach|contact)|"
    r"\bi(?:'m| am|'d be| would be) (?:happy|glad) to (?:help|assist)|"
    r"\bhow (?:can|may) i (?:help|assist) you",
    re.I,
)
SPEECH = re.compile(r"[\"“][^\"”]*[\"”]")


def apology(text: str, known: AnswerContext) -> str | None:
    """It apologises, asks for the picture, or chats like an assistant."""
    text = text.replace("\u2019", "'")
    if known.bounds.form is forms.story:
        text = SPEECH.sub(" ", text)  # a character in the text may be sorry
    found = APOLOGY.search(text)
    return f'"{found[0]}"' if found else None


# talk about the captions

TALK = re.compile(
    r"\bcaption(?:s|ed)?\b|"
    r"\b(?:the|this|these|those|all|each|both|given|provided|above|following|"
    r"(?:one|two|three|four|five|\d) )\s*(?:of the )?descriptions?\b|"
    r"\bdescriptions? (?:says?|mentions?|states?|describes?|above|below|provided|given)\b|"
    r"\b(?:people|persons|observers?|viewers?|annotators?|writers?|witnesses|users?|"
    r"authors?|speakers?|individuals)"
    r" (?:who |that |have |has |had |are |is |were |all )*"
    r"(?:describ\w+|captioned|annotated|wrote about|commented on|"
    r"(?:said|say|see|saw|looked at|observed) (?:of |about |in )?(?:the|this|that|a|same)"
    r" (?:same )?(?:picture|photo|photograph|image))\b|"
    r"\b(?:as|is|are|was|were|been) (?:described|captioned|mentioned|stated) "
    r"(?:by|in|as|above|earlier|here)\b|"
    r"\b(?:as|previously|already|above) (?:described|mentioned|stated)\b|"
    r"\baccording to (?:\w+ ){1,3}?(?:captions?|descriptions?|people|persons?|texts?|sentences?|"
    r"observers?|viewers?|lines?)\b|"
    r"\b(?:first|second|third|fourth|fifth|last|other|another|next) "
    r"(?:sentence|statement|line|text) (?:says?|mentions?|states?|describes?|notes?|adds?)\b|"
    r"\b(?:person|someone) (?:mention(?:s|ed)|states?|stated|notes?|noted|"
    r"(?:says?|said|adds?|added) (?:that|there|it)|"
    r"describe[sd]? (?:it|this|the (?:same )?(?:picture|photo|image|scene)))\b|"
    r"\b(?:in|of|from) the (?:given |provided |original |above )?(?:sentences|statements|text|"
    r"prompt|input)\b|"
    r"\b(?:the|these|this) (?:given |provided |original |above |following )+(?:sentences?|"
    r"statements?|texts?|lines?|prompts?|details|information)\b|"
    r"\b(?:sentences|statements) (?:describe|mention|state|say|all)\b|"
    r"\bthe (?:text|prompt|passage) (?:says?|mentions?|states?|describes?)\b|"
    r"\b(?:i|we) (?:have )?(?:removed|corrected|fixed|rewrote|rewritten|edited|merged|combined)\b",
    re.I,
)


def talk_of_captions(text: str, known: AnswerContext) -> str | None:
    """It is about the captions or their writers instead of the picture."""
    found = TALK.search(text)
    return f'"{found[0].strip()}"' if found else None


# invented names and counts

KNOWN_CAPITALS = word_set(
    "i i'm i'll i've i'd monday tuesday wednesday thursday friday saturday sunday january "
    "february march april may june july august september october november december english ok "
    "tv html css frisbee god"
)


def invented_name(text: str, known: AnswerContext) -> str | None:
    """It has a capitalised word inside a sentence that no caption has."""
    if known.bounds.names or not known.captions:
        return None
    support = support_of(known.captions)
    for sentence in sentences(text):
        if _is_title(sentence):
            continue
        first = True
        for found in WORD.finditer(sentence):
            word = found[0]
            before = sentence[: found.start()].rstrip()
            opens = first or before.endswith((":", '"', "“", "\u2018", "—", "\u2013", "-", "("))
            first = False
            low = re.sub(r"['\u2019]s$", "", word).lower()
            if not word[:1].isupper() or low in KNOWN_CAPITALS or support.word(low):
                continue
            if any(support.word(part) for part in low.split("-")):
                continue
            if opens and (low not in FIRST_NAMES or low in NAMES_AND_WORDS):
                continue
            return f'"{word}" is in no caption'
    return None


def _is_title(line: str) -> bool:
    """Whether it is a heading: short, without a full stop, in capitalised words."""
    said = WORD.findall(line)
    return (
        1 < len(said) <= 10
        and not CLOSED.search(line)
        and all(w[:1].isupper() or w.lower() in FUNCTION for w in said)
    )


NOT_COUNTING = re.compile(
    r"\b(?:one another|each other|one of|at one|one by one|(?:for|on) one|two-piece|"
    r"all fours|pairs? of (?:sun)?(?:glasses|jeans|pants|shorts|shoes|boots|sneakers|sandals|"
    r"gloves|skis|skates|goggles|scissors|trousers|headphones|tights|leggings|socks|mittens))\b",
    re.I,
)


def invented_count(text: str, known: AnswerContext) -> str | None:
    """It has a number from two up that no caption has; "a man and a woman" allow two people."""
    if known.bounds.counts or not known.captions:
        return None
    support = support_of(known.captions)
    said = words(NOT_COUNTING.sub(" ", text))
    for n, word in enumerate(said):
        for part in word.split("-"):
            number = NUMBERS.get(part)
            if number is None and part.replace(",", "").isdigit():
                number = int(part.replace(",", ""))
            if number is None or number < 2 or number in support.numbers or part in support.said:
                continue
            behind = [noun for noun in nouns(" ".join(said[n + 1 : n + 6])) if noun not in FRAME]
            counted = behind[0] if behind else "person"
            if not any(_one_by_one(caption, counted) == number for caption in known.captions):
                return f'"{word}" is in no caption'
    return None


def _one_by_one(caption: str, counted: str) -> int:
    """How many a caption introduces one by one: "a dog chases another dog" has two dogs."""
    said, kinds = words(caption), narrower(counted)
    singly = [
        found[0]
        for n, word in enumerate(said)
        if word in ("a", "an", "another", "one") and (found := nouns(" ".join(said[n : n + 5])))
    ]
    return sum(noun in kinds for noun in singly)


# what the picture does not show


def unsupported_noun(text: str, known: AnswerContext) -> str | None:
    """Too many of its nouns are in no caption and are no broader word for one."""
    most = known.bounds.unsupported
    if most is None or not known.captions:
        return None
    found = list(dict.fromkeys(nouns(text)))
    missing = support_of(known.captions).unsupported(text)
    if found and len(missing) / len(found) > most:
        return f"{len(missing)} of {len(found)} nouns: {', '.join(missing[:6])}"
    return None


def off_picture(text: str, known: AnswerContext) -> str | None:
    """It names nothing that two captions name."""
    if not known.bounds.on_picture or not known.main:
        return None
    if any(mentions(text, noun) for noun in known.main):
        return None
    return f"it names none of {', '.join(known.main[:6])}"


# form and length


def wrong_form(text: str, known: AnswerContext) -> str | None:
    return known.bounds.form(text) if known.bounds.form else None


def length(text: str, known: AnswerContext) -> int:
    return len(words(text))


def too_short(text: str, known: AnswerContext) -> str | None:
    least = known.bounds.least_words if known.least_words is None else known.least_words
    said = length(text, known)
    return f"{said} words; at least {least}" if said < least else None


def too_long(text: str, known: AnswerContext) -> str | None:
    said = length(text, known)
    most = known.bounds.most_words
    return f"{said} words; at most {most}" if said > most else None


Rule = Callable[[str, AnswerContext], str | None]
# In this order an answer's first fault is reported.
RULES: dict[str, Rule] = {
    "apology": apology,
    "talk of captions": talk_of_captions,
    "not English": not_english,
    "wrong form": wrong_form,
    "fragment": fragments,
    "repetition": repetition,
    "invented name": invented_name,
    "invented count": invented_count,
    "unsupported noun": unsupported_noun,
    "off the picture": off_picture,
    "too short": too_short,
    "too long": too_long,
}


def faults(text: str, known: AnswerContext) -> dict[str, str]:
    """Every rule that the answer breaks, with what is wrong; empty if it passes."""
    shown = forms.visible_text(text) if known.bounds.form is forms.website else text
    out: dict[str, str] = {}
    for name, rule in RULES.items():
        found = rule(text if name == "wrong form" else shown, known)
        if found:
            out[name] = found
    return out
