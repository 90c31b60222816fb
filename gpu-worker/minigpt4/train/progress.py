"""Progress on stderr: a bar on a terminal, plain lines elsewhere or with NO_COLOR."""

import os
import sys
import time
from collections import deque
from typing import TextIO

WIDTH = 24
LINE_SECONDS = 15.0  # between plain lines
RECENT = 20  # steps over which the speed is measured


def span(seconds: float) -> str:
    """0:42, 12:05 or 3:07:09."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Progress:
    """The progress of a task of `total` steps or photos; `quiet` ranks print nothing."""

    def __init__(self, work: str, total: int, quiet: bool = False, stream: TextIO | None = None):
        self._work, self._total, self._quiet = work, max(total, 1), quiet
        self._out = stream or sys.stderr
        self._bar = self._out.isatty() and "NO_COLOR" not in os.environ
        self._done, self._told = 0, 0.0
        self._times: deque[tuple[float, int, int, int]] = deque(maxlen=RECENT + 1)
        self._counts = (0, 0)
        self.skip(0)

    def skip(self, count: int) -> None:
        """Counts what an interrupted run did before; the speed ignores it."""
        self._done += count
        self._times.clear()
        self._times.append((time.monotonic(), self._done, *self._counts))

    def advance(self, count: int, photos: int = 0, tokens: int = 0, note: str = "") -> None:
        self._done += count
        self._counts = (self._counts[0] + photos, self._counts[1] + tokens)
        now = time.monotonic()
        self._times.append((now, self._done, *self._counts))
        if now - self._told >= (0.1 if self._bar else LINE_SECONDS) or self._done >= self._total:
            self._told = now
            self._write(self._text(note), last=self._done >= self._total)

    def say(self, text: str) -> None:
        """Prints a separate line."""
        if not self._quiet:
            self._out.write(("\r\x1b[2K" if self._bar else "") + text + "\n")
            self._out.flush()

    def _text(self, note: str) -> str:
        (before, done, photos, tokens), last = self._times[0], self._times[-1]
        seconds = max(last[0] - before, 1e-6)
        parts = [f"{self._done} of {self._total}", *([note] if note else [])]
        rates = [("photos", (last[2] - photos) / seconds), ("tokens", (last[3] - tokens) / seconds)]
        parts += [f"{rate:.{1 if rate < 100 else 0}f} {what}/s" for what, rate in rates if rate]
        if self._done < self._total and last[1] > done:
            left = (self._total - self._done) * seconds / (last[1] - done)
            parts.append(f"{span(left)} left")
        return f"{self._work}: {min(self._done / self._total, 1):4.0%}  {', '.join(parts)}"

    def _write(self, text: str, last: bool) -> None:
        if self._quiet:
            return
        if self._bar:
            full = round(WIDTH * min(self._done / self._total, 1))
            text = f"\r\x1b[2K[{'#' * full}{'.' * (WIDTH - full)}] {text}"
        self._out.write(text + ("\n" if last or not self._bar else ""))
        self._out.flush()
