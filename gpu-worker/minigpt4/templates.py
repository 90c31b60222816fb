"""The text that each kind of model puts around the turns of a conversation: messages -> pieces.

Templates write `Control` pieces, people write `Typed` ones. prompt.py encodes the two separately,
so that typed text never becomes a control token.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Image:
    """A content part that stands for the next image."""


@dataclass(frozen=True)
class Message:
    """`role` is system, user or assistant; only a user's content may hold images."""

    role: str
    content: Sequence[str | Image]


@dataclass(frozen=True)
class Control:
    """Text that only the template writes."""

    text: str


@dataclass(frozen=True)
class Typed:
    """Text of a user, a system message or an earlier answer."""

    text: str


Piece = Control | Typed | Image


class Template(Protocol):
    """`stops` are tokens that end an answer; `stop_text` is a text in the answer that ends it.

    `controls` are all texts that `pieces` may write as Control. `reserved` are strings that must
    not become the template's ids when a person types them.
    """

    stops: tuple[str, ...]
    stop_text: str | None
    reserved: tuple[str, ...]

    @property
    def controls(self) -> Iterable[str]: ...

    def pieces(self, messages: Sequence[Message]) -> Iterator[Piece]:
        """The pieces of a conversation and of the opening of the model's turn.

        Raises KeyError for a role that the template does not know.
        """
        ...


@dataclass(frozen=True)
class Marked:
    """Marks turns by special tokens, which typed text cannot become (ChatML).

    `opening` has one entry per role; `after_image` follows each image; `answer` opens the model's
    turn; any token of `stops` ends that turn.
    """

    opening: Mapping[str, str]
    closing: str
    after_image: str
    answer: str
    stops: tuple[str, ...]
    stop_text: str | None = None
    reserved: tuple[str, ...] = ()

    @property
    def controls(self) -> Iterable[str]:
        return (*self.opening.values(), self.closing, self.after_image, self.answer)

    def pieces(self, messages: Sequence[Message]) -> Iterator[Piece]:
        for message in messages:
            yield Control(self.opening[message.role])
            for part in message.content:
                if isinstance(part, Image):
                    yield part
                    yield Control(self.after_image)
                else:
                    yield Typed(part)
            yield Control(self.closing)
        yield Control(self.answer)


IMAGE_OPEN, IMAGE_CLOSE = " <Img>", " </Img>"  # plain text in this family, not tokens
DEFAULT_SYSTEM = (
    "Give the following image: <Img>ImageContent</Img>. You will be able to see the image once I "
    "provide it to you. Please answer my questions."
)
"""The original demo's text before the first turn (Vision-CAIR/MiniGPT-4,
minigpt4/conversation/conversation.py). Training does not use it."""

WHITESPACE = " \t\n\r\v\f"


@dataclass(frozen=True)
class Written:
    """Marks turns by plain text, as MiniGPT-4 was trained (its train_configs and demo).

    Every piece is encoded separately and begins with the space that SentencePiece would put before
    it, unless it continues the piece before. There are two layouts. One user turn without a system
    text is training's prompt: `alone`, then `alone_answer`. With a system text or more turns it is
    the demo's chat: the system text, each user turn after `user`, each answer after `assistant`,
    and `answer` at the end.

    Typed text is stripped of ASCII whitespace, so that its spaces never join the template's; text
    that is then empty is left out. System messages come first, wherever they are, and consecutive
    messages of one role are one turn.
    """

    alone: tuple[str, ...]
    alone_answer: str
    user: tuple[str, ...]
    assistant: str
    answer: str
    stops: tuple[str, ...]
    stop_text: str | None
    reserved: tuple[str, ...]
    user_first: bool
    beginning: str = "<s>"

    @property
    def controls(self) -> Iterable[str]:
        return (
            self.beginning,
            f" {DEFAULT_SYSTEM}",
            *(*self.alone, self.alone_answer, *self.user, self.assistant, self.answer),
            *(IMAGE_OPEN, IMAGE_CLOSE),
        )

    def pieces(self, messages: Sequence[Message]) -> Iterator[Piece]:
        yield Control(self.beginning)
        demos = Control(f" {DEFAULT_SYSTEM}")  # a caller may ask for it: one turn as in the demo
        system: list[Piece] = []
        turns: list[tuple[str, list[Piece]]] = []
        for message in messages:
            pieces = list(_content(message))
            if message.role == "system":
                system += (demos if piece == Typed(demos.text) else piece for piece in pieces)
            elif message.role not in ("user", "assistant"):
                raise KeyError(message.role)
            elif turns and turns[-1][0] == message.role:
                turns[-1][1].extend(pieces)
            else:
                turns.append((message.role, pieces))
        if not system and len(turns) == 1 and turns[0][0] == "user":
            yield from map(Control, self.alone)
            yield from turns[0][1]
            yield Control(self.alone_answer)
            return
        yield from system or [demos]
        if self.user_first and turns and turns[0][0] == "assistant":
            turns.insert(0, ("user", []))
        for role, pieces in turns:
            yield from map(Control, self.user if role == "user" else (self.assistant,))
            yield from pieces
        yield Control(self.answer)


def _content(message: Message) -> Iterator[Piece]:
    for part in message.content:
        if isinstance(part, Image):
            yield Control(IMAGE_OPEN)
            yield part
            yield Control(IMAGE_CLOSE)
        elif text := part.strip(WHITESPACE):
            yield Typed(f" {text}")


TEMPLATES: Mapping[str, Template] = {
    "chatml": Marked(
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
    "vicuna": Written(
        alone=(" ###Human:",),
        alone_answer=" ###Assistant: ",
        user=("###Human:",),
        assistant="###Assistant:",
        answer="###Assistant: ",
        stops=("</s>",),
        stop_text="###",
        reserved=("###", "<Img>", "</Img>"),
        user_first=False,
    ),
    "llama2": Written(
        alone=(" [INST]",),
        alone_answer=" [/INST] ",
        user=("<s>", " [INST]"),
        assistant=" [/INST]",
        answer=" [/INST] ",
        stops=("</s>",),
        stop_text=None,
        reserved=("[INST]", "[/INST]", "<Img>", "</Img>"),
        user_first=True,
    ),
}
