"""The log of every answer, one JSON line each, written at once, so that no run asks twice.

The key of an answer is made of photo, kind and step, the whole prompt, the model's weights and the
seed.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..input_error import InputError
from .models import Answer


@dataclass(frozen=True)
class Entry:
    """`ended` is the time of the answer (Unix seconds), `seconds` its duration."""

    photo: str
    kind: str
    step: str
    prompt: str
    model: str
    seed: int
    answer: Answer
    ended: float
    seconds: float

    @property
    def id(self) -> str:
        return entry_id(self.photo, self.kind, self.step, self.prompt, self.model, self.seed)

    def line(self) -> bytes:
        told: dict[str, Any] = {
            "id": self.id,
            "photo": self.photo,
            "kind": self.kind,
            "step": self.step,
            "prompt": self.prompt,
            "model": self.model,
            "seed": self.seed,
            "text": self.answer.text,
            "finish_reason": self.answer.finish_reason,
            "prompt_tokens": self.answer.prompt_tokens,
            "output_tokens": self.answer.output_tokens,
            "ended": round(self.ended, 3),
            "seconds": round(self.seconds, 3),
        }
        return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def entry_id(photo: str, kind: str, step: str, prompt: str, model: str, seed: int) -> str:
    parts = json.dumps([photo, kind, step, prompt, model, seed], ensure_ascii=False)
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _entry(line: bytes) -> Entry:
    """Raises ValueError, KeyError or TypeError if the line is not an entry."""
    told = json.loads(line)
    answer = Answer(
        str(told["text"]),
        str(told["finish_reason"]),
        int(told["prompt_tokens"]),
        int(told["output_tokens"]),
    )
    return Entry(
        str(told["photo"]),
        str(told["kind"]),
        str(told["step"]),
        str(told["prompt"]),
        str(told["model"]),
        int(told["seed"]),
        answer,
        float(told["ended"]),
        float(told["seconds"]),
    )


class JsonLines:
    """An append-only file of lines, locked by one process.

    It removes an incomplete last line that a killed process left.
    """

    def __init__(self, path: Path):
        """Raises InputError if another run has locked it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise InputError(
                f"{path}: another run is writing it", "wait for that run, or choose another --out"
            ) from None
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(self._file, whole)
        self.lines = content[:whole].splitlines()

    def append(self, line: bytes) -> None:
        """Appends in one write, so that a killed process leaves the line complete or cut off."""
        os.write(self._file, line)

    def close(self) -> None:
        os.fsync(self._file)
        os.close(self._file)


class WorkLog:
    def __init__(self, path: Path):
        """Raises InputError if another run has locked it, or a line is damaged."""
        self._lines = JsonLines(path)
        self._entries: dict[str, Entry] = {}
        for number, line in enumerate(self._lines.lines, 1):
            try:
                entry = _entry(line)
            except (ValueError, KeyError, TypeError):
                raise InputError(
                    f"{path}:{number}: is not a line of a work log",
                    "remove the line, or choose another --out",
                ) from None
            self._entries[entry.id] = entry
        self._lines.lines = []

    def get(self, entry: str) -> Entry | None:
        return self._entries.get(entry)

    def add(self, entry: Entry) -> None:
        self._entries[entry.id] = entry
        self._lines.append(entry.line())

    def entries(self) -> Iterable[Entry]:
        return self._entries.values()

    def close(self) -> None:
        self._lines.close()


def now() -> float:
    return time.time()


def rate(entries: Iterable[Entry]) -> tuple[float, int] | None:
    """Output tokens per second while questions were running, and the number of answers."""
    spans = sorted((entry.ended - entry.seconds, entry.ended) for entry in entries)
    if not spans:
        return None
    busy, end = 0.0, spans[0][0]
    for began, ended in spans:
        busy += max(0.0, ended - max(began, end))
        end = max(end, ended)
    tokens = sum(entry.answer.output_tokens for entry in entries)
    return (tokens / busy, len(spans)) if busy > 0 and tokens else None
