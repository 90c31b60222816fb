"""Makes the answers of tasks: asks the right model, or takes the answer from the log."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import httpx

from .models import Answer, Failed, Model, Question, Turn
from .photos import Photo
from .tasks import (
    EDIT,
    LONGER,
    MAX_TOKENS,
    MERGED,
    SEEN,
    Task,
    draw_number,
)
from .tidy import tidy
from .words import words
from .work_log import Entry, WorkLog, entry_id, now

SHORT = 80  # tokens; a shorter description is asked to continue, as in the paper
DEAD_AFTER = 5  # failures in a row, before any answer, after which the endpoint counts as dead


@dataclass(frozen=True)
class Sampling:
    """The sampling of creative tasks. Descriptions, edits and merges are greedy."""

    temperature: float = 0.7
    top_p: float = 0.9
    seed: int = 42


@dataclass(frozen=True)
class TaskResult:
    """The result of a task: an answer, which may be cut off, or the reason for its failure."""

    task: Task
    answer: str = ""
    cut_off: bool = False
    seen: str = ""  # the stage-1 model's description, before the editor
    failed: str = ""


class NotInLog(Exception):
    """The log does not have the next answer."""


@dataclass
class TargetMaker:
    """Asks the stage-1 model and the editor. Either may be None if no task needs it."""

    log: WorkLog
    sampling: Sampling
    describer: Model | None = None
    editor: Model | None = None
    client: httpx.AsyncClient | None = None
    offline: bool = False  # take answers only from the log
    asked: int = 0
    answered: Callable[[Entry], None] = lambda entry: None
    found: Callable[[Entry], None] = lambda entry: None
    failures: Counter[str] = field(default_factory=Counter)
    _failed_in_a_row: int = 0

    async def make(self, task: Task, photo: Photo) -> TaskResult:
        """Makes a target. Raises NotInLog offline, and Failed if further questions are hopeless."""
        if task.answer:
            return TaskResult(task, task.answer)
        try:
            if task.kind == SEEN:
                return await self._seen(task, photo)
            return await self._told(task)
        except OSError as error:
            return TaskResult(task, failed=f"the photo cannot be read ({error.strerror})")
        except Failed as failed:
            if failed.hopeless:
                raise
            self.failures[str(failed)] += 1
            return TaskResult(task, failed=str(failed))

    async def _seen(self, task: Task, photo: Photo) -> TaskResult:
        """As in the paper: describe, continue if that is short, then edit."""
        assert self.describer and self.editor
        image = photo.read()
        ask = Turn("user", task.prompt, image)
        first = await self._ask(self.describer, task, "describe", [ask], MAX_TOKENS[SEEN])
        text = first.text.strip()
        if first.output_tokens < SHORT and text:
            turns = [ask, Turn("assistant", first.text), Turn("user", "Continue")]
            more = await self._ask(self.describer, task, "continue", turns, MAX_TOKENS["continue"])
            text = f"{text} {more.text.strip()}".strip()
        if not text:
            return TaskResult(task)
        edit = [Turn("user", EDIT.format(text))]
        edited = await self._ask(self.editor, task, "edit", edit, MAX_TOKENS["edit"])
        return TaskResult(task, edited.text, edited.finish_reason == "length", seen=text)

    async def _told(self, task: Task) -> TaskResult:
        assert self.editor
        turns = [Turn("user", task.typed)]
        first = await self._ask(self.editor, task, "answer", turns, MAX_TOKENS[task.kind])
        least = task.least_words or 0
        said = len(words(tidy(first.text)))
        if task.kind != MERGED or not 0 < said < least or first.finish_reason == "length":
            return TaskResult(task, first.text, first.finish_reason == "length")
        again = Turn("user", LONGER.format(said, least))
        turns = [*turns, Turn("assistant", first.text), again]
        second = await self._ask(self.editor, task, "longer", turns, MAX_TOKENS[task.kind])
        return TaskResult(task, second.text, second.finish_reason == "length")

    async def _ask(
        self, model: Model, task: Task, step: str, turns: Sequence[Turn], max_tokens: int
    ) -> Answer:
        creative = step == "answer" and task.kind != MERGED
        seed = draw_number(self.sampling.seed, task.key, task.kind, step)
        question = Question(
            tuple(turns),
            max_tokens,
            self.sampling.temperature if creative else 0.0,
            self.sampling.top_p if creative else 1.0,
            seed,
        )
        prompt = question.digest()
        known = self.log.get(entry_id(task.key, task.kind, step, prompt, model.digest, seed))
        if known:
            self.found(known)
            return known.answer
        if self.offline or self.client is None:
            raise NotInLog
        self.asked += 1
        began = time.monotonic()
        try:
            answer = await model.ask(self.client, question)
        except Failed as failed:
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= DEAD_AFTER and not failed.hopeless:
                raise Failed(
                    f"{self._failed_in_a_row} answers in a row failed; the last: {failed}",
                    hopeless=True,
                ) from None
            raise
        self._failed_in_a_row = 0
        seconds = time.monotonic() - began
        entry = Entry(task.key, task.kind, step, prompt, model.digest, seed, answer, now(), seconds)
        self.log.add(entry)
        self.answered(entry)
        return answer


async def make_all(
    asking: TargetMaker, work: Iterable[tuple[Task, Photo]], at_once: int
) -> AsyncIterator[TaskResult]:
    """Yields answers as they arrive, `at_once` tasks at a time. Raises Failed if hopeless."""
    waiting = iter(work)
    running: set[asyncio.Task[TaskResult]] = set()
    done: set[asyncio.Task[TaskResult]] = set()
    try:
        while True:
            while len(running) < at_once and (each := next(waiting, None)):
                running.add(asyncio.create_task(asking.make(*each)))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for made in done:
                yield made.result()
    finally:
        for left in running:
            left.cancel()
        await asyncio.gather(*running, *done, return_exceptions=True)
