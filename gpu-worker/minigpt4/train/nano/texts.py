"""Makes target texts from a class (name, lemmas, gloss, hypernyms) and the view's measurements.

The measurements are dominant colour and brightness. Nothing is invented.
"""

import random
import re

from .photos import Photo

LIGHT = 0.46  # median luma of the training photos: above it a picture is called light

NAME_QUESTIONS = (
    "What is in this picture?",
    "What is this?",
    "What do you see?",
    "What does this photo show?",
    "What is shown in the image?",
    "Name the object in this picture.",
    "Can you tell me what this is?",
    "What object is this?",
    "What can be seen here?",
)
KIND_QUESTIONS = (
    "What kind of thing is in this picture?",
    "What kind of thing is this?",
    "Which category does it belong to?",
)
COLOUR_QUESTIONS = (
    "What is the dominant colour of this picture?",
    "What is the main color of the image?",
    "Which colour is most common in this photo?",
    "What color is this picture mostly?",
)
LIGHT_QUESTIONS = (
    "Is this picture light or dark?",
    "Is the image dark or light?",
    "Is this a light or a dark photo?",
)
# The first four are the paper's alignment prompts.
DESCRIBE_QUESTIONS = (
    "Describe this image in detail.",
    "Take a look at this image and describe what you notice.",
    "Please provide a detailed description of the picture.",
    "Could you describe the contents of this image for me?",
    "Describe this picture.",
    "Tell me about this photo.",
)

PLURAL = re.compile(r"(?<![sui])s$")
HEAD_ENDS = re.compile(
    r"[,;:]|\b(of|that|which|with|having|used|noted|for|in|on|by|to|from|who|whose|resembling|"
    r"consisting|made|worn|found|native|formerly|usually|where|when|at|as|like|"
    r"containing|producing|covered|related|closely|similar|valued|living|equipped|kept)\b"
)


def is_plural(phrase: str) -> bool:
    return bool(PLURAL.search(phrase))


def article(phrase: str) -> str:
    """`phrase` with a, an or (before a superlative) the before it."""
    if re.match(r"(larg|small|tall|fast|heavi|long)est\b", phrase):
        return f"the {phrase}"
    vowel = re.match(r"(?!uni|eu|one\b|us[aeu])[aeiou]", phrase, re.IGNORECASE)
    return f"{'an' if vowel else 'a'} {phrase}"


def noun(name: str) -> str:
    """A class name with its article, or without one if it reads as a plural."""
    return name if is_plural(name) else article(name)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def gloss_sentence(photo: Photo) -> str:
    """WordNet's gloss as one sentence about the class."""
    gloss = re.sub(r"\([^)]*\)", "", photo.gloss).split(";")[0].strip()
    gloss = re.sub(r"\s+", " ", gloss).rstrip(".,: ")
    subject, plural = capital(noun(photo.name)), is_plural(photo.name)
    verb = "are" if plural else "is"
    if re.match(r"(an?|the|any|one|someone|something)\b", gloss):
        return f"{subject} {verb} {gloss}."
    end = HEAD_ENDS.search(gloss)
    head = (gloss[: end.start()] if end else gloss).strip()
    if is_plural(head) and not plural:
        return f"{subject} is one of the {gloss}."
    return f"{subject} {verb} {gloss if plural else article(gloss)}."


def light_word(luma: float) -> str:
    return "light" if luma > LIGHT else "dark"


def caption(photo: Photo, colour: str, luma: float, draw: random.Random) -> str:
    """Stage 1: a short caption, lowercase as in the paper."""
    return draw.choice(
        (
            f"a photo of {noun(photo.name)}",
            f"{noun(photo.name)}",
            f"{noun(photo.name)}, mostly {colour}, {light_word(luma)}",
            f"a {light_word(luma)}, mostly {colour} picture of {noun(photo.name)}",
        )
    ).lower()


def question_and_answer(
    kind: str, photo: Photo, colour: str, luma: float, draw: random.Random
) -> tuple[str, str]:
    """Stage 2: one exchange. `kind` is name, kind, colour, light or describe."""
    name, parent = noun(photo.name), article(photo.hypernyms[0]) if photo.hypernyms else ""
    look = f"The dominant colour is {colour}, and the picture is {light_word(luma)}."
    match kind:
        case "name":
            return draw.choice(NAME_QUESTIONS), f"This picture shows {name}."
        case "kind" if parent:
            return draw.choice(KIND_QUESTIONS), f"It is {name}, which is {parent}."
        case "colour":
            return draw.choice(COLOUR_QUESTIONS), f"The dominant colour is {colour}."
        case "light":
            return draw.choice(LIGHT_QUESTIONS), f"The picture is {light_word(luma)}."
    return (
        draw.choice(DESCRIBE_QUESTIONS),
        f"This picture shows {name}. {gloss_sentence(photo)} {look}",
    )
