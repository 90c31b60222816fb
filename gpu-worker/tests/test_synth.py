"""Synthetic sets have the originals' keys, precisions and quirks, and the same bytes each time."""

import json

import pytest
import torch
from sentencepiece import SentencePieceProcessor
from synthetic import EVA, FAMILY, LLM, PROJECTOR, QFORMER, tensors

from minigpt4.checkpoints.dimensions import released
from minigpt4.checkpoints.layout import eva, lavis_qformer, llama
from minigpt4.checkpoints.made_up_tokenizer import make
from minigpt4.checkpoints.synthesis import small, synth
from minigpt4.input_error import InputError


def load(path):
    return torch.load(path, weights_only=True)


def test_the_vision_file_is_half_precision_with_one_block_more_and_a_head(synthetic_sets):
    found = load(synthetic_sets.original("vicuna-7b") / EVA)
    assert {value.dtype for value in found.values()} == {torch.float16}
    blocks = {name.split(".")[1] for name in found if name.startswith("blocks.")}
    assert blocks == {"0", "1", "2", "3"}  # three are used
    assert {"cls_token", "pos_embed", "head.weight", "head.bias", "norm.weight"} <= found.keys()
    assert found["pos_embed"].shape == (1, 257, 64)
    assert not any(name.endswith("qkv.bias") for name in found)
    assert found["blocks.3.attn.q_bias"].shape == found["blocks.3.attn.v_bias"].shape == (64,)


def test_the_qformer_file_holds_the_query_branch_and_t5s_projection(synthetic_sets):
    found = load(synthetic_sets.original("vicuna-13b") / QFORMER)["model"]
    assert {v.dtype for n, v in found.items() if "position_ids" not in n} == {torch.float32}
    assert found["query_tokens"].shape == (1, 32, 48)
    assert {"ln_vision.weight", "t5_proj.weight", "t5_proj.bias"} <= found.keys()
    assert not any(".intermediate.dense" in name or "word_embeddings" in name for name in found)
    crossed = {name.split(".")[4] for name in found if "crossattention" in name}
    assert crossed == {"0", "2"}


@pytest.mark.parametrize("model", FAMILY)
def test_the_projector_file_has_the_layout_of_a_training_checkpoint(synthetic_sets, model):
    folder = synthetic_sets.original(model)
    found = load(folder / PROJECTOR[model])
    assert set(found) == {"model", "optimizer", "config", "scaler", "epoch"}
    width = 4 * 64 if model == "llama2-7b" else 48
    weight = found["model"]["llama_proj.weight"]
    assert weight.shape == (128, width) and weight.dtype == torch.float32
    assert any(name.endswith("rotary_emb.inv_freq") for name in found["model"])
    assert ("Qformer.bert.embeddings.position_ids" in found["model"]) == (model != "llama2-7b")
    moments = found["optimizer"]["state"]
    for number, name in enumerate(("llama_proj.weight", "llama_proj.bias")):
        for moment in ("exp_avg", "exp_avg_sq"):
            assert moments[number][moment].shape == found["model"][name].shape


@pytest.mark.parametrize("model", FAMILY)
def test_the_language_model_is_in_shards_with_vicunas_wrong_ids(synthetic_sets, model):
    folder = synthetic_sets.original(model) / LLM[model]
    ids = json.loads((folder / "generation_config.json").read_text())
    llama2 = model == "llama2-7b"
    assert (ids["bos_token_id"], ids["eos_token_id"]) == ((1, 2) if llama2 else (0, 1))
    index = "model.safetensors.index.json" if llama2 else "pytorch_model.bin.index.json"
    table = json.loads((folder / index).read_text())["weight_map"]
    assert len(set(table.values())) > 2
    found = tensors(folder)
    assert found.keys() == table.keys()
    dtypes = {v.dtype for n, v in found.items() if not n.endswith("inv_freq")}
    assert dtypes == {torch.float16}


def test_a_set_is_the_same_for_the_same_seed_and_another_for_another(tmp_path, synthetic_sets):
    first = tensors(synthetic_sets.original("llama2-7b") / LLM["llama2-7b"])
    again = tensors(synth("llama2-7b", tmp_path / "again") / LLM["llama2-7b"])
    other = tensors(synth("llama2-7b", tmp_path / "other", seed=1) / LLM["llama2-7b"])
    name = "model.layers.1.mlp.up_proj.weight"
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert not torch.equal(first[name], other[name])


def test_tensors_of_one_set_are_not_copies_of_each_other(synthetic_sets):
    found = tensors(synthetic_sets.original("vicuna-7b") / LLM["vicuna-7b"])
    names = [f"model.layers.{n}.self_attn.{kind}_proj.weight" for n in range(3) for kind in "qkvo"]
    assert len({found[name].numpy().tobytes() for name in names}) == len(names)


def test_at_full_size_there_is_as_much_as_in_the_released_files():
    def count(shapes):
        return sum(torch.Size(shape).numel() for shape in shapes.values())

    found = released("vicuna-7b")
    assert count(eva(found.vision)) == 985_894_528
    t5 = 4096 * 768 + 4096
    assert round((count(lavis_qformer(found.qformer, 1408)) + t5) * 4 / 1e6) == 433  # megabytes
    assert count(llama(found.language_model, 32000)) == 6_738_415_616
    assert small("vicuna-7b").image_tokens == released("vicuna-7b").image_tokens == 32
    assert small("llama2-7b").image_tokens == released("llama2-7b").image_tokens == 64


def test_the_tokenizer_reads_prompts_as_words_and_anything_else_as_bytes(tmp_path):
    small_file, full_file = tmp_path / "small.model", tmp_path / "full.model"
    small_file.write_bytes(make())
    full_file.write_bytes(make(32000))
    for path, pieces in ((small_file, 800), (full_file, 32000)):
        words = SentencePieceProcessor(model_file=str(path))
        assert words.vocab_size() == pieces
        assert [words.id_to_piece(n) for n in range(3)] == ["<unk>", "<s>", "</s>"]
        for text in ("###Human: <Img></Img> Describe this image. [INST] #5", "ŝafo 🎉\n\tx"):
            ids = words.encode(text)
            assert words.decode(ids) == text and 0 not in ids
    words = SentencePieceProcessor(model_file=str(small_file))
    assert len(words.encode("Describe this image in detail.")) < 15
    assert all(words.is_byte(n) for n in words.encode("🎉")[1:])


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("here")
    with pytest.raises(InputError, match="already exists"):
        synth("vicuna-7b", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_llama2_was_never_a_delta(tmp_path):
    with pytest.raises(InputError, match="never published as a delta"):
        synth("llama2-7b", tmp_path / "new", delta=True)
    assert not (tmp_path / "new").exists()
