"""Progress of answers: a bar on a terminal, plain lines elsewhere or with NO_COLOR."""

import os
import sys
import time
from typing import TextIO

from ..checkpoints.progress import LINE_SECONDS, WIDTH
from .cost import duration


class Progress:
    """Counts targets; `tokens` counts output tokens of this run."""

    def __init__(self, total: int, stream: TextIO | None = None):
        self._total, self._done, self._failed, self._tokens = max(total, 1), 0, 0, 0
        self._out = stream or sys.stderr
        self._bar = self._out.isatty() and "NO_COLOR" not in os.environ
        self._began = self._told = time.monotonic()

    def tokens(self, count: int) -> None:
        self._tokens += count
        self._show_if_due()

    def advance(self, failed: bool = False) -> None:
        self._done += 1
        self._failed += failed
        self._show_if_due()

    def finish(self) -> None:
        self._show(last=True)

    def _show_if_due(self) -> None:
        now = time.monotonic()
        if now - self._told >= (0.1 if self._bar else LINE_SECONDS):
            self._told = now
            self._show()

    def _show(self, last: bool = False) -> None:
        seconds = max(time.monotonic() - self._began, 1e-3)
        share = self._done / self._total
        text = f"curate: {share:4.0%}  {self._done} of {self._total}"
        text += f", {self._tokens / seconds:.1f} tokens/s"
        if self._failed:
            text += f", {self._failed} failed"
        if self._done and not last:
            text += f", {duration(seconds / self._done * (self._total - self._done))} left"
        if self._bar:
            full = round(WIDTH * share)
            end = "\n" if last else ""
            self._out.write(f"\r\x1b[2K[{'#' * full}{'.' * (WIDTH - full)}] {text}{end}")
        else:
            self._out.write(text + "\n")
        self._out.flush()
