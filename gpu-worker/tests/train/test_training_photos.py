"""Every kind of data set becomes one listing; what is damaged is named, and never trained on."""

import json
from pathlib import Path

import pytest
from photo_shards import captions, encoded, picture, sample, write_shard

from minigpt4.train.config import Source
from minigpt4.train.files import FileSums
from minigpt4.train.outcome import BadData
from minigpt4.train.photos import Listing, expand, read_source


def read(path: Path | str, name: str = "own") -> Listing:
    return read_source(Source(name, str(path), 1.0, 0, 0), FileSums())


def keys(listing: Listing) -> list[str]:
    return [photo.key for photo in listing.photos]


def put_pictures(folder: Path, *names: str) -> None:
    for n, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(n), "JPEG"))


def test_braces_are_numbers_as_wide_as_written():
    assert expand("a{00..02}b") == ["a00b", "a01b", "a02b"]
    assert expand("{8..11}") == ["8", "9", "10", "11"]
    assert expand("{0..1}/{00..01}") == ["0/00", "0/01", "1/00", "1/01"]
    assert len(expand("{00000..10488}.tar")) == 10489


def test_shards_of_img2dataset_give_a_caption_a_line(tmp_path):
    members = sample("000000001", 1, count=5)
    members |= {"000000001.json": b'{"caption": "not read", "status": "success"}'}
    write_shard(tmp_path / "00000.tar", members)
    write_shard(tmp_path / "00001.tar", sample("000000002", 2))
    listing = read(f"{tmp_path}/{{00000..00001}}.tar")
    assert keys(listing) == ["000000001", "000000002"]
    assert listing.photos[0].captions == tuple(captions(1, 5))
    assert listing.photos[1].read() == encoded(picture(2))
    assert read(tmp_path).digest == listing.digest  # the folder of the shards
    assert read(f"{tmp_path}/*.tar").digest == listing.digest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ({"caption": "one"}, ("one",)),
        ({"captions": ["one", " two ", ""]}, ("one", "two")),
        ({"text": "one"}, ("one",)),
    ],
)
def test_captions_may_stand_in_json_instead(tmp_path, text, expected):
    write_shard(
        tmp_path / "0.tar",
        {"a.webp": encoded(picture(1)), "a.json": json.dumps(text).encode()},
    )
    assert read(tmp_path / "0.tar").photos[0].captions == expected


def test_the_shared_flickr_shards_read_whole():
    folder = Path(__file__).parents[4] / "shared" / "data" / "flickr8k"
    if not folder.exists():
        pytest.skip("the shared data is not here")
    listing = read(f"{folder}/{{00000..00001}}.tar", "flickr8k")
    assert len(listing.photos) == 1000
    assert not listing.damaged
    assert all(len(photo.captions) == 5 for photo in listing.photos)


def test_damaged_samples_of_a_shard_are_named_with_the_reason(tmp_path):
    whole = sample("a", 1)
    write_shard(
        tmp_path / "0.tar",
        whole
        | {"b.txt": b"no picture"}
        | {"c.jpg": encoded(picture(3))}
        | {"d.jpg": encoded(picture(4)), "d.json": b"{not json"}
        | {"e.jpg": encoded(picture(5)), "e.txt": b" \n"}
        | {"f.jpg": encoded(picture(6)), "f.txt": b"\xff\xfe"},
    )
    write_shard(tmp_path / "1.tar", sample("a", 7) | sample("g", 8))
    listing = read(tmp_path)
    assert keys(listing) == ["a", "g"]
    reasons = {each.key: each.reason for each in listing.damaged}
    assert reasons.keys() == {"a", "b", "c", "d", "e", "f"}
    assert "no picture" in reasons["b"]
    assert "no caption" in reasons["c"]
    assert "no caption" in reasons["e"]
    assert "cannot be read" in reasons["d"]
    assert "cannot be read" in reasons["f"]
    assert "come before" in reasons["a"]


def test_a_shard_that_was_cut_off_loses_its_end_only(tmp_path):
    members: dict[str, bytes] = {}
    for n in range(6):
        members |= sample(f"{n}", n)
    file = write_shard(tmp_path / "0.tar", members)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    listing = read(file)
    assert 0 < len(listing.photos) < 6
    assert any(each.key == "0.tar" and "ends early" in each.reason for each in listing.damaged)


def test_filter_cap_json_reads_as_a_list_or_as_annotations(tmp_path):
    put_pictures(tmp_path, "image/12.jpg", "image/7.jpg")
    rows = [{"image_id": 12, "caption": "long"}, {"image_id": "7", "caption": "longer"}]
    for found in (rows, {"annotations": rows}):
        (tmp_path / "filter_cap.json").write_text(json.dumps(found))
        for path in (tmp_path, tmp_path / "filter_cap.json"):
            listing = read(path, "cc_sbu_align")
            assert [(p.key, p.captions) for p in listing.photos] == [
                ("12", ("long",)), ("7", ("longer",)),
            ]  # fmt: skip


def test_cocos_captions_of_one_picture_come_together(tmp_path):
    put_pictures(tmp_path, "a.jpg")
    (tmp_path / "captions.json").write_text(
        json.dumps(
            {
                "images": [{"id": 3, "file_name": "a.jpg"}],
                "annotations": [{"image_id": 3, "caption": c} for c in ("one", "two")],
            }
        )
    )
    assert [(p.key, p.captions) for p in read(tmp_path).photos] == [("3", ("one", "two"))]


def test_a_folder_with_jsonl_reads_and_its_damaged_rows_are_named(tmp_path):
    put_pictures(tmp_path, "sub/a.jpg", "b.png")
    rows = [
        '{"image": "sub/a.jpg", "captions": ["one", "two"]}',
        '{"file_name": "b.png", "text": "three", "key": "bee"}',
        '{"image": "missing.jpg", "caption": "four"}',
        '{"caption": "five"}',
        '{"image": "b.png", "caption": 6, "key": "x"}',
        "not json",
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(rows))
    listing = read(tmp_path)
    assert [(p.key, p.captions) for p in listing.photos] == [
        ("sub/a", ("one", "two")), ("bee", ("three",)),
    ]  # fmt: skip
    assert len(listing.damaged) == 4
    assert {each.key for each in listing.damaged} == {
        "missing", "metadata.jsonl:4", "metadata.jsonl:5", "metadata.jsonl:6",
    }  # fmt: skip


def test_class_names_of_photos_jsonl_become_captions(tmp_path):
    put_pictures(tmp_path, "photos/n1.jpg")
    row = {"image": "photos/n1.jpg", "synset": "n1", "name": "electric ray", "lemmas": ["ray"]}
    (tmp_path / "photos.jsonl").write_text(json.dumps(row))
    photo = read(tmp_path, "imagenet-photos").photos[0]
    assert photo.key == "n1"
    assert photo.captions == ("a photo of an electric ray", "an electric ray")


@pytest.mark.parametrize("path", ["nowhere.tar", "nowhere", "{0..2}.tar", "*.tar", "empty"])
def test_a_missing_file_is_named(tmp_path, path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadData) as refused:
        read(tmp_path / path)
    assert str(tmp_path) in refused.value.problem
    assert refused.value.hint


def test_a_file_that_is_not_a_listing_is_refused(tmp_path):
    for text in ("{", '{"a": 1}', "3", "[]", "[3]"):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(BadData):
            read(tmp_path / "a.json")


def test_the_digest_names_content_and_not_place(tmp_path):
    for folder in ("x", "y"):
        write_shard(tmp_path / folder / "0.tar", sample("a", 1))
    write_shard(tmp_path / "z" / "0.tar", sample("a", 2))
    x, y, z = (read(tmp_path / folder).digest for folder in "xyz")
    assert x == y != z


def test_sums_of_files_are_remembered_until_a_file_changes(tmp_path):
    file, memory = tmp_path / "a", tmp_path / "files.json"
    file.write_bytes(b"one")
    sums = FileSums(memory)
    first = sums.of(file)
    sums.keep()
    assert FileSums(memory).of(file) == first
    file.write_bytes(b"other")
    assert FileSums(memory).of(file) != first
    memory.write_text("{")
    assert FileSums(memory).of(file) != first
