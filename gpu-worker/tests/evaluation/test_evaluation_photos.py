"""Shards, the split, features by key, and what is reached without a language model."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from minigpt4.evaluation.baselines import left_out, nearest_caption, swapped
from minigpt4.evaluation.features import (
    Encoder,
    make_features,
    matrix,
    nearest,
    read_features,
)
from minigpt4.evaluation.photos import read_named
from minigpt4.evaluation.shards import Sample, read_shards, shard_files, split
from minigpt4.input_error import InputError


def picture(shade: int = 90) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 24), (shade, 100, 120)).save(out, "JPEG")
    return out.getvalue()


def write_shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_a_sample_is_a_picture_and_its_captions_from_text_or_json(tmp_path):
    write_shard(
        tmp_path / "00000.tar",
        {
            "a.jpg": b"A",
            "a.txt": b"one\ntwo \n\n",
            "a.json": json.dumps({"captions": ["other"]}).encode(),
            "b.png": b"B",
            "b.json": json.dumps({"caption": "three"}).encode(),
            "c.txt": b"no picture",
            "d.jpg": b"no caption",
        },
    )
    assert list(read_shards(str(tmp_path / "00000.tar"))) == [
        Sample("a", b"A", ("one", "two")),
        Sample("b", b"B", ("three",)),
    ]


def test_a_pattern_names_its_shards_and_a_missing_one_is_named(tmp_path):
    for name in ("00000.tar", "00001.tar"):
        write_shard(tmp_path / name, {})
    assert len(shard_files(f"{tmp_path}/{{00000..00001}}.tar")) == 2
    assert len(shard_files(str(tmp_path))) == 2
    with pytest.raises(InputError, match=r"00002\.tar"):
        shard_files(f"{tmp_path}/{{00000..00002}}.tar")


def test_a_shard_that_is_cut_is_refused(tmp_path):
    whole = write_shard(tmp_path / "x.tar", {"a.jpg": b"A" * 4000, "a.txt": b"one"})
    whole.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(InputError, match="not a complete shard"):
        list(read_shards(str(whole)))


def test_photos_are_split_by_the_hash_of_their_key_in_any_order():
    samples = [Sample(f"photo-{n}", b"", ("c",)) for n in range(30)]
    ranked = sorted(
        (s.key for s in samples), key=lambda key: hashlib.sha256(key.encode()).hexdigest()
    )
    for order in (samples, samples[::-1]):
        parts = split(order, test=5, choosing=3)
        assert [s.key for s in parts.test] == ranked[:5]
        assert [s.key for s in parts.choosing] == ranked[5:8]
        assert [s.key for s in parts.training] == ranked[8:]


@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
def test_features_are_read_by_key_or_as_rows_with_keys(tmp_path, ending):
    by_key = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0, 4.0])}
    rows = torch.stack([*by_key.values()]).half()
    one, two = tmp_path / f"one{ending}", tmp_path / f"two{ending}"
    if ending == ".pt":
        torch.save(by_key, one)
        torch.save({"keys": ["a", "b"], "features": rows}, two)
    else:
        save_file(by_key, one)
        save_file({"features": rows}, two, metadata={"keys": json.dumps(["a", "b"])})
    for path in (one, two):
        found = read_features(path)
        assert {key: value.tolist() for key, value in found.items()} == {"a": [1, 2], "b": [3, 4]}


def test_features_that_are_invalid_or_lack_a_photo_are_refused(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"no tensors")
    with pytest.raises(InputError, match="cannot be read"):
        read_features(tmp_path / "x.pt")
    with pytest.raises(InputError, match="lack 1 of 2 photos, b"):
        matrix({"a": torch.ones(2)}, ["a", "b"])


TRAINING = [
    Sample("x", b"", ("A dog runs .", "A brown dog", "The dog runs fast")),
    Sample("y", b"", ("A dog runs on grass .", "One dog runs", "Grass")),
    Sample("z", b"", ("A bus in the rain .", "A red bus", "The bus")),
]
KNOWN = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [0.9, 0.1], [0, 1]]), dim=-1)


def test_the_nearest_photo_lends_its_caption():
    query = torch.tensor([[1.0, 0.0], [0.1, 1.0]])
    assert nearest(query, KNOWN, 2).tolist() == [[0, 1], [2, 1]]
    assert nearest_caption(query, KNOWN, TRAINING) == ["A dog runs .", "A bus in the rain ."]


def test_the_consensus_of_neighbours_is_what_most_of_them_have():
    pytest.importorskip("pycocoevalcap.cider.cider_scorer", reason="group `evaluation`")
    from minigpt4.evaluation.baselines import best_constant, consensus

    (said,) = consensus(torch.tensor([[1.0, 0.0]]), KNOWN, TRAINING, neighbours=2)
    assert said == "One dog runs" or said.startswith("A dog runs")
    best = best_constant(TRAINING, TRAINING, lambda texts: texts[0] == "A red bus")
    assert best == "A red bus"


def test_each_human_is_compared_with_the_others():
    rounds = left_out([Sample("a", b"", ("one", "two", "three")), Sample("b", b"", ("x", "y"))])
    assert rounds[0] == [("one", ("two", "three")), ("x", ("y",))]
    assert rounds[2] == [("three", ("one", "two")), ("x", ("y",))]


def test_swapped_answers_belong_to_the_next_photo():
    assert swapped(["a", "b", "c"]) == ["b", "c", "a"]
    assert swapped([]) == []


def test_an_encoder_is_read_without_the_language_model(nano_checkpoint, samples, tmp_path):
    encoder = Encoder(nano_checkpoint)
    cat = (samples / "cat.jpg").read_bytes()
    assert encoder.names_things
    assert 281 <= encoder.top_class(cat) <= 285  # ImageNet's cats
    done: list[int] = []
    file = tmp_path / "features.safetensors"
    made = make_features(encoder, [Sample("cat", cat, ("a cat",))], file, lambda: done.append(1))
    assert read_features(file)["cat"].tolist() == pytest.approx(made["cat"].tolist())
    assert len(done) == 1
    assert made["cat"].shape == (1280,)


def test_food_classes_are_dishes_with_recipes(tmp_path):
    rows = [
        ("n1", "pizza", ["dish", "nutriment", "food"]),
        ("n2", "red wine", ["wine", "alcohol", "beverage", "food"]),
        ("n3", "hay", ["fodder", "feed", "food"]),
        ("n4", "soup bowl", ["bowl", "dish", "container"]),
    ]
    lines = [
        json.dumps({"image": f"{s}.jpg", "synset": s, "name": n, "lemmas": [n], "gloss": "g",
                    "hypernyms": h})
        for s, n, h in rows
    ]  # fmt: skip
    (tmp_path / "photos.jsonl").write_text("\n".join(lines))
    assert [n.photo.name for n in read_named(tmp_path) if n.is_food] == ["pizza"]
