"""One generation as an HTTP response: loads the images, then streams server-sent events."""

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
from .detokenize import Detokenizer, Vocabulary
from .engine import EngineFailed
from .protocol import GenerateRequest, RequestError
from .stop_text import Delta, StopText

if TYPE_CHECKING:
    from .serve import LoadedImage, Prepared, Worker

log = logging.getLogger(__name__)

PING_SECONDS = 5.0
STALL_SECONDS = 60.0  # a client that takes no bytes for this long is gone


class Generation(Response):
    """Loads the images, then streams. An error before the first event sets the HTTP status."""

    def __init__(self, worker: "Worker", wanted: GenerateRequest, prepared: "Prepared"):
        self._worker = worker
        self._wanted = wanted
        self._prepared = prepared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        outcome: dict[str, Any] = scope["outcome"]
        gone = asyncio.create_task(_disconnected(receive))
        cut = asyncio.create_task(self._worker.cutoff.wait())
        try:
            with self._worker.admitted():
                loading = asyncio.create_task(self.load())
                await _first(loading, gone, cut)
                if not loading.done():
                    await _cancel(loading)
                    if not gone.done():
                        raise RequestError(
                            "draining", "this worker is shutting down; try another one"
                        )
                    outcome["code"] = "hung_up"
                    return
                await self._stream(*loading.result(), send, gone, cut, outcome)
        finally:
            await _cancel(gone, cut)

    async def load(self) -> tuple["Prepared", list["LoadedImage"]]:
        """The images, and the request with their text.

        The ids of an earlier attempt have the text already, so nothing is read for them.
        """
        wanted = self._wanted
        # The edge sends one salt per account; nothing else here identifies the account.
        images = await self._worker.load(
            wanted.images, wanted.cache_salt, read=wanted.messages is not None
        )
        return await self._worker.with_text(self._prepared, wanted, images), images

    async def _stream(
        self,
        prepared: "Prepared",
        images: Sequence["LoadedImage"],
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
        assert engine is not None  # `admitted` has checked it
        prompt = {"prompt_token_ids": prepared.ids, "prompt_tokens": prepared.tokens}
        if prepared.dropped_messages:
            prompt["dropped_messages"] = prepared.dropped_messages
        outcome |= {"prompt_tokens": prepared.tokens, "images": len(images)}
        metrics.TOKENS.labels("prompt").inc(prepared.tokens)
        answer = VisibleAnswer(model.vocabulary, model.prompt.stop_text, committed)
        outputs = engine.generate(
            uuid.uuid4().hex,
            [*prepared.ids, *committed],
            [(image.id, image.square) for image in images],
            prepared.sampling,
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
                    raise RequestError("draining", "this worker had to shut down before the end")
                else:
                    await write(": ping\n")
                    continue
                shown = answer.push(output.token_ids, last=output.finish_reason is not None)
                chunk = ""
                if shown.token_ids or shown.text:
                    index = len(committed) + sent
                    data = {"index": index, "token_ids": shown.token_ids, "text": shown.text}
                    chunk = _event("token", data)
                if not sent and shown.token_ids:
                    outcome["first_token"] = time.monotonic()
                sent += len(shown.token_ids)
                reason = "stop" if shown.stopped else output.finish_reason
                if reason is not None:
                    # In one chunk with the last text, part of which may have no ids to resume from.
                    counts = {"prompt_tokens": prepared.tokens, "output_tokens": sent}
                    chunk += _event("done", {"finish_reason": reason, **counts})
                if chunk:
                    await write(chunk)
                if reason is not None:
                    break
        except (RequestError, EngineFailed, StopAsyncIteration) as error:
            reported = error
            if not isinstance(error, RequestError):
                log.error("a generation failed", exc_info=error)
                reported = RequestError(
                    "engine_failed", "the engine failed; another attempt may help"
                )
            outcome["code"] = reported.code
            await write(_event("error", reported.body))
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


class VisibleAnswer:
    """Turns the engine's ids into the ids and text to send."""

    def __init__(self, vocabulary: Vocabulary, stop_text: str | None, committed: Sequence[int]):
        self._text = Detokenizer(vocabulary)
        sent = self._text.push(committed)  # an earlier attempt sent this text
        self._stop = StopText(stop_text, sent) if stop_text is not None else None

    def push(self, token_ids: Sequence[int], last: bool) -> Delta:
        """Returns what these ids allow to send; with the last ones, everything that was held."""
        if self._stop is None:
            text = self._text.push(token_ids)
            return Delta(list(token_ids), text + self._text.finish() if last else text)
        ids, text = [], ""
        for token in token_ids:
            shown = self._stop.push(token, self._text.push([token]))
            ids, text = ids + shown.token_ids, text + shown.text
            if shown.stopped:
                return Delta(ids, text, stopped=True)
        if last:
            shown = self._stop.finish(self._text.finish())
            ids, text = ids + shown.token_ids, text + shown.text
        return Delta(ids, text)


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first(*tasks: asyncio.Task, timeout: float | None = None) -> None:
    await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


async def _cancel(*tasks: asyncio.Task) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
