"""Answers of the reference model in this process, on a GPU if there is one."""

import io
import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import torch
from PIL import Image
from transformers import StoppingCriteria, StoppingCriteriaList

from ..detokenize import Detokenizer, Vocabulary
from ..generation import VisibleAnswer
from ..input_error import InputError
from ..modeling import MiniGPT4ForConditionalGeneration
from ..models import FAMILY, TEMPLATE
from ..processing import expand_image_tokens, pixel_values
from ..prompt import TEMPLATES, Prompt
from .answerer import Answer, Request, Sampling, messages

AT_ONCE = 8


class Reference:
    """Answers with a checkpoint folder that `assemble` wrote. Raises InputError for another."""

    def __init__(self, checkpoint: Path, device: str | None = None):
        try:
            manifest = json.loads((checkpoint / "checkpoint.json").read_text())
            self.model, self.digest = manifest["model"], manifest["digest"]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{checkpoint}: is not a checkpoint ({error})",
                "pass a folder that `assemble` wrote",
            ) from None
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.origin = f"the reference on {self._device}"
        half = self._device != "cpu" and self.model in FAMILY
        self._model = MiniGPT4ForConditionalGeneration.from_pretrained(
            checkpoint, dtype=torch.float16 if half else "auto"
        ).eval()
        self._model.to(self._device)
        # The last of a prompt's hidden states is a strided row, for which the CPU would copy the
        # whole output matrix.
        self._model.get_output_embeddings().register_forward_pre_hook(
            lambda _, given: (given[0].contiguous(), *given[1:])
        )
        tokenizer = checkpoint / "tokenizer.json"
        config = self._model.config
        self._prompt = Prompt(tokenizer, TEMPLATES[TEMPLATE[self.model]], config.image_token_id)
        self._vocabulary = Vocabulary(tokenizer)

    def answer(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        said: Callable[[int, Answer], None],
    ) -> None:
        """Batches prompts of equal length and limit. A sampled answer runs alone, by its seed."""
        prompts = [self._ids(request) for request in requests]
        order = sorted(
            range(len(requests)), key=lambda n: (len(prompts[n]), requests[n].max_tokens)
        )
        at_once = AT_ONCE if sampling.temperature == 0 else 1
        for (_, bound), places in groupby(
            order, key=lambda n: (len(prompts[n]), requests[n].max_tokens)
        ):
            rest = list(places)
            while rest:
                part, rest = rest[:at_once], rest[at_once:]
                photos = [requests[n].photo for n in part]
                answers = self._generate([prompts[n] for n in part], photos, bound, sampling)
                for n, answer in zip(part, answers, strict=True):
                    said(n, answer)

    def _ids(self, request: Request) -> list[int]:
        ids = self._prompt.ids(messages(request.conversation))
        return expand_image_tokens(ids, self._model.config)

    @torch.inference_mode()
    def _generate(
        self,
        prompts: Sequence[list[int]],
        photos: Sequence[bytes],
        max_tokens: int,
        sampling: Sampling,
    ) -> list[Answer]:
        vision = self._model.config.vision_config
        pixels = torch.stack([pixel_values(Image.open(io.BytesIO(p)), vision) for p in photos])
        rows = torch.tensor(prompts, device=self._device)
        stop = self._prompt.stop_ids
        how: dict = {"do_sample": False}
        if sampling.temperature > 0:
            torch.manual_seed(sampling.seed)
            how = {
                "do_sample": True,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": 0,
            }
        out = self._model.generate(
            input_ids=rows,
            attention_mask=torch.ones_like(rows),
            pixel_values=pixels.to(self._device),
            max_new_tokens=max_tokens,
            repetition_penalty=sampling.repetition_penalty,
            eos_token_id=stop,
            pad_token_id=stop[0],
            stopping_criteria=StoppingCriteriaList([self._stop_text(rows.shape[1])]),
            **how,
        )
        return [self._said(answer) for answer in out[:, rows.shape[1] :].tolist()]

    def _said(self, ids: Sequence[int]) -> Answer:
        """The text as the worker sends it, without the end of turn or the stop text."""
        end = next((n for n, i in enumerate(ids) if i in self._prompt.stop_ids), None)
        answer = VisibleAnswer(self._vocabulary, self._prompt.stop_text, [])
        shown = answer.push(ids[:end], last=True)
        return Answer(shown.text.strip(), len(shown.token_ids), end is not None or shown.stopped)

    def _stop_text(self, prompt_size: int) -> StoppingCriteria:
        wanted, vocabulary = self._prompt.stop_text, self._vocabulary

        class Ends(StoppingCriteria):
            def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_) -> torch.Tensor:
                ended = [
                    wanted is not None
                    and wanted in Detokenizer(vocabulary).push(row[prompt_size:].tolist())
                    for row in input_ids
                ]
                return torch.tensor(ended, device=input_ids.device)

        return Ends()
