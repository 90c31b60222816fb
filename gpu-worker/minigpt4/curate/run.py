"""`curate` in order: photos, tasks, what it will cost, answers, rules, the set, what somebody
decides about it, the set again."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ..checkpoints.refusal import Refused
from ..logs import Table, Terminal
from .asking import Asking, Made, Missing, Sampling, make_all
from .cost import Estimate, Price, duration, estimate
from .models import RETRIES, ChatModel, Failed, Model, WorkerModel, checked_url, key_from, origin_of
from .output import write_set
from .photos import Photo, Photos, read_photos
from .progress import Progress
from .report import report, rows
from .review.decisions import Decisions, apply
from .targets import Target, judge, without_same
from .tasks import BY_RULE, KINDS, SEEN, Task, Wanted, tasks_of
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
    editor_key: str = "MINIGPT4_EDITOR_KEY"  # the variable, not the key
    kinds: tuple[str, ...] = ()  # empty: all that the models at hand can make
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
        """What decides the set, for its report; without places and keys."""
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
    """Somebody looked at the cost and said no."""


@dataclass
class Curation:
    """What one run knows. `say` writes a line for people."""

    options: CurateOptions
    photos: Photos
    tasks: list[tuple[Task, Photo]]
    log: WorkLog
    decisions: Decisions
    seer: Model | None
    editor: Model | None
    kinds: tuple[str, ...]
    say: Callable[[str], None]
    made: dict[tuple[str, str], Made] = field(default_factory=dict)
    judged: list[Target] | None = None

    def models(self) -> dict[str, dict[str, str]]:
        out = {}
        if self.seer and SEEN in self.kinds:
            out["described_by"] = _told(self.seer)
        if self.editor and set(self.kinds) - set(BY_RULE):
            out["edited_by"] = _told(self.editor)
        return out

    def targets(self) -> list[Target]:
        """In the order of the photos, whatever order the answers came in; once all are made."""
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
        told = report(
            self.photos,
            targets,
            failed,
            final,
            standing,
            self.log.entries(),
            self.options.settings() | {"kinds": list(self.kinds)},
            self.models(),
        )
        write_set(self.options.out, final, self.photos.photos, told)
        return told


def _told(model: Model) -> dict[str, str]:
    return {"model": model.name, "digest": model.digest, "origin": model.origin}


def curate(options: CurateOptions, say: Callable[[str], None]) -> int:
    """The exit code. Raises Refused, Declined and KeyboardInterrupt."""
    seer, editor = models_of(options)
    kinds = kinds_of(options, seer, editor)
    photos = read_photos(list(options.data), options.held_out, options.seed, options.limit)
    wanted = Wanted(kinds, options.creative_per_photo, options.seed)
    tasks = [
        (task, photo)
        for photo in photos.photos
        for task in tasks_of(photo.key, photo.captions, wanted)
    ]
    if not tasks:
        raise Refused(
            f"nothing of {', '.join(kinds)} can be made of {len(photos.photos)} photos",
            "most kinds need captions: KEY.txt with a caption a line, or KEY.json",
        )
    log = WorkLog(options.out / "work.jsonl")
    try:
        decisions = Decisions(options.out / "decisions.jsonl")
        try:
            curation = Curation(options, photos, tasks, log, decisions, seer, editor, kinds, say)
            return asyncio.run(_run(curation))
        finally:
            decisions.close()
    finally:
        log.close()


def models_of(options: CurateOptions) -> tuple[Model | None, Model | None]:
    """The stage-1 model, and the editor: by default the same worker's language model alone."""
    retries = options.retries
    seer = editor = None
    url = checked_url("--url", options.url) if options.url else None
    if url:
        seer = WorkerModel(url, key_from(WORKER_KEY), retries)
    if options.editor_url:
        place = checked_url("--editor-url", options.editor_url)
        key = key_from(options.editor_key)
        if options.editor_model:
            editor = ChatModel(place, options.editor_model, key, retries)
        else:
            # The worker's key goes to the worker it belongs to, and nowhere else.
            same = url is not None and origin_of(place) == origin_of(url)
            editor = WorkerModel(place, key or (key_from(WORKER_KEY) if same else None), retries)
    elif options.editor_model:
        raise Refused("--editor-model: there is no --editor-url", "say where that model is served")
    elif url:
        editor = WorkerModel(url, key_from(WORKER_KEY), retries)
    return seer, editor


def kinds_of(options: CurateOptions, seer: Model | None, editor: Model | None) -> tuple[str, ...]:
    """What is wanted, or all that can be had. Raises Refused for what cannot."""
    if not options.kinds:
        able = [kind for kind in KINDS if kind in BY_RULE or (editor and (kind != SEEN or seer))]
        return tuple(able)
    for kind in options.kinds:
        if kind == SEEN and seer is None:
            raise Refused(
                f"--kinds {kind}: needs the stage-1 model", "say with --url where it is served"
            )
        if kind not in BY_RULE and editor is None:
            raise Refused(
                f"--kinds {kind}: needs a model that writes",
                "say with --url or --editor-url where one is served",
            )
    return tuple(kind for kind in KINDS if kind in options.kinds)


async def _run(curation: Curation) -> int:
    options = curation.options
    sampling = Sampling(options.temperature, options.top_p, options.seed)
    asking = Asking(curation.log, sampling, curation.seer, curation.editor)
    # Redirects are not followed: a key must not travel to where somebody points.
    limits = httpx.Limits(max_connections=options.concurrency)
    async with httpx.AsyncClient(limits=limits, follow_redirects=False) as client:
        asking.client = client
        needed = set(curation.kinds) - set(BY_RULE)
        for model in (curation.seer if SEEN in needed else None, curation.editor):
            if model and needed:
                await model.open(client)
        ahead = await _ahead(curation, asking)
        if ahead.to_ask or options.dry_run:
            _show(curation, ahead)
        if options.dry_run:
            return 0
        if ahead.to_ask and not options.yes:
            _ask_leave()
        await _make(curation, asking, show=ahead.to_ask > 0)
    told = curation.write()
    code = _sum_up(curation, told)
    if options.review:
        from .review.server import review

        await review(curation)
        told = curation.write()
        code = _sum_up(curation, told)
    return code


async def _ahead(curation: Curation, asking: Asking) -> Estimate:
    """Looks in the log for what is answered already; asks nobody."""
    options = curation.options
    found: dict[str, Entry] = {}
    asking.offline, asking.found = True, lambda entry: found.__setitem__(entry.step, entry)
    looked = []
    for task, photo in curation.tasks:
        found.clear()
        whole = True
        try:
            await asking.make(task, photo)
        except Missing:
            whole = False
        looked.append((task, dict(found), whole))
    asking.offline, asking.found = False, lambda entry: None
    image_tokens = curation.seer.image_tokens if curation.seer else 0
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
        + (f"; {kept} more are kept for measuring" if kept else "")
        + (f"; {len(n)} samples are damaged" if (n := curation.photos.damaged) else "")
    )
    say(_table(table))
    for name, told in curation.models().items():
        say(f"{name.replace('_', ' ')} {told['model']} at {told['origin']}")
    say(
        f"about {ahead.to_ask} answers, {ahead.prompt_tokens} tokens to read and "
        f"{ahead.output_tokens} to write: {duration(ahead.seconds)} at {ahead.rate:.0f} tokens/s "
        f"({ahead.source})"
    )
    if ahead.money is not None:
        say(f"about {ahead.money:.2f} at the price that was given")


def _ask_leave() -> None:
    """Raises Declined, and Refused where nobody can be asked."""
    if not sys.stdin.isatty():
        raise Refused("nothing was asked yet: nobody has agreed to it", "pass --yes to go on")
    sys.stderr.write("Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Declined


async def _make(curation: Curation, asking: Asking, show: bool) -> None:
    """Raises Refused where nothing more will come, KeyboardInterrupt where somebody stops it;
    what came is in the log."""
    progress = Progress(len(curation.tasks)) if show else None
    if progress:
        asking.answered = lambda entry: progress.tokens(entry.answer.output_tokens)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    stopping = asyncio.create_task(stop.wait())
    making = asyncio.create_task(_collect(curation, asking, progress))
    try:
        await asyncio.wait({making, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not making.done():
            raise KeyboardInterrupt
        making.result()
    except Failed as failed:
        raise Refused(
            f"no more answers come: {failed}",
            f"{asking.asked} were asked for; run the same command to go on where this one stopped",
        ) from None
    finally:
        making.cancel()
        stopping.cancel()
        await asyncio.gather(making, stopping, return_exceptions=True)
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)
        if progress:
            progress.finish()


async def _collect(curation: Curation, asking: Asking, progress: Progress | None) -> None:
    made = make_all(asking, curation.tasks, curation.options.concurrency)
    try:
        async for each in made:
            curation.made[each.task.key, each.task.kind] = each
            if progress:
                progress.advance(bool(each.failed))
    finally:
        await made.aclose()


def _sum_up(curation: Curation, told: dict[str, Any]) -> int:
    say, out = curation.say, curation.options.out
    say(_table(rows(told)))
    for line in told["licences"]:
        say(line)
    say(f"{told['final']} targets in {out / 'answers.jsonl'}, the rest in {out / 'report.md'}")
    if unreadable := curation.decisions.unreadable:
        say(f"{unreadable} lines of {out / 'decisions.jsonl'} are no decisions")
    if told["failed"]:
        reasons = sorted({row["reason"] for row in told["failed"]})
        say(f"{len(told['failed'])} answers failed ({'; '.join(reasons[:3])})")
        say("run the same command to ask for them again")
        return SOME_FAILED
    return 0


def _table(table: Sequence[Sequence[str]]) -> str:
    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    plain = not color or os.environ.get("TERM") == "dumb"
    return Terminal(not plain).table(Table(table, ("bold",)))
