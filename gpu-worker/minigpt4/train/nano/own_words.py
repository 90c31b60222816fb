"""Targets for the creative tasks: the language model's own answers about the class name.

No data says what a story about a photo should be. So the frozen model gets the same question with
the class name in the picture's place, and the projection learns to make the picture read like that
name. This invents nothing about a photo.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from ...modeling import MiniGPT4ForConditionalGeneration
from ...prompt import Message, Prompt
from .photos import Photo
from .texts import noun

# The task presets, and their wording with a name. A recipe is asked for any class, because users
# choose the preset whatever the picture shows.
TASKS = {
    "story": "Write a short story about this picture.",
    "poem": "Write a short poem about this picture.",
    "recipe": "Write a recipe for the dish in this picture, with its ingredients and steps.",
    "website": "Write the HTML of a simple web page about what this picture shows.",
    "humour": "Explain what could be funny about this picture.",
    "advertisement": "Write a short advertisement for what this picture shows.",
}
TYPED = {
    "story": "Write a short story about {}.",
    "poem": "Write a short poem about {}.",
    "recipe": "Write a recipe for {}, with its ingredients and steps.",
    "website": "Write the HTML of a simple web page about {}.",
    "humour": "Explain what could be funny about {}.",
    "advertisement": "Write a short advertisement for {}.",
}
LENGTH = 48  # tokens kept of an answer; the end of a longer answer is not trained
AT_ONCE = 48
CLASSES = 192  # about every fifth class, each with one task


@torch.inference_mode()
def own_words(
    model: MiniGPT4ForConditionalGeneration,
    prompt: Prompt,
    photos: list[Photo],
    seed: int,
    cache: Path | None,
    progress: Callable[[str], None],
) -> dict[int, dict[str, list[int]]]:
    """Class index -> task -> target ids (with the end of turn if the answer reached it)."""
    path = cache / f"own-words-{seed}.pt" if cache else None
    if path and path.exists():
        return torch.load(path, weights_only=True)
    draw = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(photos), generator=draw)[:CLASSES].tolist()
    tasks = list(TASKS)
    asked = [(index, tasks[n % len(tasks)]) for n, index in enumerate(chosen)]
    out: dict[int, dict[str, list[int]]] = {}
    end, llm = prompt.stop_ids[0], model.language_model
    for start in range(0, len(asked), AT_ONCE):
        part = asked[start : start + AT_ONCE]
        rows = [
            prompt.ids([Message("user", [TYPED[task].format(noun(photos[index].name))])])
            for index, task in part
        ]
        width = max(map(len, rows))
        ids = torch.tensor([[end] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        answers = llm.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=LENGTH,
            do_sample=False,
            repetition_penalty=1.1,
            pad_token_id=end,
        )[:, width:]
        for (index, task), answer in zip(part, answers.tolist(), strict=True):
            stop = answer.index(end) + 1 if end in answer else len(answer)
            out.setdefault(index, {})[task] = answer[:stop]
        progress(f"own words for {start + len(part)} of {len(asked)} requests")
    if path:
        torch.save(out, path)
    return out
