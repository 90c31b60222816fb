"""Messages -> token ids, by segments: what a user types is never control.

Template pieces are turned into ids once, with special tokens on. User text is encoded on its own
with special tokens off, so "<|im_end|>" typed by a user becomes the ordinary tokens that spell it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer


@dataclass(frozen=True)
class Template:
    """What a family of models puts around the turns of a conversation, as text.

    `opening` has one entry per role; `after_image` follows each image's placeholder; `answer` opens
    the turn that the model is to write; any token of `stops` ends that turn.
    """

    opening: Mapping[str, str]
    closing: str
    after_image: str
    answer: str
    stops: tuple[str, ...]


TEMPLATES = {
    "nano": Template(
        opening={
            "system": "<|im_start|>system\n",
            "user": "<|im_start|>user\n",
            "assistant": "<|im_start|>assistant\n",
        },
        closing="<|im_end|>\n",
        after_image="\n",
        answer="<|im_start|>assistant\n",
        stops=("<|im_end|>", "<|endoftext|>"),
    ),
}


@dataclass(frozen=True)
class Image:
    """A content part that stands for the next image."""


@dataclass(frozen=True)
class Message:
    role: str
    content: Sequence[str | Image]


class Prompt:
    """Renders conversations for one checkpoint.

    `control_ids` are the ids that only a template may put into a prompt (every added token of the
    tokenizer, the image placeholder among them); `stop_ids` end the model's turn.
    """

    def __init__(self, tokenizer_file: Path, template: Template, image_token_id: int):
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        added = self._tokenizer.get_added_tokens_decoder()
        plain = [token.content for token in added.values() if not token.special]
        if plain:
            # Only special tokens can be switched off, so any other would stay typeable.
            raise ValueError(f"{tokenizer_file}: added tokens not marked special: {plain}")
        if image_token_id not in added:
            raise ValueError(f"{tokenizer_file}: image placeholder {image_token_id} is not special")
        self.image_token_id = image_token_id
        self.control_ids = frozenset(added)
        self.vocab_size = self._tokenizer.get_vocab_size()
        self.stop_ids = [self._id(token) for token in template.stops]
        self._opening = {role: self._encode(text) for role, text in template.opening.items()}
        self._closing = self._encode(template.closing)
        self._image = [image_token_id, *self._encode(template.after_image)]
        self._answer = self._encode(template.answer)
        self._tokenizer.encode_special_tokens = True  # from here on special strings are text

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"the tokenizer lacks {token}, which the template needs")
        return found

    def _encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def _decode(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=False)

    def _writable(self, character: str) -> bool:
        return self._decode(self._encode(character)) == character

    def text_ids(self, text: str) -> list[int]:
        """The ids of text that a user typed; never a control id.

        A character that the vocabulary cannot write (SmolLM2 lacks six control characters and the
        unassigned planes 4 to 11) becomes U+FFFD; the tokenizer alone would drop its bytes.
        """
        ids = self._encode(text)
        if self._decode(ids) != text:
            ids = self._encode("".join(c if self._writable(c) else "\ufffd" for c in text))
        if not self.control_ids.isdisjoint(ids):
            raise ValueError("the tokenizer made a control token of plain text")
        return ids

    def ids(self, messages: Iterable[Message]) -> list[int]:
        """A conversation and the opening of the model's turn; one placeholder id per image.

        Raises KeyError for a role that the template does not know.
        """
        out: list[int] = []
        for message in messages:
            out += self._opening[message.role]
            for part in message.content:
                out += self._image if isinstance(part, Image) else self.text_ids(part)
            out += self._closing
        return out + self._answer
