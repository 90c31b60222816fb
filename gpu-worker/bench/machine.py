"""The machine that a figure was measured on."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import psutil


def machine() -> str:
    """The usable cores, the processor's name, the memory."""
    info = Path("/proc/cpuinfo").read_text()
    name = next((s.split(":")[1].strip() for s in info.splitlines() if "model name" in s), "CPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} x {name}, {memory:.0f} GiB"


def load() -> float:
    """Runnable processes over the last minute; well below one on a quiet machine."""
    return round(os.getloadavg()[0], 2)


def memory(processes: Iterable[psutil.Process]) -> int:
    """The bytes of these processes: proportional set sizes, which count a shared page once."""
    return sum(process.memory_full_info().pss for process in processes)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
