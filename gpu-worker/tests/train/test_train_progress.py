"""The progress of a training: a bar on a terminal, plain lines elsewhere."""

import io

import pytest

from minigpt4.train import progress as module
from minigpt4.train.progress import Progress, span


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


def run(stream: io.StringIO, clock, steps: int = 10) -> str:
    progress = Progress("stage 1", 100, stream=stream)
    progress.skip(50)
    for _ in range(steps):
        clock(2)
        progress.advance(1, photos=16, tokens=400, note="loss 2.5000")
    return stream.getvalue()


def test_on_a_terminal_it_is_a_bar_with_throughput_and_time_left(clock, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    told = run(Terminal(), clock)
    last = told.split("\r\x1b[2K")[-1]
    assert last.startswith("[" + "#" * 14 + "." * 10 + "]")
    assert "60%  60 of 100, loss 2.5000, 8.0 photos/s, 200 tokens/s, 1:20 left" in last
    assert "\n" not in told


@pytest.mark.parametrize("quiet_terminal", [True, False])
def test_elsewhere_or_with_no_color_it_is_a_line_now_and_then(clock, monkeypatch, quiet_terminal):
    monkeypatch.setenv("NO_COLOR", "1")
    told = run(Terminal() if quiet_terminal else io.StringIO(), clock, steps=16)
    assert "\x1b" not in told
    assert "\r" not in told
    lines = told.splitlines()
    assert len(lines) == 2  # 32 seconds, one each 15
    assert "tokens/s" in lines[-1]


def test_the_end_is_always_printed_and_a_quiet_rank_prints_nothing(clock):
    stream = io.StringIO()
    Progress("x", 1, stream=stream).advance(1)
    assert "100%  1 of 1" in stream.getvalue()
    quiet = Progress("x", 1, quiet=True, stream=stream)
    before = stream.getvalue()
    quiet.advance(1)
    quiet.say("hello")
    assert stream.getvalue() == before


def test_spans_of_time():
    assert [span(s) for s in (0.4, 42, 725, 11229)] == ["0:00", "0:42", "12:05", "3:07:09"]
