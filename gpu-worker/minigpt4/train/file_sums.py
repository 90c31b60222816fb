"""SHA-256 of files, remembered for as long as a file's size and time do not change."""

import hashlib
import json
from pathlib import Path

from .whole_files import write_whole


class FileSums:
    def __init__(self, memory: Path | None = None):
        """`memory`: a file that keeps the sums between runs."""
        self._memory = memory
        self._known: dict[str, list] = {}
        self._new = False
        if memory and memory.exists():
            try:
                self._known = dict(json.loads(memory.read_text()))
            except (ValueError, TypeError):
                self._known = {}  # not ours: the sums are computed again

    def of(self, file: Path) -> str:
        at, about = str(file.absolute()), file.stat()
        stamp = [about.st_size, about.st_mtime_ns]
        if self._known.get(at, [])[:2] != stamp:
            with file.open("rb") as open_file:
                self._known[at] = [*stamp, hashlib.file_digest(open_file, "sha256").hexdigest()]
            self._new = True
        return self._known[at][2]

    def keep(self) -> None:
        if self._memory and self._new:
            write_whole(self._memory, json.dumps(self._known).encode())
            self._new = False
