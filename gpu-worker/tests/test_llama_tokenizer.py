"""A tokenizer.model becomes a tokenizer.json that encodes as SentencePiece does."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import llama_vocabulary
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece.sentencepiece_model_pb2 import ModelProto
from tokenizers import Tokenizer

from minigpt4.checkpoints.llama_tokenizer import from_sentencepiece
from minigpt4.input_error import InputError

TEXT = st.lists(
    st.one_of(
        st.text(max_size=6),
        st.text("ab ▁#=\n", max_size=12),
        st.sampled_from(["<s>", "</s>", "<unk>", "<0x0A>", "###", " the", "model ", "    "]),
    ),
    max_size=8,
).map("".join)


def trained(folder: Path, **options) -> Path:
    """A small tokenizer of LLaMA's kind, trained on the repository's own texts."""
    texts = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
    lines = [line for text in texts for line in text.read_text().splitlines()]
    # Indentation and rows of one letter: pieces that overlap themselves.
    lines += ["    " * (n % 7) + "a" * (n % 9) + " " + "ab" * (n % 5) for n in range(500)]
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        **{
            "sentence_iterator": iter(lines),
            "model_writer": out,
            "model_type": "bpe",
            "vocab_size": 700,
            "byte_fallback": True,
            "normalization_rule_name": "identity",
            "remove_extra_whitespaces": False,
            "allow_whitespace_only_pieces": True,
            "split_digits": True,
            "character_coverage": 0.999,
            "minloglevel": 2,
            **options,
        }
    )
    file = folder / "tokenizer.model"
    file.write_bytes(out.getvalue())
    return file


Encode = Callable[[str], list[int]]


def both(file: Path) -> tuple[Encode, Encode]:
    tokenizer = from_sentencepiece(file)
    tokenizer.encode_special_tokens = True  # SentencePiece makes no control piece of text
    processor = sentencepiece.SentencePieceProcessor(model_file=str(file))
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids, processor.encode


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[Encode, Encode]:
    return both(trained(tmp_path_factory.mktemp("small")))


@pytest.fixture(scope="module")
def true(tmp_path_factory) -> tuple[Encode, Encode]:
    return both(llama_vocabulary.write_model(tmp_path_factory.mktemp("true")))


@settings(max_examples=500)
@given(TEXT.filter(bool))
def test_a_trained_model_is_encoded_as_sentencepiece_encodes_it(small, text):
    ours, theirs = small
    assert ours(text) == theirs(text)


@settings(max_examples=500)
@given(TEXT.filter(bool))
def test_the_true_vocabulary_is_encoded_as_sentencepiece_encodes_it(true, text):
    ours, theirs = true
    assert ours(text) == theirs(text)


def test_runs_of_one_character_are_cut_as_sentencepiece_cuts_them(small, true):
    for ours, theirs in (small, true):
        for text in (
            before + run * n for before in ("", "x", "ba") for run in " a#=" for n in range(1, 70)
        ):
            assert ours(text) == theirs(text)


def test_the_merges_are_the_published_ones_in_their_order(tmp_path):
    tokenizer = from_sentencepiece(llama_vocabulary.write_model(tmp_path))
    found = json.loads(tokenizer.to_str())["model"]["merges"]
    assert [tuple(pair) for pair in found] == llama_vocabulary.merges()


def test_the_packages_own_examples_hold(tmp_path):
    """The ids that the tests of https://github.com/belladoreai/llama-tokenizer-js list."""
    tokenizer = from_sentencepiece(llama_vocabulary.write_model(tmp_path))
    for text, ids in {
        "grabbed": [1, 2646, 1327, 287],
        " grabbed": [1, 29871, 2646, 1327, 287],
        "           grabbed": [1, 9651, 2646, 1327, 287],
        "\n": [1, 29871, 13],
        "ax\n####\nboo": [1, 4853, 13, 4136, 13, 833, 29877],
        "镇": [1, 29871, 30411],
        "🦙Ꙋ": [1, 29871, 243, 162, 169, 156, 237, 156, 141],
    }.items():
        assert tokenizer.encode(text).ids == ids
        assert tokenizer.decode(ids) == text


def refused(file: Path, rows: int | None = None) -> str:
    with pytest.raises(InputError) as error:
        from_sentencepiece(file, rows)
    assert str(file.parent) in error.value.problem
    assert error.value.hint
    return error.value.problem


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 99, b'{"model": {}}', b"PK\x03\x04" + b"\0" * 99]
)
def test_a_file_that_is_no_sentencepiece_model_is_refused(tmp_path, content):
    file = tmp_path / "tokenizer.model"
    file.write_bytes(content)
    assert "not a SentencePiece model" in refused(file)


def test_a_model_of_another_kind_is_refused(tmp_path):
    assert "UNIGRAM" in refused(trained(tmp_path, model_type="unigram"))


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"byte_fallback": False}, "byte fallback"),
        ({"bos_id": 2, "eos_id": 1}, "first pieces"),
        ({"normalization_rule_name": "nmt_nfkc"}, "changes text"),
        ({"remove_extra_whitespaces": True}, "changes text"),
        ({"add_dummy_prefix": False}, "changes text"),
        ({"user_defined_symbols": ["###"]}, "user-defined"),
    ],
)
def test_a_model_that_is_not_llamas_is_refused_by_its_fault(tmp_path, options, fault):
    assert fault in refused(trained(tmp_path, **options))


def test_a_piece_held_twice_is_refused(tmp_path):
    proto: ModelProto = llama_vocabulary.model()
    proto.pieces[300].piece = proto.pieces[301].piece
    file = tmp_path / "tokenizer.model"
    file.write_bytes(proto.SerializeToString())
    assert "twice" in refused(file)


def added(folder: Path, tokens: object) -> Path:
    (folder / "added_tokens.json").write_text(json.dumps(tokens))
    return llama_vocabulary.write_model(folder)


def test_added_tokens_and_padding_rows_are_special(tmp_path):
    file = added(tmp_path, {"<unk>": 0, "</s>": 2, "[PAD]": 32000})
    for rows, last in ((None, "[PAD]"), (32001, "[PAD]"), (32004, "<row 32003>")):
        tokenizer: Tokenizer = from_sentencepiece(file, rows)
        found = tokenizer.get_added_tokens_decoder()
        assert list(found)[:4] == [0, 1, 2, 32000]
        assert all(token.special for token in found.values())
        assert tokenizer.get_vocab_size() == (rows or 32001)
        assert tokenizer.id_to_token(tokenizer.get_vocab_size() - 1) == last


def test_tokens_and_rows_that_do_not_agree_are_refused(tmp_path):
    for tokens in ({"[PAD]": 32001}, {"[PAD]": 5}, {"the": 32000}, ["[PAD]"], {"[PAD]": "32000"}):
        assert "added_tokens.json" in refused(added(tmp_path, tokens))
    file = added(tmp_path, {"[PAD]": 32000})
    assert "only 32000 rows" in refused(file, 32000)
