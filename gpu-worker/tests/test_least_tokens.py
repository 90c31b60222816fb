"""The edge refuses a prompt that cannot fit by the least it can be; these counts are shared."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

VECTORS = Path(__file__).parents[2] / "test/fixtures/tokens/nano.json"
CASES = json.loads(VECTORS.read_text())["texts"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case["text"][:16]))
def test_the_edges_vectors_hold_the_tokenizers_own_counts(nano_checkpoint, case):
    tokenizer = Tokenizer.from_file(str(nano_checkpoint / "tokenizer.json"))
    text = case["text"] * case["times"]
    assert len(tokenizer.encode(text, add_special_tokens=False).ids) == case["tokens"]
