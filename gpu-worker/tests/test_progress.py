"""Progress: a bar on a terminal, plain lines elsewhere."""

import io

import pytest

from minigpt4.checkpoints.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(stream) -> str:
    progress = Progress("writing", 4_000_000_000, stream)
    progress.skip(1_000_000_000)
    progress.advance(3_000_000_000)
    progress.finish()
    return stream.getvalue()


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = shown(Terminal())
    assert text.startswith("\r") and text.endswith("\n") and text.count("\n") == 1
    assert f"[{'#' * 28}] writing: 100%  4.00 of 4.00 GB" in text


@pytest.mark.parametrize("stream, no_color", [(io.StringIO, False), (Terminal, True)])
def test_pipes_and_no_color_get_plain_lines(monkeypatch, stream, no_color):
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    text = shown(stream())
    assert "\r" not in text and "\x1b" not in text and "#" not in text
    assert text.splitlines()[-1].startswith("writing: 100%  4.00 of 4.00 GB")
