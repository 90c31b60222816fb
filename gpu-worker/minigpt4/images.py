"""An image of a request: bytes, or a URL of an allowed origin -> a decoded picture."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from PIL import Image

from .picture import Unread

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
DEFAULT_PORTS = {"http": 80, "https": 443}


class Undecodable(Exception):
    """The bytes are no complete image, or too large or too small."""


class Unavailable(Exception):
    """The URL is not allowed, or did not answer 200 in time."""


@dataclass(frozen=True)
class Limits:
    """Bounds on one image: encoded bytes, decoded pixels, pixels of a side, seconds to fetch."""

    max_bytes: int = 20 * 2**20
    max_pixels: int = 40_000_000
    min_side: int = 8
    fetch_seconds: float = 10.0


def decode(data: bytes, limits: Limits) -> Image.Image:
    """Bytes -> what a viewer shows of them: the first picture, upright, on white, in RGB.

    Raises Undecodable. The header is checked against the limits before pixels are made.
    """
    if len(data) > limits.max_bytes:
        raise Undecodable(f"the image has more than {limits.max_bytes} bytes")
    try:
        image = Unread(data, FORMATS)
        width, height = image.size
    except Image.DecompressionBombError:
        raise Undecodable(f"the image has more than {limits.max_pixels} pixels") from None
    except Exception:  # Pillow's parsers raise many kinds on hostile bytes
        raise Undecodable(f"the bytes are no image in {', '.join(FORMATS)}") from None
    if width * height > limits.max_pixels:
        raise Undecodable(f"the image has {width}x{height} pixels, over {limits.max_pixels}")
    if min(width, height) < limits.min_side:
        raise Undecodable(f"the image has {width}x{height} pixels; a side needs {limits.min_side}")
    try:
        return image.read()
    except Exception:
        raise Undecodable("the image is broken or truncated") from None


def origin(url: str) -> tuple[str, str, int]:
    """scheme, host and port of an http(s) URL. Raises ValueError if it is none, or has a user."""
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError("not an http or https URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not carry a user or password")
    return parts.scheme, parts.hostname.lower(), parts.port or DEFAULT_PORTS[parts.scheme]


class Fetcher:
    """Fetches images from the origins it was told to allow, and from nowhere else.

    Redirects are not followed, proxies of the environment are not used, bytes are counted while
    they come, and compressed bodies are refused (they could grow).
    """

    def __init__(self, origins: list[str], limits: Limits):
        self._origins = frozenset(origin(url) for url in origins)
        self._limits = limits
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            timeout=limits.fetch_seconds,
            headers={"accept": "image/*", "accept-encoding": "identity"},
        )

    async def fetch(self, url: str) -> bytes:
        """Raises Unavailable or Undecodable (too large). No message repeats the URL: it may be
        presigned."""
        try:
            allowed = origin(url) in self._origins
        except ValueError as error:
            raise Unavailable(str(error)) from None
        if not allowed:
            raise Unavailable("images are not fetched from this host")
        try:
            async with asyncio.timeout(self._limits.fetch_seconds):
                return await self._read(url)
        except TimeoutError:
            raise Unavailable("the image did not come in time") from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise Unavailable(f"fetching the image failed: {type(error).__name__}") from None

    async def _read(self, url: str) -> bytes:
        data = bytearray()
        async with self._client.stream("GET", url) as response:
            if response.status_code != 200:
                raise Unavailable(f"the image's host answered {response.status_code}")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise Unavailable("the image's host sent a compressed body")
            async for chunk in response.aiter_raw():
                data += chunk
                if len(data) > self._limits.max_bytes:
                    raise Undecodable(f"the image has more than {self._limits.max_bytes} bytes")
        return bytes(data)

    async def close(self) -> None:
        await self._client.aclose()
