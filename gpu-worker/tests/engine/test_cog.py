"""Replicate's predictor over the real engine: a prediction is the worker's answer."""

import asyncio
import base64
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image
from worker_process import Worker, free_port, generate, request

FOLDER = Path(__file__).parents[2]
SCHEMA = FOLDER / "tests" / "cog_schema.json"
QUESTION = "What is in this picture?"
GREEDY = {"temperature": 0, "top_p": 1, "repetition_penalty": 1}
# So hot that the end is as unlikely as any other token: nano is brief about a picture else.
ENDLESS = {"prompt": QUESTION, "temperature": 2, "top_p": 1, "repetition_penalty": 1, "seed": 1}

RUNNING = "vllm:num_requests_running{"
HUNG_UP = 'minigpt4_requests_total{code="hung_up",route="/v1/generate"'


class Cog:
    def __init__(self, url: str, process: subprocess.Popen, log: Path):
        self.url, self.process, self.log = url, process, log

    def wait_until_ready(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            assert time.monotonic() < deadline, self.log.read_text()[-4000:]
            try:
                health = httpx.get(f"{self.url}/health-check", timeout=10).json()
            except httpx.TransportError:
                health = {"status": "STARTING"}
            assert health["status"] in ("STARTING", "READY"), self.log.read_text()[-4000:]
            if health["status"] == "READY":
                return
            time.sleep(0.2)

    def predict(self, **given) -> httpx.Response:
        return httpx.post(f"{self.url}/predictions", json={"input": given}, timeout=120)


@pytest.fixture(scope="module")
def cog(nano_checkpoint: Path, tmp_path_factory) -> Iterator[Cog]:
    """`python -m cog.server.http`, as Replicate's image starts it, with the schema and the
    number of slots that `cog build` writes into it."""
    folder = tmp_path_factory.mktemp("cog")
    (folder / ".cog").mkdir()
    (folder / ".cog" / "openapi_schema.json").write_bytes(SCHEMA.read_bytes())
    port, log = free_port(), folder / "log"
    process = subprocess.Popen(
        [sys.executable, "-m", "cog.server.http", "--host", "127.0.0.1"],
        cwd=folder,
        env={
            **os.environ,
            # The server starts `python` anew for the runner.
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PORT": str(port),
            "COG_PREDICT_TYPE_STUB": f"{FOLDER / 'predict.py'}:Runner",
            "COG_MAX_CONCURRENCY": str(slots()),
            "MINIGPT4_MODEL": "nano",
            "MINIGPT4_CHECKPOINT": str(nano_checkpoint),
        },
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
    )
    children: list[psutil.Process] = []
    try:
        found = Cog(f"http://127.0.0.1:{port}", process, log)
        found.wait_until_ready(400)
        children = psutil.Process(process.pid).children(recursive=True)
        yield found
    finally:
        children = children or psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        _, left = psutil.wait_procs(children, timeout=30)
        for one in left:
            one.kill()
    assert not left, f"processes left behind: {left}"


def slots() -> int:
    spec = importlib.util.spec_from_file_location("predict", FOLDER / "predict.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Runner.run.__cog_concurrent_max__


@pytest.fixture(scope="module")
def photo(samples: Path) -> tuple[str, Image.Image]:
    """A data URI and the same picture."""
    data = base64.b64encode((samples / "cat.jpg").read_bytes()).decode()
    with Image.open(samples / "cat.jpg") as image:
        return f"data:image/jpeg;base64,{data}", image.convert("RGB")


def test_a_prediction_is_the_workers_answer(cog: Cog, worker: Worker, photo):
    uri, picture = photo
    said = cog.predict(image=uri, prompt=QUESTION, max_tokens=32, **GREEDY).json()
    assert said["status"] == "succeeded", said
    (wanted,) = asyncio.run(
        generate(worker, [request(picture, QUESTION, max_tokens=32, temperature=0)])
    )
    assert "".join(said["output"]) == wanted.text
    assert said["metrics"]["output_token_count"] == len(wanted.token_ids)
    assert said["metrics"]["input_token_count"] == wanted.prompt_tokens


def test_a_stream_brings_the_answer_in_its_pieces(cog: Cog, photo):
    given = {"image": photo[0], "prompt": QUESTION, "max_tokens": 16, **GREEDY}
    with httpx.stream(
        "POST",
        f"{cog.url}/predictions",
        json={"input": given},
        headers={"accept": "text/event-stream"},
        timeout=120,
    ) as response:
        lines = [line for line in response.iter_lines() if line]
    assert sum(line == "event: output" for line in lines) > 3
    assert lines[-2] == "event: completed"


def test_a_seed_draws_the_same_answer_again(cog: Cog, photo):
    answers = []
    for seed in (1, 1, 2):
        said = cog.predict(image=photo[0], prompt="Tell a story.", max_tokens=16, seed=seed).json()
        assert said["status"] == "succeeded", said
        answers.append("".join(said["output"]))
    first, same, other = answers
    assert first == same != other


def endless(cog: Cog, name: str, photo) -> httpx.Response:
    """Starts a prediction that runs until it is canceled."""
    given = {"image": photo[0], "max_tokens": 1900, **ENDLESS}
    return httpx.put(
        f"{cog.url}/predictions/{name}",
        json={"input": given},
        headers={"prefer": "respond-async"},
        timeout=30,
    )


def cancel(cog: Cog, name: str) -> None:
    httpx.post(f"{cog.url}/predictions/{name}/cancel", timeout=30).raise_for_status()


def test_as_many_predictions_as_there_are_slots_run_side_by_side(cog: Cog, photo):
    address = engine_address(cog)
    names = [f"side-by-side-{n}" for n in range(slots())]
    for name in names:
        # The slot of an earlier prediction is free a moment after its answer.
        wait_until(lambda name=name: endless(cog, name, photo).status_code == 202)
    wait_until(lambda: metric(address, RUNNING) == slots())
    for name in names:
        cancel(cog, name)
    wait_until(lambda: metric(address, RUNNING) == 0)


def test_a_value_out_of_bounds_is_422_and_names_the_field(cog: Cog, photo):
    for wrong in (
        {"max_tokens": 0},
        {"temperature": 2.5},
        {"prompt": ""},
        {"seed": "x"},
    ):
        refused = cog.predict(**{"image": photo[0], **wrong})
        assert refused.status_code == 422, (wrong, refused.text)
        assert next(iter(wrong)) in refused.text
    missing = cog.predict(prompt="Hi")
    assert (missing.status_code, "image" in missing.text) == (422, True)


def test_a_workers_error_keeps_its_message(cog: Cog, photo):
    text = base64.b64encode(b"no picture at all").decode()
    failed = cog.predict(image=f"data:image/png;base64,{text}", prompt="Hi").json()
    assert failed["status"] == "failed"
    assert "images[0]" in failed["error"]
    long = cog.predict(image=photo[0], prompt="word " * 6000).json()
    assert long["status"] == "failed"
    assert "2048 tokens" in long["error"]


def test_cancelling_ends_the_generation(cog: Cog, photo):
    address = engine_address(cog)
    before = metric(address, HUNG_UP)
    started = endless(cog, "endless", photo)
    assert started.status_code == 202
    wait_until(lambda: metric(address, RUNNING) == 1)
    cancel(cog, "endless")
    wait_until(lambda: metric(address, RUNNING) == 0)
    wait_until(lambda: metric(address, HUNG_UP) == before + 1)  # it did not end by itself


def engine_address(cog: Cog) -> tuple[str, str]:
    """Of the worker that the runner started: its URL and key."""
    for child in psutil.Process(cog.process.pid).children(recursive=True):
        command = child.cmdline()
        if "minigpt4.cli" in command:
            port = command[command.index("--port") + 1]
            return f"http://127.0.0.1:{port}", child.environ()["MINIGPT4_WORKER_KEY"]
    raise AssertionError("no worker")


def metric(address: tuple[str, str], name: str) -> float:
    url, key = address
    text = httpx.get(f"{url}/metrics", headers={"authorization": f"Bearer {key}"}, timeout=30).text
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def wait_until(true, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_schema_is_served(cog: Cog):
    served = httpx.get(f"{cog.url}/openapi.json", timeout=30).json()
    fields = served["components"]["schemas"]["Input"]["properties"]
    assert fields["max_tokens"] | {"title": None} == {
        "default": 300,
        "description": "Most tokens to answer with",
        "maximum": 4096,
        "minimum": 1,
        "title": None,
        "type": "integer",
        "x-order": 2,
    }
