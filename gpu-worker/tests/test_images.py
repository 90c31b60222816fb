"""Images from callers: decoded whole or refused in words, fetched from allowed origins only."""

import asyncio
import http.server
import io
import struct
import threading
import zlib
from collections.abc import Iterator

import pytest
from PIL import Image

from minigpt4.images import Fetcher, Limits, Unavailable, Undecodable, decode, origin

LIMITS = Limits(max_bytes=200_000, max_pixels=1_000_000, min_side=8, fetch_seconds=1.0)


def encoded(kind: str, size=(64, 48), mode="RGB", **options) -> bytes:
    image = Image.effect_noise(size, 80).convert(mode)
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds hardly any data."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    idat = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + idat + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_whole_image_is_decoded(kind: str):
    image = decode(encoded(kind), LIMITS)
    assert image.size == (64, 48)
    image.getpixel((63, 47))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_an_image_truncated_anywhere_in_its_pixels_is_refused(kind: str):
    data = encoded(kind)
    for part in (0.1, 0.3, 0.5, 0.7, 0.9):
        with pytest.raises(Undecodable):
            decode(data[: int(len(data) * part)], LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an image",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"\xff\xd8\xff\xe0",
        b"RIFF\0\0\0\0WEBP",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ],
)
def test_other_bytes_are_refused(data: bytes):
    with pytest.raises(Undecodable):
        decode(data, LIMITS)


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "ICO"])
def test_other_formats_are_refused(kind: str):
    with pytest.raises(Undecodable):
        decode(encoded(kind), LIMITS)


@pytest.mark.parametrize("size", [(20_000, 20_000), (2_000_000, 1), (1001, 1000)])
def test_a_header_over_the_pixel_limit_is_refused_before_pixels_are_made(size):
    with pytest.raises(Undecodable, match="pixels"):
        decode(png_header(*size), LIMITS)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7)])
def test_a_picture_with_hardly_any_pixels_is_refused(size):
    with pytest.raises(Undecodable, match="pixels"):
        decode(encoded("PNG", size), LIMITS)


def test_too_many_bytes_are_refused():
    with pytest.raises(Undecodable, match="bytes"):
        decode(encoded("PNG") + b"\0" * LIMITS.max_bytes, LIMITS)


def test_flipped_bytes_never_raise_anything_else():
    for kind in ("JPEG", "PNG", "WEBP", "GIF"):
        data = bytearray(encoded(kind, (32, 32)))
        for at in range(0, len(data), max(1, len(data) // 150)):
            broken = bytes(data[:at]) + bytes([data[at] ^ 0xFF]) + bytes(data[at + 1 :])
            try:
                decode(broken, LIMITS)
            except Undecodable as error:
                assert str(error)


@pytest.mark.parametrize(
    "url",
    ["ftp://a/b", "file:///etc/passwd", "//a/b", "", "http://", "http://u:p@a/", "http://a:x/"],
)
def test_only_a_plain_http_url_has_an_origin(url: str):
    with pytest.raises(ValueError):
        origin(url)


def test_an_origin_is_scheme_host_and_port():
    assert origin("HTTPS://Example.com/x?y") == origin("https://example.com:443")
    assert origin("http://example.com") != origin("https://example.com")
    assert origin("https://example.com") != origin("https://example.com:444")
    assert origin("https://example.com.evil.org") != origin("https://example.com")


class Bucket(http.server.BaseHTTPRequestHandler):
    """Answers by path; `hits` records what was asked for."""

    hits: list[str]

    def do_GET(self) -> None:
        type(self).hits.append(self.path)
        name = self.path.split("?")[0]
        if name == "/good.png":
            self.reply(200, encoded("PNG"))
        elif name == "/huge":
            self.reply(200, b"\0" * (LIMITS.max_bytes + 1))
        elif name == "/endless":
            self.send_response(200)
            self.end_headers()
            self.stop.wait(0)
            while not self.stop.is_set():
                try:
                    self.wfile.write(b"\0" * 65536)
                except OSError:
                    return
        elif name == "/slow":
            self.send_response(200)
            self.end_headers()
            self.stop.wait(10)
        elif name == "/redirect":
            self.reply(302, b"", {"location": "/good.png"})
        elif name == "/zipped":
            self.reply(200, encoded("PNG"), {"content-encoding": "gzip"})
        else:
            self.reply(404, b"")

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def bucket() -> Iterator[tuple[str, type[Bucket]]]:
    handler = type("Handler", (Bucket,), {"hits": [], "stop": threading.Event()})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    handler.stop.set()
    server.shutdown()
    server.server_close()


def fetch(origins: list[str], url: str) -> bytes:
    async def run() -> bytes:
        fetcher = Fetcher(origins, LIMITS)
        try:
            return await asyncio.wait_for(fetcher.fetch(url), 20)
        finally:
            await fetcher.close()

    return asyncio.run(run())


def test_an_allowed_url_is_fetched(bucket):
    base, _ = bucket
    assert decode(fetch([base], f"{base}/good.png?signature=1"), LIMITS).size == (64, 48)


def test_nothing_is_sent_to_a_host_that_is_not_allowed(bucket):
    base, handler = bucket
    port = base.rsplit(":", 1)[1]
    for url in (
        f"{base}/good.png",
        f"http://localhost:{port}/good.png",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        f"http://127.0.0.1:{port}@example.com/",
        "http://127.0.0.1:99999/",
        "http://[::1",
    ):
        with pytest.raises(Unavailable) as caught:
            fetch(["https://images.example.com"], url)
        assert url not in str(caught.value)
    assert handler.hits == []


@pytest.mark.parametrize("path", ["/missing", "/redirect", "/slow", "/zipped"])
def test_anything_but_a_plain_200_in_time_is_unavailable(bucket, path):
    base, handler = bucket
    with pytest.raises(Unavailable) as caught:
        fetch([base], f"{base}{path}?signature=secret")
    assert "secret" not in str(caught.value)
    assert len(handler.hits) == 1  # no redirect was followed, nothing was tried again


@pytest.mark.parametrize("path", ["/huge", "/endless"])
def test_reading_stops_at_the_byte_limit(bucket, path):
    base, _ = bucket
    with pytest.raises(Undecodable, match="bytes"):
        fetch([base], f"{base}{path}")


def test_a_closed_port_is_unavailable(bucket):
    with pytest.raises(Unavailable):
        fetch(["http://127.0.0.1:9"], "http://127.0.0.1:9/x")
