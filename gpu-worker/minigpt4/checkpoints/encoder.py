"""The image encoder's tensors, from the original files or from Hugging Face's BLIP-2 FLAN-T5-XXL.

Conv and Linear layers of the vision encoder are stored in float16 and everything else in float32,
as the original converts them when it loads them.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch

from ..input_error import InputError
from ..models import FAMILY
from . import layout
from .dimensions import Dimensions
from .shards import Output
from .tensors import Stored, check, folder_tensors, torch_tensors

VISION, BRIDGE, PROJECTION = (
    f"image_encoder.{stage}." for stage in ("vision", "bridge", "projection")
)
OTHER_FILE = "pass --accept-other qformer to use it anyway"


def _half(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.float16)


def _single(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.float32)


def _qkv_bias(queries: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """q_bias, v_bias [width] -> [3 * width]; keys have no bias."""
    return torch.cat([queries, torch.zeros_like(queries), values]).to(torch.float16)


def _vision(shapes: Mapping[str, tuple[int, ...]], inputs: Callable) -> list[Output]:
    out = []
    for name, shape in shapes.items():
        given = inputs(name)
        half = layout.is_matrix(name)
        combine = _qkv_bias if len(given) == 2 else _half if half else _single
        dtype = torch.float16 if half else torch.float32
        out.append(Output(VISION + name, shape, dtype, given, combine))
    return out


def _singles(
    prefix: str, shapes: Mapping[str, tuple[int, ...]], inputs: Callable[[str], Stored]
) -> list[Output]:
    return [
        Output(prefix + name, shape, torch.float32, (inputs(name),), _single)
        for name, shape in shapes.items()
    ]


def _untrained_norm(width: int) -> list[Output]:
    """`ln_vision` of the releases without a Q-Former, which never load weights into it."""

    def constant(name: str, value: float) -> Output:
        return Output(
            f"{VISION}post_layernorm.{name}",
            (width,),
            torch.float32,
            (),
            lambda: torch.full((width,), value),
        )

    return [constant("weight", 1.0), constant("bias", 0.0)]


def originals(
    eva: Path,
    qformer: Path | None,
    dimensions: Dimensions,
    model: str,
    ignore: Iterable[str],
    any_qformer: bool,
) -> list[Output]:
    """Vision encoder and Q-Former from eva_vit_g.pth and blip2_pretrained_flant5xxl.pth."""
    vision = dimensions.vision
    blocks = torch_tensors(eva)
    check(blocks, layout.eva(vision), layout.eva_strays(vision), eva, model, ignore)
    shapes = layout.blip2_vision(vision)
    norm = {name: shapes.pop(name) for name in list(shapes) if name.startswith("post_layernorm")}
    out = _vision(shapes, lambda name: tuple(blocks[old] for old in layout.eva_name(name)))
    if dimensions.qformer is None:
        return out + _untrained_norm(vision.width)
    parts = torch_tensors(qformer, under="model")
    if not any_qformer:
        _check_qformers_kin(qformer, parts, dimensions, "t5_proj.weight")
    expected = layout.lavis_qformer(dimensions.qformer, vision.width)
    check(parts, expected, layout.QFORMER_STRAYS, qformer, model, ignore)
    if not any_qformer:
        _check_whole_precision(qformer, parts, expected)
    out += _singles(VISION, norm, lambda name: parts[layout.eva_name(name)[0]])
    queries = {"query_tokens": expected["query_tokens"]}
    out += _singles(BRIDGE, queries, lambda name: parts[name])
    inner = layout.blip2_qformer(dimensions.qformer, vision.width)
    return out + _singles(BRIDGE, inner, lambda name: parts[layout.lavis_name(name)])


def blip2(
    folder: Path,
    dimensions: Dimensions,
    model: str,
    ignore: Iterable[str],
    any_qformer: bool,
) -> list[Output]:
    """The same from Hugging Face's folder; reads only the shards that hold these tensors."""
    vision, qformer = dimensions.vision, dimensions.qformer
    tensors = folder_tensors(folder, r"(vision_model|qformer|language_projection)\..*|query_tokens")
    expected = {f"vision_model.{n}": s for n, s in layout.blip2_vision(vision).items()}
    strays = layout.BLIP2_STRAYS
    if qformer is None:
        strays = rf"{strays}|qformer\..*|query_tokens"
    else:
        if not any_qformer:
            _check_qformers_kin(folder, tensors, dimensions, "language_projection.weight")
        inner = layout.blip2_qformer(qformer, vision.width)
        expected |= {f"qformer.{name}": shape for name, shape in inner.items()}
        expected["query_tokens"] = (1, qformer.queries, qformer.width)
    check(tensors, expected, strays, folder, model, ignore)
    shapes = layout.blip2_vision(vision)
    if qformer is None:
        shapes = {n: s for n, s in shapes.items() if not n.startswith("post_layernorm")}
    out = _vision(shapes, lambda name: (tensors[f"vision_model.{name}"],))
    if qformer is None:
        return out + _untrained_norm(vision.width)
    if not any_qformer:
        needed = [n for n in expected if n.startswith("q")]
        _check_whole_precision(folder, tensors, needed)
    queries = {"query_tokens": expected["query_tokens"]}
    out += _singles(BRIDGE, queries, lambda name: tensors[name])
    return out + _singles(BRIDGE, inner, lambda name: tensors[f"qformer.{name}"])


def _check_qformers_kin(
    file: Path, found: Mapping[str, Stored], dimensions: Dimensions, head: str
) -> None:
    """Raises InputError for another model's Q-Former, whose weights fit but are useless."""
    for name in found:
        for pattern, what in layout.OTHER_QFORMERS.items():
            if re.fullmatch(pattern, name):
                raise InputError(
                    f"{file}: tensor {name} belongs to another BLIP-2's Q-Former ({what})",
                    f"use the one trained with FLAN-T5-XXL, or {OTHER_FILE}",
                )
    wanted = (dimensions.qformer.t5_width, dimensions.qformer.width)
    if head not in found:
        raise InputError(
            f"{file}: tensor {head} is missing, which identifies the Q-Former trained with "
            "FLAN-T5-XXL",
            f"use that one, or {OTHER_FILE}",
        )
    if found[head].shape != wanted:
        raise InputError(
            f"{file}: tensor {head} is {list(found[head].shape)}: a Q-Former trained with another "
            f"language model than FLAN-T5-XXL ({list(wanted)})",
            f"use that one, or {OTHER_FILE}",
        )


def _check_whole_precision(file: Path, found: Mapping[str, Stored], names: Iterable[str]) -> None:
    for name in names:
        if found[name].dtype != torch.float32:
            raise InputError(
                f"{file}: tensor {name} is {found[name].dtype}; the original Q-Former is float32",
                f"use that one, or {OTHER_FILE}",
            )


def projector(
    file: Path, dimensions: Dimensions, model: str, ignore: Iterable[str]
) -> list[Output]:
    """`llama_proj` of a MiniGPT-4 checkpoint, without its optimizer and buffers."""
    found = torch_tensors(file, under="model")
    rows, columns = dimensions.language_model.hidden_size, dimensions.projection_width
    expected = layout.both("llama_proj", rows, columns)
    weight = found.get("llama_proj.weight")
    if weight and weight.shape != (rows, columns):
        owners = [
            name
            for name, family in FAMILY.items()
            if weight.shape == (family.language_model.hidden_size, family.projection_width)
        ]
        whose = f"; it is {owners[0]}'s" if owners else ""
        raise InputError(
            f"{file}: tensor llama_proj.weight is {list(weight.shape)}, {model} needs "
            f"{[rows, columns]}{whose}",
            f"bring {model}'s projector",
        )
    check(found, expected, layout.PROJECTOR_STRAYS, file, model, ignore)
    shapes = {name.removeprefix("llama_proj."): shape for name, shape in expected.items()}
    return _singles(PROJECTION, shapes, lambda name: found[f"llama_proj.{name}"])
