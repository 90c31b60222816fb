"""The texts to learn, as token ids: captions as BLIP cleans them, answers with their end."""

import re
from pathlib import Path

from tokenizers import Tokenizer

from ..config import MiniGPT4Config
from ..processing import expand_image_tokens
from ..prompt import TEMPLATES, Image, Message, Prompt
from ..text_encoding import explicit_spaces, is_sentencepiece

SIGNS = re.compile(r'[.!"()*#:;~]')


def clean_caption(caption: str, words: int) -> str:
    """Cleans a caption as BLIP's processor does: lowercase, few signs, at most `words` words."""
    caption = SIGNS.sub(" ", caption.lower())
    caption = re.sub(r"\s{2,}", " ", caption).rstrip("\n").strip(" ")
    return " ".join(caption.split(" ")[:words])


class Texts:
    """Token ids for one checkpoint. LLaMA's tokenizers add a space in front of every text."""

    def __init__(self, tokenizer_file: Path, template: str, config: MiniGPT4Config):
        self._config = config
        self._prompt = Prompt(tokenizer_file, TEMPLATES[template], config.image_token_id)
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._space = ""
        if is_sentencepiece(self._tokenizer):
            explicit_spaces(self._tokenizer)
            self._space = " "
        self._tokenizer.encode_special_tokens = True

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(self._space + text, add_special_tokens=False).ids

    def alone(self) -> list[int]:
        """Stage 1: the beginning of every conversation, then the image."""
        begin = self._prompt.ids([Message("user", [Image(), "?"])])[0]
        return expand_image_tokens([begin, self._config.image_token_id], self._config)

    def asked(self, messages: list[Message]) -> list[int]:
        """Stage 2: a conversation and the opening of the model's turn."""
        return expand_image_tokens(self._prompt.ids(messages), self._config)

    def caption(self, text: str, most: int) -> list[int]:
        """A caption and a newline, cut to at most `most` tokens."""
        return self._ids(text + "\n")[:most]

    def answer(self, text: str, most: int) -> list[int]:
        """An answer and its end; if the end is plain text, both are encoded together."""
        if self._prompt.stop_text:
            return self._ids(text + self._prompt.stop_text)[:most]
        return (self._ids(text) + self._prompt.stop_ids[:1])[:most]
