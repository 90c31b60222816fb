"""The reference model's answers, to compare the engine with."""

from collections.abc import Sequence

import torch
from PIL import Image
from worker_process import Answer

from minigpt4.modeling import MiniGPT4ForConditionalGeneration
from minigpt4.processing import expand_image_tokens, pixel_values


def reference_tokens(
    model: MiniGPT4ForConditionalGeneration,
    prompt_token_ids: list[int],
    pictures: Sequence[Image.Image],
    tokens: int,
    stop_ids: list[int],
    never: Sequence[int] = (),
) -> list[int]:
    """Greedy ids up to the end of the turn, without it; `never` are ids that are not generated."""
    ids = torch.tensor([expand_image_tokens(prompt_token_ids, model.config)])
    pixels = [pixel_values(picture, model.config.vision_config) for picture in pictures]
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=torch.stack(pixels) if pixels else None,
            max_new_tokens=tokens,
            do_sample=False,
            eos_token_id=stop_ids,
            suppress_tokens=list(never) or None,
        )[0].tolist()
    new = out[ids.shape[1] :]
    return new[: next((n for n, token in enumerate(new) if token in stop_ids), len(new))]


def pictures_of(turns: Sequence[Sequence[object]]) -> list[Image.Image]:
    return [part for turn in turns for part in turn if isinstance(part, Image.Image)]


def ends_early(answer: Answer, wanted: list[int], text: str) -> bool:
    """Whether the worker rightly said less: the turn's end was spelt out in what was to come."""
    said = len(answer.token_ids)
    return "###" in text and answer.finish_reason == "stop" and answer.token_ids == wanted[:said]
