"""Progress on stderr: a bar on a terminal, plain lines elsewhere or with NO_COLOR."""

import os
import sys
import time
from typing import TextIO

WIDTH = 28
LINE_SECONDS = 5.0  # between plain lines


class Progress:
    """Counts the bytes of one task towards a known total."""

    def __init__(self, work: str, total: int, stream: TextIO | None = None):
        self._work, self._total, self._done = work, max(total, 1), 0
        self._out = stream or sys.stderr
        self._bar = self._out.isatty() and "NO_COLOR" not in os.environ
        self._began = self._told = time.monotonic()
        self._skipped = 0

    def skip(self, count: int) -> None:
        """Counts what an interrupted run did before."""
        self._skipped += count
        self.advance(count)

    def advance(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._told >= (0.1 if self._bar else LINE_SECONDS):
            self._told = now
            self._show()

    def finish(self) -> None:
        self._show(last=True)

    def _show(self, last: bool = False) -> None:
        seconds = max(time.monotonic() - self._began, 1e-3)
        share = min(self._done / self._total, 1.0)
        rate = (self._done - self._skipped) / seconds
        left = "" if last or not rate else f", {(self._total - self._done) / rate:.0f} s left"
        unit, name = (1e9, "GB") if self._total >= 1e9 else (1e6, "MB")
        done = f"{self._done / unit:.2f} of {self._total / unit:.2f} {name}"
        text = f"{self._work}: {share:4.0%}  {done}, {rate / 1e6:.0f} MB/s{left}"
        if self._bar:
            full = round(WIDTH * share)
            end = "\n" if last else ""
            self._out.write(f"\r\x1b[2K[{'#' * full}{'.' * (WIDTH - full)}] {text}{end}")
        else:
            self._out.write(text + "\n")
        self._out.flush()
