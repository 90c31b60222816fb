"""Replicate's predictor: a prediction is one request to the worker that `setup` starts.

The worker is the same `minigpt4-worker serve` as in every other deployment, and the predictor uses
its protocol (docs/worker-protocol.md). So the worker does the booting, checking, prompting,
streaming and aborting, and its engine's processes belong to its own main program.

Cog 0.23.1 returns what an async runner yields only when the runner has ended, so a prediction's
stream arrives all at once. A synchronous runner would stream, but run one prediction at a time.
"""

import asyncio
import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future

import httpx
from cog import AsyncConcatenateIterator, BaseRunner, Input, Path, concurrent, streaming

MODEL = os.environ.get("MINIGPT4_MODEL", "vicuna-7b")
SILENCE_SECONDS = 30  # the worker sends something every 5 s


class Runner(BaseRunner):
    async def setup(self) -> None:
        """Returns once the engine answers; raises if the worker does not start."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        key = secrets.token_urlsafe(32)
        self._process = start_worker(port, key)
        self._worker = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"authorization": f"Bearer {key}"},
            timeout=SILENCE_SECONDS,
            limits=httpx.Limits(max_connections=None),
            trust_env=False,  # no proxy for a local worker
        )
        while not await self._ready():
            if self._process.poll() is not None:
                raise RuntimeError("the worker did not start; its log says why")
            await asyncio.sleep(0.2)

    async def _ready(self) -> bool:
        try:
            return (await self._worker.get("/readyz")).status_code == 200
        except httpx.TransportError:  # the worker does not listen yet
            return False

    async def healthcheck(self) -> bool:
        return self._process.poll() is None

    @streaming
    @concurrent(max=16)
    async def run(
        self,
        image: Path = Input(  # noqa: B008 - Cog reads it there
            description="The picture: JPEG, PNG, WebP or GIF", accept="image/*"
        ),
        prompt: str = Input(
            description="What to ask about it",
            default="Describe this image in detail.",
            min_length=1,
            max_length=32768,
        ),
        max_tokens: int = Input(
            description="Most tokens to answer with", default=300, ge=1, le=4096
        ),
        temperature: float = Input(
            description="0 always takes the likeliest token", default=1.0, ge=0, le=2
        ),
        top_p: float = Input(
            description="Draw among the likeliest tokens that together have this probability",
            default=0.9,
            ge=0.01,
            le=1,
        ),
        repetition_penalty: float = Input(
            description="Above 1 makes tokens that were said before less likely",
            default=1.05,
            ge=0.5,
            le=2,
        ),
        seed: int | None = Input(
            description="The same seed draws the same answer", default=None, ge=0
        ),
    ) -> AsyncConcatenateIterator[str]:
        # The caller is unknown, so that no two predictions share a cache.
        unknown = secrets.token_hex(16)
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        request = {
            "model": MODEL,
            "cache_salt": unknown,
            "messages": [{"role": "user", "content": content}],
            "images": [{"id": unknown, "data": base64.b64encode(image.read_bytes()).decode()}],
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "repetition_penalty": repetition_penalty,
            "seed": seed,
        }
        request = {name: value for name, value in request.items() if value is not None}
        # A cancellation leaves this block and closes the connection, which ends the generation.
        async with self._worker.stream("POST", "/v1/generate", json=request) as response:
            if response.status_code != 200:
                raise ValueError(json.loads(await response.aread())["message"])
            event = ""
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    data = json.loads(value)
                    if event == "error":
                        raise RuntimeError(data["message"])
                    if event == "token" and data["text"]:
                        yield data["text"]
                    if event == "done":
                        self.record_metric("input_token_count", data["prompt_tokens"])
                        self.record_metric("output_token_count", data["output_tokens"])
                        return
        raise RuntimeError("the worker broke off; try again")


def start_worker(port: int, key: str) -> subprocess.Popen:
    """Starts the worker in a thread that stays, because the kernel ends the worker with it."""
    command = [sys.executable, "-m", "minigpt4.cli", "serve", MODEL, "--port", str(port)]
    started: Future[subprocess.Popen] = Future()

    def run() -> None:
        try:
            process = subprocess.Popen(
                [*command, "--end-with", str(os.getpid())],
                env={**os.environ, "MINIGPT4_WORKER_KEY": key},
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result(process)
        process.wait()

    threading.Thread(target=run, name="worker", daemon=True).start()
    return started.result()
