"""`minigpt4-worker assemble`: writes a checkpoint folder from its parts."""

import argparse
import sys
from pathlib import Path

from ..models import EMBEDDED, MODELS

PARTS = {
    "eva": "eva_vit_g.pth",
    "qformer": "blip2_pretrained_flant5xxl.pth",
    "projector": "MiniGPT-4's own .pth",
    "llm": "folder of the language model",
    "delta": "folder of a Vicuna v0 delta; goes with --base",
    "base": "folder of the LLaMA that a delta is added to",
    "hf-blip2": "folder of Hugging Face's BLIP-2 FLAN-T5-XXL, instead of --eva and --qformer",
}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    make = commands.add_parser(
        "assemble",
        help="write a checkpoint folder from its parts",
        description="Write a checkpoint folder from its parts. Packages bring the parts of nano "
        "and mini. The other models need the original files, which the command finds in --from by "
        "their official names. Exit code 2 means that the input cannot be used. To continue an "
        "interrupted run, run the same command again.",
    )
    make.add_argument("model", choices=MODELS)
    make.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    make.add_argument(
        "--from", type=Path, metavar="DIR", dest="folder", help="folder of the original files"
    )
    for name, what in PARTS.items():
        make.add_argument(f"--{name}", type=Path, metavar="PATH", help=what)
    make.add_argument(
        "--fetch",
        action="store_true",
        help="download missing files into --from (HF_ENDPOINT, HF_TOKEN)",
    )
    make.add_argument(
        "--accept-other",
        action="append",
        default=[],
        choices=("qformer", "projector", "llm"),
        metavar="PART",
        help="accept a part that differs from the released one: qformer or projector (checked by "
        "sha256), llm (checked by name); may be repeated",
    )
    make.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="PATTERN",
        help="regular expression of names of tensors to ignore; may be repeated",
    )
    make.add_argument(
        "--synthetic", action="store_true", help="the files are random weights that `synth` wrote"
    )
    make.add_argument(
        "--shard-mib", type=int, default=2048, metavar="N", help="size of each weight file"
    )
    make.add_argument(
        "--precision",
        choices=("bfloat16", "float32", "int8"),
        help="precision of an embedded model's language model; mini uses int8 on CPUs",
    )
    make.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    if args.model in EMBEDDED:
        from ..checkpoints import embedded

        try:
            print(embedded.assemble(args.model, args.out, args.projector, args.precision))
        except (FileNotFoundError, embedded.WrongPart) as error:
            sys.exit(_say(str(error), ""))
        return
    from ..checkpoints.assembly import Options, assemble
    from ..checkpoints.sources import Sources
    from ..input_error import InputError

    options = Options(
        accept_other=frozenset(args.accept_other),
        ignore=tuple(args.ignore),
        synthetic=args.synthetic,
        fetch=args.fetch,
        shard_bytes=max(args.shard_mib, 1) * 2**20,
    )
    parts = {name: getattr(args, name) for name in (part.replace("-", "_") for part in PARTS)}
    try:
        print(assemble(args.model, args.folder, args.out, Sources(**parts), options))
    except InputError as error:
        sys.exit(_say(error.problem, error.hint))
    except KeyboardInterrupt:
        print("interrupted; run the same command to continue", file=sys.stderr)
        sys.exit(130)


def _say(problem: str, hint: str) -> int:
    print(f"minigpt4-worker assemble: {problem}", file=sys.stderr)
    if hint:
        print(f"  {hint}", file=sys.stderr)
    return 2
