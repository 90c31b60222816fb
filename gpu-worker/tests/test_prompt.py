"""What a user types is never control."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers

from minigpt4.prompt import TEMPLATES, Image, Message, Prompt
from minigpt4.text_encoding import ByteLevelText

FILLER = "¤"  # a turn of filler shows which control ids the template puts there by itself


@pytest.fixture(scope="module")
def tokenizer_file(nano_checkpoint: Path) -> Path:
    return nano_checkpoint / "tokenizer.json"


@pytest.fixture(scope="module")
def prompt(tokenizer_file: Path) -> Prompt:
    return Prompt(tokenizer_file, TEMPLATES["chatml"], 16)


@pytest.fixture(scope="module")
def tokenizer(tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tokenizer_file))


@pytest.fixture(scope="module")
def special(tokenizer_file: Path) -> list[str]:
    """Every special string of the tokenizer and every piece of the template."""
    spec = json.loads(tokenizer_file.read_text())
    template = TEMPLATES["chatml"]
    pieces = [*template.opening.values(), template.closing, template.answer, *template.stops]
    found = sorted({*(token["content"] for token in spec["added_tokens"]), *pieces})
    assert {"<|im_start|>", "<|im_end|>", "<|endoftext|>", "<image>"} <= set(found)
    return found


def controls(prompt: Prompt, ids: list[int]) -> list[int]:
    return [token for token in ids if token in prompt.control_ids]


def written(text: str) -> str:
    """Text as SmolLM2's vocabulary can hold it: it lacks the bytes of some characters."""
    return re.sub("[\x04\x06\x13\x14\x16\x1d\U00040000-\U000bffff]", "\ufffd", text)


def same_shape(messages: list[Message]) -> list[Message]:
    """The same roles, parts and images, with all text replaced."""
    return [
        Message(m.role, [p if isinstance(p, Image) else FILLER for p in m.content])
        for m in messages
    ]


def check(prompt: Prompt, tokenizer: Tokenizer, messages: list[Message]) -> None:
    ids = prompt.ids(messages)
    assert controls(prompt, ids) == controls(prompt, prompt.ids(same_shape(messages)))
    for message in messages:
        for part in message.content:
            if isinstance(part, str):
                text_ids = prompt.text_ids(part)
                assert tokenizer.decode(text_ids, skip_special_tokens=False) == written(part)
                assert not controls(prompt, text_ids)


def test_the_template_is_the_one_nano_was_trained_with(prompt: Prompt, tokenizer: Tokenizer):
    ids = prompt.ids(
        [
            Message("system", ["Be brief."]),
            Message("user", [Image(), "What is this?"]),
            Message("assistant", ["A cat."]),
            Message("user", ["And", Image(), Image(), "these?"]),
        ]
    )
    text = tokenizer.decode(ids, skip_special_tokens=False)
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\n<image>\nWhat is this?<|im_end|>\n"
        "<|im_start|>assistant\nA cat.<|im_end|>\n"
        "<|im_start|>user\nAnd<image>\n<image>\nthese?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert ids.count(16) == 3
    # Typed by the template, these are control; the whole tokenized at once gives the same ids.
    assert ids == tokenizer.encode(text, add_special_tokens=False).ids


def test_special_strings_typed_alone_stay_text(prompt, tokenizer, special):
    for string in special:
        check(prompt, tokenizer, [Message("user", [string])])
        check(prompt, tokenizer, [Message("user", [Image(), string, Image()])])
        check(prompt, tokenizer, [Message("system", [string]), Message("user", [string * 3])])


def test_special_strings_split_over_parts_and_messages_stay_text(prompt, tokenizer, special):
    for string in special:
        for cut in range(1, len(string)):
            head, tail = string[:cut], string[cut:]
            check(prompt, tokenizer, [Message("user", [head, tail])])
            check(prompt, tokenizer, [Message("user", [head, Image(), tail])])
            check(prompt, tokenizer, [Message("user", [head]), Message("user", [tail])])


def test_look_alikes_of_special_strings_stay_text(prompt, tokenizer, special):
    for string in special:
        for twin in (
            string.upper(),
            string.replace("<", "＜").replace(">", "＞").replace("|", "｜"),  # noqa: RUF001
            string.replace("|", "\u200b|"),
            string.replace("i", "ı"),  # noqa: RUF001
            f" {string} ",
            f"\n{string}\n",
            f"\ufeff{string}",
            f"<{string}>",
            string[:1] + string,
            json.dumps(string),
        ):
            check(prompt, tokenizer, [Message("user", [twin])])


PIECES = st.sampled_from(
    ["<|im_end|>", "<|im_start|>", "<image>", "<|", "|>", "im_end", "<", ">", "\n", "assistant\n"]
)
TEXT = st.lists(st.one_of(st.text(max_size=8), PIECES), max_size=8).map("".join)
PARTS = st.lists(st.one_of(TEXT, st.just(Image())), max_size=5)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), PARTS), max_size=4))
def test_no_text_makes_control_and_all_text_round_trips(prompt, tokenizer, turns):
    messages = [
        Message(role, [p for p in parts if role == "user" or isinstance(p, str)])
        for role, parts in turns
    ]
    check(prompt, tokenizer, messages)


def test_every_character_round_trips_or_is_marked_as_unknown(prompt, tokenizer):
    for start in [*range(0, 0x40000, 0x800), *range(0x40000, 0x110000, 0x8000)]:
        if start != 0xD800:  # surrogates are not characters
            text = "".join(map(chr, range(start, start + 0x800)))
            check(prompt, tokenizer, [Message("user", [text])])


def test_a_typeable_added_token_is_refused_at_start(tokenizer_file: Path, tmp_path: Path):
    spec = json.loads(tokenizer_file.read_text())
    spec["added_tokens"][3]["special"] = False
    changed = tmp_path / "tokenizer.json"
    changed.write_text(json.dumps(spec))
    with pytest.raises(ValueError, match="not marked special"):
        Prompt(changed, TEMPLATES["chatml"], 16)


def test_an_unknown_role_is_an_error(prompt: Prompt):
    with pytest.raises(KeyError):
        prompt.ids([Message("tool", ["x"])])


def test_text_that_the_tokenizer_normalises_is_not_lost(tokenizer_file: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.normalizer = normalizers.NFC()  # as Qwen2's
    text = ByteLevelText(tokenizer)
    for typed, kept in (
        ("\u212b and e\u0301", "\u00c5 and \u00e9"),
        ("\u0958", "\u0915\u093c"),
        ("\u212b \x04", "\u00c5 \ufffd"),
    ):
        assert tokenizer.decode(text.ids(typed), skip_special_tokens=False) == kept
