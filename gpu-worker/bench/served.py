"""`minigpt4-worker serve` in a separate process, with several concurrent readers over HTTP."""

import asyncio
import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import psutil
from answers import Answer, Turn
from machine import memory

READY_SECONDS = 600
STOP_SECONDS = 30


class Served:
    """A worker as a context manager, which waits until it is ready and ends it afterwards."""

    def __init__(self, model: str, checkpoint: Path, threads: int, arguments: Sequence[str]):
        self._model, self._key = model, secrets.token_hex(16)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._url = f"http://127.0.0.1:{port}"
        self._log = Path(tempfile.mkstemp(prefix="minigpt4-bench-", suffix=".log")[1])
        self._process = subprocess.Popen(
            [
                *[sys.executable, "-m", "minigpt4.cli", "serve", model, "--port", str(port)],
                *["--checkpoint", str(checkpoint), "--drain-seconds", "1", *arguments],
            ],
            env={
                **os.environ,
                "MINIGPT4_WORKER_KEY": self._key,
                "OMP_NUM_THREADS": str(threads),
            },
            stdout=self._log.open("w"),
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> "Served":
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                headers = {"authorization": f"Bearer {self._key}"}
                if httpx.get(f"{self._url}/readyz", headers=headers).status_code == 200:
                    return self
            except httpx.HTTPError:
                pass
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"the worker did not start; its log: {self._log}")
            time.sleep(0.25)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _processes(self) -> list[psutil.Process]:
        top = psutil.Process(self._process.pid)
        return [top, *top.children(recursive=True)]

    def processor_seconds(self) -> float:
        """The processor time of the worker's processes so far."""
        times = [process.cpu_times() for process in self._processes()]
        return sum(t.user + t.system for t in times)

    def ask(
        self, questions: Sequence[tuple[bytes, str]], tokens: int, readers: int, name: str
    ) -> Turn:
        """Answers (JPEG, question) pairs for this many readers; each asks again after an answer."""
        return asyncio.run(self._ask_all(questions, tokens, readers, name))

    async def _ask_all(
        self, questions: Sequence[tuple[bytes, str]], tokens: int, readers: int, name: str
    ) -> Turn:
        answers: list[Answer | None] = [None] * len(questions)
        left = iter(enumerate(questions))
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(limits=limits, timeout=600) as client:

            async def read() -> None:
                for n, (photo, question) in left:
                    answers[n] = await self._ask(client, photo, question, tokens, f"{name}-{n}")

            start, used = time.monotonic(), self.processor_seconds()
            await asyncio.gather(*(read() for _ in range(readers)))
            seconds = time.monotonic() - start
            busy, held = self.processor_seconds() - used, memory(self._processes())
            return Turn([a for a in answers if a], seconds, busy, held)

    async def _ask(
        self, client: httpx.AsyncClient, photo: bytes, question: str, tokens: int, name: str
    ) -> Answer:
        content = [{"type": "image"}, {"type": "text", "text": question}]
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": content}],
            "images": [{"id": name, "data": base64.b64encode(photo).decode()}],
            "max_tokens": tokens,
            "temperature": 0,
            "repetition_penalty": 1,
        }
        headers = {"authorization": f"Bearer {self._key}"}
        start = time.monotonic()
        first, ids, event = None, [], ""
        async with client.stream(
            "POST", f"{self._url}/v1/generate", headers=headers, json=body
        ) as response:
            if response.status_code != 200:
                raise RuntimeError(f"{response.status_code}: {(await response.aread()).decode()}")
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: "):
                    data = json.loads(line[6:])
                    if event == "token":
                        first = first or time.monotonic() - start
                        ids += data["token_ids"]
                    elif event == "done":
                        whole = time.monotonic() - start
                        return Answer(first or whole, whole, tuple(ids))
                    elif event == "error":
                        raise RuntimeError(f"the worker: {data}")
        raise RuntimeError("the worker's stream ended before its answer")
