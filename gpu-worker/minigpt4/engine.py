"""vLLM's AsyncLLM over one checkpoint folder: boots it, generates, aborts, reports its death."""

import asyncio
import gc
import logging
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .fork import boot_by_fork, guard_children
from .machine import cores
from .memory_budget import BATCHED_TOKENS, MIB
from .plan import Plan
from .protocol import Sampling

if TYPE_CHECKING:
    from PIL import Image
    from vllm.v1.engine.async_llm import AsyncLLM

log = logging.getLogger(__name__)

SCRAPE_SECONDS = 5.0


class EngineFailed(Exception):
    """The engine died or raised an exception."""


@dataclass(frozen=True)
class Output:
    """The ids since the last output, and the finish reason (`stop` or `length`) of the last one."""

    token_ids: Sequence[int]
    finish_reason: str | None


class Phases:
    """Seconds that each phase of the boot took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, name: str):
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 2)
        log.info("boot phase done", extra={"phase": name, "seconds": self.seconds[name]})


def set_environment() -> None:
    """Sets variables for vLLM and transformers. Call it before importing them."""
    for name, value in {
        "VLLM_CONFIGURE_LOGGING": "0",  # its records go to this worker's handler
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        # A forked process cannot bind OpenMP threads to cores: libgomp has read its settings.
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        # Leaves one core to the HTTP and engine processes. The threads of a parallel region wait
        # for the slowest one, so more threads than free cores cost far more than they bring: with
        # two threads on two busy cores, loading the weights took minutes instead of 5 s.
        "OMP_NUM_THREADS": str(max(1, cores() - 1)),
        "OMP_WAIT_POLICY": "PASSIVE",  # idle threads sleep instead of spinning
        "TOKENIZERS_PARALLELISM": "false",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
    }.items():
        os.environ.setdefault(name, value)


class Engine:
    """Built in the main thread; used in one event loop, which may run in any thread."""

    def __init__(self, llm: "AsyncLLM"):
        self._llm = llm

    @property
    def dead(self) -> bool:
        return self._llm.errored

    async def generate(
        self,
        request_id: str,
        prompt_token_ids: list[int],
        images: Sequence[tuple[str, "Image.Image"]],
        sampling: Sampling,
        stop_ids: list[int],
        banned_ids: Sequence[int],
        cache_salt: str | None = None,
    ) -> AsyncIterator[Output]:
        """Runs one request. Closing the iterator aborts it. Raises EngineFailed.

        `images` are pairs of cache key and picture, one per placeholder id. The engine never
        generates `banned_ids`; `stop_ids` end the answer and are not part of it.
        """
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        prompt: dict = {"prompt_token_ids": prompt_token_ids}
        if images:
            prompt["multi_modal_data"] = {"image": [picture for _, picture in images]}
            prompt["multi_modal_uuids"] = {"image": [key for key, _ in images]}
        if cache_salt is not None:
            prompt["cache_salt"] = cache_salt
        params = SamplingParams(
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            repetition_penalty=sampling.repetition_penalty,
            seed=sampling.seed,
            stop_token_ids=stop_ids,
            logit_bias={token: -100.0 for token in banned_ids},
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
        )
        try:
            async with aclosing(self._llm.generate(prompt, params, request_id)) as outputs:
                async for output in outputs:
                    completion = output.outputs[0]
                    ids, reason = list(completion.token_ids), completion.finish_reason
                    if reason not in (None, "stop", "length"):
                        raise EngineFailed(f"the engine ended the request: {reason}")
                    if reason == "stop" and ids and ids[-1] in stop_ids:
                        ids.pop()
                    yield Output(ids, reason)
        except (asyncio.CancelledError, GeneratorExit, EngineFailed):
            raise
        except Exception as error:
            raise EngineFailed(f"the engine raised {type(error).__name__}") from error

    async def images_encoded(self) -> int:
        """The images that the encoder processed since the start, without cached ones."""
        return (await self._llm.collective_rpc("images_encoded", timeout=SCRAPE_SECONDS))[0]

    def shutdown(self, seconds: float) -> None:
        """Stops the engine's processes, and kills them after `seconds`."""
        logging.getLogger("vllm").setLevel(
            logging.CRITICAL
        )  # vLLM logs its own shutdown as a failure
        self._llm.shutdown(timeout=seconds)


def boot(checkpoint: Path, model: str, plan: Plan, phases: Phases) -> Engine:
    """Starts the engine over a checkpoint. Call it in the main thread, which must stay alive.

    Raises whatever vLLM raises if the checkpoint or the memory does not fit.
    """
    set_environment()
    gc.disable()  # imports create no garbage; collecting took 2 of 15 s
    with phases.time("import torch"):
        import torch  # noqa: F401
    with phases.time("import vllm"):
        # Imports all that the forked processes need, so that none of them imports it again.
        import vllm.v1.engine.core
        from vllm import AsyncEngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.async_llm import AsyncLLM

        on_cpu = current_platform.is_cpu()
        if on_cpu:
            import vllm.v1.worker.cpu_worker  # noqa: F401
    gc.freeze()  # the collector ignores these objects, so that forked processes share their pages
    gc.enable()
    if on_cpu:
        boot_by_fork()
    else:
        guard_children()  # on GPUs vLLM forks by default
    with phases.time("configure"):
        arguments = AsyncEngineArgs(
            model=str(checkpoint),
            served_model_name=model,  # the label in its metrics
            dtype=plan.dtype,
            quantization=plan.quantization if plan.quantize else None,  # otherwise from config.json
            tensor_parallel_size=plan.tensor_parallel_size,
            max_model_len=plan.context_length,
            max_num_seqs=plan.slots,
            max_num_batched_tokens=BATCHED_TOKENS,
            limit_mm_per_prompt={"image": plan.max_images},
            kv_cache_memory_bytes=plan.kv_cache_mib and plan.kv_cache_mib * MIB,
            mm_processor_cache_gb=0.25,
            skip_mm_profiling=True,  # profiling encodes every image of a full batch
            enforce_eager=plan.eager,
            generation_config="vllm",  # sampling comes only from the request
            seed=0,
            use_tqdm_on_load=False,
            worker_extension_cls="minigpt4.vllm_model.EncoderRuns",
        )
        if plan.gpu_memory_utilization is not None:
            arguments.gpu_memory_utilization = plan.gpu_memory_utilization
        config = arguments.create_engine_config()
    with phases.time("start processes and load weights"):
        return Engine(AsyncLLM.from_vllm_config(config, enable_log_requests=False))
