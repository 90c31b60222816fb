"""`minigpt4-worker train`: trains the projection in the paper's two stages."""

import argparse
import os
import sys
from pathlib import Path

from ..input_error import InputError
from ..models import MODELS

NOT_FLAGS = ("model", "stage", "start")
SINGULAR = {"prompts": "prompt"}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    train = commands.add_parser(
        "train",
        help="train a model's projection",
        description="Train a model's projection; everything else stays frozen. To continue an "
        "interrupted run, run the same command again. Under torchrun several GPUs share the "
        "batches.",
    )
    stages = train.add_subparsers(dest="stage", required=True)
    for stage, about in ((1, "captions, without a prompt"), (2, "answers in conversation")):
        _add_stage(stages, stage, about)
    _add_start(stages)


def _add_start(stages: "argparse._SubParsersAction") -> None:
    made = stages.add_parser(
        "start",
        help="fit a projection to start with, where a model has frozen components",
        description="Fits the frozen components and a projection for stage 1 to start with, in "
        "closed form, to the training photos: components.safetensors and start.safetensors.",
    )
    made.add_argument("model", choices=("mini",))
    made.add_argument("--data", required=True, metavar="SHARDS", help="photos with captions")
    made.add_argument(
        "--names", required=True, type=Path, metavar="FILE", help="photos.jsonl: classes' names"
    )
    made.add_argument("--out", required=True, type=Path, metavar="DIR")
    made.add_argument("--threads", type=int, help="CPU threads; without it PyTorch chooses")
    made.set_defaults(run=run_start)


def run_start(given: argparse.Namespace) -> None:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    from ..checkpoints.embedded import RECIPES, WrongPart
    from ..images import Limits, decode
    from ..processing import to_rgb
    from ..train import start
    from ..train.config import SourceKind
    from ..train.files import FileSums
    from ..train.outcome import BAD_DATA, BadData
    from ..train.photos import read_source
    from ..train.progress import Progress
    from ..train.split import split

    if given.threads:
        torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        source = SourceKind(1).check("data", {"path": given.data})
        listing = read_source(source, FileSums(given.out / "files.json"))
        held_out = split((photo.key for photo in listing.photos), source.test, source.choose)
        photos = [photo for photo in listing.photos if photo.key not in held_out.held_out]
        names = start.class_names(given.names)
        progress = Progress("looking at photos", len(photos))
        start.make(
            RECIPES[given.model],
            photos,
            names,
            given.out,
            lambda photo: to_rgb(decode(photo.read(), Limits())),
            lambda count: progress.advance(count, photos=count),
        )
    except InputError as error:
        sys.exit(_say(error, BAD_DATA if isinstance(error, BadData) else 2))
    except (FileNotFoundError, WrongPart) as error:
        sys.exit(_say(InputError(str(error)), 2))
    print(given.out)


def _add_stage(stages: "argparse._SubParsersAction", stage: int, about: str) -> None:
    from ..train.config import CHECKPOINT, FIELDS, FRESH
    from ..train.settings import Maybe, Switch

    made = stages.add_parser(
        f"stage{stage}",
        help=about,
        description="The defaults are the paper's for the family, and smaller for the embedded "
        "models; --config overrides them, and flags override both. Exit codes: 0 done, 2 wrong "
        "command line, 3 data that cannot be used, 4 diverged, 130 interrupted (run the same "
        "command to continue).",
        argument_default=argparse.SUPPRESS,
    )
    made.add_argument("model", choices=MODELS)
    made.add_argument("--config", type=Path, metavar="FILE", help="JSON file of settings")
    made.add_argument(
        "--from",
        dest="start",
        metavar="PROJECTION",
        help=f"projection.safetensors to start with, `{FRESH}` (stage 1's default) or "
        f"`{CHECKPOINT}`",
    )
    made.add_argument(
        "--dry-run", action="store_true", help="print the configuration as JSON, and exit"
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


def run(args: argparse.Namespace) -> None:
    from ..train.config import FIELDS, make, read_file

    try:
        flags = {}
        for name, text in vars(args).items():
            if name in FIELDS and name not in ("model", "stage"):
                kind = FIELDS[name].metadata["kind"]
                if isinstance(text, list):
                    text = [kind.read(name, each) for each in text]
                elif isinstance(text, str):
                    text = kind.read(name, text)
                flags[name] = text
        layers = [read_file(args.config)] if "config" in args else []
        config = make(args.model, args.stage_number, *layers, flags)
    except InputError as error:
        sys.exit(_say(error, 2))
    if "dry_run" in args:
        print(config.as_json(), end="")
        return
    # Before PyTorch loads: makes its threads sleep while they wait for each other. Next to other
    # programs, spinning takes three times the processor time and twice the time of a step.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from ..train.outcome import BAD_DATA, DIVERGED, INTERRUPTED, BadData, Diverged, Interrupted
    from ..train.run import train

    try:
        print(train(config))
    except InputError as error:
        codes = {BadData: BAD_DATA, Diverged: DIVERGED}
        sys.exit(_say(error, codes.get(type(error), 2)))
    except OSError as error:  # such as a full disk or a folder without permission
        sys.exit(_say(InputError(str(error), "fix it, and run the same command to continue"), 2))
    except (Interrupted, KeyboardInterrupt):
        print("interrupted; run the same command to continue", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _say(error: InputError, code: int) -> int:
    print(f"minigpt4-worker train: {error.problem}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)
    return code
