"""`minigpt4-worker evaluate`: measures a model's answers; docs/evaluation.md has the rules."""

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
        description="Ask a running worker, or the reference in this process, about photos held out "
        "for testing, and write report.json, report.md and samples.jsonl. Answers are stored on "
        "disk: to continue an interrupted run, run the same command again. MINIGPT4_WORKER_KEY "
        "sets the worker's key, MINIGPT4_JUDGE_KEY the judge's. Exit code 2 means that the input "
        "cannot be used, 1 that the worker or the judge failed, 130 interrupted.",
    )
    measure.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    measure.add_argument("--url", help="address of a running worker")
    measure.add_argument(
        "--checkpoint",
        type=Path,
        metavar="DIR",
        help="folder that `assemble` wrote. Without --url it answers in this process. It also "
        "gives the encoder's first class, and features for the baselines",
    )
    measure.add_argument(
        "--device", help="device of the reference (default: a GPU if there is one)"
    )
    data = measure.add_argument_group("photos")
    data.add_argument(
        "--captions",
        metavar="PATTERN",
        help="WebDataset shards, DIR/{00000..00014}.tar: the first 500 photos by SHA-256 of their "
        "key are the test set, the next 300 the choosing set, the rest the training set",
    )
    data.add_argument("--names", type=Path, metavar="DIR", help="folder with photos.jsonl")
    data.add_argument(
        "--split", choices=("test", "choosing"), default="test", help="the set to measure"
    )
    data.add_argument("--photos", type=int, metavar="N", help="measure each on at most N photos")
    data.add_argument(
        "--features",
        type=Path,
        metavar="FILE",
        help=".safetensors or .pt by key, of tested and training photos, for the baselines of "
        "nearest photos; written if it is missing and --checkpoint is given",
    )
    asked = measure.add_argument_group("questions")
    asked.add_argument(
        "--only", metavar="LIST", help=f"measures, separated by commas: {', '.join(SUITES)}"
    )
    asked.add_argument("--caption-question", metavar="TEXT", help="question for a caption")
    asked.add_argument(
        "--turns",
        type=int,
        choices=(1, 2),
        default=1,
        help="2: let the model describe the photo before it does a task",
    )
    asked.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    asked.add_argument("--top-p", type=float, default=1.0)
    asked.add_argument("--repetition-penalty", type=float, default=1.0)
    asked.add_argument("--seed", type=int, default=1)
    judging = measure.add_argument_group("judging, and more")
    judging.add_argument("--judge-url", metavar="URL", help="OpenAI-compatible, ends in /v1")
    judging.add_argument("--judge-model", metavar="NAME")
    judging.add_argument(
        "--judge-sees", action="store_true", help="send the judge the photo too, not only captions"
    )
    judging.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE",
        help="CSV for people to judge. A missing file is written, an existing one read",
    )
    judging.add_argument(
        "--before",
        type=Path,
        metavar="REPORT",
        help="report.json of stage 1, to compare failures with",
    )
    judging.add_argument(
        "--chromium",
        metavar="PATH",
        help="render pages in this browser; needs Node and the repository's npm packages",
    )
    measure.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from ..evaluation.answerer import WorkerFailed
    from ..evaluation.run import evaluate
    from ..input_error import InputError

    try:
        print(evaluate(args, os.environ.get("MINIGPT4_WORKER_KEY", "")))
    except InputError as error:
        print(f"minigpt4-worker evaluate: {error.problem}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        sys.exit(2)
    except WorkerFailed as error:
        print(f"minigpt4-worker evaluate: {error}", file=sys.stderr)
        print("  the answers so far are stored; run the same command to continue", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; run the same command to continue", file=sys.stderr)
        sys.exit(130)
