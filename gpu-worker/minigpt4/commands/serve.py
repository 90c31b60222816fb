"""`minigpt4-worker serve`: a checkpoint over HTTP."""

import argparse
import os
import sys
from pathlib import Path

from ..models import MODELS

MIB = 2**20
DTYPES = ("float32", "float16", "bfloat16")
QUANTIZATIONS = ("fp8", "awq", "gptq")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    serve = commands.add_parser(
        "serve",
        help="serve a checkpoint over HTTP (docs/worker-protocol.md)",
        description="Serve a checkpoint over HTTP. The key that callers must send is read from "
        "MINIGPT4_WORKER_KEY. SIGTERM drains; exit code 1 means that the engine failed.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    serve.add_argument("model", choices=MODELS)
    serve.add_argument(
        "--checkpoint",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="folder that `assemble` wrote (default: $MINIGPT4_CHECKPOINT, else ./models/MODEL)",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument(
        "--allow-images-from",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="origin (https://host[:port]) that image URLs may name; may be repeated",
    )
    serve.add_argument("--drain-seconds", type=float, default=60, help="bound on finishing streams")
    serve.add_argument(
        "--boot-seconds", type=float, default=900, help="bound on the engine's start"
    )
    serve.add_argument("--queue", type=int, default=32, help="requests that may wait for a slot")
    serve.add_argument("--max-image-mib", type=int, default=20, help="encoded size of an image")
    serve.add_argument("--max-image-megapixels", type=int, default=40, help="decoded size")
    serve.add_argument("--max-body-mib", type=int, default=32, help="size of a request's body")
    serve.add_argument(
        "--end-with",
        type=int,
        default=argparse.SUPPRESS,
        metavar="PID",
        help="drain when this process, which must be the parent, ends",
    )
    serve.add_argument(
        "--dry-run", action="store_true", help="say how this machine would run it, and leave"
    )
    chosen = serve.add_argument_group("what the machine and the checkpoint decide otherwise")

    def wish(name: str, **how: object) -> None:
        chosen.add_argument(name, default=argparse.SUPPRESS, **how)

    wish("--dtype", choices=DTYPES, help="of the language model")
    wish("--quantization", choices=QUANTIZATIONS, help="of the language model's linear layers")
    wish("--context-length", type=int, help="tokens, answer included")
    wish("--kv-cache-mib", type=int, help="space for keys and values, on each GPU")
    wish("--gpu-memory-utilization", type=float, metavar="SHARE", help="of each GPU's memory")
    wish("--tensor-parallel-size", type=int, metavar="N", help="GPUs that share the layers")
    wish("--slots", type=int, help="requests that run at once")
    wish("--max-images", type=int, help="images in one request")
    wish(
        "--eager",
        action=argparse.BooleanOptionalAction,
        help="do not compile the model: a quicker start, slower steps on a GPU",
    )
    serve.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    from .. import logs
    from ..fork import end_with
    from ..images import Limits
    from ..launch import CannotStart, ServeOptions, plan_for, serve, show_plan
    from ..plan import Wishes
    from ..serve import ServeLimits

    if parent := getattr(given, "end_with", None):
        end_with(parent)
    wishes = Wishes(**{k: v for k, v in vars(given).items() if k in Wishes.__dataclass_fields__})
    checkpoint = getattr(given, "checkpoint", None) or Path(
        os.environ.get("MINIGPT4_CHECKPOINT") or Path("models", given.model)
    )
    try:
        plan = plan_for(given.model, checkpoint, wishes)
        if given.dry_run:
            logs.configure(sys.stdout)
            show_plan(given.model, plan)
            return
        serve(
            ServeOptions(
                model=given.model,
                checkpoint=checkpoint.absolute(),
                plan=plan,
                host=given.host,
                port=given.port,
                drain_seconds=given.drain_seconds,
                boot_seconds=given.boot_seconds,
                image_origins=given.allow_images_from,
                limits=ServeLimits(
                    slots=plan.slots,
                    queue=given.queue,
                    max_images=plan.max_images,
                    max_body_bytes=given.max_body_mib * MIB,
                    image=Limits(
                        max_bytes=given.max_image_mib * MIB,
                        max_pixels=given.max_image_megapixels * 1_000_000,
                    ),
                ),
            )
        )
    except CannotStart as error:
        sys.exit(f"minigpt4-worker: {error}")
