"""Synthetic sets for the tests of assembling; one of each kind for the whole run."""

import shutil
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file

from minigpt4.checkpoints.assembly import Options, assemble
from minigpt4.checkpoints.sources import Sources
from minigpt4.checkpoints.synthesis import synth

FAMILY = ("vicuna-7b", "vicuna-13b", "llama2-7b")
PROJECTOR = {
    "vicuna-7b": "prerained_minigpt4_7b.pth",
    "vicuna-13b": "pretrained_minigpt4.pth",
    "llama2-7b": "pretrained_minigpt4_llama2_7b.pth",
}
LLM = {"vicuna-7b": "vicuna-7b", "vicuna-13b": "vicuna", "llama2-7b": "Llama-2-7b-chat-hf"}
EVA, QFORMER = "eva_vit_g.pth", "blip2_pretrained_flant5xxl.pth"


class Sets:
    """Makes each set once, below one folder."""

    def __init__(self, root: Path):
        self._root = root
        self.original = cache(self._original)
        self.checkpoint = cache(self._checkpoint)

    def _original(self, model: str, delta: bool = False, hf_blip2: bool = False) -> Path:
        name = f"{model}{'-by-delta' * delta}{'-by-blip2' * hf_blip2}"
        return synth(model, self._root / name, delta=delta, hf_blip2=hf_blip2)

    def _checkpoint(self, model: str, **kind: bool) -> Path:
        source = self.original(model, **kind)
        return put_together(model, source, self._root / f"{source.name}-checkpoint")

    def copy(self, model: str, to: Path, **kind: bool) -> Path:
        return Path(shutil.copytree(self.original(model, **kind), to))


def put_together(model: str, source: Path, out: Path, mib: int = 1, **options) -> Path:
    given = Sources(hf_blip2=next(iter(source.glob("blip2-flan-*")), None))
    chosen = Options(synthetic=True, shard_bytes=mib * 2**20, **options)
    return assemble(model, source, out, given, chosen)


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a folder's safetensors or torch files."""
    out: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        out |= load_file(path)
    for path in sorted(folder.glob("*.bin")):
        out |= torch.load(path, weights_only=True)
    return out
