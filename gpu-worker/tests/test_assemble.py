"""A family checkpoint holds exactly the original files' numbers, by every route, whole or not."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from synthetic import EVA, FAMILY, LLM, PROJECTOR, QFORMER, put_together, tensors
from tokenizers import Tokenizer

from minigpt4.checkpoints import embedded
from minigpt4.checkpoints.assembly import Options, assemble
from minigpt4.checkpoints.sources import Sources
from minigpt4.cli import main
from minigpt4.input_error import InputError
from minigpt4.modeling import MiniGPT4ForConditionalGeneration

BLOCKS, LAYERS = 3, 4


def by_hand(folder, model) -> dict[str, torch.Tensor]:
    """The checkpoint's tensors, derived from the original files name by name."""
    eva = torch.load(folder / EVA, weights_only=True)
    out = {
        "vision.embeddings.class_embedding": eva["cls_token"].float(),
        "vision.embeddings.position_embedding": eva["pos_embed"].float(),
        "vision.embeddings.patch_embedding.weight": eva["patch_embed.proj.weight"],
        "vision.embeddings.patch_embedding.bias": eva["patch_embed.proj.bias"],
    }
    for n in range(BLOCKS):
        old, new = f"blocks.{n}.", f"vision.encoder.layers.{n}."
        for end in ("weight", "bias"):
            for a, b in (("norm1", "layer_norm1"), ("norm2", "layer_norm2")):
                out[f"{new}{b}.{end}"] = eva[f"{old}{a}.{end}"].float()
            for a, b in (("attn.proj", "self_attn.projection"), *(2 * (x,) for x in MLP)):
                out[f"{new}{b}.{end}"] = eva[f"{old}{a}.{end}"]
        out[f"{new}self_attn.qkv.weight"] = eva[f"{old}attn.qkv.weight"]
        bias = torch.zeros(3, 64, dtype=torch.float16)
        bias[0], bias[2] = eva[f"{old}attn.q_bias"], eva[f"{old}attn.v_bias"]
        out[f"{new}self_attn.qkv.bias"] = bias.view(-1)
    if model == "llama2-7b":
        out["vision.post_layernorm.weight"] = torch.ones(64)
        out["vision.post_layernorm.bias"] = torch.zeros(64)
    else:
        blip2 = torch.load(folder / QFORMER, weights_only=True)["model"]
        out["vision.post_layernorm.weight"] = blip2["ln_vision.weight"]
        out["vision.post_layernorm.bias"] = blip2["ln_vision.bias"]
        out["bridge.query_tokens"] = blip2["query_tokens"]
        for name, value in blip2.items():
            root, _, rest = name.partition("Qformer.bert.")
            if root or not rest or "position_ids" in rest:
                continue
            rest = rest.replace("embeddings.LayerNorm", "layernorm")
            for kind in ("query", "key", "value"):
                rest = rest.replace(f".self.{kind}", f".attention.{kind}")
            out[f"bridge.{rest}"] = value
    trained = torch.load(folder / PROJECTOR[model], weights_only=True)["model"]
    for end in ("weight", "bias"):
        out[f"projection.{end}"] = trained[f"llama_proj.{end}"]
    out = {f"image_encoder.{name}": value for name, value in out.items()}
    for name, value in tensors(folder / LLM[model]).items():
        if "inv_freq" not in name:
            out[f"language_model.{name}"] = value
    return out


MLP = ("mlp.fc1", "mlp.fc2")


def equal(a, b) -> bool:
    return a.dtype == b.dtype and torch.equal(a, b)


@pytest.mark.parametrize("model", FAMILY)
def test_every_tensor_is_the_original_files(synthetic_sets, model):
    expected = by_hand(synthetic_sets.original(model), model)
    found = tensors(synthetic_sets.checkpoint(model))
    assert found.keys() == expected.keys()
    assert [name for name, value in expected.items() if not equal(found[name], value)] == []


@pytest.mark.parametrize("model", FAMILY)
@torch.inference_mode()
def test_the_reference_loads_it_whole_and_its_answer_hangs_on_the_picture(synthetic_sets, model):
    folder = synthetic_sets.checkpoint(model)
    loaded, report = MiniGPT4ForConditionalGeneration.from_pretrained(
        folder, output_loading_info=True
    )
    assert not any(report.values())
    for name, value in by_hand(synthetic_sets.original(model), model).items():
        assert torch.equal(loaded.state_dict()[name].float(), value.float()), name
    loaded = loaded.float().eval()
    tokens = 64 if model == "llama2-7b" else 32
    assert loaded.config.num_image_tokens == tokens
    ids = torch.tensor([[1, *range(300, 310), *[0] * tokens, *range(310, 320)]])

    def answer(ids, seed):
        pixels = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(seed))
        out = loaded.generate(
            input_ids=ids,
            pixel_values=pixels,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=12,
            do_sample=False,
        )
        return out[0].tolist()[-12:]

    first = answer(ids, 0)
    assert len(set(first)) > 3
    assert answer(ids, 0) == first != answer(ids, 1)
    ids[0, -1] = 400
    assert answer(ids, 0) != first


@pytest.mark.parametrize("model", FAMILY)
def test_the_folder_says_what_it_is(synthetic_sets, model):
    folder = synthetic_sets.checkpoint(model)
    config = json.loads((folder / "config.json").read_text())
    llama2 = model == "llama2-7b"
    assert config["architectures"] == ["MiniGPT4ForConditionalGeneration"]
    assert config["vision_config"]["tower"] == "eva-clip-g"
    assert config["vision_config"]["num_hidden_layers"] == BLOCKS
    assert config["vision_config"]["ln_eps"] == 1e-5
    assert (config["qformer_config"] is None) == llama2
    assert config["image_token_id"] == 0
    text = config["text_config"]
    assert text["rms_norm_eps"] == (1e-5 if llama2 else 1e-6)
    assert text["max_position_embeddings"] == (4096 if llama2 else 2048)
    assert not text["tie_word_embeddings"] and text["dtype"] == "float16"
    ids = json.loads((folder / "generation_config.json").read_text())
    assert (ids["bos_token_id"], ids["eos_token_id"]) == (1, 2)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == text["vocab_size"]
    assert [tokenizer.id_to_token(n) for n in range(3)] == ["<unk>", "<s>", "</s>"]
    manifest = json.loads((folder / "checkpoint.json").read_text())
    assert manifest["model"] == model and manifest["synthetic"]
    assert manifest["digest"] == embedded.digest(folder)
    parts = {"eva", "projector", "llm"} | (set() if llama2 else {"qformer"})
    assert manifest["sources"].keys() == parts
    assert len(manifest["sources"]["eva"][EVA]["sha256"]) == 64
    assert str(folder.parent) not in (folder / "checkpoint.json").read_text()


def test_an_index_names_the_shard_of_each_tensor(synthetic_sets):
    folder = synthetic_sets.checkpoint("vicuna-7b")
    table = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) > 1
    held = {}
    for path in shards:
        with safe_open(path, "pt") as file:
            held |= dict.fromkeys(file.keys(), path.name)
    assert held == table


def test_one_file_of_weights_needs_no_index(tmp_path, synthetic_sets):
    source = synthetic_sets.original("llama2-7b")
    folder = put_together("llama2-7b", source, tmp_path / "one", mib=100)
    assert [path.name for path in folder.glob("*.safetensors*")] == ["model.safetensors"]
    sharded = tensors(synthetic_sets.checkpoint("llama2-7b"))
    whole = tensors(folder)
    assert whole.keys() == sharded.keys()
    assert all(equal(value, sharded[name]) for name, value in whole.items())


@pytest.mark.parametrize(
    "model, kind",
    [
        ("vicuna-7b", {"delta": True}),
        ("vicuna-13b", {"delta": True}),
        ("vicuna-7b", {"hf_blip2": True}),
        ("llama2-7b", {"hf_blip2": True}),
    ],
)
def test_another_route_gives_the_same_tensors(synthetic_sets, model, kind):
    direct, other = synthetic_sets.checkpoint(model), synthetic_sets.checkpoint(model, **kind)
    expected, found = tensors(direct), tensors(other)
    assert found.keys() == expected.keys()
    assert [name for name, value in expected.items() if not equal(found[name], value)] == []
    for name in ("config.json", "tokenizer.json", "generation_config.json"):
        assert (direct / name).read_text() == (other / name).read_text()


def test_the_padding_row_comes_from_the_delta_alone(synthetic_sets):
    folder = synthetic_sets.original("vicuna-7b", delta=True)
    merged = tensors(synthetic_sets.checkpoint("vicuna-7b", delta=True))
    delta, base = tensors(folder / "vicuna-7b-delta-v0"), tensors(folder / "llama-7b")
    name = "lm_head.weight"
    rows = len(base[name])
    assert len(delta[name]) == rows + 1
    assert torch.equal(merged[f"language_model.{name}"][rows], delta[name][rows])
    total = base[name] + delta[name][:rows]
    assert torch.equal(merged[f"language_model.{name}"][:rows], total)


def test_quantised_weights_pass_as_they_are(tmp_path, synthetic_sets):
    source = synthetic_sets.copy("vicuna-7b", tmp_path / "set")
    llm = source / LLM["vicuna-7b"]
    names = {}
    for path in llm.glob("*.bin"):
        table = {}
        for name, value in torch.load(path, weights_only=True).items():
            table[name] = value
            if "_proj.weight" in name:
                table[name] = value.to(torch.float8_e4m3fn)
                table[f"{name}_scale"] = torch.tensor(0.5)
        torch.save(table, path)
        names |= dict.fromkeys(table, path.name)
    index = {"metadata": {}, "weight_map": names}
    (llm / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    settings = {"quant_method": "fp8", "activation_scheme": "dynamic"}
    config = json.loads((llm / "config.json").read_text()) | {"quantization_config": settings}
    (llm / "config.json").write_text(json.dumps(config))
    folder = put_together("vicuna-7b", source, tmp_path / "out")
    assert json.loads((folder / "config.json").read_text())["quantization_config"] == settings
    found = tensors(folder)
    for name, value in tensors(llm).items():
        if "inv_freq" not in name:
            stored = found[f"language_model.{name}"]
            assert stored.dtype == value.dtype and torch.equal(stored.float(), value.float())


DIE = """
import os, signal, sys
from minigpt4.checkpoints import shards
from minigpt4.cli import main
real, seen = shards.check_finite, []
def check(part, output):
    seen.append(output)
    if len(seen) == {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    real(part, output)
shards.check_finite = check
main(sys.argv[1:])
"""


def command(source, out) -> list[str]:
    given = ["assemble", "vicuna-7b", "--synthetic", "--from", str(source), "--out", str(out)]
    return [*given, "--shard-mib", "1"]


def kill_in_the_second_shard(source, out, whole) -> None:
    """Assembles `source` as `whole` was, in a process that is killed while writing."""
    table = json.loads((whole / "model.safetensors.index.json").read_text())["weight_map"]
    first = sum(name.startswith("model-00001") for name in table.values())
    died = subprocess.run(
        [sys.executable, "-c", DIE.format(after=first + 5), *command(source, out)],
        stderr=subprocess.DEVNULL,
        timeout=120,
    )
    assert died.returncode == -signal.SIGKILL


def test_a_killed_run_leaves_nothing_that_loads_and_the_next_one_goes_on(tmp_path, synthetic_sets):
    source, whole = synthetic_sets.original("vicuna-7b"), synthetic_sets.checkpoint("vicuna-7b")
    out = tmp_path / "out"
    kill_in_the_second_shard(source, out, whole)
    assert not out.exists()
    assert not list(tmp_path.rglob("config.json")) and not list(tmp_path.rglob("*.index.json"))
    shop = tmp_path / ".out-assembling" / "files"
    assert sorted(path.name for path in shop.iterdir()) == [
        "model-00001-of-00003.safetensors",
        "model-00002-of-00003.safetensors.part",
    ]
    kept = shop / "model-00001-of-00003.safetensors"
    inode = kept.stat().st_ino
    main(command(source, out))
    assert (out / kept.name).stat().st_ino == inode  # was not written again
    digest = json.loads((out / "checkpoint.json").read_text())["digest"]
    assert digest == json.loads((whole / "checkpoint.json").read_text())["digest"]
    assert embedded.digest(out) == digest
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_an_interrupted_run_left_is_not_used_for_other_input(tmp_path, synthetic_sets):
    source, out = synthetic_sets.copy("vicuna-7b", tmp_path / "set"), tmp_path / "out"
    kill_in_the_second_shard(source, out, synthetic_sets.checkpoint("vicuna-7b"))
    shop = tmp_path / ".out-assembling" / "files"
    assert list(shop.glob("model-00001-*.safetensors"))
    projector = torch.load(source / PROJECTOR["vicuna-7b"], weights_only=True)
    projector["model"]["llama_proj.bias"] += 1
    torch.save(projector, source / PROJECTOR["vicuna-7b"])
    put_together("vicuna-7b", source, out)
    name = "image_encoder.projection.bias"
    assert torch.equal(tensors(out)[name], projector["model"]["llama_proj.bias"])


def test_an_older_checkpoint_is_replaced_whole_and_other_folders_never(tmp_path, synthetic_sets):
    source, out = synthetic_sets.original("llama2-7b"), tmp_path / "out"
    shutil.copytree(synthetic_sets.checkpoint("vicuna-7b"), out)
    put_together("llama2-7b", source, out)
    assert json.loads((out / "checkpoint.json").read_text())["model"] == "llama2-7b"
    assert embedded.digest(out) == json.loads((out / "checkpoint.json").read_text())["digest"]
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter").write_text("dear")
    with pytest.raises(InputError, match="not a checkpoint folder"):
        put_together("llama2-7b", source, home)
    assert (home / "letter").read_text() == "dear"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "out"]


def test_a_write_that_fails_says_why_and_leaves_nothing_that_loads(tmp_path, synthetic_sets):
    import resource

    source, whole = synthetic_sets.original("vicuna-7b"), synthetic_sets.checkpoint("vicuna-7b")
    sizes = [path.stat().st_size for path in sorted(whole.glob("*.safetensors"))]
    assert sizes[0] > sizes[1]  # so the limit below stops the first
    out, limit = tmp_path / "out", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (sizes[1] + 1, limit[1]))
    try:
        with pytest.raises(InputError, match=r"File too large.*\n.*are kept"):
            put_together("vicuna-7b", source, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not out.exists() and not list(tmp_path.rglob("config.json"))
    put_together("vicuna-7b", source, out)
    assert embedded.digest(out) == json.loads((whole / "checkpoint.json").read_text())["digest"]


def test_files_in_torchs_older_format_are_read_whole(tmp_path, synthetic_sets):
    """They cannot be mapped; two tensors of one memory must both arrive."""
    source = synthetic_sets.copy("vicuna-7b", tmp_path / "set")
    index = json.loads((source / LLM["vicuna-7b"] / "pytorch_model.bin.index.json").read_text())
    first, second = (f"model.layers.1.mlp.{name}_proj.weight" for name in ("gate", "up"))
    path = source / LLM["vicuna-7b"] / index["weight_map"][first]
    assert path.name == index["weight_map"][second]
    table = torch.load(path, weights_only=True)
    table[second] = table[first]
    torch.save(table, path, _use_new_zipfile_serialization=False)
    found = tensors(put_together("vicuna-7b", source, tmp_path / "out"))
    for name in (first, second):
        assert equal(found[f"language_model.{name}"], table[first])


def test_two_at_once_do_not_write_into_each_other(tmp_path, synthetic_sets):
    import fcntl

    shop = tmp_path / ".out-assembling"
    shop.mkdir()
    with (shop / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process"):
            put_together("llama2-7b", synthetic_sets.original("llama2-7b"), tmp_path / "out")


def test_parts_may_be_named_one_by_one(tmp_path, synthetic_sets):
    source = synthetic_sets.original("vicuna-7b")
    given = Sources(
        eva=source / EVA,
        qformer=source / QFORMER,
        projector=source / PROJECTOR["vicuna-7b"],
        llm=source / LLM["vicuna-7b"],
    )
    elsewhere = tmp_path / "only-the-marker"
    elsewhere.mkdir()
    shutil.copy(source / "synth.json", elsewhere)
    options = Options(synthetic=True, shard_bytes=2**20)
    out = assemble("vicuna-7b", elsewhere, tmp_path / "out", given, options)
    expected = synthetic_sets.checkpoint("vicuna-7b")
    digests = [json.loads((f / "checkpoint.json").read_text())["digest"] for f in (out, expected)]
    assert digests[0] == digests[1]


def test_the_command_prints_plain_lines_and_the_folder(tmp_path, synthetic_sets, capsys):
    source, out = synthetic_sets.original("llama2-7b"), tmp_path / "out"
    main(["assemble", "llama2-7b", "--synthetic", "--from", str(source), "--out", str(out)])
    said = capsys.readouterr()
    assert said.out == f"{out}\n"
    assert "writing: 100%" in said.err and "\x1b" not in said.err and "\r" not in said.err
    assert os.listdir(tmp_path) == ["out"]
