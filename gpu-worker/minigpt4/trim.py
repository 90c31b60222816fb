"""Trims a conversation that does not fit: drops the oldest text first, and never an image."""

from bisect import bisect_left
from collections.abc import Callable, Sequence

from .templates import Image, Message


def trim(
    messages: Sequence[Message], fits: Callable[[list[Message]], bool]
) -> tuple[list[Message], int]:
    """Drops as little as makes the conversation fit. Returns it, and how many messages it lost.

    A turn is a user's message and the answers after it. Whole turns without an image are dropped
    first, from the oldest; then the text and answers of turns with images, from the oldest, while
    the images stay. System messages and the last message always stay whole. If nothing fits,
    everything that may be dropped is dropped. A message that keeps only its images counts as
    dropped. `fits` must be monotonic: if it holds for a conversation, it holds for a shorter one.
    """
    cuts = _cuts(messages)

    def after(count: int) -> list[Message]:
        changed = {n: left for cut in cuts[:count] for n, left in cut.items()}
        kept = (changed.get(n, message) for n, message in enumerate(messages))
        return [message for message in kept if message is not None]

    count = bisect_left(range(len(cuts)), True, key=lambda count: fits(after(count)))
    return after(count), sum(map(len, cuts[:count]))


def _cuts(messages: Sequence[Message]) -> list[dict[int, Message | None]]:
    """The cuts in order: message index -> what is left of that message."""
    turns: list[list[int]] = []
    for n, message in enumerate(messages[:-1]):
        if message.role == "user" or (message.role == "assistant" and not turns):
            turns.append([n])
        elif message.role == "assistant":
            turns[-1].append(n)
    text: list[dict[int, Message | None]] = []
    beside_images: list[dict[int, Message | None]] = []
    for turn in turns:
        first = messages[turn[0]]
        images = [part for part in first.content if isinstance(part, Image)]
        if not images:
            text.append(dict.fromkeys(turn))
            continue
        cut: dict[int, Message | None] = dict.fromkeys(turn[1:])
        if len(images) < len(first.content):
            cut[turn[0]] = Message(first.role, images)
        if cut:
            beside_images.append(cut)
    return text + beside_images
