"""Typed text -> token ids, for the two kinds of tokenizers, and never a control id."""

import re
from collections.abc import Iterable, Iterator

from tokenizers import Tokenizer, normalizers


def is_sentencepiece(tokenizer: Tokenizer) -> bool:
    """Whether it is LLaMA's kind: BPE over characters, with bytes for those without a token."""
    return bool(getattr(tokenizer.model, "byte_fallback", False))


class ByteLevelText:
    """For byte-level BPE, whose control strings are special tokens.

    A character that the vocabulary cannot write (SmolLM2 lacks six control characters and the
    unassigned planes 4 to 11) becomes U+FFFD; the tokenizer alone would drop its bytes. A tokenizer
    may normalise what it encodes (Qwen2's: NFC, so that U+212B becomes U+00C5).
    """

    def __init__(self, tokenizer: Tokenizer):
        """`tokenizer` has special tokens switched off."""
        self._tokenizer = tokenizer

    def ids(self, text: str) -> list[int]:
        ids = self._encode(text)
        if self._decode(ids) != self._normal(text):
            ids = self._encode("".join(c if self._writable(c) else "\ufffd" for c in text))
        return ids

    def _encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def _decode(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=False)

    def _writable(self, character: str) -> bool:
        return self._decode(self._encode(character)) == self._normal(character)

    def _normal(self, text: str) -> str:
        normalizer = self._tokenizer.normalizer
        return text if normalizer is None else normalizer.normalize_str(text)


class SentencePieceText:
    """For LLaMA's tokenizers, whose templates are plain text.

    A reserved string is spelt with one token per character, wherever it is, so that it never
    becomes the template's ids. All other text gets SentencePiece's ids. U+2581 is spelt in bytes,
    because SentencePiece reads it as a space.
    """

    def __init__(self, tokenizer: Tokenizer, reserved: Iterable[str]):
        """`tokenizer` has special tokens switched off, and `explicit_spaces` has seen it."""
        self._tokenizer = tokenizer
        longest_first = sorted({"▁", *reserved}, key=len, reverse=True)
        # A lookahead, so that strings that overlap are all found.
        self._reserved = re.compile(f"(?=({'|'.join(map(re.escape, longest_first))}))")

    def ids(self, text: str) -> list[int]:
        out: list[int] = []
        for plain, spelt in self._runs(text):
            out += self._tokenizer.encode(plain, add_special_tokens=False).ids
            for character in spelt:
                out += self._spell(character)
        return out

    def _runs(self, text: str) -> Iterator[tuple[str, str]]:
        """Yields pairs of ordinary text and text to spell, which together are the whole text."""
        spans: list[tuple[int, int]] = []
        for found in self._reserved.finditer(text):
            start, end = found.span(1)
            if spans and start <= spans[-1][1]:
                start, last = spans.pop()
                end = max(end, last)
            spans.append((start, end))
        plain = 0
        for start, end in spans:
            yield text[plain:start], text[start:end]
            plain = end
        yield text[plain:], ""

    def _spell(self, character: str) -> list[int]:
        token = self._tokenizer.token_to_id("▁" if character == " " else character)
        if token is None or character == "▁":
            names = [f"<0x{byte:02X}>" for byte in character.encode()]
            return [self._tokenizer.token_to_id(name) for name in names]
        return [token]


def explicit_spaces(tokenizer: Tokenizer) -> None:
    """Stops a LLaMA tokenizer from adding a space; the template's pieces have their own."""
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = None
