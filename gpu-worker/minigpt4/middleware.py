"""What every request gets: a key check, a log line, a count, and errors in the protocol's form."""

import hmac
import logging
import re
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import metrics
from .protocol import RequestError

log = logging.getLogger(__name__)

OPEN_ROUTES = ("/healthz", "/readyz")
ROUTES = (*OPEN_ROUTES, "/metrics", "/v1/count", "/v1/generate")

# W3C Trace Context. The log has the trace's id only, which the edge's log lines have too.
TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def trace_of(scope: Scope) -> str | None:
    match = TRACEPARENT.fullmatch(dict(scope["headers"]).get(b"traceparent", b""))
    return match and match[1].decode()


def error_response(scope: Scope, error: RequestError) -> Response:
    scope["outcome"]["code"] = error.code
    return JSONResponse(error.body, error.status)


async def on_request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return error_response(request.scope, error)


async def on_no_route(request: Request, error: Exception) -> Response:
    return error_response(
        request.scope, RequestError("not_found", "there is no such route and method")
    )


async def on_bug(request: Request, error: Exception) -> Response:
    return error_response(
        request.scope, RequestError("engine_failed", "the worker failed at this request")
    )


async def on_disconnect(request: Request, error: Exception) -> Response:
    request.scope["outcome"]["code"] = "hung_up"
    return Response(status_code=400)  # the client is gone and does not read it


class Authorized:
    """Requires the worker's key, except for the two probes."""

    def __init__(self, app: ASGIApp, key: str):
        self._app = app
        self._expected = f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope["headers"]).get(b"authorization", b"")
        if scope["path"] in OPEN_ROUTES or hmac.compare_digest(given, self._expected):
            await self._app(scope, receive, send)
            return
        error = RequestError(
            "unauthorized", "the Authorization header must be: Bearer <worker key>"
        )
        response = error_response(scope, error)
        await response(scope, receive, send)


class Observed:
    """Writes one log line and one count per request; successful probes are only counted."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not supported")
        start = time.monotonic()
        status = 0
        outcome: dict[str, Any] = {}
        if trace := trace_of(scope):
            outcome["trace"] = trace
        scope["outcome"] = outcome

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = scope["path"] if scope["path"] in ROUTES else "other"
            metrics.REQUESTS.labels(route, str(status), outcome.get("code", "")).inc()
            if (first := outcome.pop("first_token", None)) is not None:
                metrics.FIRST_TOKEN.observe(first - start)
                outcome["first_token_ms"] = round(1000 * (first - start))
            if route not in (*OPEN_ROUTES, "/metrics"):
                ms = round(1000 * (time.monotonic() - start))
                log.info("request", extra={"route": route, "status": status, "ms": ms, **outcome})
