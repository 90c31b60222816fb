"""From the engine's ids to what is shown, for the tokenizers of the family and any cut."""

from itertools import pairwise
from pathlib import Path

import llama_vocabulary
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from minigpt4.detokenize import Vocabulary
from minigpt4.generation import VisibleAnswer

IDS = st.lists(
    st.one_of(
        # ##, #, ▁###, ▁##, ▁#, ####, a space, two spaces, a line break, bytes of a character
        st.sampled_from([2277, 29937, 835, 444, 396, 4136, 29871, 259, 13, 243, 162, 169, 156]),
        st.integers(3, 31999),
    ),
    max_size=20,
)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return llama_vocabulary.write_tokenizer(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def vocabulary(file: Path) -> Vocabulary:
    return Vocabulary(file)


def run(vocabulary, stop_text, chunks, committed=()):
    """After each event: the ids in all, the text of this attempt, whether it stopped."""
    answer = VisibleAnswer(vocabulary, stop_text, committed)
    ids, text, events = list(committed), "", []
    for n, chunk in enumerate(chunks):
        shown = answer.push(chunk, last=n == len(chunks) - 1)
        ids, text = ids + shown.token_ids, text + shown.text
        events.append((ids, text, shown.stopped))
        if shown.stopped:
            break
    return events


@settings(max_examples=500)
@given(IDS, st.lists(st.integers(0, 20)), st.sampled_from(["###", None]))
@example([319, 6635, 2277, 29937, 29950], [], "###")
@example([319, 6635, 835, 29950], [3], "###")
def test_the_answer_is_the_same_however_the_engine_cuts_it(vocabulary, ids, cuts, stop_text):
    places = sorted({0, len(ids), *(cut for cut in cuts if cut < len(ids))})
    chunks = [ids[a:b] for a, b in pairwise(places)] or [[]]
    whole = run(vocabulary, stop_text, [[token] for token in ids] or [[]])
    assert run(vocabulary, stop_text, chunks)[-1] == whole[-1]
    assert "###" not in whole[-1][1] or stop_text is None
    for sent, text, _ in whole[:-1]:
        rest = ids[len(sent) :]
        again = run(vocabulary, stop_text, [[token] for token in rest] or [[]], sent)
        assert again[-1][0] == whole[-1][0]
        assert text + again[-1][1] == whole[-1][1]


def test_every_spelling_of_the_end_ends_a_vicunas_answer(vocabulary, file):
    tokenizer = Tokenizer.from_file(str(file))
    a_cat = tokenizer.encode("A cat.", add_special_tokens=False).ids
    for end in ([835], [2277, 29937], [29937, 2277], [29937] * 3, [13, 13, 4136], [259, 835]):
        ids, text, stopped = run(vocabulary, "###", [[token] for token in [*a_cat, *end, 306]])[-1]
        assert (ids, text, stopped) == (a_cat, "A cat.", True)


def test_llama2_writes_headings(vocabulary, file):
    ids = Tokenizer.from_file(str(file)).encode("### Lake\n\n### Hut", add_special_tokens=False).ids
    assert run(vocabulary, None, [[token] for token in ids])[-1] == (
        ids,
        "### Lake\n\n### Hut",
        False,
    )
