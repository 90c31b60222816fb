"""A worker starts, drains and dies in a process of its own, and never hangs."""

import asyncio
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import psutil
import pytest
from worker_process import Worker, answer, events, free_port, request, start, stream

ENDLESS = "Count from one to one thousand, one number per line: 1, 2, 3, 4, 5,"


@pytest.fixture
def workers(nano_checkpoint: Path) -> Iterator:
    started: list[Worker] = []

    def launch(*arguments: str) -> Worker:
        started.append(start(nano_checkpoint, *arguments))
        return started[-1]

    yield launch
    for one in started:
        one.stop()


def wait_until_listening(worker: Worker) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            assert worker.get("/healthz").status_code == 200
            return
        except httpx.ConnectError:
            assert time.monotonic() < deadline, worker.tail()
            time.sleep(0.05)


def run_cli(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    inherited = {k: v for k, v in os.environ.items() if k != "MINIGPT4_WORKER_KEY"}
    return subprocess.run(
        [sys.executable, "-m", "minigpt4.cli", *arguments],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_missing_key_or_checkpoint_and_a_port_in_use_give_one_line(
    nano_checkpoint: Path, tmp_path: Path
):
    serve = ("serve", "nano", "--port", "1", "--checkpoint")
    no_key = run_cli(*serve, str(nano_checkpoint))
    assert no_key.returncode == 1
    assert "set MINIGPT4_WORKER_KEY" in no_key.stderr
    nothing = run_cli(*serve, str(tmp_path), MINIGPT4_WORKER_KEY="k")
    assert "minigpt4-worker assemble nano" in nothing.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        busy = run_cli(
            "serve", "nano", "--port", port, "--checkpoint", str(nano_checkpoint),
            MINIGPT4_WORKER_KEY="k",
        )  # fmt: skip
    assert port in busy.stderr
    for failed in (no_key, nothing, busy):
        assert failed.returncode == 1
        assert len(failed.stderr.splitlines()) == 1


def test_a_dry_run_prints_the_plan_and_exits(nano_checkpoint: Path):
    """One JSON line for programs; for people a table, in colour unless NO_COLOR is set."""
    plain = run_cli("serve", "nano", "--dry-run", MINIGPT4_CHECKPOINT=str(nano_checkpoint))
    assert plain.returncode == 0, plain.stderr
    plan = json.loads(plain.stdout)["plan"]
    assert (plan["dtype"], plan["slots"], plan["kv_cache_mib"]) == ("float32", 16, 1024)
    assert plan["reasons"]["context_length"] == "the model's own"
    assert plan["reader"]["on"] is False  # it stands beside mini
    command = ("serve", "nano", "--dry-run", "--slots", "3", "--checkpoint", str(nano_checkpoint))
    for environment, colored in (({"NO_COLOR": "1"}, False), ({"TERM": "xterm"}, True)):
        shown = run_on_terminal(*command, **environment)
        assert ("\x1b[" in shown) == colored
        rows = [re.sub(r"\x1b\[\d+m", "", line) for line in shown.splitlines()]
        (slots,) = (row for row in rows if row.startswith("  slots "))
        assert slots.split() == ["slots", "3", "asked", "for"]
        assert len({row.index(re.split(r"\s{2,}", row)[-1]) for row in rows[1:]}) == 1  # aligned


def test_an_impossible_option_gives_one_line(nano_checkpoint: Path):
    asked = ("serve", "nano", "--checkpoint", str(nano_checkpoint), "--context-length", "9000")
    failed = run_cli(*asked, MINIGPT4_WORKER_KEY="k")
    assert (failed.returncode, len(failed.stderr.splitlines())) == (1, 1)
    assert "at most 8192" in failed.stderr
    other = run_cli("serve", "llama2-7b", "--checkpoint", str(nano_checkpoint))
    assert "it holds nano" in other.stderr


def run_on_terminal(*arguments: str, **environment: str) -> str:
    inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "minigpt4.cli", *arguments],
        env={**inherited, **environment},
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:
            pass  # Linux: no process has the terminal open any more
        assert process.wait(60) == 0
    os.close(ours)
    return shown.decode()


def test_it_ends_with_its_parent_process(nano_checkpoint: Path):
    port = str(free_port())
    serve = ["serve", "nano", "--checkpoint", str(nano_checkpoint), "--port", port]
    code = (
        "import os, subprocess, sys; command = [sys.executable, '-m', 'minigpt4.cli', "
        "*sys.argv[1:], '--end-with', str(os.getpid())]; subprocess.Popen(command).wait()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, *serve],
        env={**os.environ, "MINIGPT4_WORKER_KEY": "k"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_listening(Worker(f"http://127.0.0.1:{port}", "k"))
        (child,) = psutil.Process(parent.pid).children()
    finally:
        parent.kill()
        parent.wait(10)
    child.wait(30)


def test_the_commands_help_does_not_import_the_engine():
    code = "import sys, minigpt4.cli as c; c.parser(); print({'torch', 'vllm'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "set()"


def test_stopped_while_starting_it_leaves_at_once(workers):
    worker = workers()
    wait_until_listening(worker)
    time.sleep(2)  # in the middle of the imports
    worker.process.send_signal(signal.SIGTERM)
    assert worker.wait_for_exit(30) == 0


def test_it_answers_while_it_starts_fetches_images_and_drains(workers, samples: Path):
    handler = partial(SimpleHTTPRequestHandler, directory=str(samples))
    bucket = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=bucket.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{bucket.server_port}"
    worker = workers("--allow-images-from", origin, "--drain-seconds", "5")
    wait_until_listening(worker)

    starting = httpx.get(f"{worker.url}/readyz", timeout=30)
    assert (starting.status_code, starting.json()) == (503, {"status": "starting"})
    early = worker.post("/v1/generate", request("hi"))
    assert (early.status_code, early.json()["code"]) == (503, "starting")
    with httpx.Client() as kept:  # a connection of before the fork
        assert kept.get(f"{worker.url}/healthz").status_code == 200
        worker.wait_until_ready()
        assert kept.get(f"{worker.url}/healthz").status_code == 200

    async def fetch_and_drain() -> tuple[list, list, float]:
        async with httpx.AsyncClient() as client:

            async def whole(body) -> list:
                return events([line async for line in stream(client, worker, body)])

            body = request("What is this?", max_tokens=8)
            body["messages"][0]["content"].insert(0, {"type": "image"})
            body["images"] = [{"id": "cat", "url": f"{origin}/cat.jpg"}]
            assert answer(await whole(body)).token_ids
            for url, status in ((f"{origin}/README.md", 422), (f"{origin}/missing", 424)):
                body["images"] = [{"id": url, "url": url}]
                refused = await asyncio.to_thread(worker.post, "/v1/generate", body)
                assert refused.status_code == status

            short = asyncio.create_task(whole(request(ENDLESS, max_tokens=16)))
            long = asyncio.create_task(whole(request(ENDLESS, max_tokens=1900)))
            while not short.done():  # on a busy machine it may end between two looks
                scraped = await asyncio.to_thread(worker.get, "/metrics")
                if "minigpt4_requests_in_flight 2.0" in scraped.text:
                    break
            begun = time.monotonic()
            worker.process.send_signal(signal.SIGTERM)
            while (
                draining := await client.get(f"{worker.url}/readyz", timeout=30)
            ).status_code == 200:
                assert time.monotonic() < begun + 30
            assert (draining.status_code, draining.json()) == (503, {"status": "draining"})
            late = await asyncio.to_thread(worker.post, "/v1/generate", request("hi"))
            assert (late.status_code, late.json()["code"]) == (503, "draining")
            return await short, await long, begun

    short, long, begun = asyncio.run(asyncio.wait_for(fetch_and_drain(), 180))
    bucket.shutdown()
    bucket.server_close()
    assert len(answer(short).token_ids) == 16  # what could finish did
    assert long[-1][0] == "error"  # what could not was told so
    assert long[-1][1]["code"] == "draining"
    assert worker.wait_for_exit(60) == 0
    assert time.monotonic() - begun < 90
    lines = [json.loads(line) for line in worker.log.read_text().splitlines()]  # all is JSON
    (ready,) = (line for line in lines if "boot" in line)
    assert ready["boot"]["total"] >= ready["boot"]["import vllm"] > 0
    assert [line["plan"]["slots"] for line in lines if "plan" in line] == [16]
    for secret in (worker.key, ENDLESS[:20], "What is this", "cat.jpg"):
        assert secret not in worker.log.read_text()
    socket.create_server(("127.0.0.1", int(worker.url.rsplit(":", 1)[1]))).close()


def test_when_its_engine_dies_it_logs_this_and_exits_with_1(workers):
    worker = workers()
    worker.wait_until_ready()
    engine = psutil.Process(worker.process.pid).children()[0]

    async def run() -> list:
        async with httpx.AsyncClient() as client:
            lines = []
            async for line in stream(client, worker, request(ENDLESS, max_tokens=1900)):
                lines.append(line)
                if len(lines) == 12:
                    engine.kill()
            return events(lines)

    found = asyncio.run(asyncio.wait_for(run(), 120))
    assert found[-1][0] == "error"
    assert found[-1][1]["code"] == "engine_failed"
    assert worker.wait_for_exit(60) == 1


def test_killed_it_leaves_no_process_behind(workers):
    worker = workers()
    deadline = time.monotonic() + 300
    while not worker.children:  # as soon as the engine's processes exist
        worker.note_children()
        assert time.monotonic() < deadline, worker.tail()
        time.sleep(0.1)
    time.sleep(1)
    worker.note_children()
    worker.process.kill()
    assert worker.wait_for_exit(30) == -signal.SIGKILL
