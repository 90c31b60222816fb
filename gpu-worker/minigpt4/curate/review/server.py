"""Serves the review page on this machine only: its files, the targets, photos and decisions.

It answers only requests to its own address, so that no other page in the browser can read or decide
anything.
"""

import asyncio
import json
import signal
import socket
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ...input_error import InputError
from ..captions import tidy_caption
from ..photos import Photo
from ..targets import Target
from ..tasks import KINDS
from .decisions import Decisions, InvalidDecision, check

if TYPE_CHECKING:
    from ..run import Curation

FOLDER = Path(__file__).with_name("page")
FILES = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "review.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "chevron.svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# For a page that a model wrote: styles are allowed, scripts and loading are not.
PREVIEW_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
LARGEST_BODY = 200_000


class OwnAddress:
    """Refuses requests to another host name (DNS rebinding), or from another page."""

    def __init__(self, app: ASGIApp, port: int):
        self._app = app
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
            origin = headers.get("origin")
            foreign = origin is not None and origin.removeprefix("http://") not in self._hosts
            if headers.get("host") not in self._hosts or foreign:
                refused = Response("this page answers on its own address only\n", 403)
                await refused(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Review:
    """The targets of one run, in order, and the decisions about them."""

    def __init__(self, targets: list[Target], photos: list[Photo], decisions: Decisions):
        self._targets = targets
        self._photos = {photo.key: photo for photo in photos}
        self._known = {target.id for target in targets}
        self._decisions = decisions

    def app(self, port: int) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self._file),
                Route("/targets", self._list),
                Route("/targets/{number:int}", self._one),
                Route("/decisions", self._decide, methods=["POST"]),
                Route("/undo", self._undo, methods=["POST"]),
                Route("/photos/{number:int}", self._photo),
                Route("/pages/{number:int}", self._page),
                Route("/{name}", self._file),
            ],
            middleware=[Middleware(OwnAddress, port=port)],
        )

    async def _file(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in FILES:
            return _problem(404, "there is no such page")
        headers = HEADERS | {"Content-Security-Policy": POLICY}
        return Response((FOLDER / name).read_bytes(), media_type=FILES[name], headers=headers)

    async def _list(self, request: Request) -> Response:
        """The list of targets in short; a separate call returns one in full."""
        standing = self._decisions.standing()
        listed = []
        for target in self._targets:
            decided = standing.get(target.id)
            listed.append(
                {
                    "id": target.id,
                    "kind": target.kind,
                    "passed": not target.faults,
                    "decision": decided.decision if decided else None,
                }
            )
        kinds = [kind for kind in KINDS if any(t.kind == kind for t in self._targets)]
        return _json({"kinds": kinds, "targets": listed})

    async def _one(self, request: Request) -> Response:
        target = self._target(request)
        if target is None:
            return _problem(404, "there is no such target")
        decided = self._decisions.standing().get(target.id)
        told = target.sources.get("captions", [])
        by_all = "seen" in target.sources or len(told) == len(target.captions)
        return _json(
            {
                "id": target.id,
                "key": target.key,
                "kind": target.kind,
                "prompt": target.prompt,
                "answer": target.answer,
                "edited": decided.answer if decided else None,
                "captions": [tidy_caption(caption) for caption in target.captions],
                "told": [] if by_all else [tidy_caption(each) for each in told],
                "seen": target.sources.get("seen"),
                "faults": target.faults,
            }
        )

    async def _photo(self, request: Request) -> Response:
        target = self._target(request)
        if target is None:
            return _problem(404, "there is no such photo")
        photo = self._photos[target.key]
        try:
            return Response(photo.read(), media_type=photo.media_type, headers=HEADERS)
        except OSError:
            return _problem(404, "the photo cannot be read")

    async def _page(self, request: Request) -> Response:
        target = self._target(request)
        if target is None or target.kind != "website":
            return _problem(404, "there is no such page")
        standing = self._decisions.standing().get(target.id)
        text = (standing and standing.answer) or target.answer
        headers = HEADERS | {"Content-Security-Policy": PREVIEW_POLICY}
        return Response(
            text.encode("utf-8", "replace"),
            media_type="text/html; charset=utf-8",
            headers=headers,
        )

    def _target(self, request: Request) -> Target | None:
        number = request.path_params["number"]
        return self._targets[number] if number < len(self._targets) else None

    async def _decide(self, request: Request) -> Response:
        told = await _body(request)
        if isinstance(told, Response):
            return told
        try:
            decision = check(told)
        except InvalidDecision as wrong:
            return _problem(400, str(wrong))
        if decision.target not in self._known:
            return _problem(404, "target: not in this set; reload the page")
        self._decisions.add(decision)
        return _json({"target": decision.target, "decision": decision.decision})

    async def _undo(self, request: Request) -> Response:
        told = await _body(request)
        if isinstance(told, Response):
            return told
        last = self._decisions.undo()
        if last is None:
            return _json({"target": None})
        now = self._decisions.standing().get(last.target)
        return _json(
            {
                "target": last.target,
                "decision": now.decision if now else None,
                "edited": now.answer if now else None,
            }
        )


async def _body(request: Request) -> Any:
    """The JSON of a call, or an error response.

    Another page cannot send this content type without a preflight, which is refused.
    """
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        return _problem(415, "the body must be application/json")
    content = b""
    async for piece in request.stream():
        content += piece
        if len(content) > LARGEST_BODY:
            return _problem(413, f"the body has more than {LARGEST_BODY} bytes")
    try:
        return json.loads(content)
    except ValueError:
        return _problem(400, "the body must be JSON")


def _json(told: Any) -> Response:
    return JSONResponse(told, headers=HEADERS)


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status, headers=HEADERS)


class _Server(uvicorn.Server):
    """Leaves signals to its caller."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


async def review(curation: "Curation") -> None:
    """Serves until Ctrl-C. Raises InputError if the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", curation.options.port))
        listener.listen()  # a reader of the address may connect at once
    except OSError as error:
        listener.close()
        raise InputError(
            f"--port {curation.options.port}: cannot listen on it ({error.strerror})",
            "choose another, or leave it out",
        ) from None
    port = listener.getsockname()[1]
    served = Review(curation.targets(), curation.photos.photos, curation.decisions)
    config = uvicorn.Config(
        served.app(port),
        lifespan="off",
        log_config=None,
        ws="none",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, setattr, server, "should_exit", True)
    curation.say(f"Review: http://127.0.0.1:{port}/  (Ctrl-C writes the set and ends)")
    try:
        await server.serve([listener])
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)
        listener.close()
