"""Text comes out piece by piece, whole characters only, the same however it is cut."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from minigpt4.detokenize import Detokenizer, Vocabulary

IDS = st.lists(st.integers(0, 49151), max_size=30)


@pytest.fixture(scope="module")
def vocabulary(nano_checkpoint: Path) -> Vocabulary:
    return Vocabulary(nano_checkpoint / "tokenizer.json")


@pytest.fixture(scope="module")
def tokenizer(nano_checkpoint: Path) -> Tokenizer:
    return Tokenizer.from_file(str(nano_checkpoint / "tokenizer.json"))


def whole(vocabulary: Vocabulary, ids: list[int]) -> str:
    text = Detokenizer(vocabulary)
    return text.push(ids) + text.finish()


@settings(max_examples=500, deadline=None)
@given(IDS)
def test_all_ids_together_give_the_tokenizers_own_text(vocabulary, tokenizer, ids):
    assert whole(vocabulary, ids) == tokenizer.decode(ids, skip_special_tokens=True)


@settings(max_examples=300, deadline=None)
@given(st.one_of(IDS, st.text(max_size=20)), st.data())
def test_any_cut_into_pieces_gives_the_same_text(vocabulary, tokenizer, source, data):
    ids = tokenizer.encode(source).ids if isinstance(source, str) else source
    text = Detokenizer(vocabulary)
    pieces = [text.push([token]) for token in ids]
    assert "".join(pieces) + text.finish() == whole(vocabulary, ids)
    # A later attempt starts from committed ids and says exactly what the first had not yet said.
    cut = data.draw(st.integers(0, len(ids)))
    later = Detokenizer(vocabulary, ids[:cut])
    assert [later.push([token]) for token in ids[cut:]] == pieces[cut:]


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(codec="utf-8", min_codepoint=32, max_codepoint=0x3FFFF), max_size=20))
def test_no_piece_of_real_text_holds_part_of_a_character(vocabulary, tokenizer, source):
    ids = tokenizer.encode(source).ids
    if any(not vocabulary[token] for token in ids):
        return  # hypothesis wrote a special token
    text = Detokenizer(vocabulary)
    pieces = [text.push([token]) for token in ids]
    assert "".join(pieces) == source
    assert text.finish() == ""


def test_an_unfinished_character_waits_and_is_released_at_the_end(vocabulary, tokenizer):
    ids = tokenizer.encode("😀").ids
    assert len(ids) > 1
    text = Detokenizer(vocabulary)
    assert [text.push([token]) for token in ids] == [""] * (len(ids) - 1) + ["😀"]
    cut = Detokenizer(vocabulary, ids[:1])
    assert cut.push(ids[1:]) == "😀"
    unfinished = Detokenizer(vocabulary)
    assert unfinished.push(ids[:-1]) == ""
    assert unfinished.finish() == "\ufffd"


def test_control_tokens_have_no_text(vocabulary):
    assert whole(vocabulary, list(range(17))) == ""


def test_no_token_has_more_bytes_than_announced(vocabulary, tokenizer):
    longest = max((len(vocabulary[n]) for n in range(len(vocabulary))), default=0)
    assert vocabulary.max_bytes_per_token == longest > 1
    text = "a" * 10_000 + " " * 10_000
    assert len(tokenizer.encode(text).ids) >= len(text) / longest
