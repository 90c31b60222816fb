"""Messages -> token ids, by segments, so that text from a user never becomes a control token.

Template pieces are encoded once, with special tokens on. Text from people is encoded separately
with special tokens off, so a typed "<|im_end|>" becomes the ordinary tokens that spell it. For
templates that are plain text themselves, see SentencePieceText.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from .templates import TEMPLATES, Control, Image, Message, Template, Typed
from .text_encoding import ByteLevelText, SentencePieceText, explicit_spaces, is_sentencepiece

__all__ = ["TEMPLATES", "Image", "Message", "Prompt", "Template"]


class Prompt:
    """Renders conversations for one checkpoint.

    `control_ids` are the ids that only a template may put into a prompt: every added token of the
    tokenizer, including the image placeholder. `stop_ids` end the model's turn, and so does
    `stop_text` in the answer, if the template has one.
    """

    def __init__(self, tokenizer_file: Path, template: Template, image_token_id: int):
        """Raises ValueError if the tokenizer does not fit the template."""
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
        added = tokenizer.get_added_tokens_decoder()
        plain = [token.content for token in added.values() if not token.special]
        if plain:
            # Only special tokens can be switched off; users could type any other added token.
            raise ValueError(f"{tokenizer_file}: added tokens not marked special: {plain}")
        if image_token_id not in added:
            raise ValueError(f"{tokenizer_file}: image placeholder {image_token_id} is not special")
        self.image_token_id = image_token_id
        self.control_ids = frozenset(added)
        self.vocab_size = tokenizer.get_vocab_size()
        self.stop_text = template.stop_text
        self.stop_ids = []
        for token in template.stops:
            found = tokenizer.token_to_id(token)
            if found is None:
                raise ValueError(
                    f"{tokenizer_file}: the tokenizer lacks {token}, which the template needs"
                )
            self.stop_ids.append(found)
        self._template = template
        if is_sentencepiece(tokenizer):
            explicit_spaces(tokenizer)
            special = [token.content for token in added.values()]
            self._text = SentencePieceText(tokenizer, [*template.reserved, *special])
        else:
            self._text = ByteLevelText(tokenizer)
        self._control = {
            text: tokenizer.encode(text, add_special_tokens=False).ids for text in template.controls
        }
        tokenizer.encode_special_tokens = True  # from here on special strings are text

    def text_ids(self, text: str) -> list[int]:
        """The ids of text from a person. None of them is a control id."""
        ids = self._text.ids(text)
        if not self.control_ids.isdisjoint(ids):
            raise ValueError("the tokenizer made a control token of plain text")
        return ids

    def ids(self, messages: Sequence[Message]) -> list[int]:
        """The ids of a conversation and the opening of the model's turn; one id per image.

        Raises KeyError for a role that the template does not know.
        """
        out: list[int] = []
        for piece in self._template.pieces(messages):
            if isinstance(piece, Control):
                out += self._control[piece.text]
            elif isinstance(piece, Typed):
                out += self.text_ids(piece.text)
            else:
                out.append(self.image_token_id)
        return out

    def least_tokens(self, messages: Sequence[Message], max_bytes_per_token: int) -> int:
        """A lower bound on the tokens of the messages' text, without tokenizing it."""
        size = sum(
            len(piece.text.encode())
            for piece in self._template.pieces(messages)
            if isinstance(piece, Typed)
        )
        return math.ceil(size / max_bytes_per_token)
