"""Plans fit their machine, get no better on a lesser one, and refuse in numbers."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from minigpt4 import footprint
from minigpt4.footprint import Footprint
from minigpt4.machine import Gpu, Machine
from minigpt4.memory_budget import GIB, MIB
from minigpt4.models import CONTEXT_LENGTH
from minigpt4.plan import CannotRun, Plan, PlanOptions, plan


def llama(hidden: int, layers: int, intermediate: int, heads: int, **more) -> Footprint:
    """A member of the family at its true size; values counted from the architecture."""
    linear = layers * (4 * hidden * hidden + 3 * hidden * intermediate)
    sizes = {
        "layers": layers,
        "heads": heads,
        "kv_heads": heads,
        "head_dim": hidden // heads,
        "hidden": hidden,
        "intermediate": intermediate,
        "vocab": 32000,
        "context_length": 2048,
        "image_tokens": 32,
        "exact": False,
        "quantization": None,
        "values": linear + 2 * 32000 * hidden + (2 * layers + 1) * hidden,
        "linear": linear,
        "packed_bytes": 0,
        "encoder_cpu": 1_100_000_000 * 4,
        "encoder_gpu": 1_100_000_000 * 2,
    }
    return Footprint(**{**sizes, **more})


NANO = Footprint(
    30, 9, 3, 64, 576, 1536, 49152, 8192, 8, True, None,
    134_515_008, 106_168_320, 0, 38_375_616, 38_375_616,
)  # fmt: skip
VICUNA_7B = llama(4096, 32, 11008, 32)
VICUNA_13B = llama(5120, 40, 13824, 40)
LLAMA2_7B = llama(4096, 32, 11008, 32, context_length=4096, image_tokens=64)
AWQ_7B = llama(
    4096, 32, 11008, 32, quantization="awq", values=2 * 32000 * 4096, linear=0,
    packed_bytes=3_500_000_000,
)  # fmt: skip
ALL = {
    "nano": NANO,
    "vicuna-7b": VICUNA_7B,
    "vicuna-13b": VICUNA_13B,
    "llama2-7b": LLAMA2_7B,
}
LAPTOP = Machine(2, 24 * GIB, 22 * GIB)
L4 = Gpu("NVIDIA L4", 24 * GIB, 24 * GIB, (8, 9))
T4 = Gpu("Tesla T4", 16 * GIB, 16 * GIB, (7, 5))
H100 = Gpu("NVIDIA H100", 80 * GIB, 79 * GIB, (9, 0))


def with_gpus(*gpus: Gpu) -> Machine:
    return Machine(16, 128 * GIB, 120 * GIB, gpus)


def of(name: str, machine: Machine, **options) -> Plan:
    return plan(machine, ALL[name], PlanOptions(**options), CONTEXT_LENGTH[name])


def test_nano_on_a_laptop_is_exact_with_16_slots_and_one_gib_of_cache():
    found = of("nano", LAPTOP)
    assert (found.device, found.dtype, found.eager) == ("cpu", "float32", True)
    assert (found.context_length, found.kv_cache_mib, found.slots) == (2048, 1024, 16)
    assert (found.max_images, found.tensor_parallel_size) == (4, 1)


def test_the_family_runs_on_gpus_in_the_originals_float16():
    one = of("vicuna-7b", with_gpus(L4))
    assert (one.device, one.dtype, one.tensor_parallel_size) == ("gpu", "float16", 1)
    assert (one.context_length, one.gpu_memory_utilization) == (2048, 0.9)
    assert one.kv_cache_mib is None
    assert not one.eager
    assert one.slots > 1
    assert of("nano", with_gpus(L4)).dtype == "float32"


def test_a_model_too_large_for_one_gpu_is_split_over_as_few_as_hold_it():
    assert of("vicuna-13b", with_gpus(H100, H100)).tensor_parallel_size == 1
    assert of("vicuna-13b", with_gpus(L4, L4, L4, L4)).tensor_parallel_size == 2
    # Three do not divide 40 heads.
    assert of("vicuna-13b", with_gpus(T4, T4, T4, T4)).tensor_parallel_size == 4
    assert of("vicuna-7b", with_gpus(H100, H100), tensor_parallel_size=2).tensor_parallel_size == 2


def test_a_cpu_takes_float32_if_the_weights_fit_twice_over_else_bfloat16():
    assert of("vicuna-7b", Machine(32, 128 * GIB, 120 * GIB)).dtype == "float32"
    assert of("vicuna-7b", Machine(32, 64 * GIB, 60 * GIB)).dtype == "bfloat16"


def test_little_memory_shortens_the_context_and_the_reason_says_so():
    tight = of("llama2-7b", Machine(8, 24 * GIB, 22 * GIB))
    assert tight.dtype == "bfloat16"
    assert 256 <= tight.context_length < 4096
    assert "4096" in tight.reasons["context_length"]


def test_a_quantised_checkpoint_is_smaller_and_needs_no_flag():
    found = plan(with_gpus(T4), AWQ_7B, PlanOptions(), 2048)
    assert (found.quantization, found.quantize, found.context_length) == ("awq", False, 2048)
    made = of("vicuna-13b", with_gpus(L4), quantization="fp8")
    assert (made.quantization, made.quantize) == ("fp8", True)


def test_options_are_followed_and_the_reason_says_so():
    asked = {
        "dtype": "float16",
        "context_length": 1024,
        "kv_cache_mib": 512,
        "slots": 3,
        "max_images": 2,
        "eager": False,
        "tensor_parallel_size": 3,
    }
    found = of("nano", LAPTOP, **asked)
    for name, value in asked.items():
        assert getattr(found, name) == value
        assert found.reasons[name] == "asked for"


@pytest.mark.parametrize(
    ("name", "machine", "options", "says"),
    [
        ("nano", LAPTOP, {"context_length": 9000}, ["--context-length 9000", "8192"]),
        ("nano", LAPTOP, {"kv_cache_mib": 90_000}, ["--kv-cache-mib 90000", "at most"]),
        ("nano", LAPTOP, {"kv_cache_mib": 40, "context_length": 2048}, ["--kv-cache-mib 40", "96"]),
        ("nano", LAPTOP, {"tensor_parallel_size": 2}, ["9 heads", "one of 1, 3"]),
        ("nano", LAPTOP, {"gpu_memory_utilization": 0.5}, ["no GPU", "--kv-cache-mib"]),
        ("nano", LAPTOP, {"max_images": 300}, ["--max-images 300", "at most 255"]),
        ("nano", LAPTOP, {"quantization": "awq"}, ["--quantization awq", "fp8"]),
        ("nano", LAPTOP, {"slots": 0}, ["--slots 0", "above 0"]),
        ("vicuna-13b", LAPTOP, {}, ["as bfloat16 take", "20.9 GiB", "--quantization fp8"]),
        ("vicuna-7b", LAPTOP, {"dtype": "float32"}, ["leave out --dtype float32"]),
        ("vicuna-7b", with_gpus(T4), {}, ["more GPUs than 1", "--quantization fp8"]),
        ("vicuna-7b", with_gpus(T4, T4), {"dtype": "bfloat16"}, ["7.5", "ask for float16"]),
        ("vicuna-7b", with_gpus(L4), {"tensor_parallel_size": 2}, ["GPUs here: 1"]),
        ("vicuna-7b", with_gpus(L4), {"gpu_memory_utilization": 1.2}, ["at most 1"]),
        (
            "vicuna-7b",
            with_gpus(replace(L4, free=12 * GIB)),
            {"gpu_memory_utilization": 0.9},
            ["0.50", "stop what else runs there"],
        ),
    ],
)
def test_impossible_options_raise_with_numbers_and_a_hint(name, machine, options, says):
    with pytest.raises(CannotRun) as refused:
        of(name, machine, **options)
    for piece in says:
        assert piece in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_hint_of_an_error_works():
    with pytest.raises(CannotRun, match="ask for at most") as refused:
        of("nano", LAPTOP, kv_cache_mib=90_000)
    most = int(str(refused.value).rsplit(" ", 1)[1])
    assert of("nano", LAPTOP, kv_cache_mib=most).kv_cache_mib == most
    with pytest.raises(CannotRun):
        of("nano", LAPTOP, kv_cache_mib=most + 1)
    assert of("nano", LAPTOP, kv_cache_mib=96, context_length=2048).context_length == 2048


models = st.sampled_from(sorted(ALL))
memories = st.integers(1, 200 * 1024).map(lambda mib: mib * MIB)
gpus = st.builds(
    lambda count, memory, used: [
        Gpu("a GPU", memory, max(0, memory - used), (8, 0)) for _ in range(count)
    ],
    st.integers(0, 8),
    memories,
    st.integers(0, 30 * 1024).map(lambda mib: mib * MIB),
)
values = {
    "dtype": st.sampled_from(["float32", "float16", "bfloat16"]),
    "quantization": st.just("fp8"),
    "context_length": st.integers(1, 4096),
    "kv_cache_mib": st.integers(1, 5000),
    "tensor_parallel_size": st.integers(1, 8),
    "slots": st.integers(1, 300),
    "max_images": st.integers(1, 40),
}
# Few at once: most that ask for all of it are refused.
wished = st.lists(st.sampled_from(sorted(values)), max_size=2, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: values[name] for name in names})
)


@settings(max_examples=500)
@given(models, memories, gpus, wished)
def test_memory_is_never_over_committed_and_one_full_request_always_fits(
    name, free, found_gpus, options
):
    machine = Machine(8, free, free, tuple(found_gpus))
    try:
        found = of(name, machine, **options)
    except CannotRun:
        return
    it, ranks = ALL[name], found.tensor_parallel_size
    limit = min((gpu.free for gpu in found_gpus), default=free)
    assert found.memory <= limit
    size = {"float32": 4, "float16": 2, "bfloat16": 2}[found.dtype]
    weights = it.values * (1 if found.quantize else size) // (ranks if found_gpus else 1)
    kv = 2 * it.layers * it.kv_heads * it.head_dim * size * found.context_length
    assert weights + kv // ranks <= found.memory
    if found.kv_cache_mib is not None:
        assert kv // ranks <= found.kv_cache_mib * MIB
    assert it.heads % ranks == 0
    assert found.slots >= 1
    assert 0 < found.max_images * it.image_tokens < found.context_length <= it.context_length
    for wish, value in options.items():
        assert getattr(found, wish) == value


@settings(max_examples=500)
@given(models, memories, memories, st.sampled_from(["cpu", "gpu"]), wished)
def test_less_memory_never_gives_more(name, one, other, device, options):
    """Of slots, context and cache; and what fits the lesser machine fits the larger one."""
    options = options | {"tensor_parallel_size": 1}  # more GPUs together have more memory

    def on(memory: int) -> Plan:
        chosen = (Gpu("a GPU", memory, memory, (8, 0)),) if device == "gpu" else ()
        return of(name, Machine(8, memory, memory, chosen), **options)

    less, more = sorted((one, other))
    try:
        lesser = on(less)
    except CannotRun:
        return
    larger = on(more)
    assert lesser.slots <= larger.slots
    assert lesser.context_length <= larger.context_length
    assert lesser.max_images <= larger.max_images
    assert (lesser.kv_cache_mib or 0) <= (larger.kv_cache_mib or 0)


def test_the_footprint_of_nano_is_its_files(nano_checkpoint: Path):
    found = footprint.read(nano_checkpoint)
    assert found == NANO
    stored = (nano_checkpoint / "model.safetensors").stat().st_size
    assert 0 <= stored - 4 * found.values - found.encoder_cpu < 100_000  # the header


def test_the_footprint_counts_every_shard_as_the_engine_loads_it(tmp_path: Path):
    text = {
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "hidden_size": 8,
        "intermediate_size": 16,
        "vocab_size": 10,
        "max_position_embeddings": 64,
    }
    config = {
        "text_config": text,
        "vision_config": {"tower": "eva-clip-g"},
        "num_image_tokens": 4,
        "quantization_config": {"quant_method": "gptq"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    q_proj = "language_model.model.layers.0.self_attn.q_proj"
    first = {
        "image_encoder.vision.encoder.layers.0.mlp.fc1.weight": torch.zeros(3, 5).half(),
        "image_encoder.projection.weight": torch.zeros(7),
    }
    second = {
        f"{q_proj}.qweight": torch.zeros(2, 8, dtype=torch.int32),
        f"{q_proj}.scales": torch.zeros(1, 8).half(),
        "language_model.lm_head.weight": torch.zeros(10, 8).bfloat16(),
        "language_model.model.layers.0.mlp.up_proj.weight": torch.zeros(16, 8),
    }
    save_file(first, tmp_path / "a.safetensors")
    save_file(second, tmp_path / "b.safetensors")
    names = dict.fromkeys(first, "a.safetensors") | dict.fromkeys(second, "b.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    found = footprint.read(tmp_path)
    assert (found.encoder_cpu, found.encoder_gpu) == (4 * (15 + 7), 2 * 15 + 4 * 7)
    assert (found.values, found.linear, found.packed_bytes) == (8 + 80 + 128, 128, 64)
    assert (found.quantization, found.kv_heads, found.head_dim) == ("gptq", 2, 4)
    assert found.kv_bytes("float16") == 2 * 2 * 4 * 2
    assert found.language_model_bytes("float16") == 2 * 216 + 64
