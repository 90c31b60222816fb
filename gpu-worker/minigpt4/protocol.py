"""Parses the requests of docs/worker-protocol.md, or raises an error that names the field.

This module does not know the model. serve.py checks what depends on it (ids, lengths).
"""

import base64
import binascii
import json
import math
from dataclasses import dataclass
from typing import Any

from .prompt import Image, Message

STATUS = {
    "unauthorized": 401,
    "invalid_request": 400,
    "model_not_found": 404,
    "not_found": 404,
    "context_length_exceeded": 400,
    "image_undecodable": 422,
    "image_unavailable": 424,
    "body_too_large": 413,
    "overloaded": 429,
    "draining": 503,
    "starting": 503,
    "engine_failed": 500,
}
ROLES = ("system", "user", "assistant")
MAX_INTEGER = 2**53 - 1  # the largest integer that every JSON parser keeps exact


class RequestError(Exception):
    """An error of the protocol's table. `extra` becomes members of the error's JSON object."""

    def __init__(self, code: str, message: str, field: str | None = None, **extra: int):
        super().__init__(message)
        self.code = code
        self.status = STATUS[code]
        self.body: dict[str, Any] = {"code": code, "message": message, **extra}
        if field is not None:
            self.body["field"] = field


def invalid(field: str, message: str) -> RequestError:
    return RequestError("invalid_request", f"{field}: {message}", field)


@dataclass(frozen=True)
class ImageSource:
    """The encoder cache's key, and either a URL or the bytes."""

    id: str
    url: str | None
    data: bytes | None


@dataclass(frozen=True)
class Sampling:
    max_tokens: int
    temperature: float
    top_p: float
    repetition_penalty: float
    seed: int | None


@dataclass(frozen=True)
class GenerateRequest:
    """Exactly one of `messages` and `prompt_token_ids` is set."""

    request_id: str | None
    model: str
    cache_salt: str | None
    messages: list[Message] | None
    prompt_token_ids: list[int] | None
    committed_token_ids: list[int]
    images: list[ImageSource]
    sampling: Sampling


@dataclass(frozen=True)
class CountRequest:
    model: str
    messages: list[Message]


def parse_json(body: bytes) -> dict[str, Any]:
    """Raises RequestError if the body is not one JSON object in UTF-8."""

    def constant(name: str) -> None:
        raise ValueError(name)

    try:
        value = json.loads(body.decode("utf-8"), parse_constant=constant)
    except (ValueError, RecursionError):
        raise RequestError("invalid_request", "the body must be JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise RequestError("invalid_request", "the body must be a JSON object")
    return value


class _Fields:
    """Takes the fields of a JSON object one by one. `end` refuses fields that are left over."""

    def __init__(self, value: Any, path: str = ""):
        if not isinstance(value, dict):
            raise invalid(path, "must be an object")
        self._left = dict(value)
        self._path = path

    def name(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def has(self, key: str) -> bool:
        return key in self._left

    def take(self, key: str, *default: Any) -> Any:
        if key not in self._left and not default:
            raise invalid(self.name(key), "is missing")
        return self._left.pop(key, *default)

    def text(self, key: str, *default: Any, longest: int | None = None) -> Any:
        if key not in self._left and default:
            return default[0]
        value = self.take(key)
        if not isinstance(value, str) or (longest is not None and not 0 < len(value) <= longest):
            bound = f" of 1 to {longest} characters" if longest is not None else ""
            raise invalid(self.name(key), f"must be a string{bound}")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise invalid(self.name(key), "holds half of a surrogate pair") from None
        return value

    def integer(self, key: str, low: int, *default: Any) -> Any:
        if key not in self._left and default:
            return default[0]
        value = self.take(key)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or not low <= value <= MAX_INTEGER:
            raise invalid(self.name(key), f"must be a whole number from {low} to {MAX_INTEGER}")
        return value

    def number(self, key: str, low: float, high: float, default: float, *, above: bool) -> float:
        value = self._left.pop(key, default)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise invalid(self.name(key), "must be a number")
        if value > high or value < low or (above and value == low):
            raise invalid(
                self.name(key), f"must be {'above' if above else 'from'} {low} up to {high}"
            )
        return float(value)

    def array(self, key: str, *default: Any) -> list[Any]:
        value = self.take(key, *default)
        if not isinstance(value, list):
            raise invalid(self.name(key), "must be an array")
        return value

    def ids(self, key: str, *default: Any) -> list[int]:
        value = self.array(key, *default)
        for n, token in enumerate(value):
            if type(token) is not int or token < 0:
                raise invalid(f"{self.name(key)}[{n}]", "must be a token id")
        return value

    def end(self) -> None:
        for key in self._left:
            raise invalid(self.name(key), "is not a field of this request")


def _message(value: Any, path: str) -> Message:
    fields = _Fields(value, path)
    role = fields.text("role")
    if role not in ROLES:
        raise invalid(fields.name("role"), f"must be one of {', '.join(ROLES)}")
    content = fields.take("content")
    where = fields.name("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise invalid(where, "must be a string or an array of parts")
    parts: list[str | Image] = []
    for n, part in enumerate(content):
        piece = _Fields(part, f"{where}[{n}]")
        kind = piece.text("type")
        if kind == "text":
            parts.append(piece.text("text"))
        elif kind == "image" and role == "user":
            parts.append(Image())
        elif kind == "image":
            raise invalid(piece.name("type"), "only a user's message may hold images")
        else:
            raise invalid(piece.name("type"), "must be text or image")
        piece.end()
    fields.end()
    return Message(role, parts)


def _messages(fields: _Fields) -> list[Message]:
    values = fields.array("messages")
    if not values:
        raise invalid("messages", "must hold at least one message")
    messages = [_message(value, f"messages[{n}]") for n, value in enumerate(values)]
    if messages[-1].role != "user":
        raise invalid(f"messages[{len(messages) - 1}].role", "the last message must be the user's")
    return messages


def _image(value: Any, path: str) -> ImageSource:
    fields = _Fields(value, path)
    number = fields.text("id", longest=256)
    if fields.has("url") == fields.has("data"):
        raise invalid(path, "needs exactly one of url and data")
    url = fields.text("url", None)
    data = None
    if fields.has("data"):
        try:
            data = base64.b64decode(fields.text("data"), validate=True)
        except (binascii.Error, ValueError):
            raise invalid(fields.name("data"), "must be base64") from None
    fields.end()
    return ImageSource(number, url, data)


def parse_generate(body: dict[str, Any]) -> GenerateRequest:
    """Raises RequestError (invalid_request), which names the field."""
    fields = _Fields(body)
    model = fields.text("model")
    if fields.has("messages") and fields.has("prompt_token_ids"):
        raise invalid("prompt_token_ids", "messages are given too; send one of the two")
    messages, prompt, committed = None, None, []
    if fields.has("prompt_token_ids"):
        prompt = fields.ids("prompt_token_ids")
        if not prompt:
            raise invalid("prompt_token_ids", "must not be empty")
        committed = fields.ids("committed_token_ids")
    else:
        messages = _messages(fields)
    request = GenerateRequest(
        request_id=fields.text("request_id", None, longest=200),
        model=model,
        cache_salt=fields.text("cache_salt", None, longest=256),
        messages=messages,
        prompt_token_ids=prompt,
        committed_token_ids=committed,
        images=[_image(v, f"images[{n}]") for n, v in enumerate(fields.array("images", []))],
        sampling=Sampling(
            max_tokens=fields.integer("max_tokens", 1),
            temperature=fields.number("temperature", 0, 2, 0.0, above=False),
            top_p=fields.number("top_p", 0, 1, 1.0, above=True),
            repetition_penalty=fields.number("repetition_penalty", 0.5, 2, 1.0, above=False),
            seed=fields.integer("seed", 0, None),
        ),
    )
    fields.end()
    return request


def parse_count(body: dict[str, Any]) -> CountRequest:
    """Raises RequestError (invalid_request), which names the field."""
    fields = _Fields(body)
    request = CountRequest(fields.text("model"), _messages(fields))
    fields.end()
    return request
