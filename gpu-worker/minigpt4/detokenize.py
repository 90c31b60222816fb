"""Token ids -> text, piece by piece, without ever splitting a character.

The rule of docs/worker-protocol.md: the text of a sequence of ids is its longest prefix free of an
unfinished character. It depends on the ids alone, not on how they were cut into pieces, so a later
attempt that starts from committed ids goes on exactly where the first one stopped.
"""

import codecs
import json
from collections.abc import Iterable
from pathlib import Path


def _byte_of_character() -> dict[str, int]:
    """Byte-level BPE writes each byte as one printable character: printable ones as themselves,
    the others as U+0100 and up, in order (GPT-2, https://github.com/openai/gpt-2)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    return table | {chr(0x100 + n): byte for n, byte in enumerate(others)}


class Vocabulary:
    """The bytes of every token of a byte-level BPE tokenizer; control tokens have none."""

    def __init__(self, tokenizer_file: Path):
        spec = json.loads(tokenizer_file.read_text(encoding="utf-8"))
        if (spec.get("decoder") or {}).get("type") != "ByteLevel":
            raise ValueError(f"{tokenizer_file}: not a byte-level tokenizer")
        byte_of = _byte_of_character()
        vocabulary: dict[str, int] = spec["model"]["vocab"]
        added = {token["id"] for token in spec["added_tokens"]}
        self._bytes = [b""] * (1 + max(added.union(vocabulary.values())))
        for token, number in vocabulary.items():
            if number not in added:
                self._bytes[number] = bytes(byte_of[character] for character in token)

    def __len__(self) -> int:
        return len(self._bytes)

    def __getitem__(self, token_id: int) -> bytes:
        return self._bytes[token_id]

    @property
    def max_bytes_per_token(self) -> int:
        """Text of n bytes is therefore at least n / this many tokens."""
        return max(map(len, self._bytes))


class Detokenizer:
    """The text of one growing sequence of ids. Bytes that are no UTF-8 become U+FFFD."""

    def __init__(self, vocabulary: Vocabulary, committed: Iterable[int] = ()):
        self._vocabulary = vocabulary
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.push(committed)  # its text was shown by an earlier attempt

    def push(self, token_ids: Iterable[int]) -> str:
        """What these ids add to the text of all ids before them."""
        return self._decoder.decode(b"".join(self._vocabulary[token] for token in token_ids))

    def finish(self) -> str:
        """Release what waits: no more ids come."""
        return self._decoder.decode(b"", final=True)
