"""Runs `curate`: photos, tasks, estimate, answers, rules, the set, a review, the set again."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ..input_error import InputError
from ..logs import Table, Terminal
from .cost import Estimate, Price, duration, estimate
from .models import RETRIES, ChatModel, Failed, Model, WorkerModel, checked_url, key_from, origin_of
from .output import write_set
from .photos import Photo, Photos, read_photos
from .progress import Progress
from .report import report, rows
from .review.decisions import Decisions, apply
from .target_maker import NotInLog, Sampling, TargetMaker, TaskResult, make_all
from .targets import Target, judge, without_same
from .tasks import BY_RULE, KINDS, SEEN, Task, TaskOptions, tasks_of
from .work_log import Entry, WorkLog

WORKER_KEY = "MINIGPT4_WORKER_KEY"
SOME_FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130


@dataclass(frozen=True)
class CurateOptions:
    data: tuple[str, ...]
    out: Path
    url: str | None = None
    editor_url: str | None = None
    editor_model: str | None = None
    editor_key: str = "MINIGPT4_EDITOR_KEY"  # the environment variable, not the key
    kinds: tuple[str, ...] = ()  # empty: all that the models can make
    creative_per_photo: int = 1
    limit: int | None = None
    held_out: int | None = None
    seed: int = 42
    temperature: float = 0.7
    top_p: float = 0.9
    concurrency: int = 16
    retries: int = RETRIES
    rate: float | None = None
    price: Price | None = None
    yes: bool = False
    dry_run: bool = False
    review: bool = False
    port: int = 0

    def settings(self) -> dict[str, Any]:
        """The settings that decide the set, for its report; without paths and keys."""
        return {
            "kinds": list(self.kinds),
            "creative_per_photo": self.creative_per_photo,
            "limit": self.limit,
            "held_out": self.held_out,
            "seed": self.seed,
            "temperature": self.temperature,
            "top_p": self.top_p,
        }


class Declined(Exception):
    """The user declined the cost."""


@dataclass
class Curation:
    """The state of a run. `say` writes a line for people."""

    options: CurateOptions
    photos: Photos
    tasks: list[tuple[Task, Photo]]
    log: WorkLog
    decisions: Decisions
    describer: Model | None
    editor: Model | None
    kinds: tuple[str, ...]
    say: Callable[[str], None]
    made: dict[tuple[str, str], TaskResult] = field(default_factory=dict)
    judged: list[Target] | None = None

    def models(self) -> dict[str, dict[str, str]]:
        out = {}
        if self.describer and SEEN in self.kinds:
            out["described_by"] = _identity(self.describer)
        if self.editor and set(self.kinds) - set(BY_RULE):
            out["edited_by"] = _identity(self.editor)
        return out

    def targets(self) -> list[Target]:
        """The targets in the order of the photos, once all answers are there."""
        if self.judged is None:
            models = self.models()
            made = (self.made.get((task.key, task.kind)) for task, _ in self.tasks)
            kept = (each for each in made if each and not each.failed)
            self.judged = without_same(judge(each, models) for each in kept)
        return self.judged

    def write(self) -> dict[str, Any]:
        targets = self.targets()
        standing = self.decisions.standing()
        final = apply(targets, standing)
        failed = [
            {"key": made.task.key, "kind": made.task.kind, "reason": made.failed}
            for made in self.made.values()
            if made.failed
        ]
        summary = report(
            self.photos,
            targets,
            failed,
            final,
            standing,
            self.log.entries(),
            self.options.settings() | {"kinds": list(self.kinds)},
            self.models(),
        )
        write_set(self.options.out, final, self.photos.photos, summary)
        return summary


def _identity(model: Model) -> dict[str, str]:
    return {"model": model.name, "digest": model.digest, "origin": model.origin}


def curate(options: CurateOptions, say: Callable[[str], None]) -> int:
    """Runs it, and returns the exit code. Raises InputError, Declined, KeyboardInterrupt."""
    describer, editor = models_of(options)
    kinds = kinds_of(options, describer, editor)
    photos = read_photos(list(options.data), options.held_out, options.seed, options.limit)
    wanted = TaskOptions(kinds, options.creative_per_photo, options.seed)
    tasks = [
        (task, photo)
        for photo in photos.photos
        for task in tasks_of(photo.key, photo.captions, wanted)
    ]
    if not tasks:
        raise InputError(
            f"{len(photos.photos)} photos allow none of {', '.join(kinds)}",
            "most kinds need captions: KEY.txt with a caption per line, or KEY.json",
        )
    log = WorkLog(options.out / "work.jsonl")
    try:
        decisions = Decisions(options.out / "decisions.jsonl")
        try:
            curation = Curation(
                options, photos, tasks, log, decisions, describer, editor, kinds, say
            )
            return asyncio.run(_run(curation))
        finally:
            decisions.close()
    finally:
        log.close()


def models_of(options: CurateOptions) -> tuple[Model | None, Model | None]:
    """The stage-1 model and the editor, which is by default the same worker's language model."""
    retries = options.retries
    describer = editor = None
    url = checked_url("--url", options.url) if options.url else None
    if url:
        describer = WorkerModel(url, key_from(WORKER_KEY), retries)
    if options.editor_url:
        place = checked_url("--editor-url", options.editor_url)
        key = key_from(options.editor_key)
        if options.editor_model:
            editor = ChatModel(place, options.editor_model, key, retries)
        else:
            # Sends the worker's key only to the worker that it belongs to.
            same = url is not None and origin_of(place) == origin_of(url)
            editor = WorkerModel(place, key or (key_from(WORKER_KEY) if same else None), retries)
    elif options.editor_model:
        raise InputError("--editor-model: there is no --editor-url", "pass the endpoint's URL")
    elif url:
        editor = WorkerModel(url, key_from(WORKER_KEY), retries)
    return describer, editor


def kinds_of(
    options: CurateOptions, describer: Model | None, editor: Model | None
) -> tuple[str, ...]:
    """The kinds that the options name, or all that the models can make. Raises InputError."""
    if not options.kinds:
        able = [
            kind for kind in KINDS if kind in BY_RULE or (editor and (kind != SEEN or describer))
        ]
        return tuple(able)
    for kind in options.kinds:
        if kind == SEEN and describer is None:
            raise InputError(f"--kinds {kind}: needs the stage-1 model", "pass --url of its worker")
        if kind not in BY_RULE and editor is None:
            raise InputError(
                f"--kinds {kind}: needs a model that writes",
                "pass --url or --editor-url",
            )
    return tuple(kind for kind in KINDS if kind in options.kinds)


async def _run(curation: Curation) -> int:
    options = curation.options
    sampling = Sampling(options.temperature, options.top_p, options.seed)
    maker = TargetMaker(curation.log, sampling, curation.describer, curation.editor)
    # Follows no redirects, so that a key never goes to another host.
    limits = httpx.Limits(max_connections=options.concurrency)
    async with httpx.AsyncClient(limits=limits, follow_redirects=False) as client:
        maker.client = client
        needed = set(curation.kinds) - set(BY_RULE)
        for model in (curation.describer if SEEN in needed else None, curation.editor):
            if model and needed:
                await model.open(client)
        ahead = await _estimate(curation, maker)
        if ahead.to_ask or options.dry_run:
            _show(curation, ahead)
        if options.dry_run:
            return 0
        if ahead.to_ask and not options.yes:
            _confirm()
        await _make(curation, maker, show=ahead.to_ask > 0)
    summary = curation.write()
    code = _sum_up(curation, summary)
    if options.review:
        from .review.server import review

        await review(curation)
        summary = curation.write()
        code = _sum_up(curation, summary)
    return code


async def _estimate(curation: Curation, maker: TargetMaker) -> Estimate:
    """Estimates the run from the answers in the log, without asking a model."""
    options = curation.options
    found: dict[str, Entry] = {}
    maker.offline, maker.found = True, lambda entry: found.__setitem__(entry.step, entry)
    looked = []
    for task, photo in curation.tasks:
        found.clear()
        whole = True
        try:
            await maker.make(task, photo)
        except NotInLog:
            whole = False
        looked.append((task, dict(found), whole))
    maker.offline, maker.found = False, lambda entry: None
    image_tokens = curation.describer.image_tokens if curation.describer else 0
    entries = list(curation.log.entries())
    return estimate(looked, image_tokens, entries, options.rate, options.price)


def _show(curation: Curation, ahead: Estimate) -> None:
    table = [["kind", "targets", "by rule", "in the log", "to ask", "tokens in", "tokens out"]]
    for row in ahead.rows:
        table.append(
            [
                row.kind,
                str(row.targets),
                str(row.by_rule),
                str(row.in_log),
                f"{row.to_ask:.0f}",
                f"{row.prompt_tokens:.0f}",
                f"{row.output_tokens:.0f}",
            ]
        )
    say = curation.say
    kept = curation.photos.left_out
    say(
        f"{len(curation.photos.photos)} photos"
        + (f"; {kept} more are held out for measuring" if kept else "")
        + (f"; {len(n)} samples are damaged" if (n := curation.photos.damaged) else "")
    )
    say(_table(table))
    for name, model in curation.models().items():
        say(f"{name.replace('_', ' ')} {model['model']} at {model['origin']}")
    say(
        f"about {ahead.to_ask} answers, {ahead.prompt_tokens} tokens to read and "
        f"{ahead.output_tokens} to write: {duration(ahead.seconds)} at {ahead.rate:.0f} tokens/s "
        f"({ahead.source})"
    )
    if ahead.money is not None:
        say(f"about {ahead.money:.2f} at the given price")


def _confirm() -> None:
    """Asks the user to confirm. Raises Declined, and InputError without a terminal."""
    if not sys.stdin.isatty():
        raise InputError("the cost needs confirmation, but there is no terminal", "pass --yes")
    sys.stderr.write("Continue? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Declined


async def _make(curation: Curation, maker: TargetMaker, show: bool) -> None:
    """Makes all answers; the log has each at once.

    Raises InputError if no more answers will arrive, and KeyboardInterrupt on a signal.
    """
    progress = Progress(len(curation.tasks)) if show else None
    if progress:
        maker.answered = lambda entry: progress.tokens(entry.answer.output_tokens)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    stopping = asyncio.create_task(stop.wait())
    making = asyncio.create_task(_collect(curation, maker, progress))
    try:
        await asyncio.wait({making, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not making.done():
            raise KeyboardInterrupt
        making.result()
    except Failed as failed:
        raise InputError(
            f"the models give no more answers: {failed}",
            f"{maker.asked} answers were requested; run the same command to continue",
        ) from None
    finally:
        making.cancel()
        stopping.cancel()
        await asyncio.gather(making, stopping, return_exceptions=True)
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)
        if progress:
            progress.finish()


async def _collect(curation: Curation, maker: TargetMaker, progress: Progress | None) -> None:
    made = make_all(maker, curation.tasks, curation.options.concurrency)
    try:
        async for each in made:
            curation.made[each.task.key, each.task.kind] = each
            if progress:
                progress.advance(bool(each.failed))
    finally:
        await made.aclose()


def _sum_up(curation: Curation, summary: dict[str, Any]) -> int:
    say, out = curation.say, curation.options.out
    say(_table(rows(summary)))
    for line in summary["licences"]:
        say(line)
    say(f"{summary['final']} targets in {out / 'answers.jsonl'}, the rest in {out / 'report.md'}")
    if unreadable := curation.decisions.unreadable:
        say(f"{unreadable} lines of {out / 'decisions.jsonl'} are not decisions")
    if summary["failed"]:
        reasons = sorted({row["reason"] for row in summary["failed"]})
        say(f"{len(summary['failed'])} answers failed ({'; '.join(reasons[:3])})")
        say("run the same command to ask for them again")
        return SOME_FAILED
    return 0


def _table(table: Sequence[Sequence[str]]) -> str:
    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    plain = not color or os.environ.get("TERM") == "dumb"
    return Terminal(not plain).table(Table(table, ("bold",)))
