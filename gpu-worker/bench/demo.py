"""Answers as the original demo does: transformers' generate on the reference, one at a time.

https://github.com/Vision-CAIR/MiniGPT-4 encodes the picture and calls `generate` in one thread,
and shows the answer when it is whole. Here that is done at its best on a CPU: inference mode, a
cache of keys and values, PyTorch's fused attention, and greedy search instead of sampling.
"""

import io
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import torch
import transformers
from answers import Answer, Turn
from machine import memory
from PIL import Image
from safetensors.torch import load_file

from minigpt4.checkpoints import int8
from minigpt4.config import MiniGPT4Config
from minigpt4.launch import load_model
from minigpt4.modeling import MiniGPT4ForConditionalGeneration
from minigpt4.processing import expand_image_tokens, pixel_values
from minigpt4.prompt import Image as ImagePart
from minigpt4.prompt import Message


def load(checkpoint: Path, dtype: torch.dtype) -> tuple[MiniGPT4ForConditionalGeneration, str]:
    """The reference, and its precision in words. It has no kernels for int8 layers."""
    options = {"dtype": dtype, "attn_implementation": "sdpa"}
    config = MiniGPT4Config.from_pretrained(checkpoint)
    words = str(dtype).removeprefix("torch.")
    if getattr(config, "quantization_config", None) is None:
        return MiniGPT4ForConditionalGeneration.from_pretrained(checkpoint, **options), words
    del config.quantization_config
    weights = int8.dequantised(load_file(checkpoint / "model.safetensors"), dtype)
    model = MiniGPT4ForConditionalGeneration.from_pretrained(
        None, config=config, state_dict=weights, **options
    )
    return model, f"{words}, the int8 layers dequantised"


class Demo:
    def __init__(self, model: str, checkpoint: Path, dtype: str):
        transformers.logging.disable_progress_bar()
        loaded, self.precision = load(checkpoint, getattr(torch, dtype))
        self._model = loaded.eval()
        # The last of a prompt's hidden states is a strided row, for which a CPU would copy the
        # whole output matrix.
        self._model.get_output_embeddings().register_forward_pre_hook(
            lambda _, given: (given[0].contiguous(), *given[1:])
        )
        self._prompt = load_model(model, checkpoint, 2048).prompt

    @torch.inference_mode()
    def _ask(self, photo: bytes, question: str, tokens: int) -> Answer:
        start = time.monotonic()
        config = self._model.config
        pixels = pixel_values(Image.open(io.BytesIO(photo)), config.vision_config)
        ids = self._prompt.ids([Message("user", [ImagePart(), question])])
        rows = torch.tensor([expand_image_tokens(ids, config)])
        stops = self._prompt.stop_ids
        answer = self._model.generate(
            input_ids=rows,
            attention_mask=torch.ones_like(rows),
            pixel_values=pixels[None],
            max_new_tokens=tokens,
            do_sample=False,
            repetition_penalty=1.0,
            eos_token_id=stops,
            pad_token_id=stops[0],
        )[0, rows.shape[1] :].tolist()
        end = next((n for n, token in enumerate(answer) if token in stops), None)
        seconds = time.monotonic() - start
        return Answer(seconds, seconds, tuple(answer[:end]))

    def ask(self, questions: Sequence[tuple[bytes, str]], tokens: int, threads: int) -> Turn:
        """Answers each (JPEG, question) in turn, with this many threads."""
        torch.set_num_threads(threads)
        start, used = time.monotonic(), time.process_time()
        answers = [self._ask(photo, question, tokens) for photo, question in questions]
        seconds, busy = time.monotonic() - start, time.process_time() - used
        return Turn(answers, seconds, busy, memory([psutil.Process()]))
