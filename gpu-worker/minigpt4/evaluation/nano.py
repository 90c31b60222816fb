"""Measures what nano sees in the held-out photos:

    python -m minigpt4.evaluation.nano --checkpoint DIR --data ../../shared/data

An answer names the object if it has the class's name, a lemma or the direct hypernym.
"""

import argparse
from collections import Counter
from pathlib import Path

import torch

from ..processing import centre_square, normalise
from ..train.nano.measure import COLOURS, brightness, dominant_colour
from ..train.nano.photos import Photo, read_photos
from ..train.nano.split import held_out
from ..train.nano.texts import LIGHT
from .answering import Answering
from .answers import mentions, said_colour, said_light
from .measures import Rate

NAME = "What is in this picture?"
# The training texts have none of these wordings.
OTHER_WORDINGS = (
    "Which object can you see in this image?",
    "Please tell me what is in the photo.",
    "what's this a picture of",
)
COLOUR = "What is the dominant colour of this picture?"
LIGHTNESS = "Is this picture light or dark?"
DESCRIBE = "Describe this image in detail."


def names_object(answer: str, photo: Photo) -> bool:
    return mentions(answer, (photo.name, *photo.lemmas, *photo.hypernyms[:1]))


def majority(truth: list[str]) -> str:
    word, count = Counter(truth).most_common(1)[0]
    return f"always '{word}' gets {Rate(count, len(truth))}"


def evaluate(checkpoint: Path, data: Path, show: int) -> None:
    answering = Answering(checkpoint)
    photos = read_photos(data)
    kept = held_out(photo.synset for photo in photos)
    chosen = [(index, photo) for index, photo in enumerate(photos) if photo.synset in kept]
    vision = answering.model.config.vision_config
    squares = [centre_square(photo.open(), vision.image_size) for _, photo in chosen]
    pixels = torch.stack([normalise(square, vision) for square in squares])

    top = answering.top_classes(pixels).tolist()
    right = [n for n, (index, _) in enumerate(chosen) if top[n] == index]
    print(
        f"held-out photos: {len(chosen)}; the encoder's first class is right: "
        f"{Rate(len(right), len(chosen))}"
    )

    answers = answering.ask(pixels, NAME)
    named = [
        names_object(answer, photo) for answer, (_, photo) in zip(answers, chosen, strict=True)
    ]
    print(
        f"named, of those the encoder gets right ('{NAME}'): "
        f"{Rate(sum(named[n] for n in right), len(right))}"
    )
    print(f"named, of all: {Rate(sum(named), len(named))}")
    exact = [mentions(answers[n], (chosen[n][1].name, *chosen[n][1].lemmas)) for n in right]
    print(f"named by name or lemma, of those right: {Rate(sum(exact), len(right))}")
    ended = [not answer.endswith("…") for answer in answers]
    print(f"answers that end by themselves within 32 tokens: {Rate(sum(ended), len(ended))}")

    # Another photo in its place: the next held-out one, and then every other one.
    swapped, pairs = 0, [0, 0]
    for place, n in enumerate(right):
        own = chosen[n][1]
        own_names = (own.name, *own.lemmas)
        swapped += mentions(answers[right[(place + 1) % len(right)]], own_names)
        others = [m for m in right if m != n]
        pairs[0] += sum(mentions(answers[m], own_names) for m in others)
        pairs[1] += len(others)
    print(f"swapped: the first photo's name is still said: {Rate(swapped, len(right))}")
    print(f"swapped, over all pairs: {Rate(*pairs)}")

    for question in OTHER_WORDINGS:
        other = answering.ask(pixels[right], question)
        hits = sum(names_object(a, chosen[n][1]) for a, n in zip(other, right, strict=True))
        print(f"named when asked '{question}': {Rate(hits, len(right))}")

    truth = [dominant_colour(square) for square in squares]
    said = [said_colour(answer) for answer in answering.ask(pixels, COLOUR, 16)]
    hits = sum(a == b for a, b in zip(said, truth, strict=True))
    print(
        f"dominant colour of {len(COLOURS)} ('{COLOUR}'): {Rate(hits, len(truth))}; "
        f"chance 12.5 %; {majority(truth)}"
    )
    truth = ["light" if brightness(square) > LIGHT else "dark" for square in squares]
    said = [said_light(answer) for answer in answering.ask(pixels, LIGHTNESS, 16)]
    hits = sum(a == b for a, b in zip(said, truth, strict=True))
    print(
        f"light or dark ('{LIGHTNESS}'): {Rate(hits, len(truth))}; chance 50 %; {majority(truth)}"
    )

    described = answering.ask(pixels[right], DESCRIBE, 120)
    hits = sum(names_object(a, chosen[n][1]) for a, n in zip(described, right, strict=True))
    ended = sum(not answer.endswith("…") for answer in described)
    print(f"named when asked '{DESCRIBE}': {Rate(hits, len(right))}")
    print(f"descriptions that end by themselves within 120 tokens: {Rate(ended, len(right))}")
    for place, n in enumerate(right[:show]):
        print(f"- {chosen[n][1].name} | {answers[n]} | {described[place]}")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="minigpt4.evaluation.nano",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
    )
    parser.add_argument("--checkpoint", required=True, type=Path, help="assembled nano folder")
    parser.add_argument("--data", required=True, type=Path, help="folder with photos.jsonl")
    parser.add_argument("--show", type=int, default=0, help="how many answers to print")
    arguments = parser.parse_args()
    evaluate(arguments.checkpoint, arguments.data, arguments.show)


if __name__ == "__main__":
    main()
