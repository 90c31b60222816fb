"""`minigpt4-worker curate`: makes a stage-2 training set."""

import argparse
import math
import sys
from pathlib import Path

# Copied from curate/tasks.py, so that --help imports nothing; a test compares the two.
KINDS = (
    "described", "merged", "story", "poem", "recipe", "website", "humour", "advertisement",
    "caption", "thing", "presence", "colour",
)  # fmt: skip


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    make = commands.add_parser(
        "curate",
        help="make a stage-2 training set as the paper does (docs/curation.md)",
        description="Make a stage-2 training set from photos with captions: detailed descriptions, "
        "creative tasks, short questions. The command shows the cost before it asks a model. It "
        "stores every answer at once: to continue an interrupted run, run the same command again. "
        "Exit code 1: some answers failed; 2: the input cannot be used; 130: interrupted.",
    )
    make.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="[SET=]SHARDS",
        help="WebDataset shards, DIR/{00000..00014}.tar or their folder; may be repeated. SET "
        "names a data set with known terms (flickr8k), unless a folder of the path does",
    )
    make.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    make.add_argument(
        "--kinds",
        type=_kinds,
        default=(),
        metavar="KIND,…",
        help=f"what to make: {', '.join(KINDS)} (default: all that the given models can make)",
    )
    make.add_argument(
        "--creative-per-photo",
        type=_whole(0, 6),
        default=1,
        metavar="N",
        help="creative tasks per photo, drawn by the seed (default: 1)",
    )
    make.add_argument(
        "--limit", type=_whole(1), metavar="N", help="use N photos, drawn by the seed"
    )
    make.add_argument(
        "--held-out",
        type=_whole(0),
        metavar="N",
        help="hold out the N photos with the smallest SHA-256 of the key, for measuring "
        "(default: by the data set; flickr8k: 800)",
    )
    make.add_argument("--seed", type=_whole(0, 2**31 - 1), default=42, metavar="N")

    asked = make.add_argument_group("models")
    asked.add_argument(
        "--url",
        help="worker with the stage-1 model (docs/worker-protocol.md); MINIGPT4_WORKER_KEY sets "
        "its key. Without --editor-url its language model also writes and edits",
    )
    asked.add_argument(
        "--editor-url", metavar="URL", help="the model that writes and edits: a worker, or with "
        "--editor-model an OpenAI-compatible endpoint"
    )  # fmt: skip
    asked.add_argument("--editor-model", metavar="NAME", help="the model's name at that endpoint")
    asked.add_argument(
        "--editor-key-env",
        default="MINIGPT4_EDITOR_KEY",
        metavar="NAME",
        help="environment variable with the editor's key (default: MINIGPT4_EDITOR_KEY)",
    )
    asked.add_argument(
        "--temperature", type=_number(0, 2), default=0.7, help="for creative tasks (default: 0.7)"
    )
    asked.add_argument(
        "--top-p", type=_number(0.01, 1), default=0.9, help="for creative tasks (default: 0.9)"
    )
    asked.add_argument(
        "--concurrency", type=_whole(1, 1024), default=16, metavar="N", help="concurrent questions"
    )
    asked.add_argument(
        "--retries",
        type=_whole(0, 20),
        default=5,
        metavar="N",
        help="how often to repeat a question that failed, after longer and longer waits",
    )

    cost = make.add_argument_group("cost")
    cost.add_argument(
        "--rate", type=_number(0.01), metavar="TOKENS/S", help="output rate, to estimate the time"
    )
    cost.add_argument(
        "--price-in", type=_number(0), metavar="MONEY", help="price of a million input tokens"
    )
    cost.add_argument(
        "--price-out", type=_number(0), metavar="MONEY", help="price of a million output tokens"
    )
    cost.add_argument("--yes", action="store_true", help="start without confirmation")
    cost.add_argument("--dry-run", action="store_true", help="show the cost, and exit")

    look = make.add_argument_group("review")
    look.add_argument(
        "--review",
        action="store_true",
        help="then serve a page on 127.0.0.1 to keep, edit and drop answers; Ctrl-C writes the set",
    )
    look.add_argument(
        "--port",
        type=_whole(0, 65535),
        default=0,
        metavar="N",
        help="its port (0: a free one)",
    )
    make.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from ..curate.cost import Price
    from ..curate.run import INTERRUPTED, WRONG_USE, CurateOptions, Declined, curate
    from ..input_error import InputError

    priced = args.price_in is not None or args.price_out is not None
    options = CurateOptions(
        data=tuple(args.data),
        out=args.out,
        url=args.url,
        editor_url=args.editor_url,
        editor_model=args.editor_model,
        editor_key=args.editor_key_env,
        kinds=args.kinds,
        creative_per_photo=args.creative_per_photo,
        limit=args.limit,
        held_out=args.held_out,
        seed=args.seed,
        temperature=args.temperature,
        top_p=args.top_p,
        concurrency=args.concurrency,
        retries=args.retries,
        rate=args.rate,
        price=Price(args.price_in or 0.0, args.price_out or 0.0) if priced else None,
        yes=args.yes,
        dry_run=args.dry_run,
        review=args.review,
        port=args.port,
    )
    try:
        sys.exit(curate(options, lambda line: print(line, flush=True)))
    except InputError as error:
        print(f"minigpt4-worker curate: {error.problem}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        sys.exit(WRONG_USE)
    except Declined:
        print("stopped before any question was sent", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; run the same command to continue", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(kind.strip() for kind in text.split(",") if kind.strip())
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise argparse.ArgumentTypeError(
            f"{unknown[0] if unknown else text!r} is not a kind; the kinds are {', '.join(KINDS)}"
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
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {bounds}")
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
            raise argparse.ArgumentTypeError(f"{text!r} is not a number {bounds}")
        return value

    return parse
