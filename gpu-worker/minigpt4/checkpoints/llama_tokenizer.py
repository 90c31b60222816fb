"""A LLaMA `tokenizer.model` (SentencePiece BPE with byte fallback) -> a tokenizer.json.

SentencePiece joins the neighbours whose union has the best score, the leftmost first. The
tokenizers library joins by a list of merges, so the list holds every way to split a piece in two,
in the order of the scores: the list that was published with LLaMA. Tests hold the result to that
list and to SentencePiece's own encoding.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, processors
from tokenizers.models import BPE

from .refusal import Refused

if TYPE_CHECKING:
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

CONTROLS = ("<unk>", "<s>", "</s>")  # ids 0, 1, 2
ADDED = "added_tokens.json"
WAY_OUT = "Bring the tokenizer.model that came with the language model."


def from_sentencepiece(file: Path, rows: int | None = None) -> Tokenizer:
    """The tokenizer of `file`, and of the `added_tokens.json` beside it where there is one.

    Added tokens are special: no text becomes one and no answer holds one. `rows` is the number of
    rows of the language model's embedding; rows beyond the tokens (padding) get special tokens too,
    since an id without a token could be generated but not written.

    Raises Refused naming the file and the fault; OSError for a file that cannot be read.
    """
    proto = _read(file)
    vocabulary = {piece.piece: number for number, piece in enumerate(proto.pieces)}
    if len(vocabulary) != len(proto.pieces):
        raise Refused(f"{file}: holds a piece twice", WAY_OUT)
    tokenizer = Tokenizer(
        BPE(
            vocabulary,
            _merges(proto),
            unk_token=CONTROLS[0],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    _add(tokenizer, CONTROLS)
    for token, number in sorted(_added(file.parent / ADDED).items(), key=lambda item: item[1]):
        if token in vocabulary and vocabulary[token] == number:
            continue  # folders list <s> and the like once more
        if number != tokenizer.get_vocab_size() or token in vocabulary:
            size = tokenizer.get_vocab_size()
            raise Refused(
                f"{file.parent / ADDED}: {token!r} is {number}, but the next free id is {size}",
                "Bring the added_tokens.json that came with the language model, or none.",
            )
        _add(tokenizer, [token])
    if rows is not None:
        if rows < tokenizer.get_vocab_size():
            raise Refused(
                f"{file}: makes {tokenizer.get_vocab_size()} tokens, the language model has only "
                f"{rows} rows",
                WAY_OUT,
            )
        _add(tokenizer, [f"<row {n}>" for n in range(tokenizer.get_vocab_size(), rows)])
    return tokenizer


def _add(tokenizer: Tokenizer, tokens: list[str] | tuple[str, ...]) -> None:
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in tokens]
    )


def _read(file: Path) -> "ModelProto":
    from google.protobuf.message import DecodeError
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    proto = ModelProto()
    try:
        proto.ParseFromString(file.read_bytes())
    except DecodeError:
        raise Refused(f"{file}: is no SentencePiece model", WAY_OUT) from None
    if not proto.pieces:
        raise Refused(f"{file}: is no SentencePiece model (it holds no pieces)", WAY_OUT)
    trainer, normal = proto.trainer_spec, proto.normalizer_spec
    if trainer.model_type != trainer.BPE:
        kind = trainer.ModelType.Name(trainer.model_type)
        raise Refused(f"{file}: is a SentencePiece model of type {kind}; LLaMA's is BPE", WAY_OUT)
    first = tuple(piece.piece for piece in proto.pieces[:3])
    if first != CONTROLS:
        raise Refused(f"{file}: its first pieces are {first}, not {CONTROLS}", WAY_OUT)
    kinds = type(proto).SentencePiece
    held = {piece.piece for piece in proto.pieces if piece.type == kinds.BYTE}
    if not trainer.byte_fallback or held != {f"<0x{byte:02X}>" for byte in range(256)}:
        raise Refused(f"{file}: has no byte fallback, so it cannot write every text", WAY_OUT)
    if {piece.type for piece in proto.pieces[3:]} - {kinds.NORMAL, kinds.BYTE}:
        raise Refused(
            f"{file}: holds control, unused or user-defined pieces; LLaMA's does not", WAY_OUT
        )
    if (
        normal.precompiled_charsmap
        or normal.remove_extra_whitespaces
        or not normal.add_dummy_prefix
        or not normal.escape_whitespaces
    ):
        raise Refused(f"{file}: changes text before it encodes it; LLaMA's does not", WAY_OUT)
    return proto


def _merges(proto: "ModelProto") -> list[tuple[str, str]]:
    """Every split of a piece into two pieces; better scores first, then by the ids of the two."""
    normal = type(proto).SentencePiece.NORMAL
    known = {
        piece.piece: (number, piece.score)
        for number, piece in enumerate(proto.pieces)
        if piece.type == normal
    }
    found = []
    for piece, (_, score) in known.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in known and right in known:
                found.append((-score, known[left][0], known[right][0], left, right))
    return [(left, right) for *_, left, right in sorted(found)]


def _added(file: Path) -> dict[str, int]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict) or any(type(number) is not int for number in found.values()):
        raise Refused(f"{file}: is no JSON object of tokens and their ids", WAY_OUT)
    return found
