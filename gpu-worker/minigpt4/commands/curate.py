"""`minigpt4-worker curate`: a stage-2 training set."""

import argparse
import math
import sys
from pathlib import Path

# Those of curate/tasks.py, said here so that --help imports nothing; a test holds them together.
KINDS = (
    "described", "merged", "story", "poem", "recipe", "website", "humour", "advertisement",
    "caption", "thing", "presence", "colour",
)  # fmt: skip


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    make = commands.add_parser(
        "curate",
        help="make a stage-2 training set as the paper does (docs/curation.md)",
        description="Make a stage-2 training set of photos with captions: detailed descriptions, "
        "creative tasks, short questions. What it will cost is shown before anything is asked. "
        "Every answer is kept at once, so a run that was interrupted goes on when it is repeated. "
        "Exit code 1: some answers failed; 2: the input cannot be used; 130: interrupted.",
    )
    make.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="[SET=]SHARDS",
        help="WebDataset shards, DIR/{00000..00014}.tar or their folder; may be repeated. SET "
        "names a data set whose terms are known (flickr8k), where no folder on the way does",
    )
    make.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    make.add_argument(
        "--kinds",
        type=_kinds,
        default=(),
        metavar="KIND,…",
        help=f"what to make: {', '.join(KINDS)} (default: all that the models at hand can)",
    )
    make.add_argument(
        "--creative-per-photo",
        type=_whole(0, 6),
        default=1,
        metavar="N",
        help="creative tasks of each photo, drawn by the seed (default: 1)",
    )
    make.add_argument(
        "--limit", type=_whole(1), metavar="N", help="take N photos, drawn by the seed"
    )
    make.add_argument(
        "--held-out",
        type=_whole(0),
        metavar="N",
        help="keep the N photos of smallest SHA-256 of the key for measuring "
        "(default: what the data set is known to keep; flickr8k: 800)",
    )
    make.add_argument("--seed", type=_whole(0, 2**31 - 1), default=42, metavar="N")

    asked = make.add_argument_group("models")
    asked.add_argument(
        "--url",
        help="worker with the stage-1 model (docs/worker-protocol.md); its key is read from "
        "MINIGPT4_WORKER_KEY. Without --editor-url its language model alone writes and edits",
    )
    asked.add_argument(
        "--editor-url", metavar="URL", help="who writes and edits: a worker, or with "
        "--editor-model an OpenAI-compatible endpoint"
    )  # fmt: skip
    asked.add_argument("--editor-model", metavar="NAME", help="the model to name at that endpoint")
    asked.add_argument(
        "--editor-key-env",
        default="MINIGPT4_EDITOR_KEY",
        metavar="NAME",
        help="variable that holds the editor's key (default: MINIGPT4_EDITOR_KEY)",
    )
    asked.add_argument(
        "--temperature", type=_number(0, 2), default=0.7, help="of creative tasks (default: 0.7)"
    )
    asked.add_argument(
        "--top-p", type=_number(0.01, 1), default=0.9, help="of creative tasks (default: 0.9)"
    )
    asked.add_argument(
        "--concurrency", type=_whole(1, 1024), default=16, metavar="N", help="questions at once"
    )
    asked.add_argument(
        "--retries",
        type=_whole(0, 20),
        default=5,
        metavar="N",
        help="how often a question that got no answer is asked again, after longer waits",
    )

    cost = make.add_argument_group("cost")
    cost.add_argument(
        "--rate", type=_number(0.01), metavar="TOKENS/S", help="to estimate the time by"
    )
    cost.add_argument(
        "--price-in", type=_number(0), metavar="MONEY", help="of a million tokens read"
    )
    cost.add_argument(
        "--price-out", type=_number(0), metavar="MONEY", help="of a million tokens written"
    )
    cost.add_argument("--yes", action="store_true", help="go on without asking")
    cost.add_argument("--dry-run", action="store_true", help="show the cost, and leave")

    look = make.add_argument_group("review")
    look.add_argument(
        "--review",
        action="store_true",
        help="then serve a page on 127.0.0.1 to keep, edit and drop; Ctrl-C writes the set",
    )
    look.add_argument(
        "--port", type=_whole(0, 65535), default=0, metavar="N", help="of that page (0: a free one)"
    )
    make.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    from ..checkpoints.refusal import Refused
    from ..curate.cost import Price
    from ..curate.run import INTERRUPTED, WRONG_USE, CurateOptions, Declined, curate

    priced = given.price_in is not None or given.price_out is not None
    options = CurateOptions(
        data=tuple(given.data),
        out=given.out,
        url=given.url,
        editor_url=given.editor_url,
        editor_model=given.editor_model,
        editor_key=given.editor_key_env,
        kinds=given.kinds,
        creative_per_photo=given.creative_per_photo,
        limit=given.limit,
        held_out=given.held_out,
        seed=given.seed,
        temperature=given.temperature,
        top_p=given.top_p,
        concurrency=given.concurrency,
        retries=given.retries,
        rate=given.rate,
        price=Price(given.price_in or 0.0, given.price_out or 0.0) if priced else None,
        yes=given.yes,
        dry_run=given.dry_run,
        review=given.review,
        port=given.port,
    )
    try:
        sys.exit(curate(options, lambda line: print(line, flush=True)))
    except Refused as refused:
        print(f"minigpt4-worker curate: {refused.problem}", file=sys.stderr)
        if refused.way_out:
            print(f"  {refused.way_out}", file=sys.stderr)
        sys.exit(WRONG_USE)
    except Declined:
        print("nothing was asked", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; run the same command to go on", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(kind.strip() for kind in text.split(",") if kind.strip())
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise argparse.ArgumentTypeError(
            f"{unknown[0] if unknown else text!r} is no kind; there are {', '.join(KINDS)}"
        )
    return kinds


def _whole(least: int, most: int | None = None):
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            bounds = f"from {least}" + (f" to {most}" if most is not None else "")
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number {bounds}")
        return value

    return parse


def _number(least: float, most: float = math.inf):
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and least <= value <= most):
            bounds = f"from {least:g}" + (f" to {most:g}" if most < math.inf else "")
            raise argparse.ArgumentTypeError(f"{text!r} is no number {bounds}")
        return value

    return parse
