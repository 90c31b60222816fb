"""What is logged around a request, without an engine behind it."""

import asyncio
import logging

import pytest
from starlette.responses import PlainTextResponse

from minigpt4.middleware import Authorized, Observed

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def logged(caplog: pytest.LogCaptureFixture, headers: list[tuple[bytes, bytes]]) -> dict:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/generate",
        "headers": [(b"authorization", b"Bearer key"), *headers],
    }

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict) -> None:
        pass

    app = Observed(Authorized(PlainTextResponse("fine"), "key"))
    with caplog.at_level(logging.INFO, "minigpt4.middleware"):
        asyncio.run(app(scope, receive, send))
    (record,) = caplog.records
    return vars(record)


def test_the_line_of_a_request_names_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    line = logged(caplog, [(b"traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode())])
    assert (line["route"], line["status"], line["trace"]) == ("/v1/generate", 200, TRACE)


@pytest.mark.parametrize(
    "header",
    [b"", b"a secret", f"00-{TRACE}-00f067aa0ba902b7-01 and a secret".encode(), TRACE.encode()],
)
def test_an_invalid_traceparent_is_not_logged(
    caplog: pytest.LogCaptureFixture, header: bytes
) -> None:
    line = logged(caplog, [(b"traceparent", header)])
    assert "trace" not in line
    assert "secret" not in str(line)
