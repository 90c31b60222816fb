"""Token ids -> text, piece by piece, without splitting a character.

By docs/worker-protocol.md, the text of a sequence of ids is its longest prefix without an
unfinished character. It depends on the ids alone, not on how they arrive, so a later attempt that
starts from committed ids continues exactly where the first one stopped.
"""

import codecs
import json
import re
from collections.abc import Iterable
from pathlib import Path


def _byte_of_character() -> dict[str, int]:
    """Byte-level BPE writes each byte as one printable character (https://github.com/openai/gpt-2).

    Printable bytes stand for themselves; the others are U+0100 and up, in order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    return table | {chr(0x100 + n): byte for n, byte in enumerate(others)}


class Vocabulary:
    """The bytes of every token. Control tokens have none.

    Reads byte-level BPE tokenizers and LLaMA's kind (BPE over characters with byte fallback, "▁"
    for a space). `drops_first_space`: LLaMA's kind writes a space before the first word, which is
    not part of the text.
    """

    def __init__(self, tokenizer_file: Path):
        spec = json.loads(tokenizer_file.read_text(encoding="utf-8"))
        self.drops_first_space = bool(spec["model"].get("byte_fallback"))
        if self.drops_first_space:
            bytes_of = _character_bytes
        elif (spec.get("decoder") or {}).get("type") == "ByteLevel":
            byte_of = _byte_of_character()

            def bytes_of(token: str) -> bytes:
                return bytes(byte_of[character] for character in token)
        else:
            raise ValueError(
                f"{tokenizer_file}: neither a byte-level tokenizer nor one with byte fallback"
            )
        vocabulary: dict[str, int] = spec["model"]["vocab"]
        added = {token["id"] for token in spec["added_tokens"]}
        self._bytes = [b""] * (1 + max(added.union(vocabulary.values())))
        for token, number in vocabulary.items():
            if number not in added:
                self._bytes[number] = bytes_of(token)

    def __len__(self) -> int:
        return len(self._bytes)

    def __getitem__(self, token_id: int) -> bytes:
        return self._bytes[token_id]

    @property
    def max_bytes_per_token(self) -> int:
        """The most bytes of a token: text of n bytes has at least n / this many tokens."""
        return max(map(len, self._bytes))


def _character_bytes(token: str) -> bytes:
    """The token "<0x0A>" is that byte; any other token is its characters."""
    if match := re.fullmatch("<0x([0-9A-F]{2})>", token):
        return bytes.fromhex(match[1])
    return token.replace("▁", " ").encode()


class Detokenizer:
    """The text of one growing sequence of ids. Bytes that are not UTF-8 become U+FFFD."""

    def __init__(self, vocabulary: Vocabulary):
        self._vocabulary = vocabulary
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._at_start = vocabulary.drops_first_space

    def push(self, token_ids: Iterable[int]) -> str:
        """Returns what these ids add to the text of the ids before them."""
        data = b"".join(self._vocabulary[token] for token in token_ids)
        if self._at_start and data:
            self._at_start = False
            data = data.removeprefix(b" ")
        return self._decoder.decode(data)

    def finish(self) -> str:
        """Returns the unfinished rest. No more ids follow."""
        return self._decoder.decode(b"", final=True)
