"""What is trained on, and what is kept out of it."""

import json
from pathlib import Path

import numpy as np
import pytest
from photo_shards import write_answers

from minigpt4.prompt import Image, Message
from minigpt4.train.config import make
from minigpt4.train.material import Material, gather
from minigpt4.train.outcome import BadData
from minigpt4.train.photos import Damaged, Listing, Photo
from minigpt4.train.split import split
from minigpt4.train.survey import SurveyResult

COUNT = 40


def listing(config, source: int = 0, prefix: str = "") -> Listing:
    photos = [Photo(f"{prefix}{n}", (f"caption {n}",), Path("x")) for n in range(COUNT)]
    return Listing(config.data[source], photos)


def found(seed: int = 0, count: int = COUNT) -> SurveyResult:
    marks = np.random.default_rng(seed).integers(-(2**63), 2**63 - 1, (count, 2), dtype=np.int64)
    return SurveyResult(np.arange(count), marks)


def config(stage: int = 1, **changed):
    data = [{"path": "a.tar", "test": 6, "choose": 4}]
    return make("nano", stage, {"checkpoint": "c", "out": "o", "data": data, "start": "x"}, changed)


def keys(material: Material, component: int = 0) -> set[str]:
    return {item.key for item in material.components[component].items}


def test_held_out_photos_are_not_trained_on():
    c = config()
    material = gather(c, [listing(c)], [found()])
    held = split(map(str, range(COUNT)), 6, 4)
    assert keys(material) == set(map(str, range(COUNT))) - held.held_out
    assert {item.key for item in material.components[0].choose} == held.choose


def test_a_near_duplicate_of_a_held_out_photo_is_left_out_of_any_set():
    c = config(data=[{"path": "a.tar", "test": 6, "choose": 4}, {"path": "b.tar"}])
    one, other = found(0), found(1)
    held = split(map(str, range(COUNT)), 6, 4)
    kept = int(min(held.test, key=int))
    choosing = int(min(held.choose, key=int))
    free = next(n for n in range(COUNT) if str(n) not in held.held_out)
    one.hashes[free] = one.hashes[kept]
    one.hashes[free, 0] ^= 0b1011
    other.hashes[3] = one.hashes[choosing, ::-1]  # its mirror image
    material = gather(c, [listing(c), listing(c, 1, "b")], [one, other])
    assert str(free) not in keys(material)
    assert "b3" not in keys(material, 1)
    assert {(d.key, d.like, d.bits) for d in material.duplicates} == {
        (str(free), str(kept), 3), ("b3", str(choosing), 0),
    }  # fmt: skip
    assert len(keys(material)) == COUNT - 10 - 1


def test_too_many_damaged_samples_are_an_error_that_names_them(tmp_path):
    c = config(damaged_share=0.05)
    photos = listing(c)
    photos.damaged = [Damaged("own", f"bad{n}", "the image is broken") for n in range(3)]
    with pytest.raises(BadData, match=r"3 of 43 .*bad0 \(the image is broken\); bad1"):
        gather(c, [photos], [found()])
    photos.damaged = photos.damaged[:2]
    material = gather(c, [photos], [found()])
    material.write(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "damaged.jsonl").read_text().splitlines()]
    assert rows[0] == {"set": "own", "key": "bad0", "reason": "the image is broken"}


def test_an_error_says_that_all_samples_are_held_out():
    c = config(data=[{"path": "a.tar", "test": 100}])
    with pytest.raises(BadData, match="own: all samples are held out"):
        gather(c, [listing(c)], [found()])


def test_answers_of_several_tasks_are_components_with_weights_of_their_own(tmp_path):
    held = split(map(str, range(COUNT)), 6, 4)
    story = [{"key": str(n), "prompt": "Tell.", "answer": f"story {n}"} for n in range(COUNT)]
    chat = [
        {
            "key": "1",
            "messages": [
                {"role": "user", "content": "What is it?"},
                {"role": "assistant", "content": "A cat."},
                {"role": "user", "content": [{"type": "text", "text": "Its colour?"}]},
            ],
            "answer": "Grey.",
        }
    ]
    c = config(
        2,
        data=[{"path": "a.tar", "test": 6, "choose": 4, "weight": 0}],
        answers=[
            {"path": str(write_answers(tmp_path / "story.jsonl", story)), "weight": 3},
            {"path": str(write_answers(tmp_path / "b.jsonl", chat)), "task": "chat"},
        ],
    )
    material = gather(c, [listing(c)], [found()])
    assert [(each.name, each.weight) for each in material.components] == [("story", 3), ("chat", 1)]
    assert keys(material) == set(map(str, range(COUNT))) - held.held_out
    assert {item.key for item in material.components[0].choose} == held.choose
    item = material.components[1].items[0]
    assert item.messages == (
        Message("user", (Image(), "What is it?")),
        Message("assistant", ("A cat.",)),
        Message("user", ("Its colour?",)),
    )
    assert item.answers == ("Grey.",)


BROKEN = {
    "no photo": {"key": "nobody", "answer": "x"},
    "no key": {"answer": "x"},
    "no answer": {"key": "1", "prompt": "x"},
    "an empty answer": {"key": "1", "answer": " "},
    "a number for an answer": {"key": "1", "answer": 5},
    "an empty prompt": {"key": "1", "prompt": "", "answer": "x"},
    "no messages": {"key": "1", "messages": [], "answer": "x"},
    "an unknown role": {"key": "1", "messages": [{"role": "tool", "content": "x"}], "answer": "x"},
    "the answer among the messages": {
        "key": "1", "messages": [{"role": "assistant", "content": "x"}], "answer": "x",
    },
    "two images": {
        "key": "1", "answer": "x",
        "messages": [{"role": "user", "content": [{"type": "image"}, {"type": "image"}]}],
    },
    "no object": ["1", "x"],
}  # fmt: skip


@pytest.mark.parametrize("row", BROKEN)
def test_a_row_of_answers_that_cannot_be_used_is_named_with_its_line(tmp_path, row):
    good = [{"key": str(n), "answer": "x"} for n in range(COUNT)]
    path = write_answers(tmp_path / "a.jsonl", [*good, BROKEN[row]])
    c = config(2, answers=[{"path": str(path)}], damaged_share=0.5)
    material = gather(c, [listing(c)], [found()])
    assert len(material.damaged) == 1
    assert f"a.jsonl:{COUNT + 1}" in material.damaged[0].reason


def test_a_key_of_two_sets_needs_its_set(tmp_path):
    rows = [{"key": "1", "answer": "x"}, {"key": "2", "set": "flickr8k", "answer": "y"}]
    c = config(
        2,
        data=[{"path": "a.tar"}, {"path": "b.tar", "set": "flickr8k", "test": 0, "choose": 0}],
        answers=[{"path": str(write_answers(tmp_path / "a.jsonl", rows))}],
        damaged_share=1,
    )
    material = gather(c, [listing(c), listing(c, 1)], [found(0), found(1)])
    assert [item.place.source for item in material.components[-1].items] == [1]
    assert [each.key for each in material.damaged] == ["1"]
