"""Scripted endpoints for faults that real ones show seldom: an OpenAI-compatible one and a worker.

What they answer is decided by a function of the request; what they were asked is kept.
"""

import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image

KEY = "key-of-the-scripted-server"
DOG = (
    "A brown dog runs through the green grass .",
    "A brown dog is running on a lawn with a red ball in its mouth .",
    "A dog carries a ball across a grassy field near a wooden fence .",
    "The brown dog is playing outside .",
    "A dog with a red ball .",
)
CAKE = (
    "A girl in a pink dress blows out the candles on a chocolate cake .",
    "A little girl leans over a birthday cake with candles .",
    "A young girl and a cake on a table .",
    "A girl is blowing out candles at her party .",
    "A girl looks at a big cake .",
)


@dataclass
class Reply:
    """`status` other than 200 is an error; `broken` ends the connection in the middle."""

    text: str = ""
    status: int = 200
    finish_reason: str = "stop"
    headers: dict[str, str] = field(default_factory=dict)
    error: Any = None
    broken: bool = False
    tokens: int | None = None
    raw: bytes | None = None


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def typed(self) -> str:
        """The last message's text."""
        content = self.body["messages"][-1]["content"]
        if isinstance(content, str):
            return content
        return " ".join(part["text"] for part in content if part["type"] == "text")


@dataclass
class Scripted:
    url: str
    asked: list[Asked] = field(default_factory=list)
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def _reply_as_chat(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    if reply.status != 200:
        content = json.dumps(reply.error or {"error": {"message": "no"}}).encode()
    else:
        told: dict[str, Any] = {
            "choices": [{"message": {"content": reply.text}, "finish_reason": reply.finish_reason}]
        }
        if reply.tokens is not None:
            told["usage"] = {"prompt_tokens": 7, "completion_tokens": reply.tokens}
        content = json.dumps(told).encode()
    content = reply.raw if reply.raw is not None else content
    handler.send_response(reply.status)
    for name, value in reply.headers.items():
        handler.send_header(name, value)
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2] if reply.broken else content)


def _reply_as_worker(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    if reply.status != 200:
        content = json.dumps(reply.error or {"code": "overloaded", "message": "full"}).encode()
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        return
    tokens = reply.tokens if reply.tokens is not None else len(reply.text.split())
    events = [
        ("prompt", {"prompt_token_ids": [1], "prompt_tokens": 11}),
        ("token", {"token_ids": list(range(tokens)), "text": reply.text}),
    ]
    if reply.error:
        events.append(("error", reply.error))
    elif not reply.broken:
        end = {"finish_reason": reply.finish_reason, "prompt_tokens": 11, "output_tokens": tokens}
        events.append(("done", end))
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.send_header("connection", "close")
    handler.end_headers()
    for name, data in events:
        handler.wfile.write(f": ping\n\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode())


@contextmanager
def serving(
    answer: Callable[[Asked], Reply], worker: bool = False, ready: dict[str, Any] | None = None
) -> Iterator[Scripted]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            model = {"model": "nano", "digest": "d" * 64, "image_tokens": 8, "context_length": 2048}
            content = json.dumps({"status": "ready", **model, **(ready or {})}).encode()
            allowed = self.headers.get("authorization") == f"Bearer {KEY}"
            self.send_response(200 if allowed else 401)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked = Asked(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            with server.lock:
                server.asked.append(asked)
                server.at_once += 1
                server.most_at_once = max(server.most_at_once, server.at_once)
            try:
                reply = answer(asked)
                (_reply_as_worker if worker else _reply_as_chat)(self, reply)
                if reply.broken:
                    self.close_connection = True
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
            finally:
                with server.lock:
                    server.at_once -= 1

        def log_message(self, *_: Any) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = Scripted(f"http://127.0.0.1:{http.server_address[1]}")
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join(10)


def jpeg(colour: str = "brown") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(out, "JPEG")
    return out.getvalue()


def shard(
    path: Path, samples: dict[str, tuple[str, ...]], extra: dict[str, bytes] | None = None
) -> Path:
    """A shard as img2dataset writes it; `extra` are further members."""
    members: dict[str, bytes] = {}
    for key, captions in samples.items():
        members[f"{key}.jpg"] = jpeg()
        members[f"{key}.txt"] = "\n".join(captions).encode()
        members[f"{key}.json"] = json.dumps({"key": key, "captions": captions}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in (members | (extra or {})).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
