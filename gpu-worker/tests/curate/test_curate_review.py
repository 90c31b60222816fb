"""The review page's server: what it serves, to whom, and that every decision is on the disk."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from curate_servers import CAKE, DOG, lines, shard, wait_for

from minigpt4.curate.review.decisions import Decision, Decisions, InvalidDecision, apply, check
from minigpt4.curate.targets import Target


def target(key: str, answer: str = "A dog.", **faults: str) -> Target:
    return Target(key, "caption", "What is it?", answer, {}, DOG, faults)


def test_the_last_decision_holds_and_undo_takes_it_back(tmp_path):
    path = tmp_path / "decisions.jsonl"
    decisions = Decisions(path)
    for decision in (Decision("a", "keep"), Decision("b", "drop"), Decision("a", "edit", "A cat.")):
        decisions.add(decision)
    assert decisions.standing()["a"].answer == "A cat."
    assert decisions.undo() == Decision("a", "edit", "A cat.")
    assert decisions.standing()["a"].decision == "keep"
    decisions.close()
    # After a restart the decisions are the same, and undo continues.
    again = Decisions(path)
    assert again.standing() == {"a": Decision("a", "keep"), "b": Decision("b", "drop")}
    assert again.undo() == Decision("b", "drop")
    assert again.undo() == Decision("a", "keep")
    assert again.undo() is None and again.standing() == {}
    again.close()
    assert [row["decision"] for row in lines(path)] == [
        "keep", "drop", "edit", "undo", "undo", "undo",
    ]  # fmt: skip


def test_a_line_that_was_cut_off_and_lines_of_others_do_no_harm(tmp_path):
    path = tmp_path / "decisions.jsonl"
    path.write_text('{"target": "a", "decision": "keep"}\n[1]\n{"target": "b", "decis')
    decisions = Decisions(path)
    assert set(decisions.standing()) == {"a"} and decisions.unreadable == 1
    decisions.add(Decision("b", "drop"))
    decisions.close()
    again = Decisions(path)
    assert set(again.standing()) == {"a", "b"}
    again.close()


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        {},
        {"target": 1, "decision": "keep"},
        {"target": "a", "decision": "maybe"},
        {"target": "a", "decision": "undo"},
        {"target": "a", "decision": "edit"},
        {"target": "a", "decision": "edit", "answer": "  "},
        {"target": "a", "decision": "edit", "answer": "x" * 20_001},
    ],
)
def test_an_invalid_decision_is_refused(told):
    with pytest.raises(InvalidDecision):
        check(told)


def test_the_set_follows_the_rules_except_for_decisions_by_hand():
    good, edited, dropped = target("good"), target("edited"), target("dropped")
    bad, rescued = target("bad", apology="sorry"), target("rescued", apology="sorry")
    decided = {
        edited.id: Decision(edited.id, "edit", "A cat."),
        dropped.id: Decision(dropped.id, "drop"),
        rescued.id: Decision(rescued.id, "keep"),
    }
    final = apply([good, edited, dropped, bad, rescued], decided)
    assert [(each.target.key, each.answer, each.by_hand) for each in final] == [
        ("good", "A dog.", None),
        ("edited", "A cat.", "edit"),
        ("rescued", "A dog.", "keep"),
    ]


def test_a_decision_is_about_one_text_and_no_other():
    assert target("a").id == target("a").id
    assert len({target("a").id, target("b").id, target("a", "A cat.").id}) == 3


class Page:
    """The command with --review, as a process."""

    def __init__(self, data: Path, out: Path):
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "minigpt4.cli", "curate", "--data", str(data), "--out",
                str(out), "--kinds", "caption", "--review",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
        said = ""
        for line in self.process.stdout:
            said += line
            if line.startswith("Review: "):
                self.url = line.split()[1].rstrip("/")
                return
        raise AssertionError(said)

    def stop(self) -> str:
        self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, said
        return said

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def data(tmp_path):
    return shard(tmp_path / "00000.tar", {"dog": DOG, "cake": CAKE})


@pytest.fixture
def page(data, tmp_path):
    page = Page(data, tmp_path / "out")
    yield page
    page.kill()


def test_decisions_are_on_the_disk_at_once_and_the_set_follows_them(page, data, tmp_path):
    out = tmp_path / "out"
    listed = httpx.get(f"{page.url}/targets").json()["targets"]
    assert len(listed) == 2 and all(each["decision"] is None for each in listed)
    one = httpx.get(f"{page.url}/targets/0").json()
    assert one["captions"] and one["answer"]
    photo = httpx.get(f"{page.url}/photos/0")
    assert photo.headers["content-type"] == "image/jpeg" and photo.content[:2] == b"\xff\xd8"
    first, second = (each["id"] for each in listed)
    for body in (
        {"target": first, "decision": "edit", "answer": " Something else. "},
        {"target": second, "decision": "drop"},
    ):
        assert httpx.post(f"{page.url}/decisions", json=body).status_code == 200
    assert len(lines(out / "decisions.jsonl")) == 2
    # Killed, it has lost nothing.
    page.process.kill()
    page.process.communicate()
    again = Page(data, out)
    try:
        told = {
            each["id"]: each["decision"]
            for each in httpx.get(f"{again.url}/targets").json()["targets"]
        }
        assert told == {first: "edit", second: "drop"}
        assert httpx.post(f"{again.url}/undo", json={}).json()["target"] == second
        httpx.post(f"{again.url}/decisions", json={"target": second, "decision": "drop"})
        again.stop()
    finally:
        again.kill()
    [row] = lines(out / "answers.jsonl")
    assert row["answer"] == "Something else." and row["by_hand"] == "edit"
    report = json.loads((out / "report.json").read_text())
    assert report["kinds"]["caption"]["by_hand"] == {"edit": 1, "drop": 1}


def test_the_page_answers_on_its_own_address_alone(page):
    body = {"target": "x", "decision": "keep"}
    assert page.url.startswith("http://127.0.0.1:")
    rebound = httpx.get(f"{page.url}/targets", headers={"host": "evil.example:80"})
    assert rebound.status_code == 403
    foreign = {"origin": "https://evil.example"}
    assert httpx.post(f"{page.url}/decisions", json=body, headers=foreign).status_code == 403
    typed = {"content-type": "text/plain"}
    told = httpx.post(f"{page.url}/decisions", content=json.dumps(body), headers=typed)
    assert told.status_code == 415
    assert httpx.post(f"{page.url}/decisions", json=body).status_code == 404
    assert (
        httpx.post(
            f"{page.url}/decisions", content=b"{", headers={"content-type": "application/json"}
        ).status_code
        == 400
    )
    long = {"content-type": "application/json"}
    assert (
        httpx.post(f"{page.url}/decisions", content=b"x" * 300_000, headers=long).status_code == 413
    )


def test_every_response_forbids_what_the_page_does_not_need(page):
    for path in ("/", "/style.css", "/review.js", "/icon.svg", "/chevron.svg"):
        answer = httpx.get(f"{page.url}{path}")
        policy = answer.headers["content-security-policy"]
        assert answer.status_code == 200 and "default-src 'none'" in policy
        assert "http" not in policy and "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        for foreign in ("http://", "https://"):
            rest = answer.text.replace("http://www.w3.org/2000/svg", "")
            assert foreign not in rest, path
    for path in (
        "/../server.py",
        "/server.py",
        "/targets/99",
        "/photos/99",
        "/pages/0",
        "/nothing",
    ):
        assert httpx.get(f"{page.url}{path}").status_code == 404, path


def test_a_port_in_use_raises_with_a_hint(page, data, tmp_path):
    port = page.url.rsplit(":", 1)[1]
    done = subprocess.run(
        [
            sys.executable, "-m", "minigpt4.cli", "curate", "--data", str(data), "--out",
            str(tmp_path / "other"), "--kinds", "caption", "--review", "--port", port,
        ],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and "--port" in done.stderr
    wait_for(lambda: page.process.poll() is None)
