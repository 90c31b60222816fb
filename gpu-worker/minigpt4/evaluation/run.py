"""Runs an evaluation: reads the photos, asks, measures, writes the report."""

import argparse
import sys
from pathlib import Path

from ..commands.evaluate import SUITES as NAMES
from ..input_error import InputError
from ..models import FAMILY
from . import four_tasks, questions, report
from .answerer import Answerer, AnswerStore, CachedAnswerer, Sampling
from .caption_scores import check_installed
from .features import Encoder, make_features, read_features
from .goals import falls, goals
from .measures import RESAMPLES, SEED
from .photos import read_named
from .progress import Progress
from .render import Browser
from .shards import CHOOSING, TEST, read_shards, split
from .suites import NEEDS_CAPTIONS, NEEDS_NAMES, SUITES, Context, Result

LICENCES = {
    "captions": "Flickr8k's are for non-commercial research and education only (Hodosh, Young, "
    "Hockenmaier 2013); photos belong to their owners",
    "names": "ImageNet samples: research and education only; names by WordNet 3.0, Princeton's "
    "licence",
}


def wanted(args: argparse.Namespace) -> list[str]:
    """The measures that --only names, or all that the photos allow. Raises InputError."""
    missing = {
        **{name: "--captions" for name in NEEDS_CAPTIONS if not args.captions},
        **{name: "--names" for name in NEEDS_NAMES if not args.names},
    }
    if args.only:
        chosen = [name.strip() for name in args.only.split(",") if name.strip()]
        for name in chosen:
            if name not in NAMES:
                raise InputError(
                    f"--only: there is no measure `{name}`", f"one of {', '.join(NAMES)}"
                )
            if name in missing:
                raise InputError(f"{name} is measured on photos that {missing[name]} names")
        return [name for name in NAMES if name in chosen]
    for name, flag in missing.items():
        print(f"{name} is left out: {flag} is not given", file=sys.stderr)
    judged = args.judge_url or args.sheet
    if not judged:
        print("four-tasks is left out: neither --judge-url nor --sheet is given", file=sys.stderr)
    return [name for name in NAMES if name not in missing and (name != "four-tasks" or judged)]


def check(args: argparse.Namespace, chosen: list[str]) -> None:
    """Checks what would otherwise fail after hours of questions. Raises InputError."""
    if not args.url and not args.checkpoint:
        raise InputError("there is no model to ask", "pass --url of a worker or --checkpoint DIR")
    if args.url and not args.url.startswith(("http://", "https://")):
        raise InputError(f"--url {args.url} is not an http address")
    if args.photos is not None and args.photos < 1:
        raise InputError("--photos must be at least 1")
    for name, low, high in (
        ("temperature", 0, 2),
        ("top_p", 1e-9, 1),
        ("repetition_penalty", 0.5, 2),
        ("seed", 0, 2**53 - 1),
    ):
        if not low <= getattr(args, name) <= high:
            flag = name.replace("_", "-")
            raise InputError(f"--{flag} must be between {low:g} and {high:g}")
    if bool(args.judge_url) != bool(args.judge_model):
        raise InputError("--judge-url and --judge-model go together")
    if args.features and not args.features.exists() and not args.checkpoint:
        raise InputError(f"{args.features}: is missing", "pass --checkpoint too, to make it")
    if args.before:
        report.read_measures(args.before)
    if "captions" in chosen:
        check_installed()
    if "four-tasks" in chosen and not (args.judge_url or args.sheet):
        raise InputError("four-tasks needs a judge", "pass --judge-url, or --sheet FILE.csv")


def answerer(args: argparse.Namespace, key: str) -> Answerer:
    if args.url:
        from .worker import Worker

        if not key:
            raise InputError("the worker's key is missing", "set MINIGPT4_WORKER_KEY")
        return Worker(args.url, key)
    from .reference import Reference

    return Reference(args.checkpoint, args.device)


def evaluate(args: argparse.Namespace, key: str) -> str:
    """Runs it, and returns the tables. Raises InputError, WorkerFailed."""
    chosen = wanted(args)
    check(args, chosen)
    photos = _photos(args)
    speaker = answerer(args, key)
    args.out.mkdir(parents=True, exist_ok=True)
    sampling = Sampling(args.temperature, args.top_p, args.repetition_penalty, args.seed)
    kept = AnswerStore(args.out / "answers.jsonl")
    photos.asking = CachedAnswerer(speaker, sampling, kept)
    found, judging = Result(), {}
    try:
        for name in chosen:
            part, told = (
                _four_tasks(args, photos) if name == "four-tasks" else (SUITES[name](photos), {})
            )
            found.measures += part.measures
            found.rows += part.rows
            judging |= told
    finally:
        kept.close()
    before = report.read_measures(args.before) if args.before else []
    fallen = falls(before, found.measures)
    about = {
        "model": {"name": speaker.model, "digest": speaker.digest, "answers": speaker.origin},
        "family": speaker.model in FAMILY,
        "sampling": {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "repetition_penalty": sampling.repetition_penalty,
            "seed": sampling.seed,
        },
        "questions": {
            "caption": photos.caption_question,
            "description": questions.DESCRIBE,
            "tasks": questions.TASKS,
            "turns": photos.turns,
            "names": [questions.NAME, *questions.NAME_WORDINGS],
            "reading": questions.READ,
            "draft": questions.DRAFT,
        },
        "photos": {
            "split": args.split,
            "captions": len(photos.measured),
            "named": len(photos.named),
            "at_most": args.photos,
            "licences": [LICENCES[n] for n in ("captions", "names") if getattr(args, n)],
        },
        "intervals": f"95 %: Wilson of counts, else bootstrap ({RESAMPLES} times, seed {SEED})",
        **judging,
    }
    return report.write(
        args.out, about, found.measures, goals(found.measures, fallen), fallen, found.rows
    )


def _photos(args: argparse.Namespace) -> Context:
    photos = Context(
        asking=None,  # type: ignore[arg-type]  # set once the photos are read
        caption_question=args.caption_question or questions.CAPTION,
        turns=args.turns,
        photos=args.photos,
        browser=Browser(args.chromium) if args.chromium else None,
        drawn=args.out / "drawn",
    )
    if args.names:
        photos.named = read_named(args.names)
    if args.captions:
        photos.split = split(read_shards(args.captions))
        photos.measured = getattr(photos.split, args.split)
        if not photos.measured:
            raise InputError(
                f"{args.captions}: none of its photos is for {args.split}",
                f"the test takes the first {TEST}, choices the next {CHOOSING}",
            )
    if args.checkpoint:
        photos.encoder = Encoder(args.checkpoint)
    if args.features:
        photos.features = _features(args.features, photos)
    return photos


def _features(path: Path, photos: Context) -> dict:
    if path.exists():
        return read_features(path)
    parts = photos.split
    assert photos.encoder is not None  # checked
    if parts is None:
        raise InputError(f"{path}: is missing", "pass --captions too: its photos give the features")
    samples = [*parts.test, *parts.choosing, *parts.training]
    progress = Progress("features", len(samples))
    made = make_features(photos.encoder, samples, path, progress)
    progress.finish()
    return made


def _four_tasks(args: argparse.Namespace, photos: Context) -> tuple[Result, dict]:
    """The verdicts of a judge or a filled-in sheet. Writes the sheet if it is missing."""
    found, result = four_tasks.items(photos)
    told: dict = {"four_tasks": {"asked": four_tasks.ASKED}}
    verdicts: dict[str, bool] = {}
    if args.judge_url:
        found = [*found, *four_tasks.controls(found)]
        judge = four_tasks.Judge(args.judge_url, args.judge_model, args.judge_sees)
        progress = Progress("judging", len(found))
        try:
            kept = args.out / "verdicts.jsonl"
            verdicts = four_tasks.judged(judge, found, kept, progress)
        finally:
            judge.close()
        progress.finish()
        told["four_tasks"] |= {
            "judge": args.judge_model,
            "prompt": four_tasks.JUDGE_PROMPT,
            "judge_sees_photo": args.judge_sees,
            "no_verdict": len(found) - len(verdicts),
        }
    elif args.sheet and args.sheet.exists():
        verdicts = four_tasks.read_sheet(args.sheet, found)
        told["four_tasks"] |= {"judge": "people", "no_verdict": len(found) - len(verdicts)}
    else:
        four_tasks.write_sheet(args.sheet, found, args.out / "photos")
        print(f"{args.sheet}: fill in the verdicts and run the command again", file=sys.stderr)
    for row in result.rows:
        row["verdict"] = verdicts.get(row["id"])
    result.measures += four_tasks.rates(found, verdicts)
    return result, told
