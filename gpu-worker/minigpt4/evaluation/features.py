"""Encoder features of photos, by key: read from a file, or made by a checkpoint's encoder."""

import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ..config import EVA, MiniGPT4Config
from ..image_encoder import ImageEncoder
from ..input_error import InputError
from ..processing import pixel_values
from .shards import Sample

PREFIX = "image_encoder."


def read_features(path: Path) -> dict[str, torch.Tensor]:
    """Reads a tensor per key (.safetensors, .pt), or rows `features` with their `keys`.

    A .safetensors file has the keys of rows in its metadata, as JSON. Raises InputError.
    """
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                keys = (file.metadata() or {}).get("keys")
            found = load_file(path)
            found = {"keys": json.loads(keys), **found} if keys else found
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # many exception types, by format and damage
        raise InputError(f"{path}: cannot be read as features ({error})") from None
    if not isinstance(found, dict) or not found:
        raise InputError(f"{path}: holds no tensors by key")
    if "keys" in found and "features" in found:
        found = dict(zip(found["keys"], found["features"], strict=True))
    return {key: value.flatten().float() for key, value in found.items()}


def matrix(features: dict[str, torch.Tensor], keys: Sequence[str]) -> torch.Tensor:
    """[N, F], each row of length 1. Raises InputError for a key without features."""
    if missing := [key for key in keys if key not in features]:
        raise InputError(
            f"the features lack {len(missing)} of {len(keys)} photos, {missing[0]} among them",
            "the file needs the measured photos and the training photos",
        )
    return torch.nn.functional.normalize(torch.stack([features[key] for key in keys]), dim=-1)


def nearest(query: torch.Tensor, known: torch.Tensor, count: int) -> torch.Tensor:
    """The indices of the `count` rows of `known` with the greatest cosine to each query row."""
    return (query @ known.T).topk(min(count, len(known)), dim=-1).indices


class Encoder:
    """The image encoder of a checkpoint, without its language model."""

    def __init__(self, checkpoint: Path):
        self.config = MiniGPT4Config.from_pretrained(checkpoint)
        self.names_things = self.config.vision_config.tower != EVA  # it has a head of 1,000 classes
        module = ImageEncoder(self.config)
        weights = {}
        for file in sorted(checkpoint.glob("*.safetensors")):
            with safe_open(file, "pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - the file is not a dict
                    if name.startswith(PREFIX):
                        weights[name.removeprefix(PREFIX)] = tensors.get_tensor(name)
        module.load_state_dict(weights)
        self._module = module.eval()

    def pixels(self, image: bytes) -> torch.Tensor:
        return pixel_values(Image.open(io.BytesIO(image)), self.config.vision_config)

    @torch.inference_mode()
    def top_class(self, image: bytes) -> int:
        """The encoder's most likely class."""
        return int(self._module.features(self.pixels(image)[None])[0].argmax())

    @torch.inference_mode()
    def pooled(self, image: bytes) -> torch.Tensor:
        """Features for finding the nearest photos: the last map's means, or the mean token."""
        pixels = self.pixels(image)[None]
        if self.names_things:
            return self._module.vision(pixels)[-1].mean(dim=(2, 3))[0]
        return self._module.features(pixels)[0].mean(dim=1)[0]


def make_features(
    encoder: Encoder, samples: Iterable[Sample], path: Path, done: Callable[[], None]
) -> dict[str, torch.Tensor]:
    """Runs the encoder over photos, and writes a file for `read_features`."""
    keys, rows = [], []
    for sample in samples:
        keys.append(sample.key)
        rows.append(encoder.pooled(sample.image))
        done()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file({"features": torch.stack(rows)}, part, metadata={"keys": json.dumps(keys)})
    part.replace(path)
    return dict(zip(keys, rows, strict=True))
