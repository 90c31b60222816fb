"""A real worker process and what tests do with it, all waits bounded."""

import asyncio
import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from PIL import Image

READY_SECONDS = 400  # other test runners may share the cores
ANSWER_SECONDS = 180


@dataclass
class Worker:
    url: str
    key: str
    process: subprocess.Popen | None = None
    log: Path | None = None
    children: list[psutil.Process] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers=self.headers, timeout=30, **options)

    def post(self, path: str, body: Any) -> httpx.Response:
        content = json.dumps(body).encode()  # unlike httpx's own, this can carry half surrogates
        return httpx.post(
            f"{self.url}{path}", headers=self.headers, content=content, timeout=ANSWER_SECONDS
        )

    def wait_until_ready(self) -> dict[str, Any]:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(
                    f"the worker left with {self.process.returncode}: {self.tail()}"
                )
            try:
                answer = self.get("/readyz")
            except httpx.HTTPError:
                pass
            else:
                if answer.status_code == 200:
                    self.note_children()
                    return answer.json()
            time.sleep(0.25)
        raise AssertionError(f"the worker is not ready after {READY_SECONDS} s: {self.tail()}")

    def tail(self) -> str:
        return self.log.read_text()[-4000:] if self.log else ""

    def note_children(self) -> None:
        if self.process is not None:
            self.children = psutil.Process(self.process.pid).children(recursive=True)

    def wait_for_exit(self, seconds: float) -> int:
        """The exit code. Fails if the process or any of its children is still there after it."""
        assert self.process is not None
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no exit within {seconds} s: {self.tail()}") from None
        _, left = psutil.wait_procs(self.children, timeout=30)
        assert not left, f"processes left behind: {left}"
        return code

    def stop(self) -> None:
        """End it whatever state it is in."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.note_children()
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(90)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        for child in self.children:
            if child.is_running():
                child.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(
    checkpoint: Path, *arguments: str, model: str = "nano", key: str = "test-worker-key"
) -> Worker:
    """`minigpt4-worker serve` on a free port; it listens soon and is ready later."""
    port = free_port()
    log = Path(tempfile.mkstemp(prefix="minigpt4-worker-", suffix=".log")[1])
    command = [sys.executable, "-m", "minigpt4.cli", "serve", model, "--checkpoint"]
    process = subprocess.Popen(
        [*command, str(checkpoint), "--port", str(port), *arguments],
        env={**os.environ, "MINIGPT4_WORKER_KEY": key},
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
    )
    return Worker(f"http://127.0.0.1:{port}", key, process, log)


def events(lines: Iterable[str]) -> list[tuple[str, Any]]:
    """The events of a whole stream: (name, data); a ping is ("ping", None)."""
    found: list[tuple[str, Any]] = []
    name = ""
    for line in lines:
        if line.startswith(": ping"):
            found.append(("ping", None))
        elif line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            found.append((name, json.loads(line.removeprefix("data: "))))
    return found


@dataclass(frozen=True)
class Answer:
    prompt_token_ids: list[int]
    prompt_tokens: int
    token_ids: list[int]
    text: str
    finish_reason: str


def answer(found: list[tuple[str, Any]]) -> Answer:
    """A whole and well-formed stream, in the order that the protocol says."""
    found = [event for event in found if event[0] != "ping"]
    names = [name for name, _ in found]
    assert names == ["prompt", *["token"] * (len(found) - 2), "done"], (names, found[-1])
    tokens = [data for _, data in found[1:-1]]
    ids = [token for data in tokens for token in data["token_ids"]]
    done = found[-1][1]
    assert done["output_tokens"] == len(ids)
    assert done["prompt_tokens"] == found[0][1]["prompt_tokens"]
    text = "".join(data["text"] for data in tokens)
    return Answer(**found[0][1], token_ids=ids, text=text, finish_reason=done["finish_reason"])


def request(*content: Any, **more: Any) -> dict[str, Any]:
    """A generate request of one user message; pictures become image parts with their bytes."""
    return conversation(content, **more)


def conversation(*turns: Sequence[Any], max_tokens: int = 32, **more: Any) -> dict[str, Any]:
    """A generate request: the user's turn, the assistant's, and so on."""
    messages: list[dict[str, Any]] = []
    images: list[dict[str, str]] = []
    for n, turn in enumerate(turns):
        parts = []
        for part in turn:
            if isinstance(part, Image.Image):
                out = io.BytesIO()
                part.save(out, "PNG")
                data = base64.b64encode(out.getvalue()).decode()
                parts.append({"type": "image"})
                images.append({"id": f"test-{hash(data)}", "data": data})
            else:
                parts.append({"type": "text", "text": part})
        messages.append({"role": "assistant" if n % 2 else "user", "content": parts})
    body = {"model": "nano", "messages": messages, "images": images, "max_tokens": max_tokens}
    return {**body, **more}


async def stream(client: httpx.AsyncClient, worker: Worker, body: Any) -> AsyncIterator[str]:
    async with client.stream(
        "POST",
        f"{worker.url}/v1/generate",
        headers=worker.headers,
        json=body,
        timeout=ANSWER_SECONDS,
    ) as response:
        if response.status_code != 200:
            raise AssertionError((response.status_code, await response.aread()))
        async for line in response.aiter_lines():
            yield line


async def generate(worker: Worker, bodies: list[Any], at_once: int = 8) -> list[Answer]:
    """Whole answers to many requests, a few at a time."""
    gate = asyncio.Semaphore(at_once)

    async with httpx.AsyncClient() as client:

        async def one(body: Any) -> Answer:
            async with gate:
                return answer(events([line async for line in stream(client, worker, body)]))

        return await asyncio.gather(*map(one, bodies))
