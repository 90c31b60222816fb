"""Decodes images, and reads their text, in separate processes, which accounts share fairly.

A picture of 40 megapixels takes a second and hundreds of megabytes, and some of Pillow's steps hold
the interpreter lock. So the process that answers requests decodes nothing. The decoding processes
have a lower priority than it and the engine, and a limit on the time that one picture may take.
"""

import asyncio
import json
import logging
import os
import signal
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image

from .decoding import Limits, Undecodable, decode
from .fork import end_with_parent
from .picture import fit

if TYPE_CHECKING:
    from .reader import Reader

log = logging.getLogger(__name__)

NICENESS = 5
CPU_SECONDS = 20.0  # for one picture; a normal one of 40 megapixels takes one or two
READER_CPU_SECONDS = 10.0  # for the text of one picture; the reader itself stops after four


@dataclass(frozen=True)
class Decoded:
    """A picture, fit to a square. `text` is None where nobody read it, or the reader failed."""

    square: Image.Image
    text: list[str] | None = None


class FairSlots:
    """Hands out `slots` slots; waiting accounts take turns, each served in order of arrival.

    However many pictures one account sends, another account's picture waits only for those that
    run and for one of each waiting account. Use it in one event loop.
    """

    def __init__(self, slots: int):
        self._free = slots
        self._waiting: dict[
            Hashable, deque[asyncio.Future[None]]
        ] = {}  # in the order in which they are served

    async def acquire(self, account: Hashable) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()  # the slot was granted while its taker was cancelled
            raise

    def release(self) -> None:
        while self._waiting:
            account = next(iter(self._waiting))
            queue = self._waiting.pop(account)
            turn = queue.popleft()
            if queue:
                self._waiting[account] = queue  # behind all other accounts
            if not turn.cancelled():
                turn.set_result(None)
                return
        self._free += 1


class Decoders:
    """`count` processes, each of which decodes one picture at a time.

    With `reads`, each has a reader too (reader.py).
    """

    def __init__(
        self,
        limits: Limits,
        count: int = 2,
        cpu_seconds: float = CPU_SECONDS,
        reads: bool = False,
    ):
        self._slots = FairSlots(count)
        self._idle = [Decoder(limits, cpu_seconds, reads) for _ in range(count)]
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="decode")

    def start(self) -> None:
        """Starts the processes before the first picture arrives."""
        for decoder in self._idle:
            decoder.start()

    async def decode(
        self, account: Hashable, data: bytes, side: int, how: str, read: bool = False
    ) -> Decoded:
        """Returns the picture, fit to `side` x `side`, and if asked its text. Raises Undecodable.

        A reader that fails does not fail the picture.
        """
        await self._slots.acquire(account)
        decoder = self._idle.pop()
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, decoder.decode, data, side, how, read
        )

        def done(work: asyncio.Future) -> None:
            work.cancelled() or work.exception()  # the caller may be cancelled and never read it
            self._idle.append(decoder)
            self._slots.release()

        work.add_done_callback(done)
        return await asyncio.shield(work)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for decoder in self._idle:
            decoder.stop()


class Decoder:
    """One process, which is restarted after a picture has killed it."""

    def __init__(self, limits: Limits, cpu_seconds: float, reads: bool = False) -> None:
        self._bounds = {"limits": asdict(limits), "cpu_seconds": cpu_seconds}
        self._reads = reads
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, "-m", "minigpt4.decoders", str(os.getpid())]
            self._process = subprocess.Popen(
                [*command, "reads"] if self._reads else command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                process_group=0,  # Ctrl-C in a terminal then reaches only the parent, which drains
            )
        return self._process

    def decode(self, data: bytes, side: int, how: str, read: bool = False) -> Decoded:
        process = self.start()
        assert process.stdin is not None and process.stdout is not None
        task = {"bytes": len(data), "side": side, "how": how, "read": read, **self._bounds}
        try:
            _write(process.stdin, task, data)
            answer = _read(process.stdout)
            pixels = process.stdout.read(answer["bytes"])
        except (OSError, EOFError):
            self.stop()
            raise Undecodable("the image takes too long or too much memory to decode") from None
        if "refusal" in answer:
            raise Undecodable(answer["refusal"])
        square = Image.frombytes("RGB", (side, side), pixels)
        return Decoded(square, self._text(process.stdout) if read else None)

    def _text(self, answers: BinaryIO) -> list[str] | None:
        try:
            answer = _read(answers)
        except (OSError, EOFError):
            self.stop()
            answer = {"failure": "it took too long or too much memory"}
        if "failure" in answer:
            log.warning("the reader failed", extra={"reason": answer["failure"]})
            return None
        return answer["text"]

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _write(stream: BinaryIO, head: dict, body: bytes) -> None:
    words = json.dumps(head).encode()
    stream.write(struct.pack(">I", len(words)) + words)
    stream.write(body)
    stream.flush()


def _read(stream: BinaryIO) -> dict:
    """Raises EOFError if the other side has closed the stream."""
    length = stream.read(4)
    if len(length) < 4:
        raise EOFError
    return json.loads(stream.read(*struct.unpack(">I", length)))


def main(parent: int, reads: bool) -> None:
    """Decodes pictures from standard input to standard output, until the input ends."""
    end_with_parent(parent)
    os.nice(NICENESS)
    tasks, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not reach the answers
    Image.init()  # imports Pillow's formats
    reader = _reader() if reads else "there is no reader"
    while True:
        try:
            task = _read(tasks)
        except EOFError:
            return
        data = tasks.read(task["bytes"])
        # The timer's signal ends this process wherever it is, even inside a codec.
        signal.setitimer(signal.ITIMER_PROF, task["cpu_seconds"])
        picture = None
        try:
            picture = decode(data, Limits(**task["limits"]))
            pixels = fit(picture, task["side"], task["how"]).tobytes()
            answer = {"bytes": len(pixels)}
        except Undecodable as error:
            answer, pixels = {"bytes": 0, "refusal": str(error)}, b""
        signal.setitimer(signal.ITIMER_PROF, 0)
        _write(answers, answer, pixels)
        if task["read"] and picture is not None:
            # After the pixels, so that they are there whatever happens to the reader.
            signal.setitimer(signal.ITIMER_PROF, READER_CPU_SECONDS)
            answer = _text(reader, picture)
            signal.setitimer(signal.ITIMER_PROF, 0)
            _write(answers, answer, b"")


def _reader() -> "Reader | str":
    """The reader, or why there is none."""
    from .reader import Reader

    try:
        return Reader()
    except Exception as error:  # of a package that is not ours
        return f"it does not load: {type(error).__name__}"


def _text(reader: "Reader | str", picture: Image.Image) -> dict:
    if isinstance(reader, str):
        return {"failure": reader}
    try:
        return {"text": reader.read(picture)}
    except Exception as error:
        return {"failure": type(error).__name__}  # its message may quote the picture


if __name__ == "__main__":
    main(int(sys.argv[1]), reads="reads" in sys.argv[2:])
