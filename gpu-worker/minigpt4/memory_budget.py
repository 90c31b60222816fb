"""What a checkpoint takes of a machine's memory: weights, cache and working space, in bytes."""

from dataclasses import dataclass

from .footprint import DTYPES, Footprint
from .machine import Machine

MIB, GIB = 2**20, 2**30

BATCHED_TOKENS = 2048  # the most tokens that the engine computes in one step
BLOCK = 128  # tokens; the engine's unit of cache on a CPU, larger than its unit on a GPU
# The worker's three idle processes without weights and cache: 1.9 GiB as measured (nano, CPU).
PROCESSES = 2 * GIB
# On each GPU, besides weights and cache: CUDA's context, libraries, captured graphs.
GPU_OVERHEAD = 2 * GIB
ENCODING = 256 * MIB  # activations of the encoder, which takes four images at once
SPARE = 0.05  # share of a machine's free memory that the plan leaves alone
MIN_CPU_CACHE = GIB  # if there is room: it keeps prefixes and images of past requests
FULL_REQUESTS = 8  # requests of full length that a CPU's cache is made for


@dataclass(frozen=True)
class MemoryBudget:
    """Sizes on one rank (a GPU, or a process on a CPU) of `device`, which is `gpu` or `cpu`."""

    machine: Machine
    checkpoint: Footprint
    device: str
    max_slots: int

    def room(self, utilization: float | None, ranks: int) -> int:
        """All that one rank may fill. `utilization` is a GPU's share; None on a CPU."""
        if utilization is None:
            shared = int(self.machine.free * (1 - SPARE)) - PROCESSES
            return PROCESSES + max(0, shared) // ranks
        return int(min(gpu.memory for gpu in self.machine.gpus[:ranks]) * utilization)

    def weights(self, dtype: str, quantization: str | None, ranks: int) -> int:
        """A rank's share of the language model, and the whole image encoder."""
        checkpoint = self.checkpoint
        own = -(-checkpoint.language_model_bytes(dtype, quantization) // ranks)
        if self.device == "gpu":
            return own + checkpoint.encoder_gpu
        # The CPU's kernels pack the last layer and keep the original for the embedding.
        embedding = -(-checkpoint.vocab * checkpoint.hidden * DTYPES[dtype] // ranks)
        return own + embedding + checkpoint.encoder_cpu

    def working(self, dtype: str) -> int:
        """Processes and activations."""
        fixed = (GPU_OVERHEAD if self.device == "gpu" else PROCESSES) + ENCODING
        return fixed + self.checkpoint.activation_bytes(dtype, BATCHED_TOKENS, self.max_slots)

    def request(self, dtype: str, ranks: int, context: int) -> int:
        """Cache of one request that fills the context, and the block that the engine reserves."""
        return (-(-context // BLOCK) + 1) * BLOCK * self.checkpoint.kv_bytes(dtype, ranks)

    def longest_request(self, dtype: str, ranks: int, cache: int) -> int:
        """Tokens of the longest request that a cache of so many bytes holds."""
        return (cache // (self.checkpoint.kv_bytes(dtype, ranks) * BLOCK) - 1) * BLOCK

    def wanted_cache(self, dtype: str, ranks: int, context: int) -> int:
        """The cache that a CPU gets if there is room, in whole MiB."""
        full = FULL_REQUESTS * self.request(dtype, ranks, context)
        return -(-max(MIN_CPU_CACHE, full) // MIB) * MIB

    def whole(self, rank: int, ranks: int) -> int:
        """Bytes of each GPU, or of the machine for all ranks together."""
        return rank if self.device == "gpu" else PROCESSES + (rank - PROCESSES) * ranks


def gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"
