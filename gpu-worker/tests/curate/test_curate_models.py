"""Both kinds of models: what they send, what they retry, what they give up, what they never log."""

import asyncio

import httpx
import pytest
from curate_servers import KEY, Reply, serving

from minigpt4.curate.models import (
    Answer,
    ChatModel,
    Failed,
    Question,
    Turn,
    WorkerModel,
    checked_url,
    with_retries,
)
from minigpt4.input_error import InputError

QUESTION = Question((Turn("user", "Describe it."),), 50, 0.0, 1.0, 7)
NOW = {"retry-after": "0"}


def ask(model, question=QUESTION) -> Answer:
    async def go() -> Answer:
        async with httpx.AsyncClient() as client:
            await model.open(client)
            return await model.ask(client, question)

    return asyncio.run(go())


def in_turn(*replies: Reply):
    left = list(replies)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize("path", ["", "/v1", "/v1/chat/completions", "/proxy/v1"])
def test_an_openai_endpoint_is_asked_in_its_shape_wherever_it_lies(path):
    with serving(lambda asked: Reply("A dog.", tokens=3)) as server:
        answer = ask(ChatModel(f"{server.url}{path}", "some-model", KEY))
    assert answer == Answer("A dog.", "stop", 7, 3)
    [asked] = server.asked
    prefix = path.removesuffix("/chat/completions") or "/v1"
    assert asked.path == f"{prefix}/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body == {
        "model": "some-model",
        "messages": [{"role": "user", "content": "Describe it."}],
        "max_tokens": 50,
        "temperature": 0.0,
        "top_p": 1.0,
        "seed": 7,
    }


def test_a_worker_is_asked_in_its_protocol_with_and_without_a_photo():
    with serving(lambda asked: Reply("A dog."), worker=True) as server:
        model = WorkerModel(server.url, KEY)
        turns = (
            Turn("user", "Describe it.", b"photo"),
            Turn("assistant", "A dog."),
            Turn("user", "Continue"),
        )
        answer = ask(model, Question(turns, 50, 0.5, 0.9, 7))
        assert ask(model) == Answer("A dog.", "stop", 11, 2)
    assert answer.text == "A dog."
    assert (model.name, model.digest, model.image_tokens) == ("nano", "d" * 64, 8)
    first, second = server.asked
    assert [part["type"] for part in first.body["messages"][0]["content"]] == ["image", "text"]
    assert first.body["messages"][1]["role"] == "assistant"
    assert len(first.body["images"]) == 1 and second.body["images"] == []
    assert first.body["seed"] == 7 and first.body["max_tokens"] == 50


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
def test_a_temporary_failure_is_retried(status):
    with serving(in_turn(Reply(status=status, headers=NOW), Reply("A dog."))) as server:
        assert ask(ChatModel(server.url, "m", KEY)).text == "A dog."
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=429, headers=NOW),
        Reply(status=503, headers=NOW, error={"code": "draining", "message": "leaving"}),
        Reply("A do", broken=True),
        Reply("A do", error={"code": "engine_failed", "message": "it died"}),
    ],
)
def test_a_worker_that_is_full_leaves_or_breaks_is_asked_again(reply):
    with serving(in_turn(reply, Reply("A dog.")), worker=True) as server:
        assert ask(WorkerModel(server.url, KEY)).text == "A dog."
    assert len(server.asked) == 2


def test_a_connection_that_breaks_in_an_answer_is_asked_again():
    with serving(in_turn(Reply("A dog.", broken=True), Reply("A dog."))) as server:
        assert ask(ChatModel(server.url, "m", KEY)).text == "A dog."
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("reply", "hopeless"),
    [
        (Reply(status=401), True),
        (Reply(status=403), True),
        (Reply(status=404, error={"error": {"message": "no such model"}}), True),
        (Reply(status=302, headers={"location": "http://127.0.0.1:9/"}), True),
        (Reply(status=429, error={"error": {"code": "insufficient_quota"}}), True),
        (Reply(status=400, error={"error": {"message": "too long"}}), False),
        (Reply(raw=b"<html>"), False),
        (Reply(raw=b'{"choices": []}'), False),
    ],
)
def test_a_permanent_failure_is_not_retried(reply, hopeless):
    with serving(lambda asked: reply) as server, pytest.raises(Failed) as failed:
        ask(ChatModel(server.url, "m", KEY))
    assert failed.value.hopeless is hopeless
    assert len(server.asked) == 1


def test_a_refused_key_is_not_quoted():
    leak = Reply(status=401, error={"error": {"message": f"wrong key: {KEY}"}})
    with serving(lambda asked: leak) as server, pytest.raises(Failed) as failed:
        ask(ChatModel(server.url, "m", KEY))
    assert KEY not in str(failed.value)


def test_an_endpoint_that_wants_other_names_or_fewer_settings_gets_them():
    def answer(asked):
        for name, trouble in (
            ("max_tokens", "Use 'max_completion_tokens' instead."),
            ("temperature", "'temperature' does not support 0."),
        ):
            if name in asked.body:
                return Reply(status=400, error={"error": {"message": trouble}})
        return Reply("A dog.")

    with serving(answer) as server:
        model = ChatModel(server.url, "m", KEY)
        assert ask(model).text == "A dog."
        assert ask(model).text == "A dog."
    assert len(server.asked) == 4  # it is told once
    assert server.asked[-1].body["max_completion_tokens"] == 50
    assert "temperature" not in server.asked[-1].body


def test_waits_grow_and_end():
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    from minigpt4.curate import models

    async def attempt() -> Answer:
        raise models._TryAgain("full")

    with pytest.raises(Failed, match="full"):
        asyncio.run(with_retries(attempt, 7, sleep))
    assert len(waits) == 7
    assert all(0.25 * 2**n <= wait <= 0.5 * 2**n for n, wait in enumerate(waits[:6]))
    assert max(waits) <= models.LONGEST_DELAY


@pytest.mark.parametrize("given", ["ftp://a", "127.0.0.1:8000", "", "http://", "http://a:x/"])
def test_an_invalid_url_is_refused(given):
    with pytest.raises(InputError, match="--url"):
        checked_url("--url", given)


def test_a_url_holds_no_key():
    with pytest.raises(InputError) as refused:
        checked_url("--url", "https://me:secret@host/v1")
    assert "secret" not in str(refused.value)
