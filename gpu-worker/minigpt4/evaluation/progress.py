"""Progress of answers: a bar on a terminal, plain lines elsewhere or with NO_COLOR."""

import os
import sys
import time
from typing import TextIO

WIDTH = 28
LINE_SECONDS = 10.0  # between plain lines


class Progress:
    """Counts the items of a task towards a known total, on standard error."""

    def __init__(self, work: str, total: int, stream: TextIO | None = None):
        self._work, self._total, self._done = work, max(total, 1), 0
        self._out = stream or sys.stderr
        self._bar = self._out.isatty() and "NO_COLOR" not in os.environ
        self._began = self._told = time.monotonic()

    def __call__(self) -> None:
        """Counts one more item."""
        self._done += 1
        now = time.monotonic()
        if now - self._told >= (0.1 if self._bar else LINE_SECONDS):
            self._told = now
            self._show()

    def finish(self) -> None:
        self._show(last=True)

    def _show(self, last: bool = False) -> None:
        seconds = max(time.monotonic() - self._began, 1e-3)
        rate = self._done / seconds
        left = f", {(self._total - self._done) / rate:.0f} s left" if rate and not last else ""
        took = f" in {seconds:.0f} s" if last else ""
        text = f"{self._work}: {self._done} of {self._total}{took}{left}"
        if self._bar:
            full = round(WIDTH * min(self._done / self._total, 1))
            end = "\n" if last else ""
            self._out.write(f"\r\x1b[2K[{'#' * full}{'.' * (WIDTH - full)}] {text}{end}")
        else:
            self._out.write(text + "\n")
        self._out.flush()
