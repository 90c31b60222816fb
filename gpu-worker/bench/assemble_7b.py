"""synth and assemble of vicuna-7b at true size: time, and peak memory against its bound.

    python bench/assemble_7b.py --scratch DIR

Needs 32 GB in DIR, which it gives back. Memory is the resident set of the command's process,
sampled, and the kernel's own maximum of it: pages of mapped files count in both, the page cache
beyond them in neither. Exits with 1 when the bound is passed or the result is not whole.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import load, machine, now

from minigpt4.checkpoints.embedded import digest

MODEL = "vicuna-7b"
GIB = 2**30
NEEDED_GB, SPARE_GB = 33, 20
SAMPLE_SECONDS = 0.05


def resident(pid: int) -> tuple[int, int]:
    """Resident bytes of a process: all of them, and those not mapped from files."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0, 0
    fields = dict(re.findall(r"^(Rss|Anonymous): +(\d+) kB", text, re.MULTILINE))
    return int(fields.get("Rss", 0)) * 1024, int(fields.get("Anonymous", 0)) * 1024


def measured(*arguments: str) -> dict:
    """Runs the worker's command, and returns seconds, processor time and peak memory."""
    began, peak, anonymous = time.monotonic(), 0, 0
    child = subprocess.Popen([sys.executable, "-m", "minigpt4.cli", *arguments])
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        rss, own = resident(child.pid)
        peak, anonymous = max(peak, rss), max(anonymous, own)
        time.sleep(SAMPLE_SECONDS)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{arguments[0]} failed with {child.returncode}")
    return {
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_rss_gib": round(peak / GIB, 2),
        "peak_rss_by_kernel_gib": round(usage.ru_maxrss * 1024 / GIB, 2),
        "peak_anonymous_gib": round(anonymous / GIB, 2),
    }


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scratch", type=Path, required=True, metavar="DIR")
    given = parser.parse_args()
    free = shutil.disk_usage(given.scratch).free / 1e9
    if free < NEEDED_GB + SPARE_GB:
        sys.exit(f"{given.scratch}: {free:.0f} GB free, {NEEDED_GB + SPARE_GB} wanted")
    folder = Path(tempfile.mkdtemp(prefix="assemble-7b-", dir=given.scratch))
    try:
        source, out = folder / "originals", folder / "checkpoint"
        report = {"bench": f"{MODEL} at true size", "date": now(), "machine": machine()}
        report |= {"load_before": load()}
        report["synth"] = measured("synth", MODEL, "--size", "full", "--out", str(source))
        report["synth"]["gb"] = round(size(source) / 1e9, 2)
        largest = max(path.stat().st_size for path in source.rglob("*") if path.is_file())
        where = ("--from", str(source), "--out", str(out))
        report["assemble"] = measured("assemble", MODEL, "--synthetic", *where)
        report["assemble"]["gb"] = round(size(out) / 1e9, 2)
        bound = 1.3 * largest / GIB + 2
        report["largest_input_shard_gib"] = round(largest / GIB, 2)
        report["bound_gib"] = round(bound, 2)
        whole = json.loads((out / "checkpoint.json").read_text())["digest"] == digest(out)
        peak = report["assemble"]["peak_rss_by_kernel_gib"]
        report |= {"digest_holds": whole, "within_bound": peak < bound, "load_after": load()}
        print(json.dumps(report, indent=2))
        sys.exit(0 if whole and peak < bound else 1)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
