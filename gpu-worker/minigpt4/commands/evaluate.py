"""`minigpt4-worker evaluate`: what a model says, measured; docs/evaluation.md has every rule."""

import argparse
import os
import sys
from pathlib import Path

SUITES = (
    "captions",
    "naming",
    "descriptions",
    "poems",
    "tasks",
    "reading",
    "drafts",
    "four-tasks",
)


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    measure = commands.add_parser(
        "evaluate",
        help="measure what a model says about photos it was not trained on",
        description="Ask a running worker, or the reference in this process, about photos kept for "
        "testing, and write report.json, report.md and samples.jsonl. Answers are kept on the "
        "disk, so a run that was interrupted goes on when it is repeated. The worker's key is read "
        "from MINIGPT4_WORKER_KEY, the judge's from MINIGPT4_JUDGE_KEY. Exit code 2 means that "
        "the input cannot be used, 1 that the worker or the judge failed, 130 interrupted.",
    )
    measure.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    measure.add_argument("--url", help="address of a running worker")
    measure.add_argument(
        "--checkpoint",
        type=Path,
        metavar="DIR",
        help="folder that `assemble` wrote: answers in this process where there is no --url; its "
        "encoder's own first class, and features for the baselines, in any case",
    )
    measure.add_argument(
        "--device", help="of the reference in this process (default: a GPU where there is one)"
    )
    data = measure.add_argument_group("photos")
    data.add_argument(
        "--captions",
        metavar="PATTERN",
        help="WebDataset shards, DIR/{00000..00014}.tar: the first 500 photos by SHA-256 of their "
        "key are the test, the next 300 are for choices, the rest for training",
    )
    data.add_argument("--names", type=Path, metavar="DIR", help="folder with photos.jsonl")
    data.add_argument(
        "--split", choices=("test", "choosing"), default="test", help="which of them are measured"
    )
    data.add_argument("--photos", type=int, metavar="N", help="at most so many in each measure")
    data.add_argument(
        "--features",
        type=Path,
        metavar="FILE",
        help=".safetensors or .pt by key, of tested and training photos, for the baselines of "
        "nearest photos; written if it is missing and --checkpoint is given",
    )
    asked = measure.add_argument_group("what is asked")
    asked.add_argument(
        "--only", metavar="LIST", help=f"measures, separated by commas: {', '.join(SUITES)}"
    )
    asked.add_argument("--caption-question", metavar="TEXT", help="that asks for one sentence")
    asked.add_argument(
        "--turns",
        type=int,
        choices=(1, 2),
        default=1,
        help="2: a task is asked after the model has described the photo",
    )
    asked.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    asked.add_argument("--top-p", type=float, default=1.0)
    asked.add_argument("--repetition-penalty", type=float, default=1.0)
    asked.add_argument("--seed", type=int, default=1)
    judging = measure.add_argument_group("four tasks, and the rest")
    judging.add_argument("--judge-url", metavar="URL", help="OpenAI-compatible, ends in /v1")
    judging.add_argument("--judge-model", metavar="NAME")
    judging.add_argument(
        "--judge-sees", action="store_true", help="the judge is sent the photo, not captions alone"
    )
    judging.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE",
        help="CSV for people to judge: written where it is missing, else read for its verdicts",
    )
    judging.add_argument(
        "--before",
        type=Path,
        metavar="REPORT",
        help="report.json of stage 1: how many times the failures fell",
    )
    judging.add_argument(
        "--chromium",
        metavar="PATH",
        help="render pages in this browser; needs Node and npm's packages of the repository",
    )
    measure.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    from ..checkpoints.refusal import Refused
    from ..evaluation.asking import WorkerFailed
    from ..evaluation.run import evaluate

    try:
        print(evaluate(given, os.environ.get("MINIGPT4_WORKER_KEY", "")))
    except Refused as refused:
        print(f"minigpt4-worker evaluate: {refused.problem}", file=sys.stderr)
        if refused.way_out:
            print(f"  {refused.way_out}", file=sys.stderr)
        sys.exit(2)
    except WorkerFailed as error:
        print(f"minigpt4-worker evaluate: {error}", file=sys.stderr)
        print("  what was answered is kept; run the same command to go on", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; run the same command to go on", file=sys.stderr)
        sys.exit(130)
