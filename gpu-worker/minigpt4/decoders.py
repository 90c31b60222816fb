"""Decoding beside everything else: in processes of their own, in turns between accounts.

A picture of 40 megapixels takes a second and hundreds of megabytes, and some of Pillow's steps keep
the interpreter to themselves. So nothing is decoded in the process that answers requests; the ones
that decode yield to it and to the engine, and no picture keeps one of them for long.
"""

import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import BinaryIO

from PIL import Image

from .decoding import Limits, Undecodable, decode
from .fork import end_with
from .picture import fit

NICENESS = 5
CPU_SECONDS = 20.0  # for one picture; an honest one of 40 megapixels takes one or two


class Turns:
    """`slots` may be taken at once. Who waits is served account by account, in each by arrival.

    So however much one account asks for, another one's picture waits for those that run and for one
    of each account that waits too. To be used in one event loop.
    """

    def __init__(self, slots: int):
        self._free = slots
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}  # in the order of turns

    async def take(self, account: Hashable) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()  # it came as its taker left
            raise

    def give_back(self) -> None:
        while self._waiting:
            account = next(iter(self._waiting))
            queue = self._waiting.pop(account)
            turn = queue.popleft()
            if queue:
                self._waiting[account] = queue  # after all others
            if not turn.cancelled():
                turn.set_result(None)
                return
        self._free += 1


class Decoders:
    """`count` processes that each decode one picture at a time."""

    def __init__(self, limits: Limits, count: int = 2, cpu_seconds: float = CPU_SECONDS):
        self._turns = Turns(count)
        self._idle = [Decoder(limits, cpu_seconds) for _ in range(count)]
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="decode")

    def start(self) -> None:
        """Have them ready before the first picture comes."""
        for decoder in self._idle:
            decoder.start()

    async def square(self, account: Hashable, data: bytes, side: int, how: str) -> Image.Image:
        """The picture, fit to `side` x `side`. Raises Undecodable."""
        await self._turns.take(account)
        decoder = self._idle.pop()
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, decoder.square, data, side, how
        )

        def done(work: asyncio.Future) -> None:
            work.cancelled() or work.exception()  # whoever asked may have gone
            self._idle.append(decoder)
            self._turns.give_back()

        work.add_done_callback(done)
        return await asyncio.shield(work)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for decoder in self._idle:
            decoder.stop()


class Decoder:
    """One process, started anew where the last one died of a picture."""

    def __init__(self, limits: Limits, cpu_seconds: float) -> None:
        self._bounds = {"limits": asdict(limits), "cpu_seconds": cpu_seconds}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "minigpt4.decoders", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                process_group=0,  # Ctrl-C in a terminal is for the parent, which then drains
            )
        return self._process

    def square(self, data: bytes, side: int, how: str) -> Image.Image:
        process = self.start()
        assert process.stdin is not None and process.stdout is not None
        task = {"bytes": len(data), "side": side, "how": how, **self._bounds}
        try:
            _write(process.stdin, task, data)
            answer = _read(process.stdout)
            pixels = process.stdout.read(answer["bytes"])
        except (OSError, EOFError):
            self.stop()
            raise Undecodable("the image takes too long or too much memory to decode") from None
        if "refusal" in answer:
            raise Undecodable(answer["refusal"])
        return Image.frombytes("RGB", (side, side), pixels)

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
    """Raises EOFError where the other side has ended."""
    length = stream.read(4)
    if len(length) < 4:
        raise EOFError
    return json.loads(stream.read(*struct.unpack(">I", length)))


def main(parent: int) -> None:
    """Squares for pictures, from standard input to standard output, until that ends."""
    end_with(parent)
    os.nice(NICENESS)
    tasks, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    Image.init()  # imports Pillow's formats
    while True:
        try:
            task = _read(tasks)
        except EOFError:
            return
        data = tasks.read(task["bytes"])
        # Its signal ends this process wherever it is, in a codec too.
        signal.setitimer(signal.ITIMER_PROF, task["cpu_seconds"])
        try:
            picture = decode(data, Limits(**task["limits"]))
            pixels = fit(picture, task["side"], task["how"]).tobytes()
            answer = {"bytes": len(pixels)}
        except Undecodable as error:
            answer, pixels = {"bytes": 0, "refusal": str(error)}, b""
        signal.setitimer(signal.ITIMER_PROF, 0)
        _write(answers, answer, pixels)


if __name__ == "__main__":
    main(int(sys.argv[1]))
