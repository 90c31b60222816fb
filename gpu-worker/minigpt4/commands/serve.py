"""`minigpt4-worker serve`: serves a checkpoint over HTTP."""

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
        description="Serve a checkpoint over HTTP. MINIGPT4_WORKER_KEY sets the key that callers "
        "must send. SIGTERM drains the worker. Exit code 1 means that the engine failed.",
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
        help="origin (https://host[:port]) that image URLs may have; may be repeated",
    )
    serve.add_argument("--drain-seconds", type=float, default=60, help="time for streams to finish")
    serve.add_argument(
        "--boot-seconds", type=float, default=900, help="time for the engine to start"
    )
    serve.add_argument("--queue", type=int, default=32, help="requests that may wait for a slot")
    serve.add_argument("--max-image-mib", type=int, default=20, help="largest encoded image")
    serve.add_argument("--max-image-megapixels", type=int, default=40, help="decoded size")
    serve.add_argument("--max-body-mib", type=int, default=32, help="largest request body")
    serve.add_argument(
        "--end-with",
        type=int,
        default=argparse.SUPPRESS,
        metavar="PID",
        help="drain when the parent process, which has this id, ends",
    )
    serve.add_argument(
        "--dry-run", action="store_true", help="print how this machine would run it, and exit"
    )
    chosen = serve.add_argument_group("options that depend on machine and checkpoint by default")

    def option(name: str, **how: object) -> None:
        chosen.add_argument(name, default=argparse.SUPPRESS, **how)

    option("--dtype", choices=DTYPES, help="the language model's precision")
    option(
        "--quantization",
        choices=QUANTIZATIONS,
        help="of the language model's linear layers",
    )
    option("--context-length", type=int, help="tokens of prompt and answer together")
    option("--kv-cache-mib", type=int, help="key-value cache on each GPU")
    option(
        "--gpu-memory-utilization",
        type=float,
        metavar="SHARE",
        help="share of each GPU to use",
    )
    option("--tensor-parallel-size", type=int, metavar="N", help="GPUs that share the layers")
    option("--slots", type=int, help="requests that run at once")
    option("--max-images", type=int, help="images in one request")
    option(
        "--eager",
        action=argparse.BooleanOptionalAction,
        help="do not compile the model: starts faster, runs slower on a GPU",
    )
    option(
        "--reader",
        action=argparse.BooleanOptionalAction,
        help="tell the model what text its pictures have, by PP-OCRv4 (the extra `reader`); mini "
        "does so where it is installed",
    )
    serve.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from .. import logs
    from ..fork import end_with_parent
    from ..images import Limits
    from ..launch import CannotStart, ServeOptions, choose_reader, plan_for, serve, show_plan
    from ..plan import PlanOptions
    from ..serve import ServeLimits

    if parent := getattr(args, "end_with", None):
        end_with_parent(parent)
    names = PlanOptions.__dataclass_fields__
    options = PlanOptions(**{name: value for name, value in vars(args).items() if name in names})
    checkpoint = getattr(args, "checkpoint", None) or Path(
        os.environ.get("MINIGPT4_CHECKPOINT") or Path("models", args.model)
    )
    try:
        reader = choose_reader(args.model, getattr(args, "reader", None))
        plan = plan_for(args.model, checkpoint, options)
        if args.dry_run:
            logs.configure(sys.stdout)
            show_plan(args.model, plan, reader)
            return
        serve(
            ServeOptions(
                model=args.model,
                checkpoint=checkpoint.absolute(),
                plan=plan,
                reader=reader,
                host=args.host,
                port=args.port,
                drain_seconds=args.drain_seconds,
                boot_seconds=args.boot_seconds,
                image_origins=args.allow_images_from,
                limits=ServeLimits(
                    slots=plan.slots,
                    queue=args.queue,
                    max_images=plan.max_images,
                    max_body_bytes=args.max_body_mib * MIB,
                    image=Limits(
                        max_bytes=args.max_image_mib * MIB,
                        max_pixels=args.max_image_megapixels * 1_000_000,
                    ),
                ),
            )
        )
    except CannotStart as error:
        sys.exit(f"minigpt4-worker: {error}")
