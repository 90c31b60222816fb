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
from .decoders import Decoded, Decoders
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
    GenerateRequest,
    ImageSource,
    RequestError,
    Sampling,
    invalid,
    parse_count,
    parse_generate,
    parse_json,
)
from .reader import tell
from .recent import Recent
from .trim import trim

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

KEPT_READINGS = 1000  # of recent pictures, at most a kilobyte each
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


@dataclass(frozen=True)
class LoadedImage:
    """A picture that is fit to the encoder's square, and the text that was read in it."""

    id: str
    square: "Picture"
    text: Sequence[str] = ()


@dataclass(frozen=True)
class Prepared:
    """What the engine gets of a request: ids with one placeholder per image, and how to sample.

    `tokens` counts each image by its tokens.
    """

    ids: list[int]
    tokens: int
    dropped_messages: int
    sampling: Sampling


class Worker:
    """The app, and its state: starting, ready or draining.

    With `reads`, it tells the model what text its pictures have (reader.py).
    """

    def __init__(
        self, model: Model, limits: ServeLimits, fetcher: Fetcher, key: str, reads: bool = False
    ):
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
        self._reads = reads
        self._readings: Recent[list[str]] = Recent(KEPT_READINGS)
        self._decoders = Decoders(limits.image, reads=reads)
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
                "reader": self._reads,
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
        # What is too long even without its pictures' text is refused before a picture is loaded.
        prepared = await asyncio.to_thread(self.prepare, wanted, wanted.messages)
        self._check_images(prepared.ids, wanted.images)
        return Generation(self, wanted, prepared)

    def prepare(self, wanted: GenerateRequest, messages: Sequence[Message] | None) -> Prepared:
        """Renders the messages, or takes the ids of an earlier attempt. Raises RequestError."""
        dropped = 0
        if messages is not None:
            prompt, dropped = self.model.fit(messages, wanted.sampling.max_tokens)
        else:
            prompt = wanted.prompt_token_ids or []
            self._check_ids(prompt, wanted.committed_token_ids)
        tokens = self.model.length(prompt)
        room = self.model.context_length - tokens - len(wanted.committed_token_ids)
        if room < 1:
            raise self.model.too_long(tokens)
        sampling = replace(wanted.sampling, max_tokens=min(wanted.sampling.max_tokens, room))
        return Prepared(prompt, tokens, dropped, sampling)

    async def with_text(
        self, prepared: Prepared, wanted: GenerateRequest, images: Sequence[LoadedImage]
    ) -> Prepared:
        """The request with the text of its pictures, unless the text does not fit."""
        if wanted.messages is None or not any(image.text for image in images):
            return prepared
        told = tell(wanted.messages, [image.text for image in images])
        try:
            return await asyncio.to_thread(self.prepare, wanted, told)
        except RequestError:
            return prepared

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

    async def load(
        self, images: Sequence[ImageSource], account: str | None = None, read: bool = False
    ) -> list[LoadedImage]:
        """Fetches, decodes and if asked reads the images concurrently, each distinct one once.

        Raises RequestError for the first one that fails. `account` takes turns with other accounts
        for the decoders.
        """
        tasks: dict[str, asyncio.Task[LoadedImage]] = {}
        for n, image in enumerate(images):
            if image.id not in tasks:
                tasks[image.id] = asyncio.create_task(
                    self._load(n, image, account, read and self._reads)
                )
        try:
            return [await tasks[image.id] for image in images]
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _load(
        self, n: int, image: ImageSource, account: str | None, read: bool
    ) -> LoadedImage:
        field = f"images[{n}]"
        # By its id, as in the encoder's cache: it names the content, and differs between tenants.
        known = self._readings.get(image.id) if read else None
        try:
            with metrics.IMAGES.time():
                data = image.data
                if data is None:
                    data = await self._fetcher.fetch(image.url or "")
                # The decoder scales it to the encoder's size, so that no large picture waits here.
                side, how = self.model.image_side, self.model.image_fit
                decoded = await self._decoders.decode(
                    account, data, side, how, read and known is None
                )
        except Undecodable as error:
            raise RequestError("image_undecodable", f"{field}: {error}", field) from None
        except Unavailable as error:
            raise RequestError("image_unavailable", f"{field}: {error}", field) from None
        text = self._note_reading(image.id, known, decoded) if read else []
        return LoadedImage(image.id, decoded.square, text)

    def _note_reading(self, image: str, known: list[str] | None, decoded: Decoded) -> list[str]:
        if known is not None:
            metrics.READ.labels("kept").inc()
            return known
        if decoded.text is None:
            metrics.READ.labels("failed").inc()
            return []
        metrics.READ.labels("text" if decoded.text else "nothing").inc()
        self._readings.put(image, decoded.text)
        return decoded.text
