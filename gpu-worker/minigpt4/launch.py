"""The worker's process: it listens at once, boots the engine, drains on a signal, never hangs.

The main thread boots the engine and then waits. HTTP runs in a thread of its own, so that it
answers while vLLM is being imported. A third thread waits for signals. The process ends by
`os._exit`, because libraries leave threads behind that keep the interpreter from exiting.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import uvicorn

from . import footprint, logs, machine, metrics, reader
from .detokenize import Vocabulary
from .engine import Engine, Phases, boot
from .images import Fetcher
from .models import CONTEXT_LENGTH, READING_MODEL, TEMPLATE
from .plan import CannotRun, Plan, PlanOptions, plan
from .prompt import TEMPLATES, Prompt
from .protocol import Sampling
from .serve import CUTOFF_SECONDS, Model, ServeLimits, Worker

log = logging.getLogger(__name__)

KEY_VARIABLE = "MINIGPT4_WORKER_KEY"
SIGNALS = {signal.SIGTERM, signal.SIGINT}
STOP_SECONDS = 5.0  # that the engine's processes have to exit before they are killed


@dataclass(frozen=True)
class ServeOptions:
    model: str
    checkpoint: Path
    plan: Plan
    reader: "ReaderChoice"
    host: str
    port: int
    drain_seconds: float
    boot_seconds: float
    image_origins: list[str]
    limits: ServeLimits


@dataclass(frozen=True)
class ReaderChoice:
    """Whether the worker reads the text in pictures, and why."""

    on: bool
    reason: str

    @property
    def row(self) -> tuple[str, str, str]:
        return "reader", "yes" if self.on else "no", self.reason


class CannotStart(Exception):
    """The worker cannot start; one line says why and what to do."""


def worker_key() -> str:
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key.isascii() or not key:
        raise CannotStart(f"set {KEY_VARIABLE} to the key that callers must send")
    return key


def plan_for(name: str, checkpoint: Path, options: PlanOptions) -> Plan:
    """Plans how this machine runs a checkpoint. Raises CannotStart."""
    try:
        held = json.loads((checkpoint / "checkpoint.json").read_text())["model"]
        if held != name:
            raise ValueError(f"it holds {held}")
        needed = footprint.read(checkpoint)
    except (OSError, KeyError, ValueError) as error:
        raise no_checkpoint(name, checkpoint, error) from None
    try:
        return plan(machine.read(), needed, options, CONTEXT_LENGTH[name])
    except CannotRun as error:
        raise CannotStart(f"{name}: {error}") from None


def choose_reader(model: str, asked: bool | None) -> ReaderChoice:
    """By default mini reads, where the reader is installed. Raises CannotStart."""
    missing = "its packages are not installed; they are the extra `reader` of pyproject.toml"
    if asked is None and model != READING_MODEL:
        return ReaderChoice(False, f"{READING_MODEL} reads by default; --reader asks for it")
    if asked is False:
        return ReaderChoice(False, "asked for")
    if reader.installed():
        return ReaderChoice(True, "asked for" if asked else "tells the model the text in pictures")
    if asked:
        raise CannotStart(f"--reader: {missing}")
    return ReaderChoice(False, missing)


def no_checkpoint(name: str, checkpoint: Path, error: Exception) -> CannotStart:
    return CannotStart(
        f"{checkpoint} is not a checkpoint of {name} ({type(error).__name__}: {error}); "
        f"make one with: minigpt4-worker assemble {name} --out {checkpoint}"
    )


def load_model(name: str, checkpoint: Path, context_length: int) -> Model:
    """Reads what requests are checked against, in well under a second and before the engine."""
    try:
        config = json.loads((checkpoint / "config.json").read_text())
        manifest = json.loads((checkpoint / "checkpoint.json").read_text())
        tokenizer = checkpoint / "tokenizer.json"
        prompt = Prompt(tokenizer, TEMPLATES[TEMPLATE[name]], config["image_token_id"])
        return Model(
            name=name,
            digest=manifest["digest"],
            prompt=prompt,
            vocabulary=Vocabulary(tokenizer),
            context_length=context_length,
            image_tokens=config["num_image_tokens"],
            image_side=config["vision_config"]["image_size"],
            image_fit=config["vision_config"]["fit"],
        )
    except (OSError, KeyError, ValueError) as error:
        raise no_checkpoint(name, checkpoint, error) from None


def listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=128, reuse_port=False)
    except OSError as error:
        raise CannotStart(f"cannot listen on {host}:{port}: {error.strerror}") from None


class Process:
    def __init__(self, options: ServeOptions):
        self._options = options
        key = worker_key()
        model = load_model(options.model, options.checkpoint, options.plan.context_length)
        try:
            fetcher = Fetcher(options.image_origins, options.limits.image)
        except ValueError as error:
            raise CannotStart(f"--allow-images-from: {error}") from None
        self._socket = listen(options.host, options.port)
        self._worker = Worker(model, options.limits, fetcher, key, options.reader.on)
        self._engine: Engine | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._exit_code = 0

    def run(self) -> int:
        """Serves until a signal (returns 0), or until the engine does not start or dies (1)."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # threads inherit the mask
        http = threading.Thread(target=self._serve_http, name="http", daemon=True)
        http.start()
        threading.Thread(target=self._await_signal, name="signals", daemon=True).start()
        host, port = self._socket.getsockname()[:2]
        log.info("listening", extra={"host": host, "port": port})
        show_plan(self._options.model, self._options.plan, self._options.reader)
        phases = Phases()
        late = threading.Timer(self._options.boot_seconds, self._boot_timed_out)
        late.daemon = True
        late.start()
        try:
            with phases.time("total"):
                given = self._options
                engine = boot(given.checkpoint, given.model, given.plan, phases)
                with phases.time("first answer"):
                    warm = self._warm_up(engine)
                    asyncio.run_coroutine_threadsafe(warm, self._loop).result()
        except Exception:
            log.exception("the engine did not start")
            return 1
        late.cancel()
        for phase, seconds in phases.seconds.items():
            metrics.BOOT.labels(phase).set(seconds)
        self._engine = engine
        self._loop.call_soon_threadsafe(self._ready, engine, phases)
        http.join()
        return self._exit_code

    def _boot_timed_out(self) -> None:
        log.error("the engine did not start in time", extra={"seconds": self._options.boot_seconds})
        exit_now(1)

    async def _warm_up(self, engine: Engine) -> None:
        """Answers about a grey square, so that `ready` means that the engine answers."""
        from PIL import Image

        model = self._worker.model
        side = (model.image_side, model.image_side)
        prompt = [model.prompt.image_token_id, *model.prompt.text_ids("What is this?")]
        picture = Image.new("RGB", side, "grey")
        sampling = Sampling(2, 0.0, 1.0, 1.0, None)
        async for _ in engine.generate(
            "warm-up", prompt, [("warm-up", picture)], sampling, model.prompt.stop_ids, ()
        ):
            pass

    def _ready(self, engine: Engine, phases: Phases) -> None:
        if self._worker.state == "starting":
            self._worker.ready(engine)
            model = self._worker.model.name
            log.info(
                "%s is ready",
                model,
                extra={"model": model, "boot": phases.seconds, "table": boot_table(phases)},
            )
        self._watch = self._loop.create_task(self._watch_engine(engine))

    async def _watch_engine(self, engine: Engine) -> None:
        while not engine.dead:
            await asyncio.sleep(0.25)
        if not self._stop.is_set():
            log.error("the engine died; exiting so that a supervisor restarts the worker")
            self._exit_code = 1
            await self._worker.drain(1.0)  # gives running streams time to send their error event
            self._stop.set()

    def _serve_http(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._http())

    async def _http(self) -> None:
        config = uvicorn.Config(
            self._worker.app,
            lifespan="off",
            log_config=None,
            ws="none",
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        await self._stop.wait()
        server.should_exit = True
        await serving
        await self._worker.close()
        if self._engine is not None:
            await asyncio.to_thread(self._engine.shutdown, STOP_SECONDS)

    def _await_signal(self) -> None:
        name = signal.Signals(signal.sigwait(SIGNALS)).name
        if self._engine is None:
            log.info("stopped while starting", extra={"signal": name})
            exit_now(0)
        seconds = self._options.drain_seconds
        log.info("draining", extra={"signal": name, "seconds": seconds})
        asyncio.run_coroutine_threadsafe(self._drain(seconds), self._loop)
        # This thread ends the process even if something hangs. A second signal ends it at once.
        bound = seconds + CUTOFF_SECONDS + STOP_SECONDS + 10
        again = signal.sigtimedwait(SIGNALS, bound)
        log.warning("exiting at once", extra={"reason": "signal" if again else "time"})
        exit_now(0)

    async def _drain(self, seconds: float) -> None:
        start = time.monotonic()
        whole = await self._worker.drain(seconds)
        took = round(time.monotonic() - start, 1)
        log.info("drained", extra={"all_finished": whole, "seconds": took})
        self._stop.set()


def show_plan(model: str, chosen: Plan, reads: ReaderChoice) -> None:
    table = logs.Table([*chosen.rows(), reads.row], ("dim", "bold", "dim"))
    told = asdict(chosen) | {"reader": asdict(reads)}
    log.info("how %s is run here", model, extra={"plan": told, "table": table})


def boot_table(phases: Phases) -> logs.Table:
    total = max(phases.seconds.values())  # the last phase includes the others
    rows = [
        (phase, f"{seconds:6.1f} s", "━" * round(40 * seconds / total) if seconds < total else "")
        for phase, seconds in phases.seconds.items()
    ]
    return logs.Table(rows, ("", "bold", "cyan"))


def exit_now(code: int) -> None:
    """Ends this process now; the kernel ends the engine's processes with it (see fork.py)."""
    logging.shutdown()
    os._exit(code)


def serve(options: ServeOptions) -> None:
    """Serves, and does not return. Raises CannotStart before it starts anything."""
    logs.configure()
    exit_now(Process(options).run())
