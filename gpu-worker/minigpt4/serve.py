"""The worker's HTTP API (docs/worker-protocol.md): an ASGI app over the engine."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import prometheus_client
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from . import metrics
from .decoders import Decoders
from .decoding import Limits, Undecodable
from .detokenize import Vocabulary
from .engine import Engine
from .generation import Generation
from .images import Fetcher, Unavailable
from .middleware import (
    Authorized,
    Observed,
    on_bug,
    on_disconnect,
    on_no_route,
    on_request_error,
)
from .prompt import Message, Prompt
from .protocol import (
    ImageSource,
    RequestError,
    invalid,
    parse_count,
    parse_generate,
    parse_json,
)
from .trim import trim

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

BODY_SECONDS = 60.0
CUTOFF_SECONDS = 5.0  # that streams have to write their last event when they are cut off


@dataclass(frozen=True)
class Model:
    """The model that this worker serves, known before the engine is up."""

    name: str
    digest: str
    prompt: Prompt
    vocabulary: Vocabulary
    context_length: int
    image_tokens: int
    image_side: int
    image_fit: str

    def render(self, messages: Sequence[Message]) -> list[int]:
        """The ids of a whole conversation. Raises RequestError if it is too long to count."""
        least = self._least_tokens(messages)
        if least > self.context_length:
            raise self.too_long(least)
        return self.prompt.ids(messages)

    def fit(self, messages: Sequence[Message], max_tokens: int) -> tuple[list[int], int]:
        """The ids of a conversation, trimmed if necessary, and how many messages were dropped.

        Keeps `max_tokens` of the context free for the answer, but at most a quarter of it, so that
        a caller who asks for the longest answer does not lose the whole conversation. Raises
        RequestError if not one token fits after the part that must stay.
        """
        room = self.context_length - min(max_tokens, self.context_length // 4)
        fitting: list[int] | None = None

        def fits(messages: Sequence[Message]) -> bool:
            nonlocal fitting
            if self._least_tokens(messages) > room:
                return False
            ids = self.prompt.ids(messages)
            if self.length(ids) > room:
                return False
            fitting = ids
            return True

        kept, dropped = trim(messages, fits)
        ids = self.render(kept) if fitting is None else fitting  # the last conversation that fit
        if self.length(ids) >= self.context_length:
            raise self.too_long(self.length(ids))
        return ids, dropped

    def length(self, prompt: Sequence[int]) -> int:
        """The tokens of a prompt that has one placeholder id per image."""
        images = prompt.count(self.prompt.image_token_id)
        return len(prompt) + images * (self.image_tokens - 1)

    def too_long(self, prompt_tokens: int) -> RequestError:
        return RequestError(
            "context_length_exceeded",
            f"the prompt and one token more do not fit into {self.context_length} tokens; "
            "shorten it",
            prompt_tokens=prompt_tokens,
            context_length=self.context_length,
        )

    def _least_tokens(self, messages: Sequence[Message]) -> int:
        """A lower bound on the tokens of the messages, without tokenizing them."""
        return self.prompt.least_tokens(messages, self.vocabulary.max_bytes_per_token)


@dataclass(frozen=True)
class ServeLimits:
    """`slots` requests run at once and `queue` more wait; further ones are refused."""

    slots: int = 16
    queue: int = 32
    max_images: int = 4
    max_body_bytes: int = 32 * 2**20
    image: Limits = Limits()  # noqa: RUF009 - frozen


class Worker:
    """The app, and its state: starting, ready or draining."""

    def __init__(self, model: Model, limits: ServeLimits, fetcher: Fetcher, key: str):
        self.model = model
        self.limits = limits
        self.state = "starting"
        self.engine: Engine | None = None
        self.cutoff = asyncio.Event()  # running requests must end now
        self._fetcher = fetcher
        self._in_flight = 0
        self._encoded = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._decoders = Decoders(limits.image)
        routes = [
            Route("/healthz", self._healthz, methods=["GET"]),
            Route("/readyz", self._readyz, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
            Route("/v1/count", self._count, methods=["POST"]),
            Route("/v1/generate", self._generate, methods=["POST"]),
        ]
        app = Starlette(
            routes=routes,
            exception_handlers={
                RequestError: on_request_error,
                HTTPException: on_no_route,
                ClientDisconnect: on_disconnect,
                Exception: on_bug,
            },
        )
        app.router.redirect_slashes = False
        self.app: ASGIApp = Observed(Authorized(app, key))

    def ready(self, engine: Engine) -> None:
        self._decoders.start()
        self.engine, self.state = engine, "ready"
        metrics.READY.set(1)

    async def drain(self, seconds: float) -> bool:
        """Accepts no new requests and lets running ones finish; after `seconds` cuts them off.

        Returns whether all of them finished by themselves.
        """
        self.state = "draining"
        metrics.READY.set(0)
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
            return True
        except TimeoutError:
            self.cutoff.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(CUTOFF_SECONDS):
                await self._idle.wait()
        return False

    async def close(self) -> None:
        await self._fetcher.close()
        self._decoders.close()

    def check_ready(self) -> Engine:
        if self.state == "draining":
            raise RequestError("draining", "this worker is shutting down; try another one")
        if self.engine is None:
            raise RequestError("starting", "the engine is not up yet")
        if self.engine.dead:
            raise RequestError("engine_failed", "the engine died")
        return self.engine

    @contextmanager
    def admitted(self) -> Iterator[None]:
        self.check_ready()
        if self._in_flight >= self.limits.slots + self.limits.queue:
            raise RequestError("overloaded", "the queue is full; try again")
        self._in_flight += 1
        self._idle.clear()
        metrics.IN_FLIGHT.inc()
        try:
            yield
        finally:
            self._in_flight -= 1
            metrics.IN_FLIGHT.dec()
            if not self._in_flight:
                self._idle.set()

    async def _healthz(self, request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def _readyz(self, request: Request) -> Response:
        if self.state != "ready":
            return JSONResponse({"status": self.state}, 503)
        self.check_ready()
        model = self.model
        return JSONResponse(
            {
                "status": "ready",
                "model": model.name,
                "digest": model.digest,
                "slots": self.limits.slots,
                "context_length": model.context_length,
                "image_tokens": model.image_tokens,
                "max_images": self.limits.max_images,
                "max_bytes_per_token": model.vocabulary.max_bytes_per_token,
            }
        )

    async def _metrics(self, request: Request) -> Response:
        if self.engine is not None and not self.engine.dead:
            encoded = await self.engine.images_encoded()
            metrics.ENCODED.inc(
                max(0, encoded - self._encoded)
            )  # concurrent scrapes may finish out of order
            self._encoded = max(encoded, self._encoded)
        return Response(
            prometheus_client.generate_latest(), media_type=prometheus_client.CONTENT_TYPE_LATEST
        )

    async def _count(self, request: Request) -> Response:
        self.check_ready()
        wanted = parse_count(parse_json(await self._body(request)))
        self._check_model(wanted.model)
        ids = await asyncio.to_thread(self.model.render, wanted.messages)
        length = self.model.context_length
        return JSONResponse({"prompt_tokens": self.model.length(ids), "context_length": length})

    async def _generate(self, request: Request) -> Response:
        self.check_ready()
        wanted = parse_generate(parse_json(await self._body(request)))
        request.scope["outcome"]["request_id"] = wanted.request_id
        self._check_model(wanted.model)
        dropped = 0
        if wanted.messages is not None:
            prompt, dropped = await asyncio.to_thread(
                self.model.fit, wanted.messages, wanted.sampling.max_tokens
            )
        else:
            prompt = wanted.prompt_token_ids or []
            self._check_ids(prompt, wanted.committed_token_ids)
        self._check_images(prompt, wanted.images)
        prompt_tokens = self.model.length(prompt)
        room = self.model.context_length - prompt_tokens - len(wanted.committed_token_ids)
        if room < 1:
            raise self.model.too_long(prompt_tokens)
        sampling = replace(wanted.sampling, max_tokens=min(wanted.sampling.max_tokens, room))
        return Generation(self, wanted, prompt, prompt_tokens, dropped, sampling)

    async def _body(self, request: Request) -> bytes:
        limit = self.limits.max_body_bytes
        too_large = RequestError("body_too_large", f"the body has more than {limit} bytes")
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > limit:
                        raise too_large
        except TimeoutError:
            message = f"the body did not arrive within {BODY_SECONDS:.0f} s"
            raise RequestError("invalid_request", message) from None
        return bytes(body)

    def _check_model(self, name: str) -> None:
        if name != self.model.name:
            raise RequestError("model_not_found", f"this worker serves {self.model.name}")

    def _check_ids(self, prompt: Sequence[int], committed: Sequence[int]) -> None:
        known = len(self.model.vocabulary)
        for field, ids in (("prompt_token_ids", prompt), ("committed_token_ids", committed)):
            for n, token in enumerate(ids):
                if token >= known:
                    raise invalid(f"{field}[{n}]", f"must be below {known}")
        for n, token in enumerate(committed):
            if token in self.model.prompt.control_ids:
                raise invalid(f"committed_token_ids[{n}]", "is a control id, which no answer holds")

    def _check_images(self, prompt: Sequence[int], images: Sequence[ImageSource]) -> None:
        places = prompt.count(self.model.prompt.image_token_id)
        if places != len(images):
            raise invalid("images", f"has {len(images)} entries for {places} image parts")
        if places > self.limits.max_images:
            raise invalid("images", f"has more than {self.limits.max_images} entries")

    async def pictures(
        self, images: Sequence[ImageSource], account: str | None = None
    ) -> list[tuple[str, "Picture"]]:
        """Fetches and decodes the images concurrently, each distinct one once.

        Raises RequestError for the first one that fails. `account` takes turns with other accounts
        for the decoders.
        """
        tasks: dict[str, asyncio.Task[Picture]] = {}
        for n, image in enumerate(images):
            if image.id not in tasks:
                tasks[image.id] = asyncio.create_task(self._picture(n, image, account))
        try:
            return [(image.id, await tasks[image.id]) for image in images]
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _picture(self, n: int, image: ImageSource, account: str | None) -> "Picture":
        field = f"images[{n}]"
        try:
            with metrics.IMAGES.time():
                data = image.data
                if data is None:
                    data = await self._fetcher.fetch(image.url or "")
                # The decoder scales it to the encoder's size, so that no large picture waits here.
                model = self.model
                return await self._decoders.square(account, data, model.image_side, model.image_fit)
        except Undecodable as error:
            raise RequestError("image_undecodable", f"{field}: {error}", field) from None
        except Unavailable as error:
            raise RequestError("image_unavailable", f"{field}: {error}", field) from None
