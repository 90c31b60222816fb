"""The answer ends at the first ###, whatever tokens spell it and however the attempts were cut."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minigpt4.stop_text import StopText

Tokens = Sequence[tuple[int, str]]


def run(tokens: Tokens, committed: Tokens = (), end: str = "") -> list[tuple[int, str]]:
    """After each event: how many ids have been shown, and the whole text; the last is the end."""
    stop = StopText("###", "".join(text for _, text in committed))
    events, ids, said = [], [number for number, _ in committed], ""
    for number, text in tokens:
        shown = stop.push(number, text)
        ids, said = ids + shown.token_ids, said + shown.text
        events.append((len(ids), said))
        if shown.stopped:
            break
    else:
        shown = stop.finish(end)
        ids, said = ids + shown.token_ids, said + shown.text
        events.append((len(ids), said))
    assert ids == list(range(len(ids)))  # in their order, none left out
    return events


def numbered(texts: Iterable[str]) -> list[tuple[int, str]]:
    return list(enumerate(texts))


def answer_of(text: str) -> str:
    """What the original shows of a whole answer; what nothing has ended keeps its end."""
    before, found, _ = text.partition("###")
    return before.strip() if found else text.lstrip()


TOKENS = st.lists(
    st.one_of(
        st.sampled_from(["#", "##", "###", " ###", "x#", "#x", "\n", " ", "", "a ", "##\n", "."]),
        st.text("# \nab", max_size=5),
        st.text(max_size=3),
    ),
    max_size=12,
).map(numbered)


@settings(max_examples=1000)
@given(TOKENS, st.sampled_from(["", "\ufffd"]))
def test_the_text_is_the_originals_however_it_is_cut_into_tokens(tokens, end):
    text = "".join(text for _, text in tokens) + end
    count, said = run(tokens, end=end)[-1]
    assert said == answer_of(text)
    # Of the tokens whose text is shown all ids are, of the others none.
    shown = "".join(text for _, text in tokens[:count]).lstrip()
    assert said.startswith(shown)
    assert count == len(tokens) or len(shown + tokens[count][1]) > len(said)


@settings(max_examples=1000)
@given(TOKENS, st.sampled_from(["", "\ufffd"]))
@example(numbered(["a", " ", "##", "\n", "b", "#", "##"]), "")
def test_an_attempt_from_any_committed_ids_continues_with_the_same_text(tokens, end):
    whole = run(tokens, end=end)
    for count, said in whole[:-1]:
        later_count, rest = run(tokens[count:], committed=tokens[:count], end=end)[-1]
        assert (later_count, said + rest) == whole[-1]


@pytest.mark.parametrize(
    ("texts", "said", "count"),
    [
        (["A", " cat", " ###", " Human"], "A cat", 2),
        (["A", " cat", "##", "#", "Human"], "A cat", 2),
        (["A", " cat", "\n", "\n", "#", "#", "#"], "A cat", 2),
        (["A", " cat.#", "##"], "A cat.", 1),  # the text of the second goes without its id
        (["A", " C#", " program"], "A C# program", 3),
        (["##", " Title", "\n"], "## Title\n", 3),
        (["\n", " ", "A"], "A", 3),
        (["###"], "", 0),
        (["\n", "###"], "", 1),
        (["A", "####"], "A", 1),
    ],
)
def test_only_text_before_the_stop_is_sent(texts, said, count):
    assert run(numbered(texts))[-1] == (count, said)


def test_ids_wait_only_while_they_may_be_part_of_the_stop():
    stop = StopText("###")
    for number, (text, shown) in enumerate(
        [("A", [0]), (" #", []), ("#", []), (" b", [1, 2, 3]), ("\n", []), ("c", [4, 5]), ("", [6])]
    ):
        assert stop.push(number, text).token_ids == shown
