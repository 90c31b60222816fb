"""The command as a whole: what it shows, asks, keeps, drops and writes."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
from curate_servers import CAKE, DOG, KEY, Asked, Reply, lines, serving, shard, wait_for

from minigpt4.cli import main

GOOD = (
    "A brown dog is running through the green grass on a lawn. It carries a red ball in its mouth, "
    "and it is playing near a wooden fence. The dog runs across the grassy field with the ball."
)
SEEN = "A brown dog runs on grass. A brown dog runs on grass. It has a ball, and it is a dog with a"


def environment(**more: str) -> dict[str, str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith("MINIGPT4_")}
    return {**keep, "MINIGPT4_WORKER_KEY": KEY, "MINIGPT4_EDITOR_KEY": KEY, "NO_COLOR": "1", **more}


def command(data: Path, out: Path, *more: str) -> list[str]:
    base = [sys.executable, "-m", "minigpt4.cli", "curate", "--data", str(data), "--out", str(out)]
    return [*base, *more]


@dataclass
class Done:
    stdout: str
    stderr: str


def run(data: Path, out: Path, *more: str, code: int = 0, env=None) -> Done:
    """Runs the command in this process, without a terminal."""
    said, complained = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, env or environment(), clear=True),
        patch("sys.stdin", io.StringIO()),
        redirect_stdout(said),
        redirect_stderr(complained),
        pytest.raises(SystemExit) as left,
    ):
        main(command(data, out, *more)[3:])
    done = Done(said.getvalue(), complained.getvalue())
    assert left.value.code == code, (left.value.code, done)
    return done


def editor(asked: Asked) -> Reply:
    """Writes what a good model would."""
    typed = asked.typed
    if "poem" in typed:
        return Reply("A dog on the green,\nA ball so red,\nIt runs, it is seen,\nThen off to bed.")
    if "cake" in typed:
        return Reply(
            "A young girl in a pink dress leans over a chocolate birthday cake on a table. She "
            "is blowing out the candles on the big cake at her party, and looks at it."
        )
    return Reply(GOOD)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    samples = {f"dog-{n}": DOG for n in range(3)} | {"cake": CAKE}
    return shard(tmp_path / "00000.tar", samples)


def test_the_papers_way_continues_short_answers_and_has_them_edited(tmp_path):
    data = shard(tmp_path / "00000.tar", {"dog": DOG})

    def see(asked: Asked) -> Reply:
        if asked.typed == "Continue":
            return Reply("The grass is green. I am sorry.", tokens=9)
        return Reply(SEEN, tokens=79)

    with serving(see, worker=True) as worker, serving(lambda a: Reply(GOOD)) as chat:
        where = ["--url", worker.url, "--editor-url", chat.url, "--editor-model", "m"]
        run(data, tmp_path / "out", *where, "--kinds", "described", "--yes")
    described, continued = worker.asked
    assert described.body["messages"][0]["content"][0] == {"type": "image"}
    roles = [message["role"] for message in continued.body["messages"]]
    assert roles == ["user", "assistant", "user"] and len(continued.body["images"]) == 1
    [edit] = chat.asked
    assert edit.typed.endswith(f"{SEEN} The grass is green. I am sorry.")
    [row] = lines(tmp_path / "out" / "answers.jsonl") or [None]
    assert row["kind"] == "described" and row["answer"] == GOOD
    assert row["sources"]["seen"].startswith(SEEN)
    assert row["sources"]["described_by"]["digest"] == "d" * 64
    assert row["sources"]["edited_by"]["model"] == "m"


def test_a_long_answer_is_not_continued(data, tmp_path):
    with serving(lambda a: Reply(GOOD, tokens=80), worker=True) as worker:
        run(
            data,
            tmp_path / "out",
            "--url",
            worker.url,
            "--kinds",
            "described",
            "--limit",
            "1",
            "--yes",
        )
    # Without an editor, the worker's language model edits.
    assert [len(asked.body["images"]) for asked in worker.asked] == [1, 0]


def test_the_set_has_every_file_and_reports_what_was_dropped_and_why(data, tmp_path):
    def answer(asked: Asked) -> Reply:
        if "dog" in str(asked.body) and "poem" not in asked.typed:
            return Reply("The captions say that a dog named Max runs.")
        return editor(asked)

    out = tmp_path / "out"
    where = ["--kinds", "merged,poem,caption,colour", "--yes"]
    with serving(answer) as chat:
        done = run(data, out, *where, "--editor-url", chat.url, "--editor-model", "m")
    rows = lines(out / "answers.jsonl")
    assert {row["kind"] for row in rows} == {"merged", "poem", "caption", "colour"}
    assert all(row["filters"] == "passed" for row in rows)
    assert set(rows[0]) == {"key", "kind", "prompt", "answer", "sources", "filters"}
    # Three dogs got one poem: it is taught once.
    assert len(lines(out / "answers" / "poem.jsonl")) == 1
    [cake] = lines(out / "answers" / "merged.jsonl")
    assert cake["key"] == "cake"
    listed = json.loads((out / "filter_cap" / "filter_cap.json").read_text())
    assert listed == {"annotations": [{"image_id": "cake", "caption": cake["answer"]}]}
    assert (out / "filter_cap" / "image" / "cake.jpg").read_bytes()[:2] == b"\xff\xd8"
    told = json.loads((out / "report.json").read_text())
    assert told["kinds"]["merged"]["made"] == 4
    assert told["kinds"]["merged"]["dropped"] == {"talk of captions": 3}
    assert told["kinds"]["merged"]["broken"]["invented name"] == 3
    assert told["kinds"]["poem"]["dropped"] == {"off the picture": 1, "same answer": 2}
    assert "not stated" in told["licences"][0] and not told["research_only"]
    assert KEY not in (out / "report.json").read_text()
    report = (out / "report.md").read_text()
    assert "talk of captions" in report and "Max runs" in report
    assert "talk of captions 3" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_research_only_data_marks_the_set(tmp_path):
    data = shard(tmp_path / "flickr8k" / "00000.tar", {"a": DOG, "b": CAKE})
    done = run(data, tmp_path / "out", "--kinds", "caption", "--held-out", "0")
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert told["research_only"] and "research" in done.stdout


def test_nothing_is_asked_before_the_cost_was_shown_and_agreed_to(data, tmp_path):
    with serving(editor) as chat:
        where = [
            "--editor-url",
            chat.url,
            "--editor-model",
            "m",
            "--price-in",
            "2",
            "--price-out",
            "4",
        ]
        more = [*where, "--kinds", "merged,caption", "--rate", "100"]
        done = run(data, tmp_path / "out", *more, code=2)
        assert "--yes" in done.stderr
        assert "about 6 answers" in done.stdout and "at 100 tokens/s" in done.stdout
        assert "at the given price" in done.stdout
        run(data, tmp_path / "out", *more, "--dry-run")
        assert chat.asked == []
        assert not (tmp_path / "out" / "answers.jsonl").exists()
        run(data, tmp_path / "out", *more, "--yes")
        assert len(chat.asked) == 4
        # The next estimate goes by what this one took, and finds nothing left to ask.
        done = run(data, tmp_path / "out", "--dry-run", *where, "--kinds", "merged,caption")
        assert "about 0 answers" in done.stdout and "measured on 4 earlier answers" in done.stdout


def test_kinds_made_by_rule_ask_no_model(data, tmp_path):
    run(data, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert set(told["kinds"]) <= {"caption", "thing", "presence", "colour"}
    assert told["models"] == {} and told["answers"]["kept"] == 0


def test_a_killed_run_continues_and_asks_nothing_twice(tmp_path):
    data = shard(tmp_path / "00000.tar", {f"dog-{n}": DOG for n in range(24)})
    out = tmp_path / "out"
    hold = threading.Event()

    def answer(asked: Asked) -> Reply:
        if chat.asked.index(asked) >= 10:
            hold.wait(60)
        return Reply(f"{GOOD} It is the one by the fence.")

    with serving(answer) as chat:
        where = ["--editor-url", chat.url, "--editor-model", "m", "--kinds", "merged", "--yes"]
        more = [*where, "--concurrency", "4"]
        process = subprocess.Popen(
            command(data, out, *more), env=environment(), stdout=subprocess.DEVNULL
        )
        log = out / "work.jsonl"
        wait_for(lambda: log.exists() and log.read_bytes().count(b"\n") == 10)
        wait_for(lambda: chat.at_once == 4)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        # What it was writing when it was killed is cut off.
        with log.open("ab") as file:
            file.write(b'{"id": "abc", "photo": "dog')
        hold.set()
        wait_for(lambda: chat.at_once == 0)
        before = len(chat.asked)
        assert before == 14
        run(data, out, *more)
        assert len(chat.asked) - before == 24 - 10
        assert chat.most_at_once <= 4
        again = len(chat.asked)
        run(data, out, *more)
        assert len(chat.asked) == again
    assert len({row["id"] for row in lines(log)}) == len(lines(log)) == 24


def test_ctrl_c_keeps_the_answers_and_says_how_to_continue(data, tmp_path):
    hold = threading.Event()

    def answer(asked: Asked) -> Reply:
        if chat.asked.index(asked) >= 1:
            hold.wait(60)
        return Reply(GOOD)

    with serving(answer) as chat:
        where = ["--editor-url", chat.url, "--editor-model", "m", "--kinds", "merged", "--yes"]
        process = subprocess.Popen(
            command(data, tmp_path / "out", *where, "--concurrency", "2"),
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        log = tmp_path / "out" / "work.jsonl"
        wait_for(lambda: log.exists() and log.read_bytes().count(b"\n") == 1)
        wait_for(lambda: chat.at_once == 2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        hold.set()
    assert process.returncode == 130
    assert "to continue" in said and "Traceback" not in said


def test_answers_that_fail_are_named_and_asked_for_again(data, tmp_path):
    broken = {"on": True}

    def answer(asked: Asked) -> Reply:
        if broken["on"] and "cake" in asked.typed:
            return Reply(
                status=500, headers={"retry-after": "0"}, error={"error": {"message": "oh"}}
            )
        return editor(asked)

    out = tmp_path / "out"
    with serving(answer) as chat:
        where = ["--editor-url", chat.url, "--editor-model", "m", "--kinds", "merged", "--yes"]
        done = run(data, out, *where, "--retries", "2", code=1)
        assert sum("cake" in asked.typed for asked in chat.asked) == 3
        told = json.loads((out / "report.json").read_text())
        [failed] = told["failed"]
        assert failed["key"] == "cake" and "status 500: oh (3 attempts)" in failed["reason"]
        assert "1 answers failed" in done.stdout
        broken["on"] = False
        before = len(chat.asked)
        run(data, out, *where)
        assert len(chat.asked) == before + 1


def test_an_endpoint_that_refuses_everything_ends_the_run_at_once(tmp_path):
    data = shard(tmp_path / "00000.tar", {f"dog-{n}": DOG for n in range(40)})
    where = ["--editor-model", "m", "--kinds", "merged", "--yes", "--concurrency", "2"]
    with serving(lambda a: Reply(status=401)) as chat:
        done = run(data, tmp_path / "out", "--editor-url", chat.url, *where, code=2)
        assert "401" in done.stderr and KEY not in done.stderr
        assert len(chat.asked) <= 3
    full = Reply(status=503, headers={"retry-after": "0"})
    with serving(lambda a: full) as chat:
        done = run(
            data, tmp_path / "o2", "--editor-url", chat.url, *where, "--retries", "0", code=2
        )
        assert "in a row failed" in done.stderr and len(chat.asked) < 10


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--data", "missing.tar"], "there is no such shard"),
        (["--kinds", "described"], "--url"),
        (["--kinds", "poem"], "--editor-url"),
        (["--editor-model", "m"], "--editor-url"),
        (["--editor-url", "nonsense"], "--editor-url"),
        (["--url", "http://127.0.0.1:9"], "cannot be reached"),
        (["--kinds", "sonnet"], "sonnet"),
        (["--limit", "0"], "from 1"),
        (["--temperature", "nan"], "from 0 to 2"),
    ],
)
def test_unusable_input_raises_with_a_hint(data, tmp_path, more, said):
    done = run(data, tmp_path / "out", *more, "--yes", code=2)
    assert said in done.stderr and "Traceback" not in done.stderr


def test_the_workers_key_goes_to_the_worker_alone(data, tmp_path):
    env = environment(MINIGPT4_WORKER_KEY="worker-key")
    del env["MINIGPT4_EDITOR_KEY"]
    with serving(editor) as chat:
        where = ["--editor-url", chat.url, "--editor-model", "m", "--kinds", "merged", "--yes"]
        run(data, tmp_path / "out", *where, env=env)
    assert all("authorization" not in asked.headers for asked in chat.asked)


def test_two_runs_do_not_share_a_folder(data, tmp_path):
    hold = threading.Event()
    with serving(lambda a: (hold.wait(60), Reply(GOOD))[1]) as chat:
        where = ["--editor-url", chat.url, "--editor-model", "m", "--kinds", "merged", "--yes"]
        out = tmp_path / "out"
        first = subprocess.Popen(
            command(data, out, *where), env=environment(), stdout=subprocess.DEVNULL
        )
        wait_for(lambda: chat.at_once > 0)
        done = run(data, out, *where, code=2)
        assert "another run is writing it" in done.stderr
        hold.set()
        assert first.wait(60) == 0


def test_other_settings_ask_anew_and_the_same_do_not(data, tmp_path):
    with serving(lambda a: Reply("A dog,\na ball,\nthe grass,\nand that is all of it.")) as chat:
        where = ["--editor-url", chat.url, "--editor-model", "m", "--kinds", "poem", "--yes"]
        run(data, tmp_path / "out", *where)
        first = len(chat.asked)
        run(data, tmp_path / "out", *where)
        assert len(chat.asked) == first
        run(data, tmp_path / "out", *where, "--temperature", "0.3")
        assert len(chat.asked) == 2 * first
        run(data, tmp_path / "out", *where, "--seed", "7")
        assert len(chat.asked) == 3 * first
