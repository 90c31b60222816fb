"""One JSON object per line on stderr: what happened, never what was said or shown."""

import json
import logging
import os
import sys
import time
import traceback
import warnings

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Fields given as `extra` become members. Of an exception only its type and stack are
    written: its message may quote what a caller sent."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["stack"] = "".join(traceback.format_tb(record.exc_info[2]))
        return json.dumps(line, ensure_ascii=False, default=str)


def configure() -> None:
    """Our records from INFO up, those of libraries from WARNING up. vLLM warns of a dozen normal
    things at each start, so from it only errors, unless VLLM_LOGGING_LEVEL says otherwise."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("minigpt4").setLevel(logging.INFO)
    logging.getLogger("vllm").setLevel(os.environ.get("VLLM_LOGGING_LEVEL", "ERROR"))
    logging.captureWarnings(True)
    warnings.filterwarnings("ignore", category=FutureWarning, module="vllm")
