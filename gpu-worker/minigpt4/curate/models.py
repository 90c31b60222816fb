"""Two ways to ask a model: the worker's protocol (docs/worker-protocol.md), and OpenAI's chat
completions. Both return the same Answer, or raise Failed.
"""

import asyncio
import base64
import hashlib
import json
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from ..input_error import InputError

RETRIES = 5
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0  # seconds; each wait is twice the previous one
SILENCE = 30.0  # seconds; the worker's stream sends something every 5
ANSWER_SECONDS = 600.0  # for an endpoint that sends nothing before the whole answer
MAX_BYTES = 4 * 2**20  # of an answer
ASK_AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
# The worker's codes for failures that a later attempt may not have.
WORKER_ASK_AGAIN = frozenset(
    ("overloaded", "draining", "starting", "engine_failed", "image_unavailable")
)


@dataclass(frozen=True)
class Turn:
    role: str
    text: str
    image: bytes | None = None


@dataclass(frozen=True)
class Question:
    turns: tuple[Turn, ...]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int

    def digest(self) -> str:
        """Identifies everything that decides the answer except model and seed."""
        turns = [
            [turn.role, turn.text, hashlib.sha256(turn.image).hexdigest() if turn.image else None]
            for turn in self.turns
        ]
        asked = [turns, self.max_tokens, self.temperature, self.top_p]
        return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """`finish_reason` is stop or length, or another value of the endpoint."""

    text: str
    finish_reason: str
    prompt_tokens: int
    output_tokens: int


class Failed(Exception):
    """The question failed. `hopeless`: every other question would too, so the run ends."""

    def __init__(self, reason: str, hopeless: bool = False):
        super().__init__(reason)
        self.hopeless = hopeless


class _TryAgain(Exception):
    def __init__(self, reason: str, after: float | None = None):
        super().__init__(reason)
        self.after = after


class Model(Protocol):
    """`digest` identifies the model; answers of one digest are interchangeable."""

    name: str
    digest: str
    origin: str
    image_tokens: int

    async def open(self, client: httpx.AsyncClient) -> None: ...

    async def ask(self, client: httpx.AsyncClient, question: Question) -> Answer: ...


def origin_of(url: str) -> str:
    """Scheme, host and port, which a report may show."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"


def checked_url(flag: str, url: str) -> str:
    """Raises InputError for anything but an http URL."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InputError(
            f"{flag}: {url!r} is not a URL", f"give {flag} as https://host[:port][/path]"
        )
    if parts.username or parts.password:
        raise InputError(f"{flag}: has a name or password", "put the key into the environment")
    return url.rstrip("/")


async def with_retries(
    attempt: Callable[[], Awaitable[Answer]],
    retries: int = RETRIES,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Answer:
    """Repeats a question if that may help, after longer and longer waits. Raises Failed."""
    delay = FIRST_DELAY
    for n in range(retries + 1):
        try:
            return await attempt()
        except _TryAgain as trouble:
            if n == retries:
                raise Failed(f"{trouble} ({retries + 1} attempts)") from None
            wait = delay * random.uniform(0.5, 1.0) if trouble.after is None else trouble.after
            await sleep(min(wait, LONGEST_DELAY))
            delay *= 2
    raise AssertionError


def _connection(error: httpx.HTTPError) -> _TryAgain:
    return _TryAgain(f"the connection failed ({type(error).__name__})")


class WorkerModel:
    """A GPU worker. A question without images asks its language model alone."""

    def __init__(self, url: str, key: str | None, retries: int = RETRIES):
        self._url, self._key, self._retries = url, key, retries
        self.origin = origin_of(url)
        self.name = self.digest = ""
        self.image_tokens = 32
        self.context_length = 0

    async def open(self, client: httpx.AsyncClient) -> None:
        """Asks which model is served, without generating. Raises InputError."""
        try:
            answer = await client.get(f"{self._url}/readyz", headers=self._headers(), timeout=30)
        except httpx.HTTPError as error:
            raise InputError(
                f"{self.origin}: the worker cannot be reached ({type(error).__name__})",
                "start it with `minigpt4-worker serve`, and check the URL",
            ) from None
        if answer.status_code == 401:
            raise InputError(
                f"{self.origin}: the worker refused the key", "set MINIGPT4_WORKER_KEY to its key"
            )
        try:
            told = answer.json()
            if answer.status_code != 200:
                raise InputError(
                    f"{self.origin}: the worker is not ready ({answer.status_code})",
                    "wait until it has started",
                )
            self.name, self.digest = str(told["model"]), str(told["digest"])
            self.image_tokens = int(told["image_tokens"])
            self.context_length = int(told["context_length"])
        except (ValueError, KeyError, TypeError):
            raise InputError(
                f"{self.origin}: does not speak the worker's protocol",
                "for an OpenAI-compatible endpoint, pass --editor-model too",
            ) from None

    async def ask(self, client: httpx.AsyncClient, question: Question) -> Answer:
        images: list[dict[str, str]] = []
        messages: list[dict[str, Any]] = []
        for turn in question.turns:
            parts: list[dict[str, str]] = []
            if turn.image is not None:
                parts.append({"type": "image"})
                data = base64.b64encode(turn.image).decode()
                name = hashlib.sha256(turn.image).hexdigest()
                images.append({"id": f"curate-{name}", "data": data})
            parts.append({"type": "text", "text": turn.text})
            messages.append({"role": turn.role, "content": parts})
        body = {
            "model": self.name,
            "messages": messages,
            "images": images,
            "max_tokens": question.max_tokens,
            "temperature": question.temperature,
            "top_p": question.top_p,
            "seed": question.seed,
        }
        return await with_retries(lambda: self._attempt(client, body), self._retries)

    async def _attempt(self, client: httpx.AsyncClient, body: dict[str, Any]) -> Answer:
        timeout = httpx.Timeout(30, read=SILENCE, pool=None)
        text, prompt_tokens, size = "", 0, 0
        name = ""
        try:
            async with client.stream(
                "POST",
                f"{self._url}/v1/generate",
                headers=self._headers(),
                json=body,
                timeout=timeout,
            ) as response:
                if response.status_code != 200:
                    raise self._error_of(response.status_code, await response.aread(), response)
                async for line in response.aiter_lines():
                    size += len(line)
                    if size > MAX_BYTES:
                        raise Failed(f"the answer has more than {MAX_BYTES} bytes")
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        data = json.loads(line.removeprefix("data: "))
                        if name == "prompt":
                            prompt_tokens = int(data["prompt_tokens"])
                        elif name == "token":
                            text += data["text"]
                        elif name == "error":
                            raise self._trouble(str(data.get("code")), str(data.get("message")))
                        elif name == "done":
                            return Answer(
                                text,
                                str(data["finish_reason"]),
                                prompt_tokens,
                                int(data["output_tokens"]),
                            )
        except httpx.HTTPError as error:
            raise _connection(error) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Failed("the worker's stream does not follow its protocol") from None
        raise _TryAgain("the stream broke before its end")

    def _error_of(self, status: int, body: bytes, response: httpx.Response) -> Exception:
        try:
            told = json.loads(body)
            code, message = str(told["code"]), str(told["message"])
        except (ValueError, KeyError, TypeError):
            code, message = str(status), f"status {status}"
        if status == 401 or code in ("model_not_found", "not_found"):
            return Failed(f"{code}: {message}", hopeless=True)
        if code in WORKER_ASK_AGAIN or status in ASK_AGAIN:
            return _TryAgain(f"{code}: {message}", _retry_after(response))
        return Failed(f"{code}: {message}")

    @staticmethod
    def _trouble(code: str, message: str) -> Exception:
        again = code in WORKER_ASK_AGAIN
        return _TryAgain(f"{code}: {message}") if again else Failed(f"{code}: {message}")

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._key}"} if self._key else {}


class ChatModel:
    """An OpenAI-compatible endpoint, which gets only text."""

    image_tokens = 0

    def __init__(self, url: str, model: str, key: str | None, retries: int = RETRIES):
        parts = urlsplit(url)
        if parts.path.endswith("/chat/completions"):
            self._url = url
        else:
            self._url = f"{url}{'' if parts.path.strip('/') else '/v1'}/chat/completions"
        self._key, self._retries = key, retries
        self.name, self.origin = model, origin_of(url)
        # Parameters that this endpoint refuses, as its first error showed.
        self._other: dict[str, str | None] = {}
        # Such an endpoint has no digest of its weights; its address and name replace one.
        self.digest = hashlib.sha256(f"{self._url}\n{model}".encode()).hexdigest()

    async def open(self, client: httpx.AsyncClient) -> None:
        """Does nothing, because there is no call that every such endpoint answers."""

    async def ask(self, client: httpx.AsyncClient, question: Question) -> Answer:
        body = {
            "model": self.name,
            "messages": [{"role": turn.role, "content": turn.text} for turn in question.turns],
            "max_tokens": question.max_tokens,
            "temperature": question.temperature,
            "top_p": question.top_p,
            "seed": question.seed,
        }
        return await with_retries(lambda: self._attempt(client, body), self._retries)

    async def _attempt(self, client: httpx.AsyncClient, body: dict[str, Any]) -> Answer:
        timeout = httpx.Timeout(30, read=ANSWER_SECONDS, pool=None)
        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        sent = {self._other.get(name, name): value for name, value in body.items()}
        sent.pop(None, None)
        try:
            async with client.stream(
                "POST", self._url, headers=headers, json=sent, timeout=timeout
            ) as response:
                content = b""
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > MAX_BYTES:
                        raise Failed(f"the answer has more than {MAX_BYTES} bytes")
        except httpx.HTTPError as error:
            raise _connection(error) from None
        status = response.status_code
        if status != 200:
            # Does not quote the answer to a refused key, because some endpoints repeat the key.
            reason = f"status {status}{'' if status in (401, 403) else _told(content)}"
            if status == 400 and self._leave_out(_told(content), sent):
                raise _TryAgain(reason, 0)
            if status in (401, 403, 404) or 300 <= status < 400:
                raise Failed(reason, hopeless=True)
            if status == 429 and b"insufficient_quota" in content:
                raise Failed(reason, hopeless=True)
            if status in ASK_AGAIN:
                raise _TryAgain(reason, _retry_after(response))
            raise Failed(reason)
        try:
            told = json.loads(content)
            choice = told["choices"][0]
            text = choice["message"]["content"] or ""
            if not isinstance(text, str):
                raise TypeError
            usage = told.get("usage") or {}
            asked = "".join(str(m["content"]) for m in body["messages"])
            return Answer(
                text,
                str(choice.get("finish_reason") or "stop"),
                int(usage.get("prompt_tokens") or about_tokens(asked)),
                int(usage.get("completion_tokens") or about_tokens(text)),
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise Failed("the answer is not a chat completion") from None

    def _leave_out(self, trouble: str, sent: dict[Any, Any]) -> bool:
        """Leaves out what the endpoint refuses: some models rename the limit or fix sampling."""
        if "max_completion_tokens" in trouble and "max_tokens" in sent:
            self._other["max_tokens"] = "max_completion_tokens"
            return True
        for name in ("temperature", "top_p", "seed"):
            if name in trouble and name in sent:
                self._other[name] = None
                return True
        return False


def about_tokens(text: str) -> int:
    """An estimate: English has about four characters per token."""
    return (len(text) + 3) // 4


def _told(content: bytes) -> str:
    """The message of an error's body, shortened."""
    try:
        told = json.loads(content)
        error = told.get("error", told)
        message = error.get("message") if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        return ""
    return f": {str(message)[:200]}" if message else ""


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return max(float(response.headers["retry-after"]), 0.0)
    except (KeyError, ValueError):
        return None


def key_from(name: str) -> str | None:
    """Reads a key from the environment. Everybody on the machine can see arguments."""
    return os.environ.get(name) or None
