"""`minigpt4-worker synth`: writes the original files with random weights, for tests and benches."""

import argparse
import sys
from pathlib import Path

from ..models import FAMILY


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    make = commands.add_parser(
        "synth",
        help="write a model's original files with random weights",
        description="Write the files that `assemble --synthetic` takes, in the original formats "
        "with their quirks, filled with random weights. Use them for tests and, at full size, for "
        "benchmarks; the model's answers are meaningless.",
    )
    make.add_argument("model", choices=tuple(FAMILY))
    make.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder to write")
    make.add_argument("--size", choices=("small", "full"), default="small")
    make.add_argument("--seed", type=int, default=0)
    make.add_argument(
        "--delta",
        action="store_true",
        help="write a v0 delta and its base, not the merged model",
    )
    make.add_argument(
        "--hf-blip2",
        action="store_true",
        help="write Hugging Face's BLIP-2 folder instead of the two original files",
    )
    make.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from ..checkpoints.synthesis import synth
    from ..input_error import InputError

    try:
        made = synth(
            args.model,
            args.out,
            size=args.size,
            seed=args.seed,
            delta=args.delta,
            hf_blip2=args.hf_blip2,
        )
    except InputError as error:
        print(f"minigpt4-worker synth: {error}", file=sys.stderr)
        sys.exit(2)
    print(made)
