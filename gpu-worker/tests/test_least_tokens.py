"""The edge refuses a prompt that cannot fit by the least it can be; these counts are shared."""

import json
import math
from pathlib import Path

import llama_vocabulary
import pytest
from tokenizers import Tokenizer

from minigpt4.detokenize import Vocabulary
from minigpt4.prompt import TEMPLATES, Message, Prompt
from minigpt4.templates import WHITESPACE

VECTORS = Path(__file__).parents[2] / "test/fixtures/tokens"
NANO = json.loads((VECTORS / "nano.json").read_text())["texts"]
LLAMA = json.loads((VECTORS / "llama.json").read_text())


@pytest.fixture(scope="module")
def llama_file(tmp_path_factory) -> Path:
    return llama_vocabulary.write_tokenizer(tmp_path_factory.mktemp("llama"))


@pytest.mark.parametrize("case", NANO, ids=lambda case: repr(case["text"][:16]))
def test_the_edges_vectors_hold_nanos_own_counts(nano_checkpoint, case):
    tokenizer = Tokenizer.from_file(str(nano_checkpoint / "tokenizer.json"))
    text = case["text"] * case["times"]
    assert len(tokenizer.encode(text, add_special_tokens=False).ids) == case["tokens"]


def test_the_edges_vectors_hold_the_familys_own_counts(llama_file):
    prompt = Prompt(llama_file, TEMPLATES["vicuna"], 0)
    longest = LLAMA["longest_token_bytes"]
    assert longest == Vocabulary(llama_file).max_bytes_per_token
    empty = len(prompt.ids([Message("user", [""])]))
    for case in LLAMA["texts"]:
        text = case["text"] * case["times"]
        assert len(prompt.ids([Message("user", [text])])) - empty == case["tokens"]
        least = math.ceil(len(text.strip(WHITESPACE).encode()) / longest)
        assert case["at_least"] == least <= case["tokens"]
