"""A running worker is measured like the reference."""

import json

from minigpt4.evaluation.answerer import Answer, Request, Sampling
from minigpt4.evaluation.reference import Reference
from minigpt4.evaluation.worker import Worker as Answers


def test_a_worker_answers_as_the_reference_does(worker, nano_checkpoint, samples):
    served, reference = Answers(worker.url, worker.key), Reference(nano_checkpoint, "cpu")
    assert (served.model, served.digest) == (reference.model, reference.digest)
    photos = [(samples / f"{name}.jpg").read_bytes() for name in ("cat", "coffee", "rocket")]
    requests = [Request(photo, ("What is in this picture?",), 24) for photo in photos]
    requests.append(Request(photos[0], ("What is this?", "A cat.", "Which colour has it?"), 12))

    def all_of(answers: Answers | Reference) -> list[Answer]:
        found: dict[int, Answer] = {}
        answers.answer(requests, Sampling(), found.__setitem__)
        return [found[n] for n in range(len(requests))]

    assert all_of(served) == all_of(reference)


def test_the_command_measures_a_worker(worker, tmp_path, monkeypatch, capsys):
    from minigpt4 import cli

    monkeypatch.setenv("MINIGPT4_WORKER_KEY", worker.key)
    monkeypatch.setenv("NO_COLOR", "1")
    arguments = ["--url", worker.url, "--only", "reading", "--photos", "2"]
    cli.main(["evaluate", "--out", str(tmp_path), *arguments])
    assert "signs read" in capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["model"]["answers"] == "a worker"
    assert worker.key not in (tmp_path / "report.json").read_text()
