"""How to run a checkpoint on a machine: each choice with its reason, or why it cannot be done."""

from collections.abc import Mapping
from dataclasses import dataclass

from .footprint import DTYPES, Footprint
from .machine import Machine

MIB, GIB = 2**20, 2**30

BATCHED_TOKENS = 2048  # what one step of the engine computes at most
BLOCK = 128  # tokens; the engine's unit of cache on the CPU, larger than on a GPU
# Three processes without weights and cache, when idle: 1.9 GiB where it was measured (nano, CPU).
PROCESSES = 2 * GIB
# On each GPU, besides weights and cache: CUDA's context, libraries, captured graphs.
GPU_OVERHEAD = 2 * GIB
ENCODING = 256 * MIB  # activations of the encoder's four images at once
SPARE = 0.05  # of a machine's free memory, left alone
UTILIZATION = 0.9  # share of a GPU; the encoder's activations and other programs have the rest
MAX_SLOTS = {"cpu": 16, "gpu": 128}
MAX_IMAGES = 4
LEAST_KV = GIB  # on a CPU, if there is room: prefixes and images of past requests stay in it
FULL_REQUESTS = 8  # of the longest kind, that a CPU's cache is made for
LEAST_TEXT = 192  # tokens beside one image, below which a context is of no use


class CannotRun(Exception):
    """What does not fit, in numbers, and the way out; one line."""


@dataclass(frozen=True)
class Wishes:
    """What was asked for; None where the machine decides."""

    dtype: str | None = None
    quantization: str | None = None
    context_length: int | None = None
    kv_cache_mib: int | None = None
    gpu_memory_utilization: float | None = None
    tensor_parallel_size: int | None = None
    slots: int | None = None
    max_images: int | None = None
    eager: bool | None = None


@dataclass(frozen=True)
class Plan:
    """`quantize` says whether the quantisation is made while loading. `kv_cache_mib` is per rank;
    None where the engine takes what `gpu_memory_utilization` of each GPU leaves. `memory` is what
    all of it takes, in bytes of each GPU or of the machine. `reasons` has one line for each choice,
    by its name."""

    device: str
    dtype: str
    quantization: str | None
    quantize: bool
    tensor_parallel_size: int
    context_length: int
    kv_cache_mib: int | None
    gpu_memory_utilization: float | None
    slots: int
    max_images: int
    eager: bool
    memory: int
    reasons: Mapping[str, str]

    def rows(self) -> list[tuple[str, str, str]]:
        """What was chosen and why, for people: name, value, reason."""
        cache = "what is left" if self.kv_cache_mib is None else f"{self.kv_cache_mib} MiB"
        shown = {
            "device": self.device,
            "dtype": self.dtype,
            "quantization": self.quantization or "none",
            "tensor_parallel_size": str(self.tensor_parallel_size),
            "context_length": f"{self.context_length} tokens",
            "gpu_memory_utilization": str(self.gpu_memory_utilization),
            "kv_cache_mib": cache,
            "slots": str(self.slots),
            "max_images": str(self.max_images),
            "eager": "yes" if self.eager else "no",
            "memory": gib(self.memory),
        }
        names = {"kv_cache_mib": "kv cache"}
        return [
            (names.get(name, name.replace("_", " ")), value, self.reasons[name])
            for name, value in shown.items()
            if name in self.reasons
        ]


def plan(machine: Machine, checkpoint: Footprint, wishes: Wishes, context_length: int) -> Plan:
    """`context_length` is the model's own, in tokens. Raises CannotRun."""
    return _Planner(machine, checkpoint, wishes, context_length).plan()


def gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"


class _Planner:
    def __init__(
        self, machine: Machine, checkpoint: Footprint, wishes: Wishes, context_length: int
    ):
        self.machine, self.checkpoint, self.wishes = machine, checkpoint, wishes
        self.own_context = min(context_length, checkpoint.context_length)
        self.longest = checkpoint.context_length  # positions that the model has
        self.device = "gpu" if machine.gpus else "cpu"
        self.max_slots = wishes.slots or MAX_SLOTS[self.device]
        self.reasons: dict[str, str] = {}

    def plan(self) -> Plan:
        wishes, machine = self.wishes, self.machine
        self._check()
        if self.device == "gpu":
            gpu = machine.gpus[0]
            self.reasons["device"] = f"{len(machine.gpus)} x {gpu.name}, {gib(gpu.memory)}"
        else:
            self.reasons["device"] = (
                f"no GPU for this build of vLLM; {machine.cores} cores, {gib(machine.free)} free "
                f"of {gib(machine.memory)}"
            )
        method = self._quantization()
        utilization = self._utilization() if self.device == "gpu" else None
        dtype, ranks = self._dtype_and_ranks(method, utilization)
        weights = self._weights(dtype, method, ranks)
        room = self._room(utilization, ranks)
        kv = room - weights - self._working(dtype)
        kv = kv // MIB * MIB
        kv_asked = wishes.kv_cache_mib
        if kv_asked is not None:
            if kv_asked * MIB > kv:
                raise CannotRun(
                    f"--kv-cache-mib {kv_asked}: {self._shortage(dtype, weights, ranks, room)}; "
                    f"ask for at most {max(0, kv) // MIB}"
                )
            kv = kv_asked * MIB
        context, kv = self._context_and_kv(dtype, ranks, weights, room, kv)
        full = max(1, kv // self._request_bytes(dtype, ranks, context))
        slots = self._slots(full)
        images = self._images(context)
        self.reasons["eager"] = self._say(
            wishes.eager is not None,
            "compiling takes minutes on a CPU"
            if self.device == "cpu"
            else "compiled and captured once, then each step is launched at once",
        )
        whole = weights + kv + self._working(dtype)
        self.reasons["memory"] = "weights, cache and activations " + (
            "on each GPU" if self.device == "gpu" else f"of {gib(machine.free)} that are free"
        )
        return Plan(
            device=self.device,
            dtype=dtype,
            quantization=method,
            quantize=method != self.checkpoint.quantization,
            tensor_parallel_size=ranks,
            context_length=context,
            # A GPU's cache is whatever is left after the engine has measured, unless asked for.
            kv_cache_mib=kv // MIB if self.device == "cpu" or kv_asked is not None else None,
            gpu_memory_utilization=utilization,
            slots=slots,
            max_images=images,
            eager=wishes.eager if wishes.eager is not None else self.device == "cpu",
            memory=whole if self.device == "gpu" else PROCESSES + (whole - PROCESSES) * ranks,
            reasons=self.reasons,
        )

    def _check(self) -> None:
        """Wishes that no machine fulfils, or not this kind of one."""
        for name, value in vars(self.wishes).items():
            if name not in ("dtype", "quantization", "eager") and value is not None and value <= 0:
                raise CannotRun(f"--{name.replace('_', '-')} {value}: must be above 0")
        share = self.wishes.gpu_memory_utilization
        if share is not None and share > 1:
            raise CannotRun(f"--gpu-memory-utilization {share}: is a share, at most 1")
        if share is not None and self.device == "cpu":
            raise CannotRun(
                f"--gpu-memory-utilization {share}: no GPU that this build of vLLM runs on; "
                "on a CPU give --kv-cache-mib"
            )
        asked = self.wishes.context_length
        if asked is not None and asked > self.longest:
            raise CannotRun(
                f"--context-length {asked}: the model has {self.longest} positions; "
                f"ask for at most {self.longest}"
            )

    def _quantization(self) -> str | None:
        """Of the language model: as its checkpoint has it, or made while loading (fp8)."""
        stored, asked = self.checkpoint.quantization, self.wishes.quantization
        if asked is None or asked == stored:
            self.reasons["quantization"] = (
                "as the checkpoint is" if stored else "the checkpoint is not quantised"
            )
            return stored
        if stored:
            raise CannotRun(
                f"--quantization {asked}: the checkpoint is quantised as {stored} already; "
                "leave the option out"
            )
        if asked != "fp8":
            raise CannotRun(
                f"--quantization {asked}: the checkpoint is not quantised so; assemble one from a "
                f"language model that is, or ask for fp8, which is made while loading"
            )
        self.reasons["quantization"] = "asked for; made while loading"
        return asked

    def _utilization(self) -> float:
        asked = self.wishes.gpu_memory_utilization
        gpus = self.machine.gpus[: self.wishes.tensor_parallel_size or len(self.machine.gpus)]
        free = min(gpu.free / gpu.memory for gpu in gpus)
        if asked is not None:
            if asked > free:
                raise CannotRun(
                    f"--gpu-memory-utilization {asked}: only {free:.2f} of a GPU's memory is free; "
                    f"stop what else runs there or ask for at most {int(free * 100) / 100:.2f}"
                )
            self.reasons["gpu_memory_utilization"] = "asked for"
            return asked
        share = min(UTILIZATION, int(free * 100) / 100)
        self.reasons["gpu_memory_utilization"] = (
            "the rest is for encoding images"
            if share == UTILIZATION
            else f"other programs have {1 - free:.2f} of it"
        )
        return share

    def _dtype_and_ranks(self, method: str | None, utilization: float | None) -> tuple[str, int]:
        asked = self.wishes.dtype
        if asked is not None:
            if method is not None and asked == "float32":
                raise CannotRun(
                    f"--dtype float32: the kernels of {method} take float16 or bfloat16; ask for "
                    "one of them"
                )
            if asked == "bfloat16" and any(gpu.capability < (8, 0) for gpu in self.machine.gpus):
                gpu = min(self.machine.gpus, key=lambda gpu: gpu.capability)
                raise CannotRun(
                    f"--dtype bfloat16: {gpu.name} (compute capability "
                    f"{'.'.join(map(str, gpu.capability))}) has none, from 8.0 on they have; "
                    "ask for float16"
                )
        dtype, reason = asked, "asked for"
        if dtype is None and self.checkpoint.exact and method is None:
            dtype, reason = "float32", "small, and exact whatever a step's batch holds"
        elif dtype is None and self.device == "gpu":
            dtype, reason = "float16", "as the original ran"
        if dtype is not None:
            self.reasons["dtype"] = reason
            return dtype, self._ranks(dtype, method, utilization)
        ranks = self._ranks("bfloat16", method, utilization)
        if method is not None:
            dtype, reason = "bfloat16", f"the kernels of {method} take no float32"
        else:
            room = self._room(None, ranks)
            weights = self._weights("float32", None, ranks)
            cache = self._wanted_kv("float32", ranks, self._wanted_context())
            needed = weights + cache + self._working("float32")
            if max(needed, 2 * weights) <= room:
                dtype, reason = "float32", f"its weights ({gib(weights)}) fit twice over: exact"
            else:
                dtype = "bfloat16"
                reason = f"in float32 the weights alone would take {gib(weights)}"
        self.reasons["dtype"] = reason
        return dtype, ranks

    def _ranks(self, dtype: str, method: str | None, utilization: float | None) -> int:
        """Over how many GPUs (on a CPU: processes) the language model is split."""
        asked = self.wishes.tensor_parallel_size
        if asked is not None:
            if not self._splits(asked):
                raise CannotRun(
                    f"--tensor-parallel-size {asked}: does not divide {self._heads()}; "
                    f"ask for one of {', '.join(str(n) for n in range(1, 17) if self._splits(n))}"
                )
            if self.device == "gpu" and asked > len(self.machine.gpus):
                raise CannotRun(
                    f"--tensor-parallel-size {asked}: GPUs here: {len(self.machine.gpus)}; "
                    "ask for no more"
                )
            self.reasons["tensor_parallel_size"] = "asked for"
            return asked
        if self.device == "cpu":
            self.reasons["tensor_parallel_size"] = "one process computes"
            return 1
        counts = [n for n in range(1, len(self.machine.gpus) + 1) if self._splits(n)]
        for ranks in counts:
            needed = self._weights(dtype, method, ranks) + self._working(dtype)
            needed += self._request_bytes(dtype, ranks, self._wanted_context())
            if needed <= self._room(utilization, ranks):
                self.reasons["tensor_parallel_size"] = (
                    "one GPU holds it" if ranks == 1 else f"fewer do not hold it: {self._heads()}"
                )
                return ranks
        self.reasons["tensor_parallel_size"] = "all that divide its heads, and still tight"
        return counts[-1]

    def _heads(self) -> str:
        it = self.checkpoint
        return f"{it.heads} heads, {it.kv_heads} key-value heads and {it.intermediate} MLP columns"

    def _splits(self, ranks: int) -> bool:
        it = self.checkpoint
        shared = it.kv_heads % ranks == 0 or ranks % it.kv_heads == 0
        return it.heads % ranks == 0 and shared and it.intermediate % ranks == 0

    def _room(self, utilization: float | None, ranks: int) -> int:
        """Bytes that one rank may fill, all it does included."""
        if utilization is None:
            shared = int(self.machine.free * (1 - SPARE)) - PROCESSES
            return PROCESSES + max(0, shared) // ranks
        return int(min(gpu.memory for gpu in self.machine.gpus[:ranks]) * utilization)

    def _weights(self, dtype: str, method: str | None, ranks: int) -> int:
        """Bytes on one rank: its share of the language model, and the whole image encoder."""
        it = self.checkpoint
        own = -(-it.language_model_bytes(dtype, method) // ranks)
        if self.device == "gpu":
            return own + it.encoder_gpu
        # The CPU's kernels pack the last layer and leave the original for the embedding.
        return own + -(-it.vocab * it.hidden * DTYPES[dtype] // ranks) + it.encoder_cpu

    def _working(self, dtype: str) -> int:
        fixed = (GPU_OVERHEAD if self.device == "gpu" else PROCESSES) + ENCODING
        return fixed + self.checkpoint.activation_bytes(dtype, BATCHED_TOKENS, self.max_slots)

    def _wanted_context(self) -> int:
        return self.wishes.context_length or self.own_context

    def _request_bytes(self, dtype: str, ranks: int, context: int) -> int:
        """Cache of one request that fills the context; the engine keeps one block for itself."""
        return (-(-context // BLOCK) + 1) * BLOCK * self.checkpoint.kv_bytes(dtype, ranks)

    def _wanted_kv(self, dtype: str, ranks: int, context: int) -> int:
        full = FULL_REQUESTS * self._request_bytes(dtype, ranks, context)
        return -(-max(LEAST_KV, full) // MIB) * MIB

    def _context_and_kv(
        self, dtype: str, ranks: int, weights: int, room: int, kv: int
    ) -> tuple[int, int]:
        """The context and the bytes of cache: as much as is wanted, or as the memory allows."""
        wanted = self._wanted_context()
        token = self.checkpoint.kv_bytes(dtype, ranks)
        holds = (kv // (token * BLOCK) - 1) * BLOCK  # longest request, in tokens
        least = min(wanted, self.checkpoint.image_tokens + LEAST_TEXT)
        asked = self.wishes.context_length
        if holds < (asked or least):
            needed = self._request_bytes(dtype, ranks, asked or least)
            if self.wishes.kv_cache_mib is not None:
                raise CannotRun(
                    f"--kv-cache-mib {self.wishes.kv_cache_mib}: one request of {asked or least} "
                    f"tokens takes {-(-needed // MIB)}; ask for at least that"
                )
            out = f"ask for a --context-length of at most {max(0, holds)}" if asked else None
            if out is None or holds < least:
                out = self._way_out(ranks)
            raise CannotRun(
                f"{asked or least} tokens of context take {gib(needed)} of cache, but "
                f"{self._shortage(dtype, weights, ranks, room)}; {out}"
            )
        context = min(wanted, holds)
        if asked is not None:
            self.reasons["context_length"] = "asked for"
        elif context == self.own_context:
            self.reasons["context_length"] = "the model's own"
        else:
            self.reasons["context_length"] = f"the memory holds no more of the model's {wanted}"
        if self.wishes.kv_cache_mib is not None:
            reason = "asked for"
        elif self.device == "gpu":
            reason = f"about {gib(kv)}: what the weights ({gib(weights)}) leave of each GPU"
        else:
            most = self._wanted_kv(dtype, ranks, context)
            left, kv = kv, min(kv, most)
            reason = f"weights take {gib(weights * ranks)}" + (
                f", {FULL_REQUESTS} requests of full length fit"
                if kv == most
                else f", and {gib(left * ranks)} are left"
            )
        self.reasons["kv_cache_mib"] = reason
        return context, kv

    def _shortage(self, dtype: str, weights: int, ranks: int, room: int) -> str:
        working = self._working(dtype)
        where = "GPU" if self.device == "gpu" else "free memory"
        of = f"{gib(room)} of each GPU's memory" if self.device == "gpu" else gib(room)
        return (
            f"the weights as {dtype} take {gib(weights)} and running them {gib(working)} of {of}"
            + (f" {where}" if self.device == "cpu" else "")
        )

    def _way_out(self, ranks: int) -> str:
        ways = []
        if self.wishes.dtype == "float32":
            ways.append("leave out --dtype float32")
        if self.checkpoint.quantization is None and self.wishes.quantization is None:
            ways.append("--quantization fp8")
        if self.device == "gpu":
            ways.append(f"more GPUs than {ranks} of this size")
        ways.append("a machine with more memory")
        return "use " + " or ".join(ways)

    def _slots(self, full: int) -> int:
        asked = self.wishes.slots
        # Few requests fill the context; when all do, the engine makes some of them wait.
        slots = asked or min(self.max_slots, 2 * full)
        limit = "" if 2 * full < slots else f"; at most {self.max_slots} on a {self.device.upper()}"
        self.reasons["slots"] = self._say(
            asked is not None, f"the cache holds {full} of full length, most are shorter{limit}"
        )
        return slots

    def _images(self, context: int) -> int:
        asked, each = self.wishes.max_images, self.checkpoint.image_tokens
        most = (context - 1) // each
        if (asked or 1) > most:
            raise CannotRun(
                f"--max-images {asked or 1}: each takes {each} of {context} tokens of context; ask "
                f"for at most {most} or for a longer context"
            )
        images = asked or max(1, min(MAX_IMAGES, context // 2 // each))
        self.reasons["max_images"] = self._say(
            asked is not None, f"{each} tokens each; half of the context is left to text"
        )
        return images

    @staticmethod
    def _say(asked: bool, reason: str) -> str:
        return "asked for" if asked else reason
