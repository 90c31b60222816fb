"""The edge holds the price of the longest prompt that a conversation can make."""

import json
from pathlib import Path

import llama_vocabulary
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from minigpt4.models import FAMILY, TEMPLATE
from minigpt4.prompt import TEMPLATES, Image, Message, Prompt
from minigpt4.reader import MAX_BYTES, MAX_LINES, bounded, sentence

VECTORS = Path(__file__).parents[2] / "test/fixtures/tokens/prompts.json"
SHARED = json.loads(VECTORS.read_text())
CONVERSATIONS = SHARED["conversations"]
IMAGE_TOKENS = {"nano": 8} | {name: family.image_tokens for name, family in FAMILY.items()}
# mini's counts are those of its own tokenizer, which is not installed with the tests.
MODELS = tuple(IMAGE_TOKENS)


@pytest.fixture(scope="module")
def prompts(nano_checkpoint, tmp_path_factory) -> dict[str, Prompt]:
    nano = nano_checkpoint / "tokenizer.json"
    image = Tokenizer.from_file(str(nano)).token_to_id("<image>")
    llama = llama_vocabulary.write_tokenizer(tmp_path_factory.mktemp("llama"))
    return {"nano": Prompt(nano, TEMPLATES["chatml"], image)} | {
        name: Prompt(llama, TEMPLATES[TEMPLATE[name]], 0) for name in FAMILY
    }


def messages_of(conversation: dict) -> list[Message]:
    return [
        Message(
            message["role"],
            [Image() if part["type"] == "image" else part["text"] for part in message["content"]],
        )
        for message in conversation["messages"]
    ]


@pytest.mark.parametrize("name", MODELS)
def test_the_edges_vectors_hold_the_prompts_own_counts(prompts, name):
    prompt = prompts[name]
    for conversation in CONVERSATIONS:
        ids = prompt.ids(messages_of(conversation))
        tokens = len(ids) + ids.count(prompt.image_token_id) * (IMAGE_TOKENS[name] - 1)
        assert tokens == conversation["prompt_tokens"][name]


def test_the_edges_vectors_hold_the_longest_text_of_a_picture():
    lines = ["x" * (MAX_BYTES // MAX_LINES)] * MAX_LINES
    assert sum(map(len, bounded(lines))) == MAX_BYTES
    assert len(sentence(bounded(lines)).encode()) == SHARED["picture_text_bytes"]
    # A quotation mark stays one byte.
    assert len(sentence(['"'])) == len(sentence(["x"]))


HARD = st.sampled_from(
    ["\u2581", "###", "<Img>", "[/INST]", "</s>", "<|im_end|>", "\ufffd", "\x04\x06", "\U00050000",
     "\u0958", "\U0001d160", "e\u0301", "\u212b", "🎉", "日本", "  ", "\n", "\t", "\r\n", "\x85"]
)  # fmt: skip
TEXT = st.lists(st.one_of(HARD, st.text(max_size=6)), max_size=20).map("".join)


@settings(max_examples=500)
@given(TEXT)
def test_no_tokenizer_makes_more_tokens_of_a_text_than_it_has_bytes(prompts, text):
    size = len(text.encode())
    assert len(prompts["nano"].text_ids(text)) <= size
    for name in ("vicuna-7b", "llama2-7b"):
        assert len(prompts[name].text_ids(f" {text}")) <= size + 1


def test_every_character_takes_no_more_tokens_than_bytes(prompts):
    for start in [*range(0, 0x40000, 0x400), *range(0x40000, 0x110000, 0x8000)]:
        for code in range(start, start + (0x400 if start < 0x3000 else 8)):
            if not 0xD800 <= code < 0xE000:
                for name in ("nano", "llama2-7b"):
                    assert len(prompts[name].text_ids(chr(code))) <= len(chr(code).encode())
