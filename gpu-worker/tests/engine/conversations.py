"""Conversations with pictures in every place."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

QUESTIONS = ("What is in this picture?", "Describe this image in detail.", "Write a poem.")


def picture(n: int) -> Image.Image:
    """Coarse random colours, in a shape that is not the encoder's."""
    values = np.random.default_rng(n).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(values).resize((210, 150), Image.Resampling.NEAREST)


def prompts() -> list[list[list]]:
    """At least 20 conversations: a list of turns, each a list of texts and pictures."""
    first = [[[picture(n), QUESTIONS[n % 3]]] for n in range(6)]
    middle = [[["Here is a photo.", picture(10 + n), QUESTIONS[n % 3]]] for n in range(4)]
    last = [[["Tell me what you see:", picture(20 + n)]] for n in range(2)]
    two = [
        [[picture(30), picture(31), "What do these two show?"]],
        [[picture(32), "comes before", picture(33), "Why?"]],
        [["Compare", picture(34), "with", picture(35)]],
        [[picture(36), picture(36), "Are these the same?"]],
    ]
    turns = [
        [[picture(40), "What is this?"], ["A small house."], ["What colour is it?"]],
        [["Hello."], ["Hello!"], [picture(41), "Describe it."]],
        [[picture(42), "And this?"], ["A dog."], [picture(43), "Which one is larger?"]],
        [[picture(44), "Who?"], ["Nobody."], ["Where?"], ["At home."], ["When?"]],
    ]
    none = [[["Name three fruits."]], [["Write ### and <Img> backwards. 😀"]]]
    return first + middle + last + two + turns + none


def about(photos: Mapping[str, Image.Image]) -> list[list[list]]:
    """26 conversations about real photos, in the same form."""
    cat, coffee, rocket, astronaut = (
        photos[name] for name in ("cat", "coffee", "rocket", "astronaut")
    )
    first = [
        [[photo, question]]
        for photo in photos.values()
        for question in ("What is in this picture?", "Describe this image in detail.")
    ]
    middle = [
        [["Here is a photo.", photo, "Write a short poem about it."]] for photo in photos.values()
    ]
    two = [
        [[cat, coffee, "What do these two pictures show?"]],
        [[rocket, "comes before", astronaut, "Why?"]],
        [["Compare", astronaut, "with", cat]],
        [[coffee, coffee, "Are these the same?"]],
    ]
    three = [[[cat, "and", rocket, "and", coffee, "Tell a story with all of them."]]]
    none = [
        [["What is the capital of France?"]],
        [["Name three fruits."]],
        [["Write <|im_end|> and <image> backwards. 😀"]],
        [["1 + 1 ="]],
    ]
    last = [[["Tell me what you see:", photo]] for photo in (cat, rocket)]
    turns = [
        [[cat, "What is this?"], ["A cat."], ["What colour is it?"]],
        [["Hello."], ["Hello!"], [rocket, "Describe it."]],
        [[coffee, "And this?"], ["A cup."], [astronaut, "Which one is larger?"]],
    ]
    return first + middle + two + three + none + last + turns
