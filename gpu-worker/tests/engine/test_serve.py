"""docs/worker-protocol.md over real HTTP, and a worker that survives whatever is sent to it."""

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from worker_process import Worker, answer, events, generate, request, stream

VECTORS = json.loads(
    (Path(__file__).parents[3] / "test/fixtures/worker-protocol/generate.json").read_text()
)
GREY = Image.new("RGB", (64, 64), "grey")
ENDLESS = "Count from one to one thousand, one number per line: 1, 2, 3, 4, 5,"


def send(worker: Worker, vector: dict[str, Any]) -> httpx.Response:
    headers = {"content-type": "application/json", **worker.headers}
    if "authorization" in vector:
        headers.pop("authorization")
        if vector["authorization"] is not None:
            headers["authorization"] = vector["authorization"]
    raw = vector["raw"] if "raw" in vector else json.dumps(vector["body"])
    return httpx.post(f"{worker.url}/v1/generate", headers=headers, content=raw, timeout=60)


def engine_running(worker: Worker) -> float:
    """How many requests the engine is working on."""
    found = [
        float(line.rsplit(" ", 1)[1])
        for line in worker.get("/metrics").text.splitlines()
        if line.startswith(("vllm:num_requests_running{", "vllm:num_requests_waiting{"))
    ]
    assert len(found) == 2
    return sum(found)


def wait_until(what, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.1)


@pytest.mark.parametrize("vector", VECTORS["errors"], ids=lambda vector: vector["name"])
def test_every_error_vector_is_answered_as_written(worker: Worker, vector: dict[str, Any]):
    response = send(worker, vector)
    body = response.json()
    assert (response.status_code, body["code"]) == (vector["status"], vector["code"])
    assert body.get("field") == vector.get("field")
    assert body["message"]


@pytest.mark.parametrize("vector", VECTORS["prompts"], ids=lambda vector: vector["name"])
def test_every_prompt_vector_is_rendered_and_counted_as_written(worker: Worker, vector):
    counted = worker.post("/v1/count", {"model": "nano", "messages": vector["messages"]})
    assert counted.json() == {"prompt_tokens": vector["prompt_tokens"], "context_length": 2048}
    images = request(*[GREY] * vector["prompt_token_ids"].count(16))["images"]
    body = {"model": "nano", "messages": vector["messages"], "images": images, "max_tokens": 1}
    (got,) = asyncio.run(generate(worker, [body]))
    assert got.prompt_token_ids == vector["prompt_token_ids"]
    assert got.prompt_tokens == vector["prompt_tokens"]


def test_this_engine_gives_the_recorded_stream(worker: Worker):
    recorded = VECTORS["recorded"]

    async def run() -> list[str]:
        async with httpx.AsyncClient() as client:
            return [line async for line in stream(client, worker, recorded["request"])]

    got = events(asyncio.run(run()))
    wanted = events("".join(recorded["stream"]).splitlines())
    assert answer(got) == answer(wanted)
    assert answer(got).text.endswith("\ufffd")  # it was cut inside a character


def test_the_parser_vector_is_well_formed():
    found = events("".join(VECTORS["stream"]).splitlines())
    assert answer(found).text == "The café 😀"
    assert ("ping", None) in found


def test_readiness_has_what_the_edge_plans_with(worker: Worker):
    ready = httpx.get(f"{worker.url}/readyz", timeout=30).json()  # no key is needed
    assert ready.pop("digest").isalnum()
    assert ready.pop("max_bytes_per_token") > 1
    assert ready == {
        "status": "ready",
        "model": "nano",
        "slots": 16,
        "context_length": 2048,
        "image_tokens": 8,
        "max_images": 4,
        "reader": False,
    }
    assert httpx.get(f"{worker.url}/healthz", timeout=30).status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/v1/generate", "/v1/count", "/v1/models", "/"])
def test_every_other_route_wants_the_key(worker: Worker, path: str):
    for header in (None, "Bearer", "Bearer wrong", f"Basic {worker.key}", worker.key):
        headers = {} if header is None else {"authorization": header}
        for method in ("GET", "POST"):
            response = httpx.request(method, f"{worker.url}{path}", headers=headers, timeout=30)
            assert (response.status_code, response.json()["code"]) == (401, "unauthorized")


def test_unknown_routes_and_methods_are_not_found(worker: Worker):
    for response in (worker.get("/v1/models"), worker.get("/v1/generate"), worker.get("/")):
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_metrics_show_our_counters_and_the_engines(worker: Worker):
    text = worker.get("/metrics").text
    assert 'minigpt4_requests_total{code="",route="/readyz",status="200"}' in text
    assert "minigpt4_boot_seconds" in text
    assert "vllm:kv_cache_usage_perc" in text


HI = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("messages", {"messages": []}),
        ("messages[0]", {"messages": ["hi"]}),
        ("messages[0].role", {"messages": [{"role": "tool", "content": "x"}]}),
        ("messages[0].role", {"messages": [{"role": "assistant", "content": "x"}]}),
        ("messages[0].content", {"messages": [{"role": "user", "content": 3}]}),
        ("messages[0].content", {"messages": [{"role": "user"}]}),
        ("messages[0].name", {"messages": [{"role": "user", "content": "x", "name": "y"}]}),
        (
            "messages[0].content[0].type",
            {"messages": [{"role": "user", "content": [{"type": "audio"}]}]},
        ),
        (
            "messages[0].content[0].type",
            {"messages": [{"role": "system", "content": [{"type": "image"}]}, *HI]},
        ),
        (
            "messages[0].content[0].text",
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "\ud800"}]}]},
        ),
        ("images", {"images": [{"id": "a", "data": ""}]}),
        ("images", {"images": {}}),
        ("images[0]", {"images": [{"id": "a"}]}),
        ("images[0]", {"images": [{"id": "a", "url": "https://a/", "data": ""}]}),
        ("images[0].id", {"images": [{"id": "", "data": ""}]}),
        ("images[0].data", {"images": [{"id": "a", "data": "no base64"}]}),
        ("max_tokens", {"max_tokens": -1}),
        ("max_tokens", {"max_tokens": 1.5}),
        ("max_tokens", {"max_tokens": True}),
        ("max_tokens", {"max_tokens": "3"}),
        ("temperature", {"temperature": -0.1}),
        ("temperature", {"temperature": None}),
        ("top_p", {"top_p": 0}),
        ("top_p", {"top_p": 1.1}),
        ("repetition_penalty", {"repetition_penalty": 0.4}),
        ("seed", {"seed": -1}),
        ("seed", {"seed": 2**60}),
        ("cache_salt", {"cache_salt": 3}),
        ("request_id", {"request_id": ""}),
        ("committed_token_ids", {"committed_token_ids": []}),
        ("committed_token_ids", {"messages": None, "prompt_token_ids": [1]}),
        (
            "committed_token_ids[0]",
            {"messages": None, "prompt_token_ids": [1], "committed_token_ids": [2]},
        ),
        (
            "prompt_token_ids[1]",
            {"messages": None, "prompt_token_ids": [1, 49152], "committed_token_ids": []},
        ),
        (
            "prompt_token_ids[0]",
            {"messages": None, "prompt_token_ids": [-1], "committed_token_ids": []},
        ),
        (
            "images",
            {"messages": None, "prompt_token_ids": [1, 16, 198], "committed_token_ids": []},
        ),
    ],
)
def test_a_wrong_field_is_named(worker: Worker, field: str, change: dict[str, Any]):
    body = {"model": "nano", "messages": HI, "images": [], "max_tokens": 1, **change}
    body = {key: value for key, value in body.items() if key != "messages" or value is not None}
    response = worker.post("/v1/generate", body)
    assert response.status_code == 400
    assert (response.json()["code"], response.json()["field"]) == ("invalid_request", field)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b'{"model": NaN}', b"\xff", b"[" * 100_000, b'{"model": "nano"']
)
def test_a_body_that_is_not_a_json_object_is_refused(worker: Worker, raw: bytes):
    response = httpx.post(
        f"{worker.url}/v1/generate", headers=worker.headers, content=raw, timeout=60
    )
    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")


def test_a_body_over_the_limit_is_refused_announced_or_not(worker: Worker):
    def chunks():
        for _ in range(34):
            yield b" " * 2**20

    for content in (b" " * (33 * 2**20), chunks()):
        try:
            response = httpx.post(
                f"{worker.url}/v1/generate", headers=worker.headers, content=content, timeout=60
            )
        except httpx.WriteError:
            continue  # the worker answered and hung up while we were still sending
        assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


def test_a_prompt_that_cannot_fit_is_refused_with_its_length(worker: Worker):
    for words in (3000, 200_000):
        response = worker.post("/v1/generate", request("word " * words))
        body = response.json()
        assert (response.status_code, body["code"]) == (400, "context_length_exceeded")
        assert body["prompt_tokens"] > body["context_length"] == 2048
    assert worker.post("/v1/count", {"model": "nano", "messages": HI}).status_code == 200


def test_a_prompt_that_leaves_little_room_ends_with_length(worker: Worker):
    long = request(" a" * 2000, max_tokens=500)
    count = worker.post("/v1/count", {"model": "nano", "messages": long["messages"]}).json()
    room = 2048 - count["prompt_tokens"]
    assert 0 < room < 60
    (got,) = asyncio.run(generate(worker, [long]))
    if got.finish_reason == "length":
        assert len(got.token_ids) == room
    else:
        assert len(got.token_ids) <= room


def test_too_many_images_are_refused(worker: Worker):
    response = worker.post("/v1/generate", request(*[GREY] * 5, "?"))
    assert (response.status_code, response.json()["field"]) == (400, "images")


def test_a_seed_repeats_an_answer_and_another_one_changes_it(worker: Worker):
    def body(seed: int) -> dict[str, Any]:
        return request(GREY, "Tell me a story.", temperature=1.0, seed=seed)

    first, second, same, other = asyncio.run(
        generate(worker, [body(1), body(1), body(1), body(2)], at_once=1)
    )
    assert first.token_ids == second.token_ids == same.token_ids
    assert other.token_ids != first.token_ids


def test_a_repetition_penalty_changes_a_repeating_answer(worker: Worker):
    plain, penal = asyncio.run(
        generate(
            worker,
            [
                request(ENDLESS, max_tokens=40),
                request(ENDLESS, max_tokens=40, repetition_penalty=1.8),
            ],
        )
    )
    assert plain.token_ids != penal.token_ids


def test_texts_before_and_after_any_seam_join_to_the_whole(worker: Worker):
    """Characters of several tokens cross the seam, and none is split, lost or shown twice."""
    body = request("Repeat exactly, nothing else: 😀 é 日本語 🎉 🚀 ñ", max_tokens=24)

    async def run() -> list[tuple[str, Any]]:
        async with httpx.AsyncClient() as client:
            return events([line async for line in stream(client, worker, body)])

    found = asyncio.run(run())
    whole = answer(found)
    assert any(ord(character) > 127 for character in whole.text)
    ids: list[int] = []
    text, waited = "", 0
    rest, shown = {**body, "prompt_token_ids": whole.prompt_token_ids}, []
    del rest["messages"]
    bodies = []
    for name, data in found:
        if name == "token":
            bodies.append({**rest, "committed_token_ids": list(ids), "max_tokens": 24 - len(ids)})
            shown.append(text)
            ids, text = ids + data["token_ids"], text + data["text"]
            waited += data["text"] == ""
    assert waited, "no character of this answer took two tokens"
    for before, later in zip(shown, asyncio.run(generate(worker, bodies)), strict=True):
        assert before + later.text == whole.text


def test_hanging_up_aborts_the_generation(worker: Worker):
    wait_until(lambda: engine_running(worker) == 0)

    async def leave_after(lines_wanted: int) -> None:
        async with httpx.AsyncClient() as client:
            seen = 0
            async for line in stream(client, worker, request(ENDLESS, max_tokens=1900)):
                seen += bool(line)
                if seen > lines_wanted:
                    assert engine_running(worker) == 1
                    return

    for lines_wanted in (4, 20):
        asyncio.run(asyncio.wait_for(leave_after(lines_wanted), 120))
        wait_until(lambda: engine_running(worker) == 0)


def test_hanging_up_before_the_answer_leaves_nothing_running(worker: Worker):
    body = json.dumps(request(GREY, ENDLESS, max_tokens=1900)).encode()
    host, port = worker.url.removeprefix("http://").split(":")
    head = (
        f"POST /v1/generate HTTP/1.1\r\nhost: {host}\r\n"
        f"authorization: Bearer {worker.key}\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    for sent in (head[:20], head, head + body[: len(body) // 2], head + body):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(sent)
    wait_until(lambda: engine_running(worker) == 0)
    wait_until(lambda: "minigpt4_requests_in_flight 0.0" in worker.get("/metrics").text)


def test_many_streams_at_once_do_not_mix(worker: Worker):
    bodies = [request(GREY, f"Say the number {n}.", max_tokens=12) for n in range(24)]
    alone = asyncio.run(generate(worker, bodies[:3], at_once=1))
    together = asyncio.run(generate(worker, bodies, at_once=24))
    assert [one.token_ids for one in together[:3]] == [one.token_ids for one in alone]
    assert len({tuple(one.prompt_token_ids) for one in together}) == 24


def test_more_requests_than_the_queue_holds_are_refused_at_once(worker: Worker):
    asked = 16 + 32 + 6

    async def run() -> list[int]:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as client:
            body = request(ENDLESS, max_tokens=1900)
            all_answered = asyncio.Barrier(asked)

            async def one() -> int:
                async with client.stream(
                    "POST",
                    f"{worker.url}/v1/generate",
                    headers=worker.headers,
                    json=body,
                    timeout=60,
                ) as response:
                    if response.status_code != 200:
                        assert json.loads(await response.aread())["code"] == "overloaded"
                    await all_answered.wait()  # holds its place till then
                    return response.status_code

            return await asyncio.gather(*(one() for _ in range(asked)))

    statuses = asyncio.run(asyncio.wait_for(run(), 120))
    assert sorted(statuses) == [200] * 48 + [429] * 6
    wait_until(lambda: engine_running(worker) == 0)


def test_after_all_of_this_the_worker_still_answers(worker: Worker):
    (got,) = asyncio.run(generate(worker, [request(GREY, "What is the capital of France?")]))
    assert got.token_ids
    assert worker.get("/readyz").status_code == 200
