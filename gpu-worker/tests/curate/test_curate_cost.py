"""What a run costs, by what is known before it; and how it is shown while it goes."""

import io

import pytest

from minigpt4.curate.cost import Price, duration, estimate
from minigpt4.curate.models import Answer
from minigpt4.curate.progress import Progress
from minigpt4.curate.tasks import TaskOptions, tasks_of
from minigpt4.curate.work_log import Entry, rate

CAPTIONS = ("A brown dog runs on green grass .", "A dog plays with a red ball on a lawn .")


def entry(step: str, ended: float, seconds: float, tokens: int, kind: str = "poem") -> Entry:
    answer = Answer("text", "stop", 10, tokens)
    return Entry(f"photo-{ended}", kind, step, "p", "m", 1, answer, ended, seconds)


def test_the_rate_is_tokens_over_the_time_in_which_anything_was_asked():
    assert rate([]) is None
    # Two at once for ten seconds, a pause of an hour, one for ten more.
    found = rate([entry("a", 10, 10, 50), entry("a", 10, 10, 50), entry("a", 3620, 10, 100)])
    assert found == (pytest.approx(10.0), 3)


def test_an_estimate_counts_open_questions_at_the_measured_rate_and_given_price():
    [poem] = tasks_of("photo", CAPTIONS, TaskOptions(("poem",)))
    [caption] = tasks_of("photo", CAPTIONS, TaskOptions(("caption",)))
    log = [entry("answer", 10.0 * n, 10, 40) for n in range(1, 6)]
    found = estimate(
        [(poem, {}, False), (poem, {"answer": log[0]}, True), (caption, {}, True)],
        8, log, None, Price(1.0, 2.0),
    )  # fmt: skip
    assert found.to_ask == 1 and found.output_tokens == 40  # as five poems had
    assert found.rate == pytest.approx(4.0) and "5 earlier answers" in found.source
    assert found.seconds == pytest.approx(10.0)
    assert found.money == pytest.approx((found.prompt_tokens + 2 * 40) / 1e6)
    assert estimate([(poem, {}, False)], 8, log, 20.0, None).rate == 20.0
    assert estimate([(poem, {}, False)], 8, [], None, None).money is None


def test_durations_are_readable():
    given = [0.2, 12, 89, 90, 3600, 5400, 90_000]
    wanted = ["1 s", "12 s", "89 s", "2 min", "60 min", "1 h 30 min", "25 h 00 min"]
    assert [duration(seconds) for seconds in given] == wanted


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(stream: io.StringIO) -> str:
    progress = Progress(4, stream)
    progress.tokens(100)
    for failed in (False, True, False, False):
        progress.advance(failed)
    progress.finish()
    return stream.getvalue()


def test_a_terminal_gets_a_bar_and_pipes_and_no_color_get_lines(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    bar = shown(Terminal())
    assert f"[{'#' * 28}] curate: 100%  4 of 4" in bar and "1 failed" in bar
    assert bar.startswith("\r") and bar.count("\n") == 1
    assert "\x1b" not in shown(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown(Terminal()) and "#" not in shown(Terminal())
