"""The worker under load compared with the original demo's way, in one run:

    python bench/throughput.py [--model mini] [--checkpoint DIR]

Both sides get the same photos and questions, greedy, with the same weights and threads, and read,
encode and answer each photo themselves; no photo is asked about twice on one side. The two take
turns, and who begins changes, so that a drift of the machine favours neither. How often both
answered alike token by token is part of the report. In float32, nano's default, they do, so their
work is the same. mini is served with its layers in int8, which the demo's way has no kernels for:
there they are dequantised to bfloat16, the fastest that it has.
"""

import argparse
import json
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from answers import Turn, summary
from demo import Demo
from machine import load, machine, now
from photos import Photos
from served import Served

from minigpt4.engine import cores, set_environment
from minigpt4.models import MODELS

MODELS_FOLDER = Path(__file__).parents[2] / ".state" / "models"
# MiniGPT-4 describes at length, nano in a short sentence. These questions make nano write long too.
QUESTIONS = (
    "Explain step by step how to draw this picture.",
    "Explain step by step how to paint this picture.",
    "Explain in ten steps how to take such a photo.",
)
WARM = 2
USUAL = {"concurrency": "1,4,16,64", "requests": 3, "demo_requests": 8, "dtype": "float32"}
MINI = {"concurrency": "1,16", "requests": 2, "demo_requests": 4, "dtype": "bfloat16"}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="throughput",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", choices=MODELS, default="nano")
    add("--checkpoint", type=Path, help="its folder (npm start's)")
    add("--concurrency", help="concurrent readers (1,4,16,64; mini 1,16)")
    add("--rounds", type=int, default=2, help="turns of each side per cell (2)")
    add("--requests", type=int, help="questions per reader and turn (3; mini 2)")
    add("--demo-requests", type=int, help="questions to the demo per turn (8; mini 4)")
    add("--tokens", type=int, default=64, help="longest answer (64)")
    add("--threads", type=int, help="PyTorch threads on both sides (the worker's default)")
    add("--demo-threads", type=int, help="also measure the demo with this many threads")
    add("--dtype", help="of both sides (float32; mini bfloat16)")
    add("--slots", type=int, help="concurrent requests of the worker (the most readers)")
    add("--worker-arguments", default="", help="more options for minigpt4-worker serve")
    add("--seed", type=int, default=1, help="seed of the photos (1)")
    add("--json", action="store_true", help="print only JSON")
    given = parser.parse_args(arguments)
    given.checkpoint = given.checkpoint or MODELS_FOLDER / given.model
    for name, value in (MINI if given.model == "mini" else USUAL).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    given.slots = given.slots or max(map(int, given.concurrency.split(",")))
    return given


@dataclass
class Cell:
    """The measurements at one number of readers."""

    readers: int
    worker: list[Turn] = field(default_factory=list)
    demo: list[Turn] = field(default_factory=list)
    demo_more_threads: list[Turn] = field(default_factory=list)

    def report(self) -> dict:
        worker, demo = summary(self.worker), summary(self.demo)
        more = summary(self.demo_more_threads) if self.demo_more_threads else None
        pairs = [
            (ours.token_ids, theirs.token_ids)
            for w, d in zip(self.worker, self.demo, strict=True)
            for ours, theirs in zip(w.answers, d.answers, strict=False)
        ]
        rate = worker["tokens_per_second"]
        return {
            "readers": self.readers,
            "worker": worker,
            "demo": demo,
            "demo_more_threads": more,
            "ratio": round(rate / demo["tokens_per_second"], 2),
            "ratio_per_processor_second": round(
                worker["tokens_per_processor_second"] / demo["tokens_per_processor_second"], 2
            ),
            "ratio_of_rounds": [
                round(w / d, 2)
                for w, d in zip(
                    worker["tokens_per_second_of_turns"],
                    demo["tokens_per_second_of_turns"],
                    strict=True,
                )
            ],
            "ratio_more_threads": more and round(rate / more["tokens_per_second"], 2),
            "same_answers": [sum(ours == theirs for ours, theirs in pairs), len(pairs)],
        }


def measure(given: argparse.Namespace, demo: Demo, threads: int) -> list[dict]:
    photos, asked = Photos(given.seed), 0

    def questions(count: int) -> list[tuple[bytes, str]]:
        nonlocal asked
        numbers = range(asked, asked + count)
        asked += count
        return [(photos[n], QUESTIONS[n % len(QUESTIONS)]) for n in numbers]

    arguments = ["--slots", str(given.slots), "--dtype", given.dtype]
    arguments += given.worker_arguments.split()
    cells = []
    with Served(given.model, given.checkpoint, threads, arguments) as worker:
        warm = questions(WARM)
        worker.ask(warm, 8, 1, "warm")
        demo.ask(warm, 8, threads)
        for readers in map(int, given.concurrency.split(",")):
            cell = Cell(readers)
            for turn in range(given.rounds):
                batch = questions(max(given.demo_requests, readers * given.requests))
                alone = batch[: given.demo_requests]

                def ours(batch=batch, cell=cell, turn=turn) -> None:
                    name = f"{cell.readers}-{turn}"
                    cell.worker.append(worker.ask(batch, given.tokens, cell.readers, name))

                def theirs(alone=alone, cell=cell) -> None:
                    cell.demo.append(demo.ask(alone, given.tokens, threads))
                    if more := given.demo_threads:
                        cell.demo_more_threads.append(demo.ask(alone, given.tokens, more))

                for side in (theirs, ours) if turn % 2 else (ours, theirs):
                    side()
            cells.append(cell.report())
            print(f"{readers} at once: {cells[-1]['ratio']} x", file=sys.stderr)
    return cells


def table(report: dict) -> str:
    """A table for people. The demo's times are those of a single reader."""
    rates = f"{'tok/s':>7} {'req/s':>6}"
    times = f"{'TTFT p50':>9} {'p95':>8}"
    whole = f"{'whole':>8} {'cores':>5} {'GiB':>4}"
    lines = [
        f"{'':>7} | {'this worker':^53} | {'the demo, one at a time':^34} | worker / demo: tok/s",
        f"{'readers':>7} | {rates} {times} {whole} | {rates} {whole} | (per core used)",
    ]
    for cell in report["cells"]:
        sides = []
        for side in (cell["worker"], cell["demo"]):
            text = f"{side['tokens_per_second']:>7.1f} {side['requests_per_second']:>6.2f}"
            if side is cell["worker"]:
                text += f" {side['ttft_p50']:>7.2f} s {side['ttft_p95']:>6.2f} s"
            text += f" {side['whole_p50']:>6.1f} s {side['cores_used']:>5.1f}"
            sides.append(f"{text} {side['memory_gib']:>4.1f}")
        ratios = f"{cell['ratio']:>5.1f} x ({cell['ratio_per_processor_second']:.1f} x)"
        lines.append(" | ".join([f"{cell['readers']:>7}", *sides, ratios]))
    same = [sum(cell["same_answers"][n] for cell in report["cells"]) for n in (0, 1)]
    lines += [
        "",
        f"{report['date']}, {report['machine']}, load {report['load_before']} before and "
        f"{report['load_after']} after (this run's own included)",
        f"{report['model']}, worker in {report['worker_precision']}, demo in "
        f"{report['demo_precision']}; greedy, up to {report['tokens']} tokens, "
        f"{report['threads']} PyTorch thread(s) on each side, {report['slots']} slots, "
        f"seed {report['seed']}",
        f"the same answer token by token: {same[0]} of {same[1]}",
        "cores: processor time of all the side's processes, HTTP and scheduling included; per core "
        "used, the ratio depends less on what else the machine does; GiB: the side's proportional "
        "set size, the most after any turn",
        "the demo's way shows nothing before the whole answer; with n readers each waits n times "
        "as long",
    ]
    if report["demo_threads"]:
        ratios = ", ".join(f"{c['readers']}: {c['ratio_more_threads']} x" for c in report["cells"])
        lines.append(
            f"against the demo's way with {report['demo_threads']} threads, the worker as above: "
            f"{ratios}"
        )
    return "\n".join(lines)


def served_precision(given: argparse.Namespace) -> str:
    config = json.loads((given.checkpoint / "config.json").read_text())
    return given.dtype + (", its layers in int8" if "quantization_config" in config else "")


def main() -> None:
    given = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # exiting ends the worker
    set_environment()
    threads = given.threads or max(1, cores() - 1)
    about = {
        "date": now(),
        "machine": machine(),
        "load_before": load(),
        "model": given.model,
        "tokens": given.tokens,
        "threads": threads,
        "demo_threads": given.demo_threads,
        "slots": given.slots,
        "seed": given.seed,
        "questions": QUESTIONS,
    }
    demo = Demo(given.model, given.checkpoint, given.dtype)
    about |= {"worker_precision": served_precision(given), "demo_precision": demo.precision}
    cells = measure(given, demo, threads)
    report = {**about, "load_after": load(), "cells": cells}
    print(json.dumps(report, indent="\t") if given.json else f"\n{table(report)}\n")


if __name__ == "__main__":
    main()
