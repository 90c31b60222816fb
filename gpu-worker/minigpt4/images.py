"""Fetches a request's images from allowed origins."""

import asyncio
from urllib.parse import urlsplit

import httpx

from .decoding import Limits, Undecodable, decode

__all__ = ["Fetcher", "Limits", "Unavailable", "Undecodable", "decode", "origin"]

DEFAULT_PORTS = {"http": 80, "https": 443}


class Unavailable(Exception):
    """The URL is not allowed, or its host did not answer 200 in time."""


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an http(s) URL. Raises ValueError for other URLs or with a user."""
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError("not an http or https URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not carry a user or password")
    return parts.scheme, parts.hostname.lower(), parts.port or DEFAULT_PORTS[parts.scheme]


class Fetcher:
    """Fetches images from allowed origins only.

    It follows no redirects, ignores the environment's proxies, counts bytes as they arrive, and
    refuses compressed bodies, which could expand beyond the limit.
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
        """Raises Unavailable, or Undecodable if the image is too large.

        No message repeats the URL, because it may be presigned.
        """
        try:
            allowed = origin(url) in self._origins
        except ValueError as error:
            raise Unavailable(str(error)) from None
        if not allowed:
            raise Unavailable("this host is not an allowed origin of images")
        try:
            async with asyncio.timeout(self._limits.fetch_seconds):
                return await self._read(url)
        except TimeoutError:
            raise Unavailable("the image did not arrive in time") from None
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
