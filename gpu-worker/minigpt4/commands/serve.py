"""`minigpt4-worker serve`: a checkpoint over HTTP."""

import argparse
import sys
from pathlib import Path

from ..models import MODELS

MIB = 2**20


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    serve = commands.add_parser(
        "serve",
        help="serve a checkpoint over HTTP (docs/worker-protocol.md)",
        description="Serve a checkpoint over HTTP. The key that callers must send is read from "
        "MINIGPT4_WORKER_KEY. SIGTERM drains; exit code 1 means that the engine failed.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    serve.add_argument("model", choices=MODELS)
    serve.add_argument("--checkpoint", type=Path, required=True, metavar="DIR")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on")
    serve.add_argument("--port", type=int, required=True)
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
    serve.add_argument("--slots", type=int, default=16, help="requests that run at once")
    serve.add_argument("--queue", type=int, default=32, help="requests that may wait beyond those")
    serve.add_argument("--context-length", type=int, default=2048, help="tokens, answer included")
    serve.add_argument("--kv-cache-mib", type=int, default=1024, help="space for keys and values")
    serve.add_argument("--dtype", default="float32", help="of the language model")
    serve.add_argument("--max-images", type=int, default=4, help="images in one request")
    serve.add_argument("--max-image-mib", type=int, default=20, help="encoded size of an image")
    serve.add_argument("--max-image-megapixels", type=int, default=40, help="decoded size")
    serve.add_argument("--max-body-mib", type=int, default=32, help="size of a request's body")
    serve.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    from ..engine import EngineOptions
    from ..images import Limits
    from ..launch import CannotStart, ServeOptions, serve
    from ..serve import ServeLimits

    options = ServeOptions(
        model=given.model,
        host=given.host,
        port=given.port,
        drain_seconds=given.drain_seconds,
        boot_seconds=given.boot_seconds,
        image_origins=given.allow_images_from,
        engine=EngineOptions(
            checkpoint=given.checkpoint.absolute(),
            model=given.model,
            context_length=given.context_length,
            slots=given.slots,
            max_images=given.max_images,
            kv_cache_mib=given.kv_cache_mib,
            dtype=given.dtype,
        ),
        limits=ServeLimits(
            slots=given.slots,
            queue=given.queue,
            max_images=given.max_images,
            max_body_bytes=given.max_body_mib * MIB,
            image=Limits(
                max_bytes=given.max_image_mib * MIB,
                max_pixels=given.max_image_megapixels * 1_000_000,
            ),
        ),
    )
    try:
        serve(options)
    except CannotStart as error:
        sys.exit(f"minigpt4-worker: {error}")
