"""The kinds of targets: the question about the picture, the prompt for the models, the limits.

The creative tasks have the questions of the edge's presets (src/tasks.ts), so that training uses
the questions that users ask.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from . import forms
from .captions import (
    agreed_colours,
    consensus,
    is_there,
    main_nouns,
    shows_food,
    tidy_caption,
    to_merge,
)
from .filters import Bounds, has_verb
from .lexicon import SALIENT
from .words import words

# The original's four prompts for stage 2.
DESCRIBE = (
    "Describe this image in detail.",
    "Take a look at this image and describe what you notice.",
    "Please provide a detailed description of the picture.",
    "Could you describe the contents of this image for me?",
)
PRESETS = {
    "story": "Write a short story about this picture.",
    "poem": "Write a short poem about this picture.",
    "recipe": "Write a recipe for the dish in this picture, with its ingredients and steps.",
    "website": "Write the HTML of a simple web page about what this picture shows.",
    "humour": "Explain what could be funny about this picture.",
    "advertisement": "Write a short advertisement for what this picture shows.",
}
CAPTION = (
    "Describe this picture in one sentence.",
    "Write a caption for this photo.",
    "Say briefly what this image shows.",
)
THING = (
    "What is in the picture?",
    "What does this photo show?",
    "What can you see in this image?",
)

SEEN, MERGED = "described", "merged"
CREATIVE = tuple(PRESETS)
BY_RULE = ("caption", "thing", "presence", "colour")
KINDS = (SEEN, MERGED, *CREATIVE, *BY_RULE)
DESCRIPTIONS = (SEEN, MERGED)

_FAITHFUL = {"names": False, "counts": False, "form": forms.prose}
BOUNDS = {
    SEEN: Bounds(30, 150, unsupported=0.4, **_FAITHFUL),
    MERGED: Bounds(30, 120, unsupported=0.0, on_picture=True, **_FAITHFUL),
    "story": Bounds(40, 150, on_picture=True, form=forms.story, verbs=False),
    "poem": Bounds(12, 110, on_picture=True, form=forms.poem, sentences=False),
    "recipe": Bounds(30, 200, on_picture=True, form=forms.recipe, sentences=False),
    "website": Bounds(12, 160, on_picture=True, form=forms.website, sentences=False),
    "humour": Bounds(12, 110, names=False, on_picture=True, form=forms.prose),
    "advertisement": Bounds(12, 110, on_picture=True, form=forms.prose, verbs=False),
    # People wrote these captions, so a caption without a verb is fine.
    "caption": Bounds(3, 40, unsupported=0.0, **_FAITHFUL, verbs=False),
    "thing": Bounds(4, 45, unsupported=0.0, **_FAITHFUL),
    "presence": Bounds(3, 20, **_FAITHFUL),
    "colour": Bounds(3, 20, unsupported=0.0, **_FAITHFUL),
}

# The longest answer of each kind, in tokens.
MAX_TOKENS = {
    SEEN: 300, "continue": 300, "edit": 300, MERGED: 200, "story": 240, "poem": 180, "recipe": 320,
    "website": 700, "humour": 180, "advertisement": 180,
}  # fmt: skip
# Instructions that follow the question and the caption in a prompt.
GUIDANCE = {
    "story": "Tell it in one or two paragraphs of four to seven sentences.",
    "poem": "Write four to eight short lines, each on its own line, without a title.",
    "recipe": "Name the dish. Then write a line 'Ingredients:' and a list of them, then a line "
    "'Steps:' and numbered steps.",
    "website": "Write one complete HTML document with a title, a heading, two short paragraphs and "
    "a little CSS in a style element. Use no pictures, links or scripts. Write only the HTML.",
    "humour": "Write two or three sentences.",
    "advertisement": "Write two to five sentences.",
}
EDIT = (
    "Correct the following description of a picture. Take out what is repeated, signs and words "
    "that make no sense, and everything that is not English. Complete sentences that break off, or "
    "take them out. Add nothing that it does not say, and explain nothing. Answer with the "
    "corrected description only; if nothing is wrong, answer with it as it is.\n\n{}"
)
MERGE = (
    "This is all that is known of what a picture shows:\n\n{}\n\nWrite one detailed description of "
    "the picture, in two to four complete sentences of at least {} words together. Say everything "
    "that stands above, each thing once, and add nothing to it: no names, no numbers, no things, "
    "no feelings. Speak only of what is seen. Answer with the description only."
)
LONGER = (
    "That has {} words. Write it again with at least {} words, in complete sentences. Use "
    "everything that is known, and nothing else. Answer with the description only."
)
TELL = (
    "A picture shows this: {}\n\n{} {} Do not speak of a picture, a caption or a description, and "
    "answer with nothing else."
)
LEAST_WORDS = 30


@dataclass(frozen=True)
class Task:
    """One target to make from one photo. `typed` is the prompt for the model."""

    key: str
    kind: str
    prompt: str
    captions: tuple[str, ...]
    main: tuple[str, ...]
    sources: dict[str, Any] = field(default_factory=dict)
    typed: str = ""
    answer: str = ""  # if made by rule
    least_words: int | None = None


def draw_number(seed: int, *parts: str) -> int:
    text = "\n".join((str(seed), *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


@dataclass(frozen=True)
class TaskOptions:
    kinds: tuple[str, ...] = KINDS
    creative_per_photo: int = 1
    seed: int = 42


def tasks_of(key: str, captions: Sequence[str], wanted: TaskOptions) -> list[Task]:
    """The tasks of one photo; without captions only those that the model can see."""
    captions = tuple(captions)
    main = tuple(main_nouns(captions))

    def draw(kind: str) -> random.Random:
        return random.Random(draw_number(wanted.seed, key, kind))

    def make(kind: str, prompt: str, **more: Any) -> Task:
        return Task(key, kind, prompt, captions, main, **more)

    out: list[Task] = []
    if SEEN in wanted.kinds:
        out.append(make(SEEN, draw(SEEN).choice(DESCRIBE)))
    if not captions:
        return out
    told = tidy_caption(consensus(captions))
    if MERGED in wanted.kinds and (chosen := to_merge(captions)):
        least = min(LEAST_WORDS, sum(len(words(caption)) for caption in chosen))
        lines = "\n".join(f"- {tidy_caption(caption)}" for caption in chosen)
        out.append(
            make(
                MERGED,
                draw(MERGED).choice(DESCRIBE),
                typed=MERGE.format(lines, least),
                sources={"captions": chosen},
                least_words=least,
            )
        )
    eligible = [
        kind
        for kind in CREATIVE
        if kind in wanted.kinds and (kind != "recipe" or shows_food(captions))
    ]
    drawn = draw("creative").sample(eligible, min(wanted.creative_per_photo, len(eligible)))
    if "recipe" in eligible and "recipe" not in drawn and drawn:
        drawn[-1] = "recipe"  # because few photos show food
    for kind in sorted(drawn):
        out.append(
            make(
                kind,
                PRESETS[kind],
                typed=TELL.format(told, _typed_question(kind), GUIDANCE[kind]),
                sources={"captions": [told]},
            )
        )
    out += [task for task in _by_rule(make, draw, told, captions) if task.kind in wanted.kinds]
    return out


def _typed_question(kind: str) -> str:
    """The preset's wording without a picture."""
    return (
        PRESETS[kind]
        .replace("for the dish in this picture", "for the dish in it")
        .replace("what this picture shows", "it")
        .replace("this picture", "it")
    )


def _by_rule(make: Any, draw: Any, told: str, captions: tuple[str, ...]) -> list[Task]:
    sources = {"captions": list(captions)}
    out = [make("caption", draw("caption").choice(CAPTION), answer=told, sources=sources)]
    if thing := _thing(sorted(captions, key=lambda caption: tidy_caption(caption) != told)):
        out.append(make("thing", draw("thing").choice(THING), answer=thing, sources=sources))
    question = _presence(captions, draw("presence"))
    if question:
        out.append(make("presence", question[0], answer=question[1], sources=sources))
    found = agreed_colours(captions)
    usable = sorted(noun for noun in found if noun in main_nouns(captions))
    if usable:
        noun = draw("colour").choice(usable)
        asked = draw("spelling").choice(("colour", "color"))
        verb, other = ("are", "") if _plural_only(noun) else ("is", "")
        out.append(
            make(
                "colour",
                f"What {asked} {verb} the {noun}{other}?",
                answer=f"The {noun} {verb} {found[noun]}.",
                sources=sources,
            )
        )
    return out


def _plural_only(noun: str) -> bool:
    return noun in {"jeans", "pants", "shorts", "trousers", "glasses", "sunglasses", "goggles",
                    "clothes", "stairs", "woods", "skis"}  # fmt: skip


BARE_OPENINGS = {"a", "an", "two", "three", "four", "five", "six", "seven", "eight", "several",
                 "some", "many", "the"}  # fmt: skip


COMMON_DOERS = ("man", "woman", "boy", "girl", "child", "person", "player", "lady", "guy", "kid")


def _thing(captions: Sequence[str]) -> str:
    """ "A dog is running." -> "The picture shows a dog running."

    Uses the first caption that allows it: all its verbs can follow a noun.
    """
    common = {*main_nouns(captions), *COMMON_DOERS}
    for caption in captions:
        told = tidy_caption(caption)
        said = told.rstrip(".").split()
        if said and said[0].lower() == "there":
            return told
        for n in range(len(said) - 1):
            if said[n] in ("is", "are") and said[n + 1].endswith("ing"):
                del said[n]
                break
        bare = [word.lower().strip(",") for word in said]
        # "A boy skateboards": a word that looks plural after a noun may be a verb.
        does = any(
            after.endswith("s") and not after.endswith("ss") and before in common
            for before, after in pairwise(bare)
        )
        if said and bare[0] in BARE_OPENINGS and not does and not has_verb(bare):
            return f"The picture shows {said[0].lower()} {' '.join(said[1:])}."
    return ""


def _presence(captions: tuple[str, ...], draw: random.Random) -> tuple[str, str] | None:
    """A yes that most captions support, or a no to something that everybody would mention."""
    said = [
        noun
        for noun in main_nouns(captions)
        if noun in SALIENT and sum(is_there([c], noun) for c in captions) * 2 > len(captions)
    ]
    absent = [noun for noun in SALIENT if not is_there(captions, noun)]
    yes = draw.random() < 0.5
    pool = said if yes else absent
    # A single caption does not show what is missing from the picture.
    if not pool or (not yes and len(captions) < 3):
        return None
    noun = draw.choice(sorted(pool))
    return (
        f"Is there {_article(noun)} {noun} in the picture?",
        f"Yes, there is {_article(noun)} {noun} in the picture."
        if yes
        else f"No, there is no {noun} in the picture.",
    )


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" and not noun.startswith(("uni", "eu")) else "a"
