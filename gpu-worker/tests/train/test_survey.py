"""Frozen features, once per photo: the encoder's, kept whole, and made again when needed."""

import io
from pathlib import Path

import pytest
import small_family
import torch
from photo_shards import encoded, picture, sample, write_shard
from PIL import Image, ImageOps

from minigpt4.input_error import InputError
from minigpt4.processing import pixel_values
from minigpt4.train import survey as module
from minigpt4.train.config import Source
from minigpt4.train.files import FileSums
from minigpt4.train.photos import Listing, read_source
from minigpt4.train.survey import PhotoEncoder, Survey, encoder_digest


@pytest.fixture(scope="module")
def model():
    return small_family.small_model("vicuna-7b")


@pytest.fixture
def listing(tmp_path, monkeypatch) -> Listing:
    monkeypatch.setattr(module, "PART", 4)
    members: dict[str, bytes] = {}
    for n in range(10):
        members |= sample(f"{n}", n)
    members["6.jpg"] = members["6.jpg"][:200]  # ends early
    members["7.jpg"] = b"no picture at all"
    return read_source(
        Source("own", str(write_shard(tmp_path / "0.tar", members)), 1, 0, 0), FileSums()
    )


def make(model, listing: Listing, cache: Path, **changed) -> Survey:
    options = {"views": 1, "dtype": "float32", "live": False} | changed
    photo_encoder = PhotoEncoder(model.image_encoder, model.config, "cpu")
    return Survey(
        cache, listing, photo_encoder, encoder_digest(model.image_encoder, model.config), **options
    )


def run(survey: Survey, parts: range | None = None) -> list[int]:
    """How many photos were looked at, by part."""
    looked: list[int] = []
    survey.make(parts or range(survey.parts), looked.append, lambda _: None)
    return looked


def image(n: int) -> Image.Image:
    return Image.open(io.BytesIO(encoded(picture(n))))


@torch.no_grad()
def test_features_are_the_encoders_and_a_view_may_be_mirrored(model, listing, tmp_path):
    survey = make(model, listing, tmp_path, views=2)
    run(survey)
    vision = model.config.vision_config
    for n in (0, 5, 9):
        for view, seen in enumerate((image(n), ImageOps.mirror(image(n)))):
            (expected,) = model.image_encoder.features(pixel_values(seen, vision)[None])
            ((found,),) = survey.rows([(n, view)])
            torch.testing.assert_close(found, expected[0], atol=1e-5, rtol=1e-5)


def test_damaged_pictures_are_named_and_left_out(model, listing, tmp_path):
    survey = make(model, listing, tmp_path)
    run(survey)
    found = survey.found()
    assert found.whole.tolist() == [0, 1, 2, 3, 4, 5, 8, 9]
    assert len(found.hashes) == 8
    assert [each.key for each in listing.damaged] == ["6", "7"]
    assert all(each.reason for each in listing.damaged)


def test_an_interrupted_survey_continues_with_the_unfinished_part(model, listing, tmp_path):
    survey = make(model, listing, tmp_path)
    assert survey.parts == 3

    def stop(_: int) -> None:
        if (survey.folder / "part-000000.safetensors").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        survey.make(range(3), stop, lambda _: None)
    before = (survey.folder / "part-000000.safetensors").read_bytes()
    assert not list(survey.folder.glob(".*"))  # nothing half written is left
    (survey.folder / "part-000001.safetensors").write_bytes(before[:100])  # by a power cut
    assert sum(run(make(model, listing, tmp_path))) == 6
    assert (survey.folder / "part-000000.safetensors").read_bytes() == before
    assert run(make(model, listing, tmp_path)) == []


def test_parts_may_be_made_by_several_processes(model, listing, tmp_path):
    whole, shared = (make(model, listing, tmp_path / name) for name in ("a", "b"))
    run(whole)
    for rank in range(2):
        run(shared, range(rank, shared.parts, 2))
    for n in (0, 4, 9):
        assert torch.equal(whole.rows([(n, 0)])[0][0], shared.rows([(n, 0)])[0][0])


def test_other_weights_other_data_and_other_views_are_another_survey(model, listing, tmp_path):
    folders = {make(model, listing, tmp_path).folder}
    folders.add(make(model, listing, tmp_path, views=2).folder)
    folders.add(make(model, listing, tmp_path, dtype="float16").folder)
    folders.add(make(model, listing, tmp_path, live=True).folder)
    other = small_family.small_model("vicuna-7b", seed=1)
    folders.add(make(other, listing, tmp_path).folder)
    listing.digest = "other"
    folders.add(make(model, listing, tmp_path).folder)
    assert len(folders) == 6
    with torch.no_grad():
        other.image_encoder.projection.weight.zero_()
    again = encoder_digest(other.image_encoder, other.config)
    assert again == encoder_digest(small_family.small_model("vicuna-7b", 1).image_encoder,
                                   other.config)  # fmt: skip


def test_live_the_survey_keeps_no_features_and_gives_pixels(model, listing, tmp_path):
    survey = make(model, listing, tmp_path, live=True)
    run(survey)
    assert survey.found().whole.tolist() == [0, 1, 2, 3, 4, 5, 8, 9]
    ((pixels,),) = survey.rows([(5, 0)])
    assert torch.equal(pixels, pixel_values(image(5), model.config.vision_config))
    assert sum(f.stat().st_size for f in survey.folder.iterdir()) < 4000


def test_features_that_half_precision_cannot_hold_are_refused_by_name(listing, tmp_path):
    loud = small_family.small_model("vicuna-7b")
    with torch.no_grad():
        last = [m for n, m in loud.image_encoder.bridge.named_modules() if n.endswith("LayerNorm")]
        last[-1].weight.mul_(1e6)
    with pytest.raises(InputError, match=r"features of 0, 1.* are not finite"):
        run(make(loud, listing, tmp_path, dtype="float16"))
