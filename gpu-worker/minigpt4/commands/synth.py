"""`minigpt4-worker synth`: the original files with random weights, for tests and benchmarks."""

import argparse
import sys
from pathlib import Path

from ..models import FAMILY


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    make = commands.add_parser(
        "synth",
        help="write a model's original files with random weights",
        description="Write the files that `assemble --synthetic` takes, in the originals' formats "
        "and with their quirks, filled with random weights. For tests, and at full size for "
        "benchmarks; the answers mean nothing.",
    )
    make.add_argument("model", choices=tuple(FAMILY))
    make.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder to write")
    make.add_argument("--size", choices=("small", "full"), default="small")
    make.add_argument("--seed", type=int, default=0)
    make.add_argument(
        "--delta", action="store_true", help="a v0 delta and its base instead of the merged model"
    )
    make.add_argument(
        "--hf-blip2",
        action="store_true",
        help="Hugging Face's BLIP-2 folder instead of the two original files",
    )
    make.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    from ..checkpoints.refusal import Refused
    from ..checkpoints.synthesis import synth

    try:
        made = synth(
            given.model,
            given.out,
            size=given.size,
            seed=given.seed,
            delta=given.delta,
            hf_blip2=given.hf_blip2,
        )
    except Refused as refused:
        print(f"minigpt4-worker synth: {refused}", file=sys.stderr)
        sys.exit(2)
    print(made)
