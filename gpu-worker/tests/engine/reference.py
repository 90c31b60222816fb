"""The reference model's answers, to compare the engine with."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from safetensors import safe_open
from worker_process import Answer

from minigpt4.modeling import MiniGPT4ForConditionalGeneration
from minigpt4.models import TEMPLATE
from minigpt4.processing import expand_image_tokens, pixel_values
from minigpt4.prompt import TEMPLATES, Message, Prompt
from minigpt4.prompt import Image as ImagePart

TOKENS = 24


@dataclass(frozen=True)
class Wanted:
    """The reference's answer in float32, and the prompt's ids with one placeholder an image."""

    prompt_token_ids: list[int]
    token_ids: list[int]


def wanted_answers(
    model: str, checkpoint: Path, conversations: Sequence[Sequence], threads: int
) -> list[Wanted]:
    """The reference's greedy answers of up to TOKENS tokens."""
    torch.set_num_threads(threads)
    reference = MiniGPT4ForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    image = json.loads((checkpoint / "config.json").read_text())["image_token_id"]
    prompt = Prompt(checkpoint / "tokenizer.json", TEMPLATES[TEMPLATE[model]], image)
    never = sorted(prompt.control_ids.difference(prompt.stop_ids))
    out = []
    for turns in conversations:
        messages = [
            Message(
                "assistant" if n % 2 else "user",
                [ImagePart() if isinstance(part, Image.Image) else part for part in turn],
            )
            for n, turn in enumerate(turns)
        ]
        ids = prompt.ids(messages)
        answer = reference_tokens(
            reference.eval(), ids, pictures_of(turns), TOKENS, prompt.stop_ids, never
        )
        out.append(Wanted(ids, answer))
    return out


def stored_projection(checkpoint: Path) -> dict[str, torch.Tensor]:
    with safe_open(checkpoint / "model.safetensors", "pt") as file:
        names = [name for name in file.keys() if ".projection." in name]  # noqa: SIM118
        return {name: file.get_tensor(name) for name in names}


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
