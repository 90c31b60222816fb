"""What each kind of model puts around the turns of a conversation: messages -> pieces.

A template writes `Control` pieces, people write `Typed` ones; prompt.py encodes the two apart, so
that nothing typed is control.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Image:
    """A content part that stands for the next image."""


@dataclass(frozen=True)
class Message:
    """`role` is system, user or assistant; only a user's content holds images."""

    role: str
    content: Sequence[str | Image]


@dataclass(frozen=True)
class Control:
    """Text that only the template writes."""

    text: str


@dataclass(frozen=True)
class Typed:
    """Text of a user, of a system message or of an earlier answer."""

    text: str


Piece = Control | Typed | Image


class Template(Protocol):
    """`stops` are the tokens that end an answer, `stop_text` a text in the answer that does.

    `controls` holds every text that `pieces` may write as Control; `reserved` are strings that, if
    typed, must not become the ids that the template has for them.
    """

    stops: tuple[str, ...]
    stop_text: str | None
    reserved: tuple[str, ...]

    @property
    def controls(self) -> Iterable[str]: ...

    def pieces(self, messages: Sequence[Message]) -> Iterator[Piece]:
        """A conversation and the opening of the model's turn.

        Raises KeyError for a role that the template does not know.
        """
        ...


@dataclass(frozen=True)
class Marked:
    """Turns marked by tokens of their own, which no text can become (ChatML).

    `opening` has one entry per role; `after_image` follows each image; `answer` opens the turn
    that the model is to write; any token of `stops` ends that turn.
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
"""What the original demo says before the first turn (Vision-CAIR/MiniGPT-4,
minigpt4/conversation/conversation.py); never used in training."""

WHITESPACE = " \t\n\r\v\f"


@dataclass(frozen=True)
class Written:
    """Turns marked by plain text, as MiniGPT-4 was trained (its train_configs and demo).

    Every piece is encoded on its own and begins with the space that SentencePiece would put before
    it, unless it is glued to what precedes it. Two layouts: one user turn without a system text is
    the prompt of the training (`alone`, then `alone_answer`); with a system text or more turns it
    is the demo's chat: system text, then each user's turn after `user` and each answer after
    `assistant`, at the end `answer`.

    Each typed text is stripped of ASCII whitespace, so that its spaces never meet the template's;
    what is then empty is left out. System messages come first wherever they stand, and messages
    of one role in a row are one turn.
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
        demos = Control(f" {DEFAULT_SYSTEM}")  # also when asked for: one turn as in the demo
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
