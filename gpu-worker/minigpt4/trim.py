"""What a conversation loses when it does not fit: the oldest text first, never an image."""

from bisect import bisect_left
from collections.abc import Callable, Sequence

from .templates import Image, Message


def trim(
    messages: Sequence[Message], fits: Callable[[list[Message]], bool]
) -> tuple[list[Message], int]:
    """The conversation with as little dropped as makes it fit, and how many messages that cost.

    A turn is a user's message and the answers after it. First go whole turns without an image,
    the oldest first; then, the oldest first, the text and the answers of turns with images, whose
    images stay. System messages and the last message always stay whole. Where nothing fits, all
    that can go has gone. A message that kept only its images counts as dropped. `fits` must hold
    for less whenever it holds for more.
    """
    cuts = _cuts(messages)

    def after(count: int) -> list[Message]:
        changed = {n: left for cut in cuts[:count] for n, left in cut.items()}
        kept = (changed.get(n, message) for n, message in enumerate(messages))
        return [message for message in kept if message is not None]

    count = bisect_left(range(len(cuts)), True, key=lambda count: fits(after(count)))
    return after(count), sum(map(len, cuts[:count]))


def _cuts(messages: Sequence[Message]) -> list[dict[int, Message | None]]:
    """In their order: what is left of the messages at which places."""
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
