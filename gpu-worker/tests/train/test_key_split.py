"""Held out by the SHA-256 of keys: fixed, in any order, and never more lightly on a part."""

import hashlib

from minigpt4.train.split import split

KEYS = [f"{n}_photo" for n in range(7291)]


def test_the_first_500_are_for_testing_and_the_next_300_for_choosing():
    found = split(KEYS)
    ranked = sorted(KEYS, key=lambda key: hashlib.sha256(key.encode()).digest())
    assert found.test == set(ranked[:500])
    assert found.choose == set(ranked[500:800])
    assert split(reversed(KEYS)) == found == split(KEYS + KEYS)
    assert not found.test & found.choose


def test_a_part_of_the_keys_has_no_training_key_that_the_whole_holds_out():
    whole = split(KEYS)
    for part in (KEYS[:3000], KEYS[1000:], KEYS[::3]):
        assert whole.held_out & set(part) <= split(part).held_out
