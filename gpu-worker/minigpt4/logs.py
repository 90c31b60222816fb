"""Logs: JSON lines, or plain text on a terminal. They never hold prompts, answers or images."""

import json
import logging
import os
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from typing import TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_STYLES = {"bold": "1", "dim": "2", "red": "31", "yellow": "33", "cyan": "36"}


class Table:
    """Rows that a terminal shows aligned, passed to a record as an extra; JSON lines omit it.

    `styles` has one entry per column: bold, dim, cyan or empty.
    """

    def __init__(self, rows: Sequence[Sequence[str]], styles: Sequence[str] = ()):
        self.rows = rows
        self.styles = styles


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


class JsonLines(logging.Formatter):
    """Fields passed as `extra` become members of the line.

    Of an exception it writes only the type and the stack, because the message may quote a caller.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        line |= {k: v for k, v in _fields(record).items() if not isinstance(v, Table)}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["stack"] = "".join(traceback.format_tb(record.exc_info[2]))
        return json.dumps(line, ensure_ascii=False, default=str)


class Terminal(logging.Formatter):
    """The same for people: one line per record, and its table instead of its other fields."""

    def __init__(self, color: bool):
        super().__init__()
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = _fields(record)
        tables = [value for value in fields.values() if isinstance(value, Table)]
        level = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}.get(record.levelname, "")
        line = f"{self._paint(clock, 'dim')} {self._paint(record.getMessage(), level)}"
        if tables:
            return "\n".join([line, *(self.table(table) for table in tables)])
        line += "".join(f" {self._paint(key, 'dim')}={value}" for key, value in fields.items())
        if record.exc_info and record.exc_info[0] is not None:
            stack = "".join(traceback.format_tb(record.exc_info[2]))
            line += f"\n{record.exc_info[0].__name__}\n{stack}"
        return line

    def table(self, table: Table) -> str:
        widths = [max(map(len, column)) for column in zip(*table.rows, strict=True)]
        styles = [*table.styles, *[""] * len(widths)]
        return "\n".join(
            "  "
            + "  ".join(
                self._paint(cell, style) + " " * (width - len(cell))
                for cell, width, style in zip(row, widths, styles, strict=False)
            ).rstrip()
            for row in table.rows
        )

    def _paint(self, text: str, style: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._color and style else text


def formatter(stream: TextIO) -> logging.Formatter:
    """The formatter for a stream. It respects NO_COLOR (https://no-color.org) and TERM=dumb."""
    if not stream.isatty():
        return JsonLines()
    return Terminal(not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb")


def configure(stream: TextIO | None = None) -> None:
    """Logs this package's records from INFO up, and libraries' records from WARNING up.

    vLLM warns of a dozen normal things at each start, so only its errors are logged, unless
    VLLM_LOGGING_LEVEL says otherwise.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter(handler.stream))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("minigpt4").setLevel(logging.INFO)
    logging.getLogger("vllm").setLevel(os.environ.get("VLLM_LOGGING_LEVEL", "ERROR"))
    logging.captureWarnings(True)
    warnings.filterwarnings("ignore", category=FutureWarning, module="vllm")
