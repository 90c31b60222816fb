"""Questions about photos, the models that answer them, and a store of answers on disk.

The store's key is made of weights, conversation, photo and sampling. So an interrupted run
continues, and a changed measure does not ask again.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from ..prompt import Image, Message
from .questions import ANSWER


class WorkerFailed(Exception):
    """The worker is unreachable, or its engine failed."""


@dataclass(frozen=True)
class Sampling:
    """Greedy by default. `seed` matters only if the temperature is above 0."""

    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 1


@dataclass(frozen=True)
class Question:
    """A user's question about a photo. With several `turns`, each follows the answer before it.

    `max_tokens` limits the last answer, `earlier_tokens` those before it.
    """

    photo: bytes = field(repr=False)
    turns: tuple[str, ...]
    max_tokens: int
    earlier_tokens: int = ANSWER


@dataclass(frozen=True)
class Answer:
    """`ended` is false if the token limit cut the answer off."""

    text: str
    tokens: int
    ended: bool


@dataclass(frozen=True)
class Request:
    """One call: a photo, the conversation so far (user and assistant in turn), and a limit."""

    photo: bytes = field(repr=False)
    conversation: tuple[str, ...]
    max_tokens: int


class Answerer(Protocol):
    """`model` and `digest` identify the weights; `origin` says where the answers come from."""

    model: str
    digest: str
    origin: str

    def answer(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        said: Callable[[int, Answer], None],
    ) -> None:
        """Calls `said` with each request's index and answer, in any order, as they arrive."""


class AnswerStore:
    """The answers on disk, one JSON line each. A line that a crash cut off is ignored."""

    def __init__(self, file: Path):
        file.parent.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, Answer] = {}
        if file.exists():
            for line in file.read_text().splitlines():
                try:
                    row = json.loads(line)
                    self._known[row["id"]] = Answer(row["text"], row["tokens"], row["ended"])
                except (ValueError, KeyError, TypeError):
                    continue
        self._out = file.open("a+b")
        self._out.seek(0, os.SEEK_END)
        if self._out.tell():
            self._out.seek(-1, os.SEEK_END)
            if self._out.read(1) != b"\n":
                self._out.write(b"\n")

    def get(self, name: str) -> Answer | None:
        return self._known.get(name)

    def put(self, name: str, said: Answer) -> None:
        self._known[name] = said
        row = {"id": name, **asdict(said)}
        self._out.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
        self._out.flush()

    def close(self) -> None:
        self._out.close()


def cache_key(digest: str, request: Request, sampling: Sampling) -> str:
    """The key of an answer. A greedy answer does not depend on the seed."""
    how = asdict(sampling)
    if sampling.temperature == 0:
        del how["seed"], how["top_p"]
    told = {
        "weights": digest,
        "photo": hashlib.sha256(request.photo).hexdigest(),
        "conversation": request.conversation,
        "max_tokens": request.max_tokens,
        "sampling": how,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def messages(conversation: Sequence[str]) -> list[Message]:
    """A conversation as messages. The photo is in the first one."""
    return [
        Message("assistant" if n % 2 else "user", [text] if n else [Image(), text])
        for n, text in enumerate(conversation)
    ]


class CachedAnswerer:
    """Asks an answerer only what the store does not have."""

    def __init__(self, answerer: Answerer, sampling: Sampling, kept: AnswerStore):
        self.answerer, self.sampling, self._kept = answerer, sampling, kept

    def ask(
        self, questions: Sequence[Question], done: Callable[[], None] = lambda: None
    ) -> list[Answer]:
        """The last answer to each question. Calls `done` once per question.

        Raises WorkerFailed.
        """
        talks: list[tuple[str, ...]] = [()] * len(questions)
        last: list[Answer | None] = [None] * len(questions)
        for turn in range(max((len(q.turns) for q in questions), default=0)):
            places = [n for n, question in enumerate(questions) if turn < len(question.turns)]
            requests = []
            for n in places:
                before = last[n]
                talks[n] += (before.text,) if before else ()
                talks[n] += (questions[n].turns[turn],)
                asked = questions[n]
                bound = asked.max_tokens if turn + 1 == len(asked.turns) else asked.earlier_tokens
                requests.append(Request(asked.photo, talks[n], bound))
            final = [len(questions[n].turns) == turn + 1 for n in places]
            for n, said in zip(places, self._round(requests, final, done), strict=True):
                last[n] = said
        return [said for said in last if said is not None]

    def _round(
        self, requests: Sequence[Request], final: Sequence[bool], done: Callable[[], None]
    ) -> Iterable[Answer]:
        names = [cache_key(self.answerer.digest, r, self.sampling) for r in requests]
        found = {name: said for name in names if (said := self._kept.get(name))}
        missing = list({n: r for n, r in zip(names, requests, strict=True) if n not in found})
        for name, last in zip(names, final, strict=True):
            if last and name in found:
                done()
        wanted = {name: r for name, r in zip(names, requests, strict=True)}

        def said(place: int, answer: Answer) -> None:
            name = missing[place]
            self._kept.put(name, answer)
            found[name] = answer
            for other, last in zip(names, final, strict=True):
                if last and other == name:
                    done()

        if missing:
            self.answerer.answer([wanted[name] for name in missing], self.sampling, said)
        return [found[name] for name in names]
