"""A LLaMA `tokenizer.model` (SentencePiece BPE with byte fallback) -> a tokenizer.json.

SentencePiece merges the neighbours whose union has the best score, the leftmost first. The
tokenizers library merges by a list, so the list has every way to split a piece in two, in the
order of the scores, as the list published with LLaMA. Tests compare the result with that list and
with SentencePiece's own encoding.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, processors
from tokenizers.models import BPE

from ..input_error import InputError

if TYPE_CHECKING:
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

CONTROLS = ("<unk>", "<s>", "</s>")  # ids 0, 1, 2
ADDED = "added_tokens.json"
HINT = "Use the tokenizer.model that came with the language model."


def from_sentencepiece(file: Path, rows: int | None = None) -> Tokenizer:
    """The tokenizer of `file`, and of `added_tokens.json` in its folder, if there is one.

    Added tokens are special: text never becomes one, and an answer never has one. `rows` is the
    number of rows of the language model's embedding. Rows beyond the tokens (padding) get special
    tokens too, because the model could generate an id that has none.

    Raises InputError, which names the file and the fault, and OSError if it cannot be read.
    """
    proto = _read(file)
    vocabulary = {piece.piece: number for number, piece in enumerate(proto.pieces)}
    if len(vocabulary) != len(proto.pieces):
        raise InputError(f"{file}: holds a piece twice", HINT)
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
            continue  # folders repeat <s> and the like
        if number != tokenizer.get_vocab_size() or token in vocabulary:
            size = tokenizer.get_vocab_size()
            raise InputError(
                f"{file.parent / ADDED}: {token!r} is {number}, but the next free id is {size}",
                "Use the added_tokens.json that came with the language model, or none.",
            )
        _add(tokenizer, [token])
    if rows is not None:
        if rows < tokenizer.get_vocab_size():
            raise InputError(
                f"{file}: makes {tokenizer.get_vocab_size()} tokens, the language model has only "
                f"{rows} rows",
                HINT,
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
        raise InputError(f"{file}: is not a SentencePiece model", HINT) from None
    if not proto.pieces:
        raise InputError(f"{file}: is not a SentencePiece model (it holds no pieces)", HINT)
    trainer, normal = proto.trainer_spec, proto.normalizer_spec
    if trainer.model_type != trainer.BPE:
        kind = trainer.ModelType.Name(trainer.model_type)
        raise InputError(f"{file}: is a SentencePiece model of type {kind}; LLaMA's is BPE", HINT)
    first = tuple(piece.piece for piece in proto.pieces[:3])
    if first != CONTROLS:
        raise InputError(f"{file}: its first pieces are {first}, not {CONTROLS}", HINT)
    kinds = type(proto).SentencePiece
    held = {piece.piece for piece in proto.pieces if piece.type == kinds.BYTE}
    if not trainer.byte_fallback or held != {f"<0x{byte:02X}>" for byte in range(256)}:
        raise InputError(f"{file}: has no byte fallback, so it cannot write every text", HINT)
    if {piece.type for piece in proto.pieces[3:]} - {kinds.NORMAL, kinds.BYTE}:
        raise InputError(
            f"{file}: holds control, unused or user-defined pieces; LLaMA's does not", HINT
        )
    if (
        normal.precompiled_charsmap
        or normal.remove_extra_whitespaces
        or not normal.add_dummy_prefix
        or not normal.escape_whitespaces
    ):
        raise InputError(f"{file}: changes text before it encodes it; LLaMA's does not", HINT)
    return proto


def _merges(proto: "ModelProto") -> list[tuple[str, str]]:
    """Every split of a piece into two pieces, by descending score, then by the two ids."""
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
        raise InputError(f"{file}: is not a JSON object of tokens and their ids", HINT)
    return found
