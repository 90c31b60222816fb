"""One run: reads the photos, asks, measures, writes the report."""

import argparse
import sys
from pathlib import Path

from ..checkpoints.refusal import Refused
from ..commands.evaluate import SUITES as NAMES
from ..models import FAMILY
from . import four_tasks, questions, report
from .asking import Answerer, Asking, Kept, Sampling
from .caption_scores import check_installed
from .features import Encoder, make_features, read_features
from .goals import falls, goals
from .measures import RESAMPLES, SEED
from .photos import read_named
from .progress import Progress
from .render import Browser
from .shards import CHOOSING, TEST, read_shards, split
from .suites import NEEDS_CAPTIONS, NEEDS_NAMES, SUITES, Given, Result

LICENCES = {
    "captions": "Flickr8k's are for non-commercial research and education only (Hodosh, Young, "
    "Hockenmaier 2013); photos belong to their owners",
    "names": "ImageNet samples: research and education only; names by WordNet 3.0, Princeton's "
    "licence",
}


def wanted(given: argparse.Namespace) -> list[str]:
    """The measures of this run: those named, else all that the photos allow. Raises Refused."""
    missing = {
        **{name: "--captions" for name in NEEDS_CAPTIONS if not given.captions},
        **{name: "--names" for name in NEEDS_NAMES if not given.names},
    }
    if given.only:
        chosen = [name.strip() for name in given.only.split(",") if name.strip()]
        for name in chosen:
            if name not in NAMES:
                raise Refused(f"--only: there is no measure `{name}`", f"one of {', '.join(NAMES)}")
            if name in missing:
                raise Refused(f"{name} is measured on photos that {missing[name]} names")
        return [name for name in NAMES if name in chosen]
    for name, flag in missing.items():
        print(f"{name} is left out: {flag} is not given", file=sys.stderr)
    judged = given.judge_url or given.sheet
    if not judged:
        print("four-tasks is left out: neither --judge-url nor --sheet is given", file=sys.stderr)
    return [name for name in NAMES if name not in missing and (name != "four-tasks" or judged)]


def check(given: argparse.Namespace, chosen: list[str]) -> None:
    """What would fail only after hours of answers. Raises Refused."""
    if not given.url and not given.checkpoint:
        raise Refused("nobody is there to answer", "give --url of a worker or --checkpoint DIR")
    if given.url and not given.url.startswith(("http://", "https://")):
        raise Refused(f"--url {given.url} is no http address")
    if given.photos is not None and given.photos < 1:
        raise Refused("--photos must be at least 1")
    for name, low, high in (
        ("temperature", 0, 2),
        ("top_p", 1e-9, 1),
        ("repetition_penalty", 0.5, 2),
        ("seed", 0, 2**53 - 1),
    ):
        if not low <= getattr(given, name) <= high:
            flag = name.replace("_", "-")
            raise Refused(f"--{flag} must lie between {low:g} and {high:g}")
    if bool(given.judge_url) != bool(given.judge_model):
        raise Refused("--judge-url and --judge-model go together")
    if given.features and not given.features.exists() and not given.checkpoint:
        raise Refused(f"{given.features}: is missing", "give --checkpoint too, which makes it")
    if given.before:
        report.read_measures(given.before)
    if "captions" in chosen:
        check_installed()
    if "four-tasks" in chosen and not (given.judge_url or given.sheet):
        raise Refused("four-tasks needs someone to judge", "--judge-url, or --sheet FILE.csv")


def answerer(given: argparse.Namespace, key: str) -> Answerer:
    if given.url:
        from .worker import Worker

        if not key:
            raise Refused("the worker's key is missing", "set MINIGPT4_WORKER_KEY")
        return Worker(given.url, key)
    from .reference import Reference

    return Reference(given.checkpoint, given.device)


def evaluate(given: argparse.Namespace, key: str) -> str:
    """Returns the tables. Raises Refused, WorkerFailed."""
    chosen = wanted(given)
    check(given, chosen)
    photos = _photos(given)
    speaker = answerer(given, key)
    given.out.mkdir(parents=True, exist_ok=True)
    sampling = Sampling(given.temperature, given.top_p, given.repetition_penalty, given.seed)
    kept = Kept(given.out / "answers.jsonl")
    photos.asking = Asking(speaker, sampling, kept)
    found, judging = Result(), {}
    try:
        for name in chosen:
            part, told = (
                _four_tasks(given, photos) if name == "four-tasks" else (SUITES[name](photos), {})
            )
            found.measures += part.measures
            found.rows += part.rows
            judging |= told
    finally:
        kept.close()
    before = report.read_measures(given.before) if given.before else []
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
            "split": given.split,
            "captions": len(photos.measured),
            "named": len(photos.named),
            "at_most": given.photos,
            "licences": [LICENCES[n] for n in ("captions", "names") if getattr(given, n)],
        },
        "intervals": f"95 %: Wilson of counts, else bootstrap ({RESAMPLES} times, seed {SEED})",
        **judging,
    }
    return report.write(
        given.out, about, found.measures, goals(found.measures, fallen), fallen, found.rows
    )


def _photos(given: argparse.Namespace) -> Given:
    photos = Given(
        asking=None,  # type: ignore[arg-type]  # once the photos are known to be there
        caption_question=given.caption_question or questions.CAPTION,
        turns=given.turns,
        photos=given.photos,
        browser=Browser(given.chromium) if given.chromium else None,
        drawn=given.out / "drawn",
    )
    if given.names:
        photos.named = read_named(given.names)
    if given.captions:
        photos.split = split(read_shards(given.captions))
        photos.measured = getattr(photos.split, given.split)
        if not photos.measured:
            raise Refused(
                f"{given.captions}: none of its photos is for {given.split}",
                f"the test takes the first {TEST}, choices the next {CHOOSING}",
            )
    if given.checkpoint:
        photos.encoder = Encoder(given.checkpoint)
    if given.features:
        photos.features = _features(given.features, photos)
    return photos


def _features(path: Path, photos: Given) -> dict:
    if path.exists():
        return read_features(path)
    parts = photos.split
    assert photos.encoder is not None  # checked
    if parts is None:
        raise Refused(f"{path}: is missing", "give --captions too: features are made of its photos")
    samples = [*parts.test, *parts.choosing, *parts.training]
    progress = Progress("features", len(samples))
    made = make_features(photos.encoder, samples, path, progress)
    progress.finish()
    return made


def _four_tasks(given: argparse.Namespace, photos: Given) -> tuple[Result, dict]:
    """The verdicts of a judge or of a sheet that came back; a sheet that is not there goes out."""
    found, result = four_tasks.items(photos)
    told: dict = {"four_tasks": {"asked": four_tasks.ASKED}}
    verdicts: dict[str, bool] = {}
    if given.judge_url:
        found = [*found, *four_tasks.controls(found)]
        judge = four_tasks.Judge(given.judge_url, given.judge_model, given.judge_sees)
        progress = Progress("judging", len(found))
        try:
            kept = given.out / "verdicts.jsonl"
            verdicts = four_tasks.judged(judge, found, kept, progress)
        finally:
            judge.close()
        progress.finish()
        told["four_tasks"] |= {
            "judge": given.judge_model,
            "prompt": four_tasks.JUDGE_PROMPT,
            "judge_sees_photo": given.judge_sees,
            "no_verdict": len(found) - len(verdicts),
        }
    elif given.sheet and given.sheet.exists():
        verdicts = four_tasks.read_sheet(given.sheet, found)
        told["four_tasks"] |= {"judge": "people", "no_verdict": len(found) - len(verdicts)}
    else:
        four_tasks.write_sheet(given.sheet, found, given.out / "photos")
        print(f"{given.sheet}: fill in its verdicts and run again", file=sys.stderr)
    for row in result.rows:
        row["verdict"] = verdicts.get(row["id"])
    result.measures += four_tasks.rates(found, verdicts)
    return result, told
