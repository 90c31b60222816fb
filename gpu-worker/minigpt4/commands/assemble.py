"""`minigpt4-worker assemble`: a checkpoint folder from its parts."""

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
        description="Write a checkpoint folder from its parts. Those of nano and mini "
        "come with packages; the others' are the original files, looked for in --from by their "
        "official names. Exit code 2 means that the input cannot be used. A run that was "
        "interrupted goes on when it is repeated.",
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
        help="this part may be another than the released one: qformer, projector (by their "
        "sha256), llm (by its name); may be repeated",
    )
    make.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="PATTERN",
        help="regular expression of tensor names that may lie in the files unused",
    )
    make.add_argument(
        "--synthetic", action="store_true", help="the files are those that `synth` wrote"
    )
    make.add_argument(
        "--shard-mib", type=int, default=2048, metavar="N", help="size of a file of weights"
    )
    make.add_argument(
        "--precision",
        choices=("bfloat16", "float32", "int8"),
        help="of an embedded model's language model; int8 is what mini runs with on a CPU",
    )
    make.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    if given.model in EMBEDDED:
        from ..checkpoints import embedded

        try:
            print(embedded.assemble(given.model, given.out, given.projector, given.precision))
        except (FileNotFoundError, embedded.WrongPart) as error:
            sys.exit(_say(str(error), ""))
        return
    from ..checkpoints.assembly import Options, assemble
    from ..checkpoints.refusal import Refused
    from ..checkpoints.sources import Sources

    options = Options(
        accept_other=frozenset(given.accept_other),
        ignore=tuple(given.ignore),
        synthetic=given.synthetic,
        fetch=given.fetch,
        shard_bytes=max(given.shard_mib, 1) * 2**20,
    )
    parts = {name: getattr(given, name) for name in (part.replace("-", "_") for part in PARTS)}
    try:
        print(assemble(given.model, given.folder, given.out, Sources(**parts), options))
    except Refused as refused:
        sys.exit(_say(refused.problem, refused.way_out))
    except KeyboardInterrupt:
        print("interrupted; run the same command to go on", file=sys.stderr)
        sys.exit(130)


def _say(problem: str, way_out: str) -> int:
    print(f"minigpt4-worker assemble: {problem}", file=sys.stderr)
    if way_out:
        print(f"  {way_out}", file=sys.stderr)
    return 2
