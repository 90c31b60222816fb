"""The command as it is typed: what it refuses, what it writes, how it leaves."""

import io
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from test_evaluation_photos import write_shard

from minigpt4 import cli
from minigpt4.commands.evaluate import SUITES as NAMES
from minigpt4.evaluation import questions
from minigpt4.evaluation.progress import Progress
from minigpt4.evaluation.render import Browser
from minigpt4.evaluation.suites import SUITES

REPOSITORY = Path(__file__).parents[3]


def test_every_measure_of_the_command_is_there():
    assert sorted(NAMES) == sorted([*SUITES, "four-tasks"])


def test_tasks_are_asked_in_the_words_of_the_api():
    source = (REPOSITORY / "src" / "tasks.ts").read_text()
    told = dict(re.findall(r'(\w+):\s*\{\s*prompt:\s*"([^"]+)"', source))
    assert told == {"describe": questions.DESCRIBE, **questions.TASKS}


def test_the_ten_wordings_are_ten_and_in_no_training_text():
    assert len(set(questions.NAME_WORDINGS)) == 10
    trained = "".join(
        path.read_text().lower()
        for path in (REPOSITORY / "gpu-worker" / "minigpt4" / "train").rglob("*.py")
    )
    assert [w for w in questions.NAME_WORDINGS if w.lower() in trained] == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "there is no model to ask"),
        (("--url", "ftp://x"), "is not an http address"),
        (("--url", "http://127.0.0.1:9"), "the worker's key is missing"),
        (("--only", "beauty"), "there is no measure `beauty`"),
        (("--only", "captions"), "photos that --captions names"),
        (("--url", "http://x", "--temperature", "3"), "--temperature must be between 0 and 2"),
        (("--url", "http://x", "--photos", "0"), "--photos must be at least 1"),
        (("--url", "http://x", "--judge-url", "http://y/v1"), "go together"),
        (("--url", "http://x", "--only", "four-tasks", "--captions", "x"), "a judge"),
        (("--url", "http://x", "--names", "/nowhere"), "holds no named photos"),
        (("--url", "http://x", "--before", "/nowhere"), "is not a report"),
    ],
)
def test_unusable_input_fails_before_any_question(
    arguments, problem, tmp_path, monkeypatch, capsys
):
    monkeypatch.delenv("MINIGPT4_WORKER_KEY", raising=False)
    with pytest.raises(SystemExit) as left:
        cli.main(["evaluate", "--out", str(tmp_path / "out"), *arguments])
    assert left.value.code == 2
    assert problem in capsys.readouterr().err


def test_a_worker_that_is_away_is_code_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINIGPT4_WORKER_KEY", "key")
    arguments = ["--url", "http://127.0.0.1:9", "--only", "drafts"]
    with pytest.raises(SystemExit) as left:
        cli.main(["evaluate", "--out", str(tmp_path), *arguments])
    assert left.value.code == 1
    assert "no worker listens" in capsys.readouterr().err


def test_an_interrupted_run_exits_with_130_and_says_how_to_continue(tmp_path, monkeypatch, capsys):
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("minigpt4.evaluation.run.evaluate", interrupted)
    with pytest.raises(SystemExit) as left:
        cli.main(["evaluate", "--out", str(tmp_path), "--url", "http://x"])
    assert left.value.code == 130
    assert "run the same command to continue" in capsys.readouterr().err


@pytest.fixture(scope="module")
def shard(tmp_path_factory, samples) -> Path:
    members: dict[str, bytes] = {}
    said = {
        "cat": "A cat sits .\nA striped cat\nThe cat looks up",
        "coffee": "A cup of coffee .\nCoffee in a cup\nA drink on a table",
    }
    for name, captions in said.items():
        members |= {
            f"{name}.jpg": (samples / f"{name}.jpg").read_bytes(),
            f"{name}.txt": captions.encode(),
        }
    return write_shard(tmp_path_factory.mktemp("shards") / "00000.tar", members)


def test_a_run_writes_report_tables_and_samples_and_a_second_one_asks_nothing(
    nano_checkpoint, shard, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("NO_COLOR", "1")
    arguments = [
        *("evaluate", "--out", str(tmp_path), "--checkpoint", str(nano_checkpoint)),
        *("--device", "cpu", "--captions", str(shard), "--only", "descriptions"),
    ]
    cli.main(arguments)
    first = capsys.readouterr()
    assert "| descriptions" in first.out
    assert "descriptions: 2 of 2" in first.err
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["model"]["name"] == "nano"
    assert {m["of"] for m in report["measures"]} == {"model", "swapped", "one human"}
    rows = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert {row["photo"] for row in rows} == {"cat", "coffee"}
    kept = (tmp_path / "answers.jsonl").read_bytes()
    cli.main(arguments)
    assert capsys.readouterr().out == first.out
    assert (tmp_path / "answers.jsonl").read_bytes() == kept


def test_progress_is_plain_lines_without_a_terminal_and_with_no_color(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    for out, bar in ((Terminal(), True), (io.StringIO(), False)):
        progress = Progress("answers", 2, out)
        progress()
        progress.finish()
        assert ("\x1b[2K" in out.getvalue()) is bar
        assert "answers: 1 of 2" in out.getvalue()
    monkeypatch.setenv("NO_COLOR", "")
    out = Terminal()
    Progress("answers", 1, out).finish()
    assert "\x1b" not in out.getvalue()


def test_a_page_is_shown_by_a_real_browser_and_one_that_throws_is_not():
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    node = REPOSITORY / "node_modules" / ".bin" / "node"
    if not chromium or not node.exists():
        pytest.skip("no Chromium, or npm's packages are not installed")
    browser = Browser(chromium, str(node))
    assert browser.shows("<html><body><h1>Dog</h1></body></html>")
    assert not browser.shows("<html><body><script>throw 1</script>Dog</body></html>")
    assert not browser.shows("<html><body></body></html>")
    assert not browser.shows("")
