"""Decoding in separate processes that accounts share fairly."""

import asyncio
import io
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from PIL import Image
from prometheus_client import REGISTRY

from minigpt4.decoders import NICENESS, Decoder, Decoders, FairSlots
from minigpt4.decoding import Limits, Undecodable
from minigpt4.images import Fetcher
from minigpt4.launch import load_model
from minigpt4.protocol import ImageSource, RequestError
from minigpt4.serve import ServeLimits, Worker

SIDE = 32
LIMITS = Limits()


def encoded(colour: str, size: tuple[int, int] = (64, 48), kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()


@asynccontextmanager
async def opened(count: int, **options: float) -> AsyncIterator[Decoders]:
    decoders = Decoders(LIMITS, count, **options)
    try:
        yield decoders
    finally:
        decoders.close()


async def settled() -> None:
    """Everything that can run has run."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_an_account_that_asks_for_much_delays_anothers_turn_by_one_of_its_own():
    async def run() -> list[str]:
        slots, order = FairSlots(2), []

        async def picture(account: str, name: str) -> None:
            await slots.acquire(account)
            order.append(name)

        tasks = [asyncio.create_task(picture("greedy", f"greedy {n}")) for n in range(32)]
        await settled()
        for account in ("second", "third"):
            tasks += [asyncio.create_task(picture(account, f"{account} {n}")) for n in range(2)]
        await settled()
        for _ in range(len(tasks)):
            slots.release()
            await settled()
        await asyncio.gather(*tasks)
        return order

    order = asyncio.run(run())
    assert order[:2] == ["greedy 0", "greedy 1"]  # no other caller was waiting
    assert order[2:9] == [
        "greedy 2",
        "second 0",
        "third 0",
        "greedy 3",
        "second 1",
        "third 1",
        "greedy 4",
    ]
    assert len(order) == 36


def test_the_slot_of_a_cancelled_waiter_goes_to_the_next():
    async def run() -> list[str]:
        slots, order = FairSlots(1), []

        async def picture(name: str) -> None:
            await slots.acquire(name)
            order.append(name)

        await picture("first")
        left, late, last = (asyncio.create_task(picture(name)) for name in ("a", "b", "c"))
        await settled()
        left.cancel()  # while it waits
        await settled()
        slots.release()
        late.cancel()  # as its turn comes
        await settled()
        with suppress(asyncio.CancelledError):
            await late
        await asyncio.wait_for(last, 10)
        slots.release()
        await asyncio.wait_for(picture("free again"), 10)
        return order

    order = asyncio.run(run())
    assert order == ["first", "c", "free again"]


def test_pictures_are_decoded_in_turns_between_accounts():
    async def run() -> list[str]:
        order = []
        async with opened(1) as decoders:

            async def picture(account: str, colour: str) -> None:
                decoded = await decoders.decode(account, encoded(colour), SIDE, "squash")
                want = Image.new("RGB", (1, 1), colour).getpixel((0, 0))
                assert decoded.square.getpixel((3, 3)) == want
                order.append(account)

            await asyncio.gather(
                *(picture("greedy", "red") for _ in range(8)),
                *(picture("modest", "blue") for _ in range(2)),
            )
        return order

    order = asyncio.run(run())
    assert order[:5] == ["greedy", "greedy", "modest", "greedy", "modest"]


def test_nothing_is_decoded_in_this_process_and_the_others_give_way_to_it():
    decoder = Decoder(LIMITS, 20.0)
    try:
        decoder.decode(encoded("red"), SIDE, "crop")
        process = decoder.start()
        assert process.pid != os.getpid()
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == min(19, own + NICENESS)
    finally:
        decoder.stop()


def test_serving_imports_nothing_that_starts_threads_before_signals_are_blocked():
    code = "import sys, minigpt4.launch; print({'numpy', 'torch', 'vllm'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set()"


def test_a_picture_that_takes_too_long_is_refused_and_the_next_one_decoded():
    async def run() -> None:
        large = encoded("red", (8000, 5000), "PNG")
        async with opened(1, cpu_seconds=0.1) as decoders:
            with pytest.raises(Undecodable, match="too long"):
                await decoders.decode("a", large, SIDE, "crop")
            decoded = await decoders.decode("a", encoded("red"), SIDE, "crop")
            assert decoded.square.size == (SIDE, SIDE)

    asyncio.run(run())


def test_an_error_says_what_is_wrong_and_the_process_continues():
    async def run() -> None:
        async with opened(1) as decoders:
            for data in (b"nonsense", encoded("red")[:60]):
                with pytest.raises(Undecodable, match=r"the bytes are not an image|broken"):
                    await decoders.decode("a", data, SIDE, "crop")
            decoded = await decoders.decode("a", encoded("red"), SIDE, "crop")
            assert decoded.square.mode == "RGB"

    asyncio.run(run())


def test_a_cancelled_caller_releases_its_slot_after_decoding():
    async def run() -> None:
        async with opened(1) as decoders:
            left = asyncio.create_task(decoders.decode("a", encoded("red"), SIDE, "crop"))
            await settled()
            left.cancel()
            assert await decoders.decode("b", encoded("blue"), SIDE, "crop")

    asyncio.run(run())


def decoded() -> float:
    return REGISTRY.get_sample_value("minigpt4_image_seconds_count") or 0.0


def test_equal_images_in_one_request_are_decoded_once(nano_checkpoint: Path):
    async def run() -> None:
        model = load_model("nano", nano_checkpoint, 2048)
        worker = Worker(model, ServeLimits(), Fetcher([], LIMITS), "key")
        red, blue = encoded("red"), encoded("blue")
        images = [
            ImageSource(*each)
            for each in (("r", None, red), ("b", None, blue), ("r", None, red), ("r", None, red))
        ]
        before = decoded()
        try:
            loaded = await worker.load(images, "account")
            with pytest.raises(RequestError, match=r"images\[1\]"):
                await worker.load([images[0], ImageSource("x", None, b"no image")], "account")
        finally:
            await worker.close()
        assert decoded() - before == 2 + 2
        assert [image.id for image in loaded] == ["r", "b", "r", "r"]
        colours = [image.square.getpixel((9, 9)) for image in loaded]
        assert colours == [(255, 0, 0), (0, 0, 255), (255, 0, 0), (255, 0, 0)]

    asyncio.run(run())
