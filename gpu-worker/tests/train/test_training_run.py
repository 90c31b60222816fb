"""Runs: they step, stop, go on as if nothing had been, and change the projection alone."""

import hashlib
import json
import os
import signal
import socket
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from photo_shards import encoded, picture, sample, write_answers, write_shard, write_shards
from runs import (
    command,
    configure,
    exit_code,
    metrics,
    projection,
    run,
    run_until,
    same_training,
    start,
    state,
)

from minigpt4.models import FAMILY
from minigpt4.train import ranks
from minigpt4.train import run as module
from minigpt4.train.config import defaults
from minigpt4.train.learner import Learner

PATIENCE = 240.0


def until(condition, process=None) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        assert process is None or process.poll() is None, process.stdout.read()
        time.sleep(0.002)


def sums(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("model", FAMILY)
def test_the_papers_settings_start_step_and_save_for_both_stages(model, family, shards, tmp_path):
    """Of the defaults nothing is changed but how long it takes and how many samples a batch has."""
    first = command(
        {
            "checkpoint": str(family(model)),
            "out": str(tmp_path / "one"),
            "data": [{"set": "laion", "path": shards}, {"set": "cc_sbu", "path": shards}],
            "threads": 1, "device": "cpu", "batch": 2, "steps": 2, "warmup": 1,
        },
        tmp_path / "1", model,
    )  # fmt: skip
    assert exit_code(first) == 0
    rows = [{"image_id": n, "caption": f"The water is long. Look at number {n}."} for n in range(4)]
    align = tmp_path / "align"
    (align / "image").mkdir(parents=True)
    (align / "filter_cap.json").write_text(json.dumps({"annotations": rows}))
    for n in range(4):
        (align / "image" / f"{n}.jpg").write_bytes(encoded(picture(n), "JPEG"))
    second = command(
        {
            "checkpoint": str(family(model)),
            "out": str(tmp_path / "two"),
            "data": [{"set": "cc_sbu_align", "path": str(align)}],
            "threads": 1, "device": "cpu", "steps": 2, "warmup": 1,
        },
        tmp_path / "2", model, stage=2,
    )  # fmt: skip
    assert exit_code([*second, "--from", str(tmp_path / "one" / "projection.safetensors")]) == 0
    assert [row["photos"] for row in metrics(tmp_path / "one")] == [8, 8]
    assert [row["photos"] for row in metrics(tmp_path / "two")] == [12, 12]
    tensors, about = projection(tmp_path / "two")
    assert all(tensor.dtype == torch.float16 for tensor in tensors.values())
    parent = (tmp_path / "one" / "projection.safetensors").read_bytes()
    assert about["parent_sha256"] == hashlib.sha256(parent).hexdigest()
    assert (about["model"], about["stage"], about["step"]) == (model, "2", "2")
    for name in ("data_sha256", "config_sha256", "encoder_sha256", "code", "seed", "licences"):
        assert about[name]
    assert json.loads(about["config"])["text_tokens"] == defaults(model, 2)["text_tokens"]
    assert str(tmp_path) not in json.dumps(about)
    for name in ("loss.png", "metrics.jsonl", "config.json", "damaged.jsonl", "duplicates.jsonl"):
        assert (tmp_path / "two" / name).exists()


@pytest.mark.parametrize("model", ["vicuna-7b", "llama2-7b"])
def test_at_the_papers_settings_a_killed_run_continues_as_if_it_had_not_stopped(
    model, paper_settings, family, tmp_path, monkeypatch
):
    """The first of 20,000 steps, 256 photos each; kill -9 after at least three of them."""
    before = sums(family(model))
    killed = paper_settings(model, 1, out=str(tmp_path / "killed"), cache=str(tmp_path / "other"))
    process = start(command(killed, tmp_path / "k", model))
    try:
        until(lambda: len(metrics(killed["out"])) >= 3, process)
    finally:
        process.kill()
        process.wait()
    assert 2 <= state(killed["out"])["step"] <= len(metrics(killed["out"])) < 20
    last = len(metrics(killed["out"])) + 3
    whole = run_until(last, paper_settings(model, 1), model, 1, monkeypatch)
    same_training(whole, run_until(last, killed, model, 1, monkeypatch))
    tensors, about = projection(whole)
    kept = json.loads(about["config"])
    for name, value in defaults(model, 1).items():
        assert name == "save_every" or kept[name] == value
    assert (about["step"], about["steps"]) == (str(last), "20000")
    assert {row["photos"] for row in metrics(whole)} == {4 * 64}
    assert all(tensor.dtype == torch.float16 for tensor in tensors.values())
    assert sums(family(model)) == before


@pytest.mark.parametrize(
    ("model", "precision"),
    [("vicuna-7b", "float32"), ("vicuna-7b", "bf16"), ("llama2-7b", "float32")],
)
def test_nothing_but_the_projection_changes_by_one_bit(
    settings, family, model, precision, monkeypatch, tmp_path
):
    kept: list[torch.nn.Module] = []
    taken: dict[str, torch.Tensor] = {}
    make = Learner.__init__

    def record(self, model, device, precision):
        make(self, model, device, precision)
        kept.append(model)
        taken.update({name: value.clone() for name, value in model.state_dict().items()})

    monkeypatch.setattr(Learner, "__init__", record)
    before = sums(family(model))
    chosen = settings(model=model, steps=5, precision=precision, lr_peak=1e-2, start="checkpoint")
    run(chosen, model)
    assert sums(family(model)) == before
    after = kept[0].state_dict()
    changed = {name for name in taken if not torch.equal(taken[name], after[name])}
    assert changed == {"image_encoder.projection.weight", "image_encoder.projection.bias"}
    assert after.keys() == taken.keys()
    others = [p for n, p in kept[0].named_parameters() if "projection" not in n or "vision" in n]
    assert all(p.grad is None and not p.requires_grad for p in others)
    assert after["image_encoder.projection.weight"].dtype == torch.float32


def test_a_killed_run_continues_as_if_it_had_not_stopped(settings, tmp_path):
    """kill -9 between two checkpoints: every bit is that of the run without it."""
    chosen = settings(steps=30, save_every=4, mixing="sample", mirror=True, validate_every=8)
    chosen["data"] = [chosen["data"][0] | {"choose": 2}]
    killed = chosen | {"out": str(tmp_path / "killed"), "cache": str(tmp_path / "other features")}
    process = start(command(killed, tmp_path / "k"))
    try:
        until(lambda: len(metrics(killed["out"])) >= 6, process)
    finally:
        process.kill()
        process.wait()
    done = len(metrics(killed["out"]))
    assert state(killed["out"])["step"] < done < 30
    whole = run(chosen)
    resumed = run(killed)
    same_training(whole, resumed)
    assert [row["step"] for row in metrics(resumed)] == list(range(1, 31))
    assert [row["step"] for row in metrics(whole) if "choose_loss" in row] == [8, 16, 24, 30]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_run_after_the_step_and_the_same_command_continues(
    settings, tmp_path, number, capsys
):
    chosen = settings(steps=40, save_every=100)
    arguments = command(chosen, tmp_path)
    out = Path(chosen["out"])

    def ask() -> None:
        until(lambda: len(metrics(out)) >= 3)
        os.kill(os.getpid(), number)

    asking = threading.Thread(target=ask)
    asking.start()
    assert exit_code(arguments) == 130
    asking.join()
    assert "run the same command to continue" in capsys.readouterr().err
    stopped = len(metrics(out))
    assert 3 <= stopped < 40
    assert state(out)["step"] == stopped
    assert exit_code(arguments) == 0
    same_training(out, run(settings(steps=40, save_every=100, out=str(tmp_path / "whole"))))


def test_two_processes_learn_the_same_as_one_from_the_same_batches(settings, tmp_path, monkeypatch):
    """This process is the first of them, as `torchrun` would start it."""
    chosen = settings(steps=3, batch=2, batches=4, lr_peak=1e-2, validate_every=3, out="")
    chosen["data"] = [chosen["data"][0] | {"choose": 3}]
    chosen["cache"] = str(tmp_path / "theirs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    theirs = chosen | {"out": str(tmp_path / "two")}
    second = start(command(theirs, tmp_path), **shared, RANK="1", LOCAL_RANK="1")
    try:
        one = run(chosen | {"out": str(tmp_path / "one"), "cache": str(tmp_path / "features")})
        monkeypatch.setattr(ranks, "PATIENCE", timedelta(seconds=PATIENCE))
        for name, value in (shared | {"RANK": "0", "LOCAL_RANK": "0"}).items():
            monkeypatch.setenv(name, value)
        run(theirs)
        told, _ = second.communicate(timeout=PATIENCE)
    finally:
        second.kill()
    assert second.returncode == 0, told
    for a, b in zip(metrics(one), metrics(tmp_path / "two"), strict=True):
        assert (a["tokens"], a["photos"], a["lr"]) == (b["tokens"], b["photos"], b["lr"])
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-6)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-5)
    last = metrics(one)[-1]["choose_loss"]
    assert metrics(tmp_path / "two")[-1]["choose_loss"] == pytest.approx(last, rel=1e-6)
    ours, theirs = state(one)["projection"], state(tmp_path / "two")["projection"]
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], atol=1e-5, rtol=1e-5)


def test_processes_must_divide_the_batches(settings, monkeypatch):
    monkeypatch.setattr(
        module, "Ranks", lambda device: type("R", (), {"world": 4, "device": "cpu",
                                                       "close": lambda self: None})()
    )  # fmt: skip
    with pytest.raises(module.InputError, match="batches: 2 of a step do not divide among 4"):
        run(settings())


def test_parts_of_a_batch_add_up_to_the_batch(settings, tmp_path):
    """Memory decides `at_once`; the mean is over the whole batch all the same."""
    whole = run(settings(batch=5, lr_peak=1e-2))
    parts = run(settings(batch=5, lr_peak=1e-2, at_once=2, out=str(tmp_path / "parts")))
    for a, b in zip(metrics(whole), metrics(parts), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-6)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-5)


def test_live_training_learns_the_same_as_from_cached_features(settings, tmp_path):
    cached = run(settings(mirror=True))
    live = run(settings(mirror=True, live=True, out=str(tmp_path / "live")))
    for a, b in zip(metrics(cached), metrics(live), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)


def test_captions_of_a_photo_may_be_learned_at_once(settings, tmp_path):
    one, both = run(settings()), run(settings(captions=2, out=str(tmp_path / "both")))
    first, second = metrics(one)[0], metrics(both)[0]
    assert first["photos"] == second["photos"]
    assert first["tokens"] < second["tokens"]


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_nan_ends_it_in_that_step_with_the_sample_and_saves_nothing_over(
    settings, tmp_path, where, monkeypatch, capsys
):
    chosen = settings(steps=4, batch=2, batches=1, save_every=1, at_once=1)
    learn = Learner.losses
    calls: list[str] = []

    def broken(self, features, examples):
        calls.extend(example.key for example in examples)
        losses = learn(self, features, examples)
        if len(calls) == 6:  # the second sample of the third step
            if where == "loss":
                losses.each.data[0] = float("nan")
            else:
                losses.each.register_hook(lambda gradient: gradient * float("inf"))
        return losses

    monkeypatch.setattr(Learner, "losses", broken)
    arguments = command(chosen, tmp_path)
    assert exit_code(arguments) == 4
    told = capsys.readouterr().err
    assert "step 3: loss or gradient not finite" in told
    assert f"samples {calls[5]}\n" in told
    assert "--lr-peak" in told
    assert state(chosen["out"])["step"] == 2
    assert projection(chosen["out"])[1]["step"] == "2"
    monkeypatch.setattr(Learner, "losses", learn)
    assert exit_code(arguments) == 0  # from the last checkpoint
    same_training(chosen["out"], run(chosen | {"out": str(tmp_path / "whole")}))


def test_a_finished_training_stays_unchanged(settings, tmp_path, capsys):
    chosen = settings()
    out = run(chosen)
    before = (out / "projection.safetensors").read_bytes()
    assert exit_code(command(chosen, tmp_path)) == 0
    assert "already finished" in capsys.readouterr().err
    assert (out / "projection.safetensors").read_bytes() == before


def test_a_folder_with_another_training_is_refused_with_the_difference(settings, tmp_path, capsys):
    run(settings())
    assert exit_code(command(settings(lr_peak=3e-4), tmp_path / "a")) == 2
    assert "lr_peak: " in capsys.readouterr().err
    other = settings()
    other["data"] = [{"set": "cc_sbu", "path": write_shards(tmp_path / "b", 6, 1)}]
    assert exit_code(command(other, tmp_path / "a")) == 2
    assert "data_sha256: " in capsys.readouterr().err
    assert exit_code(command(settings(save_every=1, at_once=1), tmp_path / "a")) == 0


def test_two_trainings_do_not_share_a_folder(settings, tmp_path, capsys):
    from minigpt4.train.run_folder import RunFolder

    chosen = settings()
    folder = RunFolder(configure(chosen))
    folder.open()
    assert exit_code(command(chosen, tmp_path)) == 2
    assert "another process trains" in capsys.readouterr().err
    folder.close()
    assert exit_code(command(chosen, tmp_path)) == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"checkpoint": "nowhere"}, "checkpoint: nowhere is not a checkpoint of vicuna-7b"),
        ({"start": "nowhere.safetensors"}, "start: nowhere.safetensors cannot be read"),
        ({"lr_scale": {"classes": 5}}, "lr_scale: no parameter begins with 'classes'"),
    ],
)
def test_unusable_input_exits_with_2(settings, tmp_path, change, told, capsys):
    assert exit_code(command(settings(**change), tmp_path)) == 2
    assert told in capsys.readouterr().err


def test_another_models_projection_is_refused(settings, tmp_path, capsys):
    other = run(settings(model="llama2-7b", out=str(tmp_path / "llama")), "llama2-7b")
    chosen = settings(start=str(other / "projection.safetensors"))
    assert exit_code(command(chosen, tmp_path)) == 2
    assert "weight is [64, 256]; the model needs [64, 48]" in capsys.readouterr().err


def test_data_that_cannot_be_used_ends_with_code_3(settings, tmp_path, capsys):
    members = sample("a", 1) | sample("b", 2) | {"c.jpg": b"no picture", "c.txt": b"caption"}
    shard = write_shard(tmp_path / "0.tar", members)
    chosen = settings(data=[{"path": str(shard)}])
    assert exit_code(command(chosen, tmp_path)) == 3
    told = capsys.readouterr().err
    assert "1 of 3 samples are damaged" in told
    assert "c (" in told
    chosen["damaged_share"] = 0.5
    assert exit_code(command(chosen, tmp_path)) == 0
    rows = (Path(chosen["out"]) / "damaged.jsonl").read_text().splitlines()
    assert [json.loads(row)["key"] for row in rows] == ["c"]
    assert exit_code(command(settings(data=[{"path": "no.tar"}]), tmp_path)) == 3


def test_data_that_is_all_held_out_fails_before_the_survey(settings, tmp_path, capsys):
    chosen = settings()
    chosen["data"] = [chosen["data"][0] | {"test": 8, "choose": 4}]
    assert exit_code(command(chosen, tmp_path)) == 3
    told = capsys.readouterr().err
    assert "cc_sbu: of 12 photos 8 for testing and 4 for choosing are held out" in told
    assert "surveying" not in told


def test_stage_2_learns_several_tasks_by_weight(settings, shards, tmp_path):
    stories = [
        {"key": f"{n:09d}", "prompt": "Write a story.", "answer": "Long way down."}
        for n in range(12)
    ]
    talks = [{"key": "000000003", "prompt": "What is it?", "answer": ["Water.", "The water."]}]
    chosen = settings(
        data=[{"set": "cc_sbu", "path": shards}],
        answers=[
            {"path": str(write_answers(tmp_path / "story.jsonl", stories)), "weight": 1},
            {"path": str(write_answers(tmp_path / "talk.jsonl", talks)), "weight": 3},
        ],
        mixing="sample",
        captions=2,
        start="checkpoint",
        steps=20,
    )
    assert metrics(run(chosen, stage=2))[-1]["step"] == 20


def test_rates_may_be_scaled_by_the_parameters_name(settings, tmp_path):
    """Adam's first step is as large as its rate, whatever the gradient."""
    usual, scaled = (
        run(
            settings(steps=1, warmup=0, weight_decay=0.0, out=str(tmp_path / name), start=
                     "checkpoint", lr_scale=scale, lr_peak=1e-3)
        )
        for name, scale in (("a", {}), ("b", {"weight": 3, "we": 9}))
    )  # fmt: skip
    from small_family import small_model

    before = small_model("vicuna-7b").image_encoder.projection.state_dict()
    for name, factor in (("weight", 3), ("bias", 1)):
        moved = [state(out)["projection"][name] - before[name] for out in (usual, scaled)]
        small, large = (each.abs().median() for each in moved)
        assert large / small == pytest.approx(factor, rel=0.01)


@pytest.mark.parametrize("stage", [1, 2])
def test_nano_learns_with_the_same_trainer(nano_checkpoint, shards, tmp_path, stage):
    """The real one, in bfloat16: two steps, and its four-part projection has its own names."""
    chosen = {
        "checkpoint": str(nano_checkpoint), "out": str(tmp_path / "out"), "steps": 2, "batch": 2,
        "warmup": 1, "threads": 1, "device": "cpu", "mirror": False, "start": "checkpoint",
        "data": [{"set": "cc_sbu", "path": write_shards(tmp_path / "few", 4, 1), "weight": 1}],
    }  # fmt: skip
    out = run(chosen, "nano", stage)
    tensors, about = projection(out)
    assert set(tensors) == {"classes.weight", "raw.weight", "raw.bias"}
    assert json.loads(about["config"])["precision"] == "bf16"
    assert metrics(out)[0]["loss"] > 0


def test_a_fresh_projection_is_pytorchs_own_at_the_seed(settings, monkeypatch):
    begun: list[dict] = []
    make = module.Run._begin

    def record(self):
        out = make(self)
        begun.append({k: v.clone() for k, v in self.learner.projection.state_dict().items()})
        return out

    monkeypatch.setattr(module.Run, "_begin", record)
    run(settings(seed=7))
    torch.manual_seed(7)
    expected = torch.nn.Linear(48, 64).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in begun[0].items())


def test_a_trained_projector_of_the_family_is_assembled_again(
    synthetic_sets, shards, tmp_path, monkeypatch
):
    """From the original-format files to a checkpoint, through a training, to a checkpoint."""
    from safetensors.torch import load_file

    from minigpt4.checkpoints.assembly import Options, assemble
    from minigpt4.checkpoints.sources import Sources

    chosen = {
        "checkpoint": str(synthetic_sets.checkpoint("vicuna-7b")), "out": str(tmp_path / "out"),
        "data": [{"set": "cc_sbu", "path": shards}], "steps": 1, "batch": 2, "batches": 1,
        "warmup": 0, "threads": 1, "device": "cpu",
    }  # fmt: skip
    out = run(chosen)
    options = Options(synthetic=True, accept_other=frozenset({"projector"}))
    given = Sources(projector=out / "projector.pth")
    made = assemble(
        "vicuna-7b", synthetic_sets.original("vicuna-7b"), tmp_path / "made", given, options
    )
    held = {}
    for file in made.glob("*.safetensors"):
        held |= load_file(file)
    for name, tensor in projection(out)[0].items():
        assert torch.equal(held[f"image_encoder.projection.{name}"], tensor.float())
    again = chosen | {"out": str(tmp_path / "again"), "start": str(out / "projector.pth")}
    assert metrics(run(again))[0]["loss"] < float("inf")


def test_metrics_that_were_cut_short_are_noticed(settings, tmp_path, capsys):
    chosen = settings(steps=8, save_every=2)
    out = Path(chosen["out"])
    run(chosen | {"steps": 8})
    (out / "metrics.jsonl").write_text("")
    assert exit_code(command(chosen, tmp_path)) == 2
    assert "metrics.jsonl: is shorter" in capsys.readouterr().err
