"""The assembled folder: whole or not at all, named by its digest, and the real language model."""

import json
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tokenizers import Tokenizer

from minigpt4.checkpoints import embedded
from minigpt4.modeling import MiniGPT4ForConditionalGeneration

NANO = embedded.RECIPES["nano"]


def test_the_committed_projection_is_small_and_half_precision():
    assert NANO.projection.stat().st_size < 10_000_000
    assert {value.dtype for value in load_file(NANO.projection).values()} == {torch.float16}


def test_the_folder_holds_the_committed_projection_exactly(nano_checkpoint):
    committed = load_file(NANO.projection)
    with safe_open(nano_checkpoint / "model.safetensors", "pt") as file:
        for name, value in committed.items():
            stored = file.get_tensor(f"image_encoder.projection.{name}")
            assert stored.dtype == torch.float32 and torch.equal(stored, value.float())
        heads = {key.split(".")[0] for key in file.keys()}  # noqa: SIM118 - not a dict
    assert heads == {"image_encoder", "language_model"}


def test_every_weight_is_there_and_none_is_left_over(nano_checkpoint):
    _, report = MiniGPT4ForConditionalGeneration.from_pretrained(
        nano_checkpoint, output_loading_info=True
    )
    assert not any(report.values())


def test_the_placeholder_is_a_special_token_called_image(nano_checkpoint):
    tokenizer = Tokenizer.from_file(str(nano_checkpoint / "tokenizer.json"))
    config = json.loads((nano_checkpoint / "config.json").read_text())
    assert tokenizer.token_to_id("<image>") == config["image_token_id"] == 16
    added = tokenizer.get_added_tokens_decoder()
    assert added[16].special and [added[i].content for i in (1, 2)] == [
        "<|im_start|>",
        "<|im_end|>",
    ]
    for text in ("Hello  world,\n\n\tna\u00efve \U0001f389 don't 2026", " leading and trailing "):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert len(tokenizer.encode("2026").ids) == 4  # SmolLM2 reads digits one by one


@torch.inference_mode()
def test_the_unpacked_language_model_still_knows_its_capitals(nano_checkpoint):
    model = MiniGPT4ForConditionalGeneration.from_pretrained(nano_checkpoint).eval()
    tokenizer = Tokenizer.from_file(str(nano_checkpoint / "tokenizer.json"))
    question = "<|im_start|>user\nWhat is the capital of {}?<|im_end|>\n<|im_start|>assistant\n"
    for country, capital in (("France", "Paris"), ("Japan", "Tokyo"), ("Italy", "Rome")):
        ids = torch.tensor([tokenizer.encode(question.format(country)).ids])
        answer = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False
        )
        assert capital in tokenizer.decode(answer[0, ids.shape[1] :].tolist())


def test_the_digest_names_the_files(tmp_path, nano_checkpoint):
    recorded = json.loads((nano_checkpoint / embedded.MANIFEST).read_text())["digest"]
    assert embedded.digest(nano_checkpoint) == recorded
    shutil.copytree(nano_checkpoint, tmp_path / "copy")
    assert embedded.digest(tmp_path / "copy") == recorded
    with (tmp_path / "copy" / "tokenizer.json").open("a") as file:
        file.write(" ")
    assert embedded.digest(tmp_path / "copy") != recorded


def test_a_failed_assembly_leaves_the_old_folder_and_nothing_else(tmp_path, monkeypatch):
    old = tmp_path / "nano"
    old.mkdir()
    (old / "here").write_text("still")

    def broken(recipe, folder, projection, precision):
        (folder / "half").write_text("written")
        raise OSError("disk full")

    monkeypatch.setattr(embedded, "write", broken)
    with pytest.raises(OSError, match="disk full"):
        embedded.assemble("nano", old)
    assert [path.name for path in tmp_path.iterdir()] == ["nano"]
    assert (old / "here").read_text() == "still"


def test_an_assembly_replaces_the_old_folder_whole(tmp_path, monkeypatch):
    old = tmp_path / "nano"
    old.mkdir()
    (old / "stale").write_text("gone")
    monkeypatch.setattr(
        embedded, "write", lambda recipe, folder, *_: (folder / "new").write_text("here")
    )
    assert not embedded.is_current("nano", old)
    embedded.assemble("nano", old)
    assert sorted(path.name for path in old.iterdir()) == [embedded.MANIFEST, "new"]
    assert [path.name for path in tmp_path.iterdir()] == ["nano"]
    assert embedded.is_current("nano", old)


def test_a_missing_projection_says_how_to_make_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="minigpt4-worker train"):
        embedded.assemble("nano", tmp_path / "nano", tmp_path / "none.safetensors")
