"""Trains nano's projection: python -m minigpt4.train --data ../../shared/data --out weights/nano"""

import argparse
import time
from pathlib import Path

import torch

from .nano.run import train


def main() -> None:
    parser = argparse.ArgumentParser(prog="minigpt4.train", description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="folder with photos.jsonl")
    parser.add_argument("--out", required=True, type=Path, help="folder for projection.safetensors")
    parser.add_argument("--start", type=Path, help="projection.safetensors to start from")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--stage1-steps", type=int, default=60)
    parser.add_argument("--stage2-steps", type=int, default=900)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="folder that keeps features between runs")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    start = time.monotonic()

    def progress(message: str) -> None:
        print(f"[{time.monotonic() - start:7.1f} s] {message}", flush=True)

    train(
        data=arguments.data,
        out=arguments.out,
        start=arguments.start,
        seed=arguments.seed,
        stage1_steps=arguments.stage1_steps,
        stage2_steps=arguments.stage2_steps,
        batch=arguments.batch,
        cache=arguments.cache,
        progress=progress,
    )


if __name__ == "__main__":
    main()
