"""One generation as an HTTP response: images, then server-sent events until the end."""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from . import metrics
from .detokenize import Detokenizer
from .engine import EngineFailed
from .protocol import GenerateRequest, Refused, Sampling

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from .serve import Worker

log = logging.getLogger(__name__)

PING_SECONDS = 5.0
STALL_SECONDS = 60.0  # a client that takes no bytes for so long has gone


class Generation(Response):
    """Loads the images, then streams; a refusal before the first event is an HTTP status."""

    def __init__(
        self,
        worker: "Worker",
        wanted: GenerateRequest,
        prompt: list[int],
        prompt_tokens: int,
        sampling: Sampling,
    ):
        self._worker = worker
        self._wanted = wanted
        self._prompt = prompt
        self._prompt_tokens = prompt_tokens
        self._sampling = sampling

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        outcome: dict[str, Any] = scope["outcome"]
        gone = asyncio.create_task(_hung_up(receive))
        cut = asyncio.create_task(self._worker.cutoff.wait())
        try:
            with self._worker.admitted():
                pictures = asyncio.create_task(self._worker.pictures(self._wanted.images))
                await _first(pictures, gone, cut)
                if not pictures.done():
                    await _cancel(pictures)
                    if not gone.done():
                        raise Refused("draining", "this worker is shutting down; try another one")
                    outcome["code"] = "hung_up"
                    return
                await self._stream(pictures.result(), send, gone, cut, outcome)
        finally:
            await _cancel(gone, cut)

    async def _stream(
        self,
        pictures: Sequence[tuple[str, "Picture"]],
        send: Send,
        gone: asyncio.Task,
        cut: asyncio.Task,
        outcome: dict[str, Any],
    ) -> None:
        async def write(chunk: str) -> None:
            async with asyncio.timeout(STALL_SECONDS):
                body = chunk.encode()
                await send({"type": "http.response.body", "body": body, "more_body": True})

        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        model, committed = self._worker.model, self._wanted.committed_token_ids
        engine = self._worker.engine
        assert engine is not None  # admitted
        prompt = {"prompt_token_ids": self._prompt, "prompt_tokens": self._prompt_tokens}
        outcome |= {"prompt_tokens": self._prompt_tokens, "images": len(pictures)}
        metrics.TOKENS.labels("prompt").inc(self._prompt_tokens)
        text = Detokenizer(model.vocabulary, committed)
        outputs = engine.generate(
            uuid.uuid4().hex,
            [*self._prompt, *committed],
            pictures,
            self._sampling,
            model.prompt.stop_ids,
            sorted(model.prompt.control_ids.difference(model.prompt.stop_ids)),
            self._wanted.cache_salt,
        )
        sent = 0
        upcoming: asyncio.Task | None = None
        try:
            await write(_event("prompt", prompt))
            while True:
                upcoming = upcoming or asyncio.create_task(anext(outputs))
                await _first(upcoming, gone, cut, timeout=PING_SECONDS)
                if gone.done():
                    outcome["code"] = "hung_up"
                    return
                if upcoming.done():
                    output, upcoming = upcoming.result(), None
                elif cut.done():
                    raise Refused("draining", "this worker had to shut down before the end")
                else:
                    await write(": ping\n\n")
                    continue
                piece = text.push(output.token_ids)
                if output.finish_reason is not None:
                    piece += text.finish()
                if output.token_ids or piece:
                    await write(_event("token", {"token_ids": output.token_ids, "text": piece}))
                if not sent and output.token_ids:
                    outcome["first_token"] = time.monotonic()
                sent += len(output.token_ids)
                if output.finish_reason is not None:
                    counts = {"prompt_tokens": self._prompt_tokens, "output_tokens": sent}
                    await write(_event("done", {"finish_reason": output.finish_reason, **counts}))
                    break
        except (Refused, EngineFailed, StopAsyncIteration) as error:
            refused = error
            if not isinstance(error, Refused):
                log.error("a generation failed", exc_info=error)
                refused = Refused("engine_failed", "the engine failed; another attempt may help")
            outcome["code"] = refused.code
            await write(_event("error", refused.body))
        except TimeoutError:
            outcome["code"] = "stalled"
            return
        finally:
            outcome["output_tokens"] = sent
            metrics.TOKENS.labels("output").inc(sent)
            if upcoming is not None:
                await _cancel(upcoming)
            await outputs.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first(*tasks: asyncio.Task, timeout: float | None = None) -> None:
    await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


async def _cancel(*tasks: asyncio.Task) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
