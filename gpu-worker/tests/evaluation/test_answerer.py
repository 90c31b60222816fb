"""Questions and what is kept of their answers; a worker that fails, and the reference itself."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from minigpt4.evaluation.answerer import (
    Answer,
    AnswerStore,
    CachedAnswerer,
    Question,
    Request,
    Sampling,
    WorkerFailed,
    cache_key,
)
from minigpt4.evaluation.worker import Worker
from minigpt4.input_error import InputError

GREEDY = Sampling()


class Counting:
    """Answers with what it was asked, and remembers that."""

    model, digest, origin = "m", "d", "here"

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.after = 10**9

    def answer(self, requests, sampling, said) -> None:
        for n, request in enumerate(requests):
            if len(self.asked) >= self.after:
                raise KeyboardInterrupt
            self.asked.append(request.conversation)
            said(n, Answer(f"<{request.conversation[-1]}>", 3, True))


def questions(*texts: str) -> list[Question]:
    return [Question(b"photo", (text,), 10) for text in texts]


def test_an_interrupted_run_continues_with_the_open_questions(tmp_path):
    first, kept = Counting(), AnswerStore(tmp_path / "answers.jsonl")
    first.after = 2
    with pytest.raises(KeyboardInterrupt):
        CachedAnswerer(first, GREEDY, kept).ask(questions("a", "b", "c"))
    kept.close()
    second = Counting()
    said = CachedAnswerer(second, GREEDY, AnswerStore(tmp_path / "answers.jsonl")).ask(
        questions("a", "b", "c")
    )
    assert [each.text for each in said] == ["<a>", "<b>", "<c>"]
    assert second.asked == [("c",)]


def test_a_line_cut_by_a_crash_is_asked_again_and_spoils_no_other(tmp_path):
    file = tmp_path / "answers.jsonl"
    kept = AnswerStore(file)
    CachedAnswerer(Counting(), GREEDY, kept).ask(questions("a", "b"))
    kept.close()
    file.write_bytes(file.read_bytes()[:-20])
    again, kept = Counting(), AnswerStore(file)
    CachedAnswerer(again, GREEDY, kept).ask(questions("a", "b"))
    kept.close()
    assert again.asked == [("b",)]
    third = Counting()
    CachedAnswerer(third, GREEDY, AnswerStore(file)).ask(questions("a", "b"))
    assert third.asked == []


def test_a_question_asked_twice_is_answered_once(tmp_path):
    counting, done = Counting(), []
    asking = CachedAnswerer(counting, GREEDY, AnswerStore(tmp_path / "a"))
    said = asking.ask(questions("a", "a"), lambda: done.append(1))
    assert [each.text for each in said] == ["<a>", "<a>"]
    assert counting.asked == [("a",)]
    assert len(done) == 2


def test_a_second_turn_follows_the_first_answer(tmp_path):
    counting = Counting()
    asking = CachedAnswerer(counting, GREEDY, AnswerStore(tmp_path / "a"))
    two = [Question(b"p", ("describe", "poem"), 10), Question(b"q", ("describe",), 10)]
    said = asking.ask(two)
    assert [each.text for each in said] == ["<poem>", "<describe>"]
    assert counting.asked[-1] == ("describe", "<describe>", "poem")


@pytest.mark.parametrize(
    ("request_", "digest", "sampling"),
    [
        (Request(b"other", ("q",), 10), "d", GREEDY),
        (Request(b"p", ("other",), 10), "d", GREEDY),
        (Request(b"p", ("q",), 11), "d", GREEDY),
        (Request(b"p", ("q",), 10), "other", GREEDY),
        (Request(b"p", ("q",), 10), "d", Sampling(temperature=1)),
        (Request(b"p", ("q",), 10), "d", Sampling(repetition_penalty=1.1)),
    ],
)
def test_another_photo_question_bound_model_or_sampling_is_another_answer(
    request_, digest, sampling
):
    assert cache_key("d", Request(b"p", ("q",), 10), GREEDY) != cache_key(
        digest, request_, sampling
    )


def test_the_seed_counts_where_answers_are_drawn_and_not_where_they_are_greedy():
    request = Request(b"p", ("q",), 10)
    assert cache_key("d", request, GREEDY) == cache_key("d", request, Sampling(seed=2))
    drawn = Sampling(temperature=1)
    assert cache_key("d", request, drawn) != cache_key(
        "d", request, Sampling(temperature=1, seed=2)
    )


READY = {"status": "ready", "model": "nano", "digest": "d" * 64, "slots": 2}
ANSWER = (
    'event: prompt\ndata: {"prompt_token_ids":[1],"prompt_tokens":1}\n\n: ping\n\n'
    'event: token\ndata: {"token_ids":[5,6],"text":" A cat"}\n\n'
    'event: token\ndata: {"token_ids":[7],"text":"."}\n\n'
    'event: done\ndata: {"finish_reason":"stop","prompt_tokens":1,"output_tokens":3}\n\n'
)
BROKEN = ANSWER[: ANSWER.index("event: done")]
FAILED = 'event: error\ndata: {"code":"engine_failed","message":"the engine failed"}\n\n'
BUSY = (429, '{"code":"overloaded","message":"queue full"}')
REFUSED = (400, '{"code":"context_length_exceeded","message":"too long"}')


@pytest.fixture
def protocol() -> Iterator["Protocol"]:
    """A server that sends the protocol's events in an order that a test chooses."""
    served = Protocol()
    thread = threading.Thread(target=served.serve_forever, args=(0.02,))
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


class Protocol(http.server.ThreadingHTTPServer):
    def __init__(self) -> None:
        self.answers: list[tuple[int, str]] = []
        self.ready: list[tuple[int, dict]] = []
        self.bodies: list[dict] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Protocol

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        status, body = self.server.ready.pop(0) if self.server.ready else (200, READY)
        if self.headers["authorization"] != "Bearer key":
            status, body = 401, {"code": "unauthorized"}
        self._say(status, json.dumps(body))

    def do_POST(self) -> None:
        size = int(self.headers["content-length"])
        self.server.bodies.append(json.loads(self.rfile.read(size)))
        self._say(*(self.server.answers.pop(0) if self.server.answers else (200, ANSWER)))

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


def ask(worker: Worker, *conversation: str) -> Answer:
    found: list[Answer] = []
    request = Request(b"photo", conversation or ("What?",), 9)
    worker.answer([request], GREEDY, lambda _, said: found.append(said))
    return found[0]


def test_a_workers_answer_is_its_text_its_tokens_and_whether_it_ended(protocol):
    worker = Worker(protocol.url, "key")
    assert (worker.model, worker.digest) == ("nano", "d" * 64)
    assert ask(worker) == Answer("A cat.", 3, True)
    protocol.answers = [(200, ANSWER.replace('"stop"', '"length"'))]
    assert not ask(worker).ended


def test_answers_of_a_worker_that_reads_pictures_are_stored_apart(protocol):
    protocol.ready = [(200, READY | {"reader": True})]
    assert Worker(protocol.url, "key").digest == "d" * 64 + "+reader"


def test_a_conversation_is_sent_with_the_photo_at_its_first_question(protocol):
    ask(Worker(protocol.url, "key"), "Describe.", "A cat.", "A poem?")
    (body,) = protocol.bodies
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][0]["content"][0] == {"type": "image"}
    assert len(body["images"]) == 1
    assert (body["max_tokens"], body["temperature"]) == (9, 0.0)


@pytest.mark.parametrize("trouble", [BUSY, (200, BROKEN), (200, FAILED), (500, "oops")])
def test_a_passing_failure_is_retried(protocol, trouble):
    protocol.answers = [trouble]
    assert ask(Worker(protocol.url, "key")).text == "A cat."
    assert len(protocol.bodies) == 2


def test_a_lasting_failure_ends_the_run_with_its_reason(protocol):
    protocol.answers = [REFUSED]
    with pytest.raises(WorkerFailed, match="too long"):
        ask(Worker(protocol.url, "key"))
    assert len(protocol.bodies) == 1


def test_a_wrong_key_is_refused_and_a_worker_that_starts_is_waited_for(protocol):
    with pytest.raises(InputError, match="does not accept the key"):
        Worker(protocol.url, "other")
    protocol.ready = [(503, {"status": "starting"})]
    assert Worker(protocol.url, "key").model == "nano"
    protocol.ready = [(503, {"status": "starting"})] * 9
    with pytest.raises(WorkerFailed, match="starting"):
        Worker(protocol.url, "key", ready_seconds=0)


def test_a_refused_connection_means_that_there_is_no_worker(protocol):
    with pytest.raises(WorkerFailed, match="no worker listens"):
        Worker("http://127.0.0.1:9", "key")


@pytest.fixture(scope="module")
def reference(nano_checkpoint):
    from minigpt4.evaluation.reference import Reference

    return Reference(nano_checkpoint, "cpu")


def all_of(reference, requests, sampling=GREEDY) -> list[Answer]:
    found: dict[int, Answer] = {}
    reference.answer(requests, sampling, found.__setitem__)
    return [found[n] for n in range(len(requests))]


def test_the_reference_answers_the_same_whatever_the_batch(reference, samples):
    photos = [(samples / f"{name}.jpg").read_bytes() for name in ("cat", "coffee")]
    requests = [Request(photo, ("What is in this picture?",), 12) for photo in photos]
    requests.append(Request(photos[0], ("What is this?", "A cat.", "Is it light or dark?"), 8))
    together = all_of(reference, requests)
    assert "cat" in together[0].text.lower() or "tabby" in together[0].text.lower()
    assert together[0].ended
    assert 0 < together[0].tokens <= 12
    assert together[1:2] == all_of(reference, requests[1:2])
    assert not all_of(reference, [Request(photos[0], ("Describe this image.",), 2)])[0].ended


def test_a_drawn_answer_is_the_seeds(reference, samples):
    request = Request((samples / "cat.jpg").read_bytes(), ("Describe this image.",), 6)
    drawn = [all_of(reference, [request], Sampling(2.0, seed=s))[0].text for s in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_folder_that_is_not_a_checkpoint_is_refused(tmp_path):
    from minigpt4.evaluation.reference import Reference

    with pytest.raises(InputError, match="is not a checkpoint"):
        Reference(tmp_path)
