"""One validated configuration: the paper's defaults, then a file, then flags."""

import json

import pytest

from minigpt4 import cli
from minigpt4.input_error import InputError
from minigpt4.models import FAMILY, MODELS
from minigpt4.train.config import ALIGNMENT_PROMPTS, FIELDS, make
from minigpt4.train.data_sets import DATA_SETS

PLACES = {"checkpoint": "models/x", "out": "runs/x", "data": [{"set": "laion", "path": "a.tar"}]}
ALIGN = {**PLACES, "data": [{"set": "cc_sbu_align", "path": "a"}], "start": "checkpoint"}


@pytest.mark.parametrize("model", FAMILY)
def test_stage_1_of_the_family_is_the_papers(model):
    both = [{"set": "laion", "path": "a.tar"}, {"set": "cc_sbu", "path": "b.tar"}]
    c = make(model, 1, {**PLACES, "data": both})
    assert [source.weight for source in c.data] == [115, 14]
    assert (c.batch, c.batches, c.steps, c.mixing) == (64, 4, 4 * 5000, "batch")
    assert (c.lr_start, c.lr_peak, c.lr_min, c.warmup) == (1e-6, 1e-4, 8e-5, 5000)
    assert (c.weight_decay, c.beta1, c.beta2, c.clip) == (0.05, 0.9, 0.999, None)
    assert (c.text_tokens, c.clean, c.caption_words, c.captions) == (32, True, 50, 1)
    assert (c.prompts, c.start, c.mirror, c.seed) == ((), "fresh", False, 42)


@pytest.mark.parametrize("model", FAMILY)
def test_stage_2_of_the_family_is_the_papers(model):
    c = make(model, 2, ALIGN)
    assert (c.batch, c.batches, c.steps) == (12, 1, 5 * 200)
    assert (c.lr_start, c.lr_peak, c.lr_min, c.warmup) == (1e-6, 3e-5, 1e-5, 200)
    assert (c.weight_decay, c.text_tokens, c.clean) == (0.05, 160, False)
    assert c.prompts == ALIGNMENT_PROMPTS
    assert len(c.prompts) == 4


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_defaults_that_stand_for_both_stages(model, stage):
    make(model, stage, ALIGN if stage == 2 else PLACES)


def test_a_file_wins_over_defaults_and_flags_over_the_file(tmp_path, capsys):
    file = tmp_path / "run.json"
    file.write_text(json.dumps({**PLACES, "steps": 7000, "batch": 3, "lr_scale": {"weight": 2}}))
    cli.main(
        [
            *("train", "stage1", "vicuna-7b", "--config", str(file), "--batch", "5", "--mirror"),
            *("--data", "cc_sbu=x.tar@0.5", "--data", "y/laion/1.tar", "--clip", "none"),
            "--dry-run",
        ]
    )
    shown = json.loads(capsys.readouterr().out)
    assert (shown["steps"], shown["batch"], shown["batches"]) == (7000, 5, 4)
    assert (shown["mirror"], shown["clip"], shown["lr_scale"]) == (True, None, {"weight": 2})
    assert [(s["set"], s["path"], s["weight"]) for s in shown["data"]] == [
        ("cc_sbu", "x.tar", 0.5), ("laion", "y/laion/1.tar", 115),
    ]  # fmt: skip


WRONG = {
    "steps": [0, -1, 1.5, "10", True, None, float("nan"), []],
    "batch": [0, "many"],
    "batches": [0],
    "at_once": [0, "x"],
    "lr_peak": [0, -1e-4, "fast", float("inf"), None],
    "lr_min": [-1, 1],  # 1 is above the peak
    "lr_start": [-1, 1],
    "warmup": [-1, 30_000],
    "lr_scale": [{"classes": 0}, {"classes": "x"}, 5, {"": 1}],
    "weight_decay": [-0.1],
    "beta1": [1, -0.1],
    "beta2": [1.0, 2],
    "epsilon": [0],
    "clip": [0, -1],
    "text_tokens": [0],
    "clean": [1, "yes"],
    "caption_words": [0],
    "captions": [0],
    "prompts": ["Describe.", [""], [3]],
    "mirror": [0],
    "live": ["true"],
    "mixing": ["both"],
    "cache_dtype": ["int8"],
    "precision": ["fp32", "half"],
    "device": ["tpu"],
    "threads": [0],
    "save_every": [0],
    "validate_every": [-1],
    "damaged_share": [1.1, -0.1],
    "duplicate_bits": [33, -1, 0.5],
    "seed": [-1, "a"],
    "start": [3, ""],
    "checkpoint": ["", 3],
    "out": [""],
    "cache": [3],
    "data": [
        "a.tar", [], ["a.tar"], [{}], [{"path": "a", "weight": -1}], [{"path": "a", "set": "coco"}],
        [{"path": "a", "test": 1.5}], [{"path": "a", "wieght": 1}], [{"path": "a", "choose": -1}],
    ],
    "answers": [[{"path": "a.jsonl"}], [{"task": "x"}], {}],  # stage 1 takes none
    "model": ["nano", "gpt"],
    "stage": [2, 3],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_wrong_value_is_refused_with_its_name_and_the_way_out(name, value):
    with pytest.raises(InputError) as refused:
        make("vicuna-7b", 1, PLACES, {name: value})
    assert refused.value.problem.startswith(name)
    assert len(refused.value.hint) > 5


def test_every_setting_has_wrong_values_to_test():
    assert WRONG.keys() == FIELDS.keys()


def test_a_precision_that_the_device_lacks_is_refused():
    with pytest.raises(InputError, match="precision: fp16 needs a GPU"):
        make("vicuna-7b", 1, PLACES, {"precision": "fp16", "device": "cpu"})
    with pytest.raises(InputError, match="precision: int8 is for the CPU"):
        make("vicuna-7b", 1, PLACES, {"precision": "int8", "device": "cuda"})


def test_an_unknown_setting_is_refused_with_the_nearest_known_one():
    with pytest.raises(InputError) as refused:
        make("vicuna-7b", 1, PLACES, {"lr_peek": 1e-4})
    assert "lr_peek" in refused.value.problem
    assert "lr_peak" in refused.value.hint


def test_stage_2_without_a_start_or_without_answers_says_what_to_pass():
    with pytest.raises(InputError, match=r"start: .*\n.*--from"):
        make("vicuna-7b", 2, {**ALIGN, "start": ""})
    with pytest.raises(InputError, match=r"data: nothing of flickr8k.*\n.*--answers"):
        make("nano", 2, {**ALIGN, "data": [{"set": "flickr8k", "path": "a.tar"}]})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--steps", "ten"], ["--steps", "0"], ["--lr-scale", "classes"], ["--config", "no.json"],
        ["--data", "a.tar@-1"], ["--cache-dtype", "int8"], ["--clip", "never"],
    ],
)  # fmt: skip
def test_wrong_use_of_the_command_ends_with_code_2_and_two_lines(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(
            [
                *("train", "stage1", "nano", "--checkpoint", "c", "--out", "o"),
                *("--data", "a.tar", *arguments),
            ]
        )
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert len(told.strip().splitlines()) == 2
    assert "Traceback" not in told


def test_the_identity_of_a_training_holds_no_place_of_this_machine():
    c = make("nano", 2, {**ALIGN, "answers": [{"path": "/secret/story.jsonl"}], "start": "/secret"})
    told = json.dumps(c.identity())
    for place in ("/secret", "models/x", "runs/x"):
        assert place not in told
    assert make("nano", 1, PLACES).digest() != make("nano", 1, PLACES, {"seed": 1}).digest()


def test_every_data_set_states_its_terms():
    assert {"laion", "cc_sbu", "cc_sbu_align", "flickr8k", "imagenet-photos"} < DATA_SETS.keys()
    assert all(about.licence for about in DATA_SETS.values())
    assert DATA_SETS["flickr8k"].research
    assert DATA_SETS["imagenet-photos"].research
    assert (DATA_SETS["flickr8k"].test, DATA_SETS["flickr8k"].choose) == (500, 300)
