"""Tensors in files: lists them without reading, reads them one by one, checks names and shapes."""

import ctypes
import json
import mmap
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from ..input_error import InputError

SAFE, TORCH = "model.safetensors", "pytorch_model.bin"

_libc = ctypes.CDLL(None, use_errno=True)
_MADV_DONTNEED = 4


@dataclass(frozen=True)
class Stored:
    """A tensor of a file. `mapped`: `read` maps it, so that `forget` can free it."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], torch.Tensor]
    mapped: bool = True

    @property
    def bytes(self) -> int:
        count = 1
        for side in self.shape:
            count *= side
        return count * self.dtype.itemsize


def forget(tensor: torch.Tensor) -> None:
    """Frees the memory of a tensor that is mapped from a file and no longer used.

    Otherwise its pages stay resident as long as the file is mapped.
    """
    page = mmap.PAGESIZE
    start = tensor.untyped_storage().data_ptr() + tensor.storage_offset() * tensor.itemsize
    first, last = -(-start // page) * page, (start + tensor.nbytes) // page * page
    if last > first:
        _libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _MADV_DONTNEED)


def _no_substitute(path: Path) -> None:
    """Raises InputError for what often has a weight file's name without being one."""
    try:
        with path.open("rb") as file:
            head = file.read(256).lstrip()
    except FileNotFoundError:
        raise InputError(f"{path}: missing", "add the file, or pass --fetch") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if head.startswith(b"version https://git-lfs"):
        raise InputError(
            f"{path}: a Git LFS pointer, not the file itself", "run `git lfs pull` there"
        )
    if head[:1] == b"<":
        raise InputError(
            f"{path}: a web page, not weights",
            "download it again; the host wants you to accept its terms",
        )


def load_torch(path: Path) -> object:
    """Loads a torch.save file. Tensors are mapped, not read; only data is unpickled."""
    _no_substitute(path)
    try:
        zipped = zipfile.is_zipfile(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a pickle that the next line refuses
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped or None)
    except pickle.UnpicklingError as error:
        code = re.search(r"(?:GLOBAL|builtin|class|function) ([\w.]+)", str(error))
        if code:
            raise InputError(
                f"{path}: holds more than tensors ({code[1]}), which could run code when loaded",
                "use the official file; this one is not opened",
            ) from None
        raise InputError(f"{path}: damaged ({_reason(error)})", "download the file again") from None
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, AssertionError) as error:
        raise InputError(
            f"{path}: not a whole PyTorch file ({_short(error)})", "download the file again"
        ) from None


def _reason(error: Exception) -> str:
    """The unpickler's message, without torch's advice to load the file unsafely."""
    return str(error).rpartition("WeightsUnpickler error:")[2].strip().partition("\n")[0][:160]


def _short(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:160]


def torch_tensors(path: Path, under: str | None = None) -> dict[str, Stored]:
    """The tensors of a torch.save file, at the top or under one key. Raises InputError."""
    found = load_torch(path)
    mapped = zipfile.is_zipfile(
        path
    )  # torch's format before 1.6 is not a zip file and is read whole
    if under is not None:
        if not isinstance(found, dict) or under not in found:
            raise InputError(f"{path}: has no entry '{under}'", "use the original file")
        found = found[under]
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise InputError(f"{path}: not a table of tensors", "use the original file")
    out = {}
    for name, value in found.items():
        if not isinstance(value, torch.Tensor):
            raise InputError(f"{path}: {name} is a {type(value).__name__}, not a tensor")
        value = value.detach()
        read = lambda value=value: value  # noqa: E731
        out[name] = Stored(path, name, tuple(value.shape), value.dtype, read, mapped)
    return out


_SAFE_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
SAFE_NAMES = {dtype: name for name, dtype in _SAFE_DTYPES.items()}


def safe_tensors(path: Path) -> dict[str, Stored]:
    """The tensors of a safetensors file. Raises InputError."""
    _no_substitute(path)
    try:
        file = safe_open(path, "pt")
        out = {}
        for name in file.keys():  # noqa: SIM118 - not a dict
            part = file.get_slice(name)
            kind = part.get_dtype()
            if kind not in _SAFE_DTYPES:
                raise InputError(f"{path}: tensor {name} is of type {kind}, which is not supported")
            read = lambda name=name: file.get_tensor(name)  # noqa: E731
            out[name] = Stored(path, name, tuple(part.get_shape()), _SAFE_DTYPES[kind], read)
        return out
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: not a whole safetensors file ({_short(error)})", "download the file again"
        ) from None


def shard_names(folder: Path) -> list[str]:
    """The weight files of a Hugging Face folder. Raises InputError when it has none."""
    for whole in (SAFE, TORCH):
        index = folder / f"{whole}.index.json"
        if index.exists():
            return sorted(set(weight_map(index).values()))
        if (folder / whole).exists():
            return [whole]
    raise InputError(
        f"{folder}: holds neither {SAFE} nor {TORCH}, whole or in shards", "use the whole folder"
    )


def weight_map(index: Path) -> dict[str, str]:
    try:
        found = json.loads(index.read_text())["weight_map"]
        if not all(isinstance(v, str) and Path(v).name == v for v in found.values()):
            raise ValueError("weight_map names something that is not a file in its folder")
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{index}: not an index of shards ({_short(error)})", "download it again"
        ) from None


def folder_files(folder: Path, wanted: str = r".*") -> list[Path]:
    """The weight files of a folder that hold any tensor whose name matches `wanted`."""
    names = shard_names(folder)
    for whole in (SAFE, TORCH):
        index = folder / f"{whole}.index.json"
        if index.exists():
            files = weight_map(index)
            names = sorted({files[name] for name in files if re.fullmatch(wanted, name)})
            break
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise InputError(
            f"{folder}: shard{'s' * (len(missing) > 1)} {', '.join(missing)} missing of "
            f"{len(names)} that the index names",
            "add the missing shards to that folder, or pass --fetch",
        )
    return [folder / name for name in names]


def folder_tensors(folder: Path, wanted: str = r".*") -> dict[str, Stored]:
    """The tensors of a folder's weight files, in their order there. Raises InputError."""
    out: dict[str, Stored] = {}
    for path in folder_files(folder, wanted):
        part = safe_tensors(path) if path.suffix == ".safetensors" else torch_tensors(path)
        if twice := sorted(out.keys() & part.keys()):
            raise InputError(f"{path}: tensor {twice[0]} is in {out[twice[0]].file.name} as well")
        out |= part
    return out


def check(
    found: Mapping[str, Stored],
    expected: Mapping[str, tuple[int, ...]],
    strays: str,
    file: Path,
    model: str,
    ignore: Iterable[str] = (),
) -> None:
    """Checks that every expected tensor has its shape, and no other is there but `strays`.

    Raises InputError.
    """
    for name in expected:
        if name not in found:
            others = sum(other not in found for other in expected) - 1
            more = f" (and {others} more)" if others else ""
            raise InputError(
                f"{file}: tensor {name} is missing{more}",
                f"use the whole file; {model} needs this tensor",
            )
    for name, shape in expected.items():
        if found[name].shape != shape:
            raise InputError(
                f"{file}: tensor {name} is {list(found[name].shape)}, {model} needs {list(shape)}",
                f"use {model}'s file; this is another model's",
            )
        if not found[name].dtype.is_floating_point:
            raise InputError(
                f"{file}: tensor {name} holds {found[name].dtype}, not floating-point numbers",
                "use the file without quantisation, or with its quantization_config",
            )
    for name in sorted(found.keys() - expected.keys()):
        if not re.fullmatch(strays, name) and not any(re.fullmatch(i, name) for i in ignore):
            raise InputError(
                f"{file}: tensor {name} is not part of {model}",
                "if it is harmless, pass --ignore with a pattern of its name",
            )


def chunks(tensor: torch.Tensor, size: int = 16 * 2**20) -> Iterator[torch.Tensor]:
    """Yields a tensor's elements in order, in flat pieces of about `size` bytes."""
    flat = tensor.contiguous().reshape(-1)
    return iter(flat.split(max(1, size // flat.itemsize))) if len(flat) else iter(())
