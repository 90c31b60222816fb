"""Every answer that was paid for, one JSON line each, kept the moment it comes: whoever starts
again asks nothing twice. An answer is known by photo, kind and step, by all that was asked, by the
weights that answered, and by the seed.
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

from ..checkpoints.refusal import Refused
from .models import Answer


@dataclass(frozen=True)
class Entry:
    """`ended` is when it came (seconds of the epoch), `seconds` how long it took."""

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
    """Raises ValueError, KeyError or TypeError for a line that is no entry."""
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
    """A file that only grows, one line at a time, held by one process. What was being written when
    the last one was killed is cut off."""

    def __init__(self, path: Path):
        """Raises Refused where another run holds it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise Refused(
                f"{path}: another run writes it", "wait for that run, or choose another --out"
            ) from None
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(self._file, whole)
        self.lines = content[:whole].splitlines()

    def append(self, line: bytes) -> None:
        """One write: a process that is killed leaves the line whole or cut, never mixed."""
        os.write(self._file, line)

    def close(self) -> None:
        os.fsync(self._file)
        os.close(self._file)


class WorkLog:
    def __init__(self, path: Path):
        """Raises Refused where another run holds it, or a line of it is damaged."""
        self._lines = JsonLines(path)
        self._entries: dict[str, Entry] = {}
        for number, line in enumerate(self._lines.lines, 1):
            try:
                entry = _entry(line)
            except (ValueError, KeyError, TypeError):
                raise Refused(
                    f"{path}:{number}: is no line of a work log",
                    "take the line out of the file, or choose another --out",
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
    """Output tokens a second over the time in which anything was asked, and of how many answers."""
    spans = sorted((entry.ended - entry.seconds, entry.ended) for entry in entries)
    if not spans:
        return None
    busy, end = 0.0, spans[0][0]
    for began, ended in spans:
        busy += max(0.0, ended - max(began, end))
        end = max(end, ended)
    tokens = sum(entry.answer.output_tokens for entry in entries)
    return (tokens / busy, len(spans)) if busy > 0 and tokens else None
