"""Plans how a machine runs a checkpoint: each choice with its reason, or why it cannot run."""

from collections.abc import Mapping
from dataclasses import dataclass

from .footprint import Footprint
from .machine import Machine
from .memory_budget import FULL_REQUESTS, MIB, MemoryBudget, gib

UTILIZATION = 0.9  # share of a GPU; the encoder's activations and other programs use the rest
MAX_SLOTS = {"cpu": 16, "gpu": 128}
MAX_IMAGES = 4
MIN_TEXT = 192  # tokens beside one image; a shorter context is of no use


class CannotRun(Exception):
    """What does not fit, in numbers, and what to do about it; one line."""


@dataclass(frozen=True)
class PlanOptions:
    """What the operator asked for; None where the machine decides."""

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
    """How to run a checkpoint.

    `quantize`: the engine quantises while it loads. `kv_cache_mib` is per rank; None where the
    engine takes what `gpu_memory_utilization` leaves of each GPU. `memory` is the total, in bytes
    of each GPU or of the machine. `reasons` has a line for each choice, by the choice's name.
    """

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
        """A table of the choices for people: name, value, reason."""
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


def plan(
    machine: Machine, checkpoint: Footprint, options: PlanOptions, context_length: int
) -> Plan:
    """`context_length` is the model's own, in tokens. Raises CannotRun."""
    return _Planner(machine, checkpoint, options, context_length).plan()


class _Planner:
    """Makes the choices in order, each with what the earlier ones left, and notes the reasons."""

    def __init__(
        self, machine: Machine, checkpoint: Footprint, options: PlanOptions, context_length: int
    ):
        self.machine, self.checkpoint, self.options = machine, checkpoint, options
        self.own_context = min(context_length, checkpoint.context_length)
        self.device = "gpu" if machine.gpus else "cpu"
        self.max_slots = options.slots or MAX_SLOTS[self.device]
        self.memory = MemoryBudget(machine, checkpoint, self.device, self.max_slots)
        self.reasons: dict[str, str] = {}

    def plan(self) -> Plan:
        self._check()
        self.reasons["device"] = self._device()
        method = self._quantization()
        utilization = self._utilization() if self.device == "gpu" else None
        dtype, ranks = self._dtype_and_ranks(method, utilization)
        weights = self.memory.weights(dtype, method, ranks)
        room = self.memory.room(utilization, ranks)
        cache = self._available_cache(dtype, weights, ranks, room)
        context, cache = self._context_and_cache(dtype, ranks, weights, room, cache)
        full = max(1, cache // self.memory.request(dtype, ranks, context))
        slots = self._slots(full)
        images = self._images(context)
        eager = self._eager()
        self.reasons["memory"] = "weights, cache and activations " + (
            "on each GPU" if self.device == "gpu" else f"of {gib(self.machine.free)} that are free"
        )
        # A GPU's cache is what is left after the engine has measured, unless it was asked for.
        is_fixed = self.device == "cpu" or self.options.kv_cache_mib is not None
        return Plan(
            device=self.device,
            dtype=dtype,
            quantization=method,
            quantize=method != self.checkpoint.quantization,
            tensor_parallel_size=ranks,
            context_length=context,
            kv_cache_mib=cache // MIB if is_fixed else None,
            gpu_memory_utilization=utilization,
            slots=slots,
            max_images=images,
            eager=eager,
            memory=self.memory.whole(weights + cache + self.memory.working(dtype), ranks),
            reasons=self.reasons,
        )

    def _check(self) -> None:
        """Raises CannotRun for options that no machine fulfils, or not this kind of machine."""
        for name, value in vars(self.options).items():
            if name not in ("dtype", "quantization", "eager") and value is not None and value <= 0:
                raise CannotRun(f"--{name.replace('_', '-')} {value}: must be above 0")
        share = self.options.gpu_memory_utilization
        if share is not None and share > 1:
            raise CannotRun(f"--gpu-memory-utilization {share}: is a share, at most 1")
        if share is not None and self.device == "cpu":
            raise CannotRun(
                f"--gpu-memory-utilization {share}: no GPU that this build of vLLM runs on; "
                "on a CPU give --kv-cache-mib"
            )
        asked, longest = self.options.context_length, self.checkpoint.context_length
        if asked is not None and asked > longest:
            raise CannotRun(
                f"--context-length {asked}: the model has {longest} positions; "
                f"ask for at most {longest}"
            )

    def _device(self) -> str:
        machine = self.machine
        if machine.gpus:
            gpu = machine.gpus[0]
            return f"{len(machine.gpus)} x {gpu.name}, {gib(gpu.memory)}"
        return (
            f"no GPU for this build of vLLM; {machine.cores} cores, {gib(machine.free)} free "
            f"of {gib(machine.memory)}"
        )

    def _quantization(self) -> str | None:
        """The language model's: its checkpoint's own, or fp8, which the engine makes on loading."""
        stored, asked = self.checkpoint.quantization, self.options.quantization
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
        asked = self.options.gpu_memory_utilization
        gpus = self.machine.gpus[: self.options.tensor_parallel_size or len(self.machine.gpus)]
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
        asked = self.options.dtype
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
            room = self.memory.room(None, ranks)
            weights = self.memory.weights("float32", None, ranks)
            cache = self.memory.wanted_cache("float32", ranks, self._wanted_context())
            needed = weights + cache + self.memory.working("float32")
            if max(needed, 2 * weights) <= room:
                dtype, reason = "float32", f"its weights ({gib(weights)}) fit twice over: exact"
            else:
                dtype = "bfloat16"
                reason = f"in float32 the weights alone would take {gib(weights)}"
        self.reasons["dtype"] = reason
        return dtype, ranks

    def _ranks(self, dtype: str, method: str | None, utilization: float | None) -> int:
        """The number of GPUs (on a CPU: processes) that share the language model."""
        asked = self.options.tensor_parallel_size
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
            needed = self.memory.weights(dtype, method, ranks) + self.memory.working(dtype)
            needed += self.memory.request(dtype, ranks, self._wanted_context())
            if needed <= self.memory.room(utilization, ranks):
                self.reasons["tensor_parallel_size"] = (
                    "one GPU holds it" if ranks == 1 else f"fewer do not hold it: {self._heads()}"
                )
                return ranks
        self.reasons["tensor_parallel_size"] = "all that divide its heads, and still tight"
        return counts[-1]

    def _heads(self) -> str:
        model = self.checkpoint
        return (
            f"{model.heads} heads, {model.kv_heads} key-value heads and "
            f"{model.intermediate} MLP columns"
        )

    def _splits(self, ranks: int) -> bool:
        model = self.checkpoint
        splits_kv = model.kv_heads % ranks == 0 or ranks % model.kv_heads == 0
        return model.heads % ranks == 0 and splits_kv and model.intermediate % ranks == 0

    def _wanted_context(self) -> int:
        return self.options.context_length or self.own_context

    def _available_cache(self, dtype: str, weights: int, ranks: int, room: int) -> int:
        """Bytes left for the cache, or the part of them that was asked for."""
        left = (room - weights - self.memory.working(dtype)) // MIB * MIB
        asked = self.options.kv_cache_mib
        if asked is None:
            return left
        if asked * MIB > left:
            raise CannotRun(
                f"--kv-cache-mib {asked}: {self._shortage(dtype, weights, ranks, room)}; "
                f"ask for at most {max(0, left) // MIB}"
            )
        return asked * MIB

    def _context_and_cache(
        self, dtype: str, ranks: int, weights: int, room: int, cache: int
    ) -> tuple[int, int]:
        """The context in tokens and the cache in bytes: what is wanted, or what the memory allows.

        `cache` are the bytes available.
        """
        wanted = self._wanted_context()
        holds = self.memory.longest_request(dtype, ranks, cache)
        least = min(wanted, self.checkpoint.image_tokens + MIN_TEXT)
        asked = self.options.context_length
        if holds < (asked or least):
            needed = self.memory.request(dtype, ranks, asked or least)
            if self.options.kv_cache_mib is not None:
                raise CannotRun(
                    f"--kv-cache-mib {self.options.kv_cache_mib}: one request of {asked or least} "
                    f"tokens takes {-(-needed // MIB)}; ask for at least that"
                )
            out = f"ask for a --context-length of at most {max(0, holds)}" if asked else None
            if out is None or holds < least:
                out = self._hint(ranks)
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
        if self.options.kv_cache_mib is not None:
            reason = "asked for"
        elif self.device == "gpu":
            reason = f"about {gib(cache)}: what the weights ({gib(weights)}) leave of each GPU"
        else:
            most = self.memory.wanted_cache(dtype, ranks, context)
            left, cache = cache, min(cache, most)
            reason = f"weights take {gib(weights * ranks)}" + (
                f", {FULL_REQUESTS} requests of full length fit"
                if cache == most
                else f", and {gib(left * ranks)} are left"
            )
        self.reasons["kv_cache_mib"] = reason
        return context, cache

    def _shortage(self, dtype: str, weights: int, ranks: int, room: int) -> str:
        working = self.memory.working(dtype)
        where = "GPU" if self.device == "gpu" else "free memory"
        of = f"{gib(room)} of each GPU's memory" if self.device == "gpu" else gib(room)
        return (
            f"the weights as {dtype} take {gib(weights)} and running them {gib(working)} of {of}"
            + (f" {where}" if self.device == "cpu" else "")
        )

    def _hint(self, ranks: int) -> str:
        ways = []
        if self.options.dtype == "float32":
            ways.append("leave out --dtype float32")
        if self.checkpoint.quantization is None and self.options.quantization is None:
            ways.append("--quantization fp8")
        if self.device == "gpu":
            ways.append(f"more GPUs than {ranks} of this size")
        ways.append("a machine with more memory")
        return "use " + " or ".join(ways)

    def _slots(self, full: int) -> int:
        asked = self.options.slots
        # Few requests fill the context. If all of them do, the engine makes some wait.
        slots = asked or min(self.max_slots, 2 * full)
        limit = "" if 2 * full < slots else f"; at most {self.max_slots} on a {self.device.upper()}"
        self.reasons["slots"] = self._reason(
            asked is not None, f"the cache holds {full} of full length, most are shorter{limit}"
        )
        return slots

    def _images(self, context: int) -> int:
        asked, each = self.options.max_images, self.checkpoint.image_tokens
        most = (context - 1) // each
        if (asked or 1) > most:
            raise CannotRun(
                f"--max-images {asked or 1}: each takes {each} of {context} tokens of context; ask "
                f"for at most {most} or for a longer context"
            )
        images = asked or max(1, min(MAX_IMAGES, context // 2 // each))
        self.reasons["max_images"] = self._reason(
            asked is not None, f"{each} tokens each; half of the context is left to text"
        )
        return images

    def _eager(self) -> bool:
        asked = self.options.eager
        self.reasons["eager"] = self._reason(
            asked is not None,
            "compiling takes minutes on a CPU"
            if self.device == "cpu"
            else "compiled and captured once, then each step is launched at once",
        )
        return asked if asked is not None else self.device == "cpu"

    @staticmethod
    def _reason(asked: bool, reason: str) -> str:
        return "asked for" if asked else reason
