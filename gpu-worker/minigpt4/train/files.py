"""Writes files atomically, and remembers their SHA-256."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path


def replace_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """`write` fills a file beside `path`, which is then renamed to `path`.

    No two processes may write one path. A file that a killed process left is overwritten.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.chmod(0o644)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_atomically(path: Path, data: bytes) -> None:
    replace_atomically(path, lambda part: part.write_bytes(data))


class FileSums:
    """SHA-256 of files; a file is read again only if its size or its time changed."""

    def __init__(self, memory: Path | None = None):
        """`memory`: a file that keeps the checksums between runs."""
        self._memory = memory
        self._known: dict[str, list] = {}
        self._new = False
        if memory and memory.exists():
            try:
                self._known = dict(json.loads(memory.read_text()))
            except (ValueError, TypeError):
                self._known = {}  # another kind of file; the checksums are computed again

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
            write_atomically(self._memory, json.dumps(self._known).encode())
            self._new = False
