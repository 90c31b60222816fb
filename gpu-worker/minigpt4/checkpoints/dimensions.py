"""The widths and depths of a checkpoint: the family's, or those that a synthetic set declares.

layout.py derives the tensors and their shapes from them.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ..input_error import InputError
from ..models import FAMILY, LanguageModel

SYNTH = "synth.json"  # `minigpt4-worker synth` writes it next to its files


@dataclass(frozen=True)
class Vision:
    """EVA-CLIP ViT-g/14 as BLIP-2 uses it (https://arxiv.org/abs/2301.12597): 39 of 40 blocks."""

    width: int = 1408
    blocks: int = 39
    heads: int = 16
    mlp: int = 6144
    image_size: int = 224
    patch: int = 14

    @property
    def positions(self) -> int:
        return 1 + (self.image_size // self.patch) ** 2


@dataclass(frozen=True)
class QFormer:
    """BLIP-2's Q-Former: BERT-base, cross-attention on every second layer.

    `t5_width` is the width of FLAN-T5-XXL, the language model it was trained with. It tells this
    Q-Former's file from those for BLIP-2's other language models.
    """

    width: int = 768
    layers: int = 12
    heads: int = 12
    mlp: int = 3072
    queries: int = 32
    cross_every: int = 2
    t5_width: int = 4096


@dataclass(frozen=True)
class Dimensions:
    vision: Vision
    qformer: QFormer | None
    language_model: LanguageModel

    @property
    def image_tokens(self) -> int:
        return self.qformer.queries if self.qformer else (self.vision.positions - 1) // 4

    @property
    def projection_width(self) -> int:
        """Columns of `llama_proj.weight`: the Q-Former's width, or four joined patches."""
        return self.qformer.width if self.qformer else 4 * self.vision.width


def released(model: str) -> Dimensions:
    """The dimensions of the official release."""
    family = FAMILY[model]
    return Dimensions(Vision(), QFormer() if family.qformer else None, family.language_model)


def declare(folder: Path, model: str, dimensions: Dimensions, **about: object) -> None:
    """Writes the marker of a synthetic set."""
    text = json.dumps({"model": model, **about, "dimensions": asdict(dimensions)}, indent=2)
    (folder / SYNTH).write_text(text + "\n")


def declared(folder: Path, model: str) -> Dimensions:
    """Reads a synthetic set's marker. Raises InputError if it is missing or another model's."""
    path = folder / SYNTH
    try:
        found = json.loads(path.read_text())
        if found["model"] != model:
            raise InputError(
                f"{path}: the synthetic files are {found['model']}'s, not {model}'s",
                f"assemble {found['model']}, or make new ones: minigpt4-worker synth {model}",
            )
        given = found["dimensions"]
        words = given["language_model"]
        return Dimensions(
            Vision(**given["vision"]),
            QFormer(**given["qformer"]) if given["qformer"] else None,
            LanguageModel(**words | {"vocab_sizes": tuple(words["vocab_sizes"])}),
        )
    except FileNotFoundError:
        raise InputError(
            f"{path}: missing, and --synthetic is for files that `synth` wrote",
            "leave out --synthetic for the original files",
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not what `synth` writes ({error})", "run `synth` again"
        ) from None
