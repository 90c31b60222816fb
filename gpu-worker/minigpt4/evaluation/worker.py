"""Asks a running worker, by the worker protocol (docs/worker-protocol.md)."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable, Sequence

import httpx

from ..input_error import InputError
from .answerer import Answer, Request, Sampling, WorkerFailed

READY_SECONDS = 900.0
SILENT_SECONDS = 60.0  # a worker pings every 5 s
TRIES = 4
PASSING = frozenset({"overloaded", "starting", "engine_failed", "draining", "image_unavailable"})


class Worker:
    """One worker at a URL. Sends as many concurrent requests as it has slots."""

    def __init__(self, url: str, key: str, ready_seconds: float = READY_SECONDS):
        """Waits until the worker is ready. Raises WorkerFailed, and InputError for a wrong key."""
        self._url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"}
        state = asyncio.run(self._wait(ready_seconds))
        # With a reader the same weights answer otherwise, so those answers are stored apart.
        self.model = state["model"]
        self.digest = state["digest"] + ("+reader" if state.get("reader") else "")
        self.origin = "a worker"
        self._slots = max(int(state["slots"]), 1)

    async def _wait(self, seconds: float) -> dict:
        deadline = asyncio.get_running_loop().time() + seconds
        problem = "it does not answer"
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    response = await client.get(f"{self._url}/readyz", headers=self._headers)
                    if response.status_code == 200:
                        return response.json()
                    if response.status_code == 401:
                        raise InputError(
                            "the worker does not accept the key",
                            "MINIGPT4_WORKER_KEY must be the key that the worker was started with",
                        )
                    if response.status_code != 503:
                        raise WorkerFailed(f"/readyz answered {response.status_code}")
                    problem = f"its status is {response.json().get('status')}"
                except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                    raise InputError(f"--url is not a worker's address ({error})") from None
                except httpx.ConnectError as error:
                    raise WorkerFailed(f"no worker listens at --url ({error})") from None
                except (httpx.HTTPError, ValueError) as error:
                    problem = f"it does not answer ({type(error).__name__})"
                if asyncio.get_running_loop().time() > deadline:
                    raise WorkerFailed(f"the worker is not ready after {seconds:.0f} s: {problem}")
                await asyncio.sleep(0.25)

    def answer(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        said: Callable[[int, Answer], None],
    ) -> None:
        asyncio.run(self._answer_all(requests, sampling, said))

    async def _answer_all(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        said: Callable[[int, Answer], None],
    ) -> None:
        left = iter(enumerate(requests))
        timeout = httpx.Timeout(SILENT_SECONDS)
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False) as client:

            async def read() -> None:
                for n, request in left:
                    said(n, await self._answer(client, request, sampling))

            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self._slots, len(requests))):
                        group.create_task(read())
            except BaseExceptionGroup as several:
                raise several.exceptions[0] from None

    async def _answer(
        self, client: httpx.AsyncClient, request: Request, sampling: Sampling
    ) -> Answer:
        content = [{"type": "image"}, {"type": "text", "text": request.conversation[0]}]
        talk: list[dict] = [{"role": "user", "content": content}]
        for n, text in enumerate(request.conversation[1:]):
            talk.append({"role": "user" if n % 2 else "assistant", "content": text})
        body = {
            "model": self.model,
            "messages": talk,
            "images": [
                {
                    "id": hashlib.sha256(request.photo).hexdigest(),
                    "data": base64.b64encode(request.photo).decode(),
                }
            ],
            "max_tokens": request.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "repetition_penalty": sampling.repetition_penalty,
            "seed": sampling.seed,
        }
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(2.0**attempt / 4)
            try:
                return await self._once(client, body)
            except _Passing as error:
                problem = str(error)
            except httpx.HTTPError as error:
                problem = f"{type(error).__name__}: {error}"
        raise WorkerFailed(f"one question failed {TRIES} times: {problem}")

    async def _once(self, client: httpx.AsyncClient, body: dict) -> Answer:
        text, event = "", ""
        url = f"{self._url}/v1/generate"
        async with client.stream("POST", url, headers=self._headers, json=body) as response:
            if response.status_code != 200:
                raise _error_of(await response.aread())
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: "):
                    data = json.loads(line[6:])
                    if event == "token":
                        text += data["text"]
                    elif event == "done":
                        ended = data["finish_reason"] == "stop"
                        return Answer(text.strip(), data["output_tokens"], ended)
                    elif event == "error":
                        raise _error_of(line[6:].encode())
        raise _Passing("its stream broke off")


class _Passing(Exception):
    """A failure that another attempt may not have."""


def _error_of(body: bytes) -> Exception:
    try:
        told = json.loads(body)
        code, message = told["code"], told["message"]
    except (ValueError, KeyError, TypeError):
        return _Passing("its answer does not follow the worker protocol")
    kind = _Passing if code in PASSING else WorkerFailed
    return kind(f"{code}: {message}")
