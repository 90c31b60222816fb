"""Asks the reference model the same question about many pictures, greedily, in float32."""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from ..modeling import MiniGPT4ForConditionalGeneration
from ..processing import expand_image_tokens
from ..prompt import TEMPLATES, Image, Message, Prompt

AT_ONCE = 25


class Answering:
    def __init__(self, checkpoint: Path | str):
        checkpoint = Path(checkpoint)
        self.model = MiniGPT4ForConditionalGeneration.from_pretrained(
            checkpoint, dtype=torch.float32
        ).eval()
        self.prompt = Prompt(
            checkpoint / "tokenizer.json", TEMPLATES["chatml"], self.model.config.image_token_id
        )
        self._tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))

    @torch.inference_mode()
    def top_classes(self, pixels: torch.Tensor) -> torch.Tensor:
        """pixels [N, 3, side, side] -> the encoder's most likely class of each, [N]."""
        return self.model.image_encoder.features(pixels)[0].argmax(-1)

    @torch.inference_mode()
    def ask(self, pixels: torch.Tensor, question: str, max_tokens: int = 32) -> list[str]:
        """One answer per picture, with "…" after one that the limit cut off."""
        ids = self.prompt.ids([Message("user", [Image(), question])])
        ids = expand_image_tokens(ids, self.model.config)
        stop, out = self.prompt.stop_ids, []
        for part in pixels.split(AT_ONCE):
            rows = torch.tensor([ids] * len(part))
            answers = self.model.generate(
                input_ids=rows,
                attention_mask=torch.ones_like(rows),
                pixel_values=part,
                max_new_tokens=max_tokens,
                do_sample=False,
                eos_token_id=stop,
                pad_token_id=stop[0],
            )[:, rows.shape[1] :]
            out += [self._text(answer) for answer in answers.tolist()]
        return out

    def _text(self, answer: Sequence[int]) -> str:
        end = next((n for n, i in enumerate(answer) if i in self.prompt.stop_ids), None)
        text = self._tokenizer.decode(list(answer[:end])).strip()
        return text if end is not None else f"{text}…"
