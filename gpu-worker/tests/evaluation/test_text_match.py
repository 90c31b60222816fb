"""Reading is scored by text, a letter in ten aside."""

import pytest

from minigpt4.evaluation.text_match import edits, reads


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("STOP", 'The sign says "Stop".'),
        ("Fresh bread", "It reads FRESH-BREAD!"),
        ("Please ring the bell", "please ring tne bell"),
        ("Welcome to Riverton", "It says: welcome to riverten"),
    ],
)
def test_a_text_is_read_whatever_its_case_and_a_letter_in_ten(wanted, text):
    assert reads(wanted, text)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("STOP", "The bus stopped."),
        ("STOP", "It says ST0P"),
        ("Fresh bread", "Frosh braad"),
        ("Room 214", "Room 215"),
        ("", "anything"),
    ],
)
def test_another_text_is_not_read(wanted, text):
    assert not reads(wanted, text)


def test_edits_are_counted_against_the_best_part():
    assert edits("abc", "xxabcxx") == 0
    assert edits("abc", "xxadcxx") == 1
    assert edits("abc", "xacx") == 1
    assert edits("abc", "") == 3
