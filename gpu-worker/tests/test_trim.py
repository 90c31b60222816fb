"""A conversation that does not fit loses its oldest text first, and never an image."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt4.templates import Image, Message
from minigpt4.trim import trim

IMAGE = Image()
TEXT = st.text("ab", max_size=9)
CONTENT = {
    "system": st.lists(TEXT, max_size=2),
    "assistant": st.lists(TEXT, max_size=2),
    "user": st.lists(st.one_of(TEXT, st.just(IMAGE)), max_size=4),
}
MESSAGE = st.sampled_from(list(CONTENT)).flatmap(
    lambda role: CONTENT[role].map(lambda content: Message(role, content))
)
CONVERSATION = st.builds(
    lambda before, last: [*before, Message("user", last)],
    st.lists(MESSAGE, max_size=9),
    CONTENT["user"],
)


def size(messages: list[Message]) -> int:
    return sum(
        3 + sum(5 if isinstance(part, Image) else len(part) for part in message.content)
        for message in messages
    )


def images(messages: list[Message]) -> int:
    return sum(isinstance(part, Image) for message in messages for part in message.content)


def is_shortened(messages: list[Message], kept: list[Message]) -> bool:
    """Whether these are some of the messages in their order, some with their images alone."""
    left = iter(messages)
    return all(
        any(
            one == message or one == Message(message.role, [IMAGE] * images([message]))
            for message in left
        )
        for one in kept
    )


@settings(max_examples=1000)
@given(CONVERSATION, st.integers(0, 120))
def test_as_much_is_kept_as_fits(messages, room):
    kept, dropped = trim(messages, lambda some: size(some) <= room)
    assert images(kept) == images(messages)
    assert kept[-1] == messages[-1]
    assert [m for m in kept if m.role == "system"] == [m for m in messages if m.role == "system"]
    assert is_shortened(messages, kept)
    assert (dropped == 0) == (kept == messages)
    assert dropped >= len(messages) - len(kept)
    everything, _ = trim(messages, lambda some: False)
    if size(kept) > room:
        assert kept == everything
    if size(messages) <= room:
        assert kept == messages


@settings(max_examples=500)
@given(CONVERSATION, st.integers(0, 120), st.integers(0, 120))
def test_with_more_room_nothing_more_goes(messages, room, more):
    less, dropped = trim(messages, lambda some: size(some) <= room)
    kept, fewer = trim(messages, lambda some: size(some) <= room + more)
    assert fewer <= dropped
    assert size(kept) >= size(less)


def conversation() -> list[Message]:
    return [
        Message("system", ["s"]),
        Message("user", [IMAGE, "one"]),
        Message("assistant", ["first"]),
        Message("user", ["two"]),
        Message("assistant", ["second"]),
        Message("user", ["three", IMAGE]),
        Message("user", ["four"]),
        Message("assistant", ["fourth"]),
        Message("system", ["t"]),
        Message("user", ["five"]),
    ]


@pytest.mark.parametrize(
    ("steps", "gone", "dropped"),
    [
        (0, [], 0),
        (1, [3, 4], 2),  # the oldest turn without an image, its answer with it
        (2, [3, 4, 6, 7], 4),
        (3, [2, 3, 4, 6, 7], 6),  # then what stands beside the oldest image
        (4, [2, 3, 4, 6, 7], 7),
    ],
)
def test_text_turns_are_dropped_first_and_then_text_next_to_images(steps, gone, dropped):
    messages = conversation()
    wanted = [message for n, message in enumerate(messages) if n not in gone]
    if steps >= 3:
        wanted[1] = Message("user", [IMAGE])
    if steps >= 4:
        wanted[2] = Message("user", [IMAGE])
    assert trim(messages, lambda some: size(some) <= size(wanted)) == (wanted, dropped)


def test_a_long_conversation_is_rendered_a_few_times_only():
    messages = [Message("user", ["x"]) for _ in range(10_000)]
    asked = 0

    def fits(some: list[Message]) -> bool:
        nonlocal asked
        asked += 1
        return len(some) <= 100

    assert trim(messages, fits) == (messages[-100:], 9900)
    assert asked < 20
