"""The commands in nano's model card are ones that exist; its training takes an hour, so not run."""

import re
import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1]
CARD = (FOLDER / "weights" / "nano" / "README.md").read_text().replace("\\\n", " ")
COMMANDS = re.findall(r"python -m\s+(minigpt4[.\w]*)([^`\n]*)", CARD)


def test_the_card_has_commands():
    assert len(COMMANDS) == 5


@pytest.mark.parametrize("module", sorted({module for module, _ in COMMANDS}))
def test_a_command_of_the_card_takes_the_flags_that_the_card_gives_it(module, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [module, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    assert ended.value.code == 0
    known = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
    for each, rest in COMMANDS:
        if each == module:
            given = set(re.findall(r"--[\w-]+", rest))
            assert given
            assert given <= known
