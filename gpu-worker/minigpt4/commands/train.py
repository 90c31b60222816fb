"""`minigpt4-worker train`: the paper's two stages; only the projection learns."""

import argparse
import os
import sys
from pathlib import Path

from ..checkpoints.refusal import Refused
from ..models import MODELS

NOT_FLAGS = ("model", "stage", "start")
SINGULAR = {"prompts": "prompt"}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    train = commands.add_parser(
        "train",
        help="train a model's projection",
        description="Train a model's projection; all else stays frozen. A run that was "
        "interrupted goes on when it is repeated. Under torchrun several GPUs share the batches.",
    )
    stages = train.add_subparsers(dest="stage", required=True)
    for stage, about in ((1, "captions, without a prompt"), (2, "answers in conversation")):
        _add_stage(stages, stage, about)


def _add_stage(stages: "argparse._SubParsersAction", stage: int, about: str) -> None:
    from ..train.config import CHECKPOINT, FIELDS, FRESH
    from ..train.settings import Maybe, Switch

    made = stages.add_parser(
        f"stage{stage}",
        help=about,
        description="Defaults are the paper's for the family, and smaller for the embedded models; "
        "--config overrides them, flags override both. Exit codes: 0 done, 2 wrong use, 3 data "
        "that cannot be used, 4 diverged, 130 interrupted (the same command goes on).",
        argument_default=argparse.SUPPRESS,
    )
    made.add_argument("model", choices=MODELS)
    made.add_argument("--config", type=Path, metavar="FILE", help="JSON file of settings")
    made.add_argument(
        "--from",
        dest="start",
        metavar="PROJECTION",
        help=f"projection.safetensors to begin with, `{FRESH}` (stage 1's default) or "
        f"`{CHECKPOINT}`",
    )
    made.add_argument(
        "--dry-run", action="store_true", help="print the configuration as JSON, and leave"
    )
    for name, each in FIELDS.items():
        if name in NOT_FLAGS:
            continue
        kind, words = each.metadata["kind"], each.metadata["about"]
        flag = f"--{SINGULAR.get(name, name).replace('_', '-')}"
        if isinstance(kind, Switch):
            made.add_argument(flag, action=argparse.BooleanOptionalAction, dest=name, help=words)
        else:
            among = getattr(kind.kind if isinstance(kind, Maybe) else kind, "among", ())
            made.add_argument(
                flag,
                dest=name,
                action="append" if kind.repeated else "store",
                metavar="|".join(among) or "VALUE",
                help=words,
            )
    made.set_defaults(run=run, stage_number=stage)


def run(given: argparse.Namespace) -> None:
    from ..train.config import FIELDS, make, read_file

    try:
        flags = {}
        for name, text in vars(given).items():
            if name in FIELDS and name not in ("model", "stage"):
                kind = FIELDS[name].metadata["kind"]
                if isinstance(text, list):
                    text = [kind.read(name, each) for each in text]
                elif isinstance(text, str):
                    text = kind.read(name, text)
                flags[name] = text
        layers = [read_file(given.config)] if "config" in given else []
        config = make(given.model, given.stage_number, *layers, flags)
    except Refused as refused:
        sys.exit(_say(refused, 2))
    if "dry_run" in given:
        print(config.as_json(), end="")
        return
    # Before PyTorch is loaded: threads that wait for each other sleep. Where other programs run,
    # spinning costs three times the processor time and more than twice the time of a step.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from ..train.outcome import BAD_DATA, DIVERGED, INTERRUPTED, BadData, Diverged, Interrupted
    from ..train.run import train

    try:
        print(train(config))
    except Refused as refused:
        codes = {BadData: BAD_DATA, Diverged: DIVERGED}
        sys.exit(_say(refused, codes.get(type(refused), 2)))
    except OSError as error:  # a full disk, a folder that may not be written
        sys.exit(_say(Refused(str(error), "mend it, and run the same command to go on"), 2))
    except (Interrupted, KeyboardInterrupt):
        print("interrupted; run the same command to go on", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _say(refused: Refused, code: int) -> int:
    print(f"minigpt4-worker train: {refused.problem}", file=sys.stderr)
    if refused.way_out:
        print(f"  {refused.way_out}", file=sys.stderr)
    return code
