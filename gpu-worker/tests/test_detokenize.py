"""Text comes out piece by piece, whole characters only, the same however it is cut."""

from pathlib import Path

import llama_vocabulary
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from minigpt4.detokenize import Detokenizer, Vocabulary

KINDS = ("nano", "llama")


@pytest.fixture(scope="module")
def files(nano_checkpoint: Path, tmp_path_factory) -> dict[str, Path]:
    return {
        "nano": nano_checkpoint / "tokenizer.json",
        "llama": llama_vocabulary.write_tokenizer(tmp_path_factory.mktemp("llama")),
    }


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def vocabulary(files, kind) -> Vocabulary:
    return Vocabulary(files[kind])


@pytest.fixture(scope="module")
def tokenizer(files, kind) -> Tokenizer:
    return Tokenizer.from_file(str(files[kind]))


@pytest.fixture(scope="module")
def nano(files) -> tuple[Vocabulary, Tokenizer]:
    return Vocabulary(files["nano"]), Tokenizer.from_file(str(files["nano"]))


@pytest.fixture(scope="module")
def llama(files) -> tuple[Vocabulary, Tokenizer]:
    return Vocabulary(files["llama"]), Tokenizer.from_file(str(files["llama"]))


IDS = st.lists(st.one_of(st.integers(0, 31999), st.integers(0, 300)), max_size=30)
NANO_IDS = st.lists(st.integers(0, 49151), max_size=30)


def whole(vocabulary: Vocabulary, ids: list[int]) -> str:
    text = Detokenizer(vocabulary)
    return text.push(ids) + text.finish()


@settings(max_examples=500)
@given(NANO_IDS)
def test_all_ids_together_give_nanos_own_text(nano, ids):
    vocabulary, tokenizer = nano
    assert whole(vocabulary, ids) == tokenizer.decode(ids, skip_special_tokens=True)


@settings(max_examples=500)
@given(IDS)
def test_all_ids_together_give_llamas_own_text(llama, ids):
    """Where the bytes are UTF-8: the tokenizer marks each byte of those that are not."""
    vocabulary, tokenizer = llama
    assume(_is_utf8(vocabulary, ids))
    assert whole(vocabulary, ids) == tokenizer.decode(ids, skip_special_tokens=True)


def _is_utf8(vocabulary: Vocabulary, ids: list[int]) -> bool:
    try:
        return bool(b"".join(vocabulary[token] for token in ids).decode()) or True
    except UnicodeDecodeError:
        return False


@settings(max_examples=300)
@given(st.text(max_size=20))
def test_llamas_text_lacks_the_space_in_front(llama, text):
    vocabulary, tokenizer = llama
    tokenizer.encode_special_tokens = True
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert whole(vocabulary, ids) == text.replace("▁", " ")
    # Only the very first space is none of the text, wherever the attempts were cut.
    if ids:
        assert whole(vocabulary, [1, *ids, *ids]) == f"{text} {text}".replace("▁", " ")


@settings(max_examples=300)
@given(st.one_of(IDS, st.text(max_size=20)), st.data())
def test_any_cut_into_pieces_gives_the_same_text(vocabulary, tokenizer, source, data):
    ids = tokenizer.encode(source).ids if isinstance(source, str) else source
    text = Detokenizer(vocabulary)
    pieces = [text.push([token]) for token in ids]
    assert "".join(pieces) + text.finish() == whole(vocabulary, ids)
    # A later attempt starts from committed ids and sends exactly what the first had not sent.
    cut = data.draw(st.integers(0, len(ids)))
    later = Detokenizer(vocabulary)
    later.push(ids[:cut])
    assert [later.push([token]) for token in ids[cut:]] == pieces[cut:]


@settings(max_examples=300)
@given(st.text(st.characters(codec="utf-8", min_codepoint=32, max_codepoint=0x3FFFF), max_size=20))
def test_no_piece_of_real_text_holds_part_of_a_character(vocabulary, tokenizer, source):
    assume("▁" not in source)  # LLaMA's space
    ids = tokenizer.encode(source, add_special_tokens=False).ids
    if any(not vocabulary[token] for token in ids):
        return  # hypothesis wrote a special token
    text = Detokenizer(vocabulary)
    pieces = [text.push([token]) for token in ids]
    assert "".join(pieces) == source
    assert text.finish() == ""


def test_an_unfinished_character_waits_and_is_released_at_the_end(vocabulary, tokenizer):
    ids = tokenizer.encode("😀", add_special_tokens=False).ids
    assert len(ids) > 1
    text = Detokenizer(vocabulary)
    assert [text.push([token]) for token in ids] == [""] * (len(ids) - 1) + ["😀"]
    cut = Detokenizer(vocabulary)
    cut.push(ids[:1])
    assert cut.push(ids[1:]) == "😀"
    unfinished = Detokenizer(vocabulary)
    assert unfinished.push(ids[:-1]) == ""
    assert unfinished.finish() == "\ufffd"


def test_control_tokens_have_no_text(vocabulary, tokenizer):
    control = list(tokenizer.get_added_tokens_decoder())
    assert len(control) >= 3
    assert whole(vocabulary, control) == ""


def test_no_token_has_more_bytes_than_announced(vocabulary, tokenizer):
    longest = max((len(vocabulary[n]) for n in range(len(vocabulary))), default=0)
    assert vocabulary.max_bytes_per_token == longest > 1
    text = "a" * 10_000 + " " * 10_000
    assert len(tokenizer.encode(text).ids) >= len(text) / longest


def test_llamas_longest_token_is_the_one_the_edge_counts_with(llama):
    assert llama[0].max_bytes_per_token == 27
