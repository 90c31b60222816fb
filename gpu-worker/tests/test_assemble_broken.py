"""Each kind of broken input raises an error that names the file and the tensor."""

import json
import re
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from synthetic import EVA, LLM, PROJECTOR, QFORMER

from minigpt4.cli import main

MODEL = "vicuna-7b"
PROJ = PROJECTOR[MODEL]


def edit(path, change, under=None):
    whole = torch.load(path, weights_only=True)
    change(whole[under] if under else whole)
    torch.save(whole, path)


def shard_with(folder, name):
    index = json.loads((folder / "pytorch_model.bin.index.json").read_text())["weight_map"]
    return folder / index[name]


def edit_json(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


class Code:
    def __reduce__(self):
        return eval, ("open('run', 'w')",)


# Each takes a copy of a whole set, breaks one thing and returns options of the command.


def no_projector(folder):
    (folder / PROJ).unlink()


def truncated(folder):
    data = (folder / EVA).read_bytes()
    (folder / EVA).write_bytes(data[: len(data) // 2])


def damaged_pickle(folder):
    import pickle

    (folder / QFORMER).write_bytes(pickle.dumps({"model": 1})[:-3])


def code_inside(folder):
    torch.save({"model": Code()}, folder / PROJ)


def web_page(folder):
    (folder / PROJ).write_text("<!DOCTYPE html><html>Google Drive - Virus scan warning</html>")


def lfs_pointer(folder):
    (folder / QFORMER).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4b38\n")


def vision_tensor_missing(folder):
    edit(folder / EVA, lambda t: t.pop("blocks.1.attn.v_bias"))


def vision_tensor_extra(folder):
    edit(folder / EVA, lambda t: t.update({"blocks.0.attn.relative": torch.zeros(2)}))


def vision_too_deep(folder):
    def deeper(tensors):
        tensors |= {n.replace("s.3.", "s.4."): v for n, v in tensors.items() if "blocks.3." in n}

    edit(folder / EVA, deeper)


def vision_too_wide(folder):
    edit(folder / EVA, lambda t: t.update(cls_token=torch.zeros(1, 1, 72).half()))


def qformer_tensor_missing(folder):
    name = "Qformer.bert.encoder.layer.2.crossattention.self.key.weight"
    edit(folder / QFORMER, lambda t: t.pop(name), "model")


def qformer_with_text(folder):
    name = "Qformer.bert.encoder.layer.0.intermediate.dense.weight"
    edit(folder / QFORMER, lambda t: t.update({name: torch.zeros(96, 48)}), "model")


def qformer_of_opt(folder):
    def other(tensors):
        for end in ("weight", "bias"):
            tensors[f"opt_proj.{end}"] = tensors.pop(f"t5_proj.{end}")

    edit(folder / QFORMER, other, "model")


def qformer_of_smaller_t5(folder):
    edit(folder / QFORMER, lambda t: t.update({"t5_proj.weight": torch.zeros(40, 48)}), "model")


def qformer_rounded(folder):
    edit(folder / QFORMER, lambda t: t.update(query_tokens=t["query_tokens"].half()), "model")


def projector_of_13b(folder):
    edit(folder / PROJ, lambda t: t.update({"llama_proj.weight": torch.zeros(5120, 768)}), "model")


def projector_without_its_layer(folder):
    edit(folder / PROJ, lambda t: [t.pop(f"llama_proj.{e}") for e in ("weight", "bias")], "model")


def projector_bare(folder):
    torch.save(torch.load(folder / PROJ, weights_only=True)["model"], folder / PROJ)


def projector_nan(folder):
    edit(folder / PROJ, lambda t: t["llama_proj.weight"][3, 4:5].fill_(float("nan")), "model")


def unmerged_delta(folder):
    llm = folder / LLM[MODEL]
    name = "model.norm.weight"
    edit(shard_with(llm, name), lambda t: t[name].sub_(t[name].mean()))


def named_delta(folder):
    edit_json(folder / LLM[MODEL] / "config.json", _name_or_path="lmsys/vicuna-7b-delta-v0")


def named_other_version(folder):
    edit_json(folder / LLM[MODEL] / "config.json", _name_or_path="lmsys/vicuna-7b-v1.5")


def wrong_epsilon(folder):
    edit_json(folder / LLM[MODEL] / "config.json", rms_norm_eps=1e-5)


def wrong_context(folder):
    edit_json(folder / LLM[MODEL] / "config.json", max_position_embeddings=4096)


def wrong_vocabulary(folder):
    edit_json(folder / LLM[MODEL] / "config.json", vocab_size=32768)


def wrong_architecture(folder):
    edit_json(folder / LLM[MODEL] / "config.json", architectures=["MistralForCausalLM"])


def wrong_heads(folder):
    edit_json(folder / LLM[MODEL] / "config.json", num_key_value_heads=2)


def shard_missing(folder):
    shard_with(folder / LLM[MODEL], "lm_head.weight").unlink()


def shard_tensor_too_short(folder):
    name = "model.layers.2.mlp.down_proj.weight"
    path = shard_with(folder / LLM[MODEL], name)
    edit(path, lambda t: t.update({name: t[name][:, :200].clone()}))


def shard_tensor_infinite(folder):
    name = "model.layers.1.mlp.up_proj.weight"
    path = shard_with(folder / LLM[MODEL], name)
    edit(path, lambda t: t[name][5, 5:6].fill_(float("inf")))


def shard_tensor_of_integers(folder):
    name = "model.layers.1.mlp.up_proj.weight"
    path = shard_with(folder / LLM[MODEL], name)
    edit(path, lambda t: t.update({name: t[name].to(torch.int8)}))


def index_broken(folder):
    (folder / LLM[MODEL] / "pytorch_model.bin.index.json").write_text("{")


def config_broken(folder):
    (folder / LLM[MODEL] / "config.json").write_text("{")


def tokenizer_broken(folder):
    path = folder / LLM[MODEL] / "tokenizer.model"
    path.write_bytes(path.read_bytes()[:3000] + b"\xff\xff")


def tokenizer_missing(folder):
    (folder / LLM[MODEL] / "tokenizer.model").unlink()


def ids_out_of_range(folder):
    added = {f"[PAD{n}]": 800 + n for n in range(3)}
    (folder / LLM[MODEL] / "added_tokens.json").write_text(json.dumps(added))


def several_models(folder):
    shutil.copytree(folder / LLM[MODEL], folder / "another")


def base_alone(folder):
    return ["--base", str(folder / LLM[MODEL])]


def merged_as_delta(folder):
    llm = str(folder / LLM[MODEL])
    shutil.copytree(llm, folder / "llama")
    edit_json(folder / "llama" / "config.json", vocab_size=800)

    for path in (folder / "llama").glob("*.bin"):

        def cut(tensors):
            for name in tensors.keys() & {"lm_head.weight", "model.embed_tokens.weight"}:
                tensors[name] = tensors[name][:800].clone()

        edit(path, cut)
    return ["--delta", llm, "--base", str(folder / "llama")]


def another_models_set(folder):
    edit_json(folder / "synth.json", model="vicuna-13b")


# What the message must say, in addition to the file's name.
KINDS = {
    no_projector: rf"1 missing.*\n.*{PROJ}  37,907,201 bytes, sha256 017a9ed5",
    truncated: rf"{EVA}: not a whole PyTorch file",
    damaged_pickle: rf"{QFORMER}: damaged \(.+\)",
    code_inside: rf"{PROJ}: holds more than tensors \(.*eval\)",
    web_page: rf"{PROJ}: a web page",
    lfs_pointer: rf"{QFORMER}: a Git LFS pointer",
    vision_tensor_missing: rf"{EVA}: tensor blocks.1.attn.v_bias is missing",
    vision_tensor_extra: rf"{EVA}: tensor blocks.0.attn.relative is not part",
    vision_too_deep: rf"{EVA}: tensor blocks.4.attn.proj.bias is not part",
    vision_too_wide: rf"{EVA}: tensor cls_token is \[1, 1, 72\].*needs \[1, 1, 64\]",
    qformer_tensor_missing: rf"{QFORMER}: tensor .*layer.2.crossattention.self.key.weight is miss",
    qformer_with_text: rf"{QFORMER}: tensor .*dense.weight belongs to another.*text branch",
    qformer_of_opt: rf"{QFORMER}: tensor opt_proj.bias|{QFORMER}: tensor opt_proj.weight",
    qformer_of_smaller_t5: rf"{QFORMER}: tensor t5_proj.weight is \[40, 48\]",
    qformer_rounded: rf"{QFORMER}: tensor query_tokens is torch.float16",
    projector_of_13b: rf"{PROJ}: tensor llama_proj.weight is \[5120, 768\].*vicuna-13b's",
    projector_without_its_layer: rf"{PROJ}: tensor llama_proj.weight is missing",
    projector_bare: rf"{PROJ}: has no entry 'model'",
    projector_nan: rf"{PROJ}: tensor llama_proj.weight holds NaN",
    unmerged_delta: r"mean of model.norm.weight is -?0.000: this is an unmerged delta",
    named_delta: r"config.json: 'lmsys/vicuna-7b-delta-v0' is a delta",
    named_other_version: r"config.json: 'lmsys/vicuna-7b-v1.5' names version v1.5",
    wrong_epsilon: r"config.json: rms_norm_eps is 1e-05, vicuna-7b needs 1e-06",
    wrong_context: r"config.json: max_position_embeddings is 4096, vicuna-7b needs 2048",
    wrong_vocabulary: r"config.json: vocab_size is 32768, vicuna-7b needs 800 or 801",
    wrong_architecture: r"config.json: architectures is \['MistralForCausalLM'\]",
    wrong_heads: r"config.json: num_key_value_heads is 2, vicuna-7b needs 4",
    shard_missing: r"vicuna-7b: shard pytorch_model-00004-of-00004.bin missing",
    shard_tensor_too_short: r"tensor model.layers.2.mlp.down_proj.weight is \[128, 200\]",
    shard_tensor_infinite: r"00002-of-00004.bin: tensor model.layers.1.mlp.up_proj.weight holds",
    shard_tensor_of_integers: r"tensor model.layers.1.mlp.up_proj.weight holds torch.int8",
    index_broken: r"pytorch_model.bin.index.json: not an index of shards",
    config_broken: r"config.json: not JSON",
    tokenizer_broken: r"tokenizer.model: is not a SentencePiece model",
    tokenizer_missing: r"tokenizer.model: missing",
    ids_out_of_range: r"tokenizer.model: makes 803 tokens, the language model has only 801 rows",
    several_models: r"holds several language models: another, vicuna-7b",
    base_alone: r"--delta and --base go together",
    merged_as_delta: r"mean of model.norm.weight is \d.*: this is a merged model, not a delta",
    another_models_set: r"synth.json: the synthetic files are vicuna-13b's, not vicuna-7b's",
}


def refused(capsys, *arguments) -> str:
    """Runs the command, which must exit with 2. Returns its message, which is not a traceback."""
    with pytest.raises(SystemExit) as stopped:
        main(["assemble", *map(str, arguments)])
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err
    return said.err


@pytest.fixture(scope="module")
def messages() -> dict[str, str]:
    return {}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_broken_input_is_refused(kind, tmp_path, synthetic_sets, capsys, messages, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = synthetic_sets.copy(MODEL, tmp_path / "set")
    more = kind(folder) or []
    out = tmp_path / "out"
    text = refused(capsys, MODEL, "--synthetic", "--from", folder, "--out", out, *more)
    message = text[text.index("minigpt4-worker assemble: ") :]
    assert re.search(KINDS[kind], message), message
    assert message.rstrip().count("\n") >= 1  # what is wrong, and the way out
    assert not out.exists() and not list(tmp_path.glob("*/config.json"))
    assert not (tmp_path / "run").exists()  # the code in the pickle
    core = message.replace(str(tmp_path), "")
    assert core not in messages.values()
    messages[kind.__name__] = core


def test_without_a_broken_part_the_same_command_works(tmp_path, synthetic_sets, capsys):
    folder = synthetic_sets.copy(MODEL, tmp_path / "set")
    main(["assemble", MODEL, "--synthetic", "--from", str(folder), "--out", str(tmp_path / "o")])
    assert (tmp_path / "o" / "config.json").exists()


def test_random_weights_are_not_taken_for_the_released_ones(tmp_path, synthetic_sets, capsys):
    folder = synthetic_sets.original(MODEL)
    text = refused(capsys, MODEL, "--from", folder, "--out", tmp_path / "out")
    assert "synth.json: these are random weights" in text and "--synthetic" in text


def test_small_files_without_their_marker_have_the_wrong_width(tmp_path, synthetic_sets, capsys):
    folder = synthetic_sets.copy(MODEL, tmp_path / "set")
    (folder / "synth.json").unlink()
    text = refused(capsys, MODEL, "--from", folder, "--out", tmp_path / "out")
    assert "hidden_size is 128, vicuna-7b needs 4096" in text


def test_a_file_with_another_sha256_is_refused_unless_accepted(
    tmp_path, synthetic_sets, capsys, monkeypatch
):
    """With the released widths declared small, everything but the sum is right."""
    from minigpt4.checkpoints import assembly
    from minigpt4.checkpoints.synthesis import small

    monkeypatch.setattr(assembly, "released", small)
    folder = synthetic_sets.copy(MODEL, tmp_path / "set")
    (folder / "synth.json").unlink()
    given = (MODEL, "--from", folder, "--out", tmp_path / "out")
    text = refused(capsys, *given)
    assert re.search(rf"{QFORMER}: not the released .*: its sha256 is [0-9a-f]{{64}}, exp", text)
    text = refused(capsys, *given, "--accept-other", "qformer")
    assert re.search(rf"{PROJ}: not the released .*expected 017a9ed5", text)
    assert "--accept-other projector" in text
    both = ["--accept-other", "qformer", "--accept-other", "projector"]
    main(["assemble", *map(str, given), *both])
    manifest = json.loads((tmp_path / "out" / "checkpoint.json").read_text())
    assert "synthetic" not in manifest


def test_an_extra_tensor_may_be_ignored_by_name(tmp_path, synthetic_sets):
    folder = synthetic_sets.copy(MODEL, tmp_path / "set")
    vision_tensor_extra(folder)
    given = ["assemble", MODEL, "--synthetic", "--from", str(folder), "--out"]
    main([*given, str(tmp_path / "out"), "--ignore", r"blocks\.0\.attn\.rel.*"])
    assert (tmp_path / "out" / "config.json").exists()


def test_a_name_may_be_accepted(tmp_path, synthetic_sets):
    folder = synthetic_sets.copy(MODEL, tmp_path / "set")
    named_other_version(folder)
    given = ["assemble", MODEL, "--synthetic", "--from", str(folder), "--out"]
    main([*given, str(tmp_path / "out"), "--accept-other", "llm"])
    assert (tmp_path / "out" / "config.json").exists()


def test_a_truncated_safetensors_shard_is_refused(tmp_path, synthetic_sets, capsys):
    folder = synthetic_sets.copy("llama2-7b", tmp_path / "set")
    path = sorted((folder / LLM["llama2-7b"]).glob("*.safetensors"))[1]
    path.write_bytes(path.read_bytes()[:-1000])
    text = refused(capsys, "llama2-7b", "--synthetic", "--from", folder, "--out", tmp_path / "o")
    assert f"{path.name}: not a whole safetensors file" in text


def test_a_blip2_folder_without_a_block_is_refused(tmp_path, synthetic_sets, capsys):
    folder = synthetic_sets.copy(MODEL, tmp_path / "set", hf_blip2=True)
    blip2 = folder / "blip2-flan-t5-xxl"
    path = blip2 / "model-00001-of-00003.safetensors"
    kept = {n: v for n, v in load_file(path).items() if "layers.2." not in n}
    save_file(kept, path)
    given = (MODEL, "--synthetic", "--from", folder, "--hf-blip2", blip2)
    text = refused(capsys, *given, "--out", tmp_path / "out")
    assert "tensor vision_model.encoder.layers.2.layer_norm1.weight is missing" in text


def test_what_is_missing_is_listed_with_size_sum_and_place(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    text = refused(capsys, "vicuna-13b", "--from", tmp_path / "empty", "--out", tmp_path / "out")
    for said in (
        "4 missing",
        "eva_vit_g.pth  about 1.89 GiB, sha256 not known",
        "blip2_pretrained_flant5xxl.pth  about 433 MB, sha256 4b3839ea",
        "pretrained_minigpt4.pth  47,369,169 bytes, sha256 1e7b8a3c",
        "https://huggingface.co/Vision-CAIR/vicuna",
        "about 26.0 GB",
        "--fetch",
    ):
        assert said in text
    text = refused(capsys, "llama2-7b", "--out", tmp_path / "out")
    assert "3 missing" in text and "blip2" not in text.lower().replace("models/blip2/", "")
    assert sys.getsizeof(text) < 2000
