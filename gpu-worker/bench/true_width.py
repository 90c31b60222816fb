"""Compares the reference with the oracle at the true widths, with two layers everywhere.

Random float32 weights; one model after the other, peak memory 7.2 GiB, four minutes on two busy
cores. Exits with 1 when an absolute error reaches 1e-4.
"""

import datetime
import gc
import os
import platform
import resource
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from oracle import Facts, Oracle
from small_family import randomize

from minigpt4.config import MiniGPT4Config
from minigpt4.modeling import MiniGPT4ForConditionalGeneration
from minigpt4.models import FAMILY

TOLERANCE = 1e-4
LAYERS = 2


def config(name: str) -> MiniGPT4Config:
    family, model = FAMILY[name], FAMILY[name].language_model
    return MiniGPT4Config(
        vision_config={"tower": "eva-clip-g", "num_hidden_layers": LAYERS},
        qformer_config={"num_hidden_layers": LAYERS} if family.qformer else None,
        text_config={
            "vocab_size": model.vocab_sizes[0],
            "hidden_size": model.hidden_size,
            "intermediate_size": model.intermediate_size,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": model.heads,
            "num_key_value_heads": model.heads,
            "rms_norm_eps": model.rms_norm_eps,
            "tie_word_embeddings": False,
        },
        num_image_tokens=family.image_tokens,
        image_token_id=0,
        tie_word_embeddings=False,
    )


@torch.no_grad()
def compare(name: str) -> bool:
    """Prints one line per stage. Returns whether all errors are below the tolerance."""
    start = time.monotonic()
    model = MiniGPT4ForConditionalGeneration(config(name)).eval()
    randomize(model, 0)
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    print(f"{name}: {millions:.0f} M parameters, {time.monotonic() - start:.0f} s to make them")

    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(3, 224, 224, generator=generator)
    text = torch.randint(3, model.config.text_config.vocab_size, (22,), generator=generator)
    ids = [1, *text[:11].tolist(), *[0] * model.config.num_image_tokens, *text[11:].tolist()]

    start = time.monotonic()
    states = model.image_encoder.vision(pixels[None])
    found = {
        "vision": states,
        "Q-Former" if FAMILY[name].qformer else "joined patches": model.image_encoder.bridge(
            states
        ),
        "image tokens": model.image_encoder(pixels[None]),
        "logits": model(input_ids=torch.tensor([ids]), pixel_values=pixels[None]).logits,
    }
    reference_s = time.monotonic() - start

    start = time.monotonic()
    family = FAMILY[name]
    facts = Facts(
        vision_heads=16,
        qformer_heads=12,
        text_heads=family.language_model.heads,
        rms_eps=family.language_model.rms_norm_eps,
    )
    oracle = Oracle(model.state_dict(), facts)
    expected = (
        states := oracle.vision(pixels),
        oracle.bridge(states),
        oracle.image_tokens(pixels),
        oracle.logits(ids, [pixels]),
    )
    oracle_s = time.monotonic() - start

    good = True
    for (stage, a), b in zip(found.items(), expected, strict=True):
        error, largest = float((a[0].double() - b).abs().max()), float(b.abs().max())
        good &= error < TOLERANCE
        print(
            f"  {stage:14} {' x '.join(map(str, b.shape)):>12}  largest {largest:6.2f}  "
            f"max abs error {error:.1e}  relative to the largest {error / largest:.1e}"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"  reference {reference_s:.1f} s, oracle {oracle_s:.1f} s, peak so far {peak:.1f} GiB")
    return good


def main() -> int:
    with open("/proc/cpuinfo") as file:
        cpu = next((line.split(":")[1].strip() for line in file if "model name" in line), "?")
    print(
        f"{datetime.date.today()}, {cpu}, {os.cpu_count()} CPUs, {torch.get_num_threads()} threads"
    )
    print(f"torch {torch.__version__}, Python {platform.python_version()}, float32 against float64")
    results = []
    for name in sys.argv[1:] or FAMILY:
        results.append(compare(name))
        gc.collect()
    print(f"all below {TOLERANCE:g}" if all(results) else f"NOT all below {TOLERANCE:g}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
