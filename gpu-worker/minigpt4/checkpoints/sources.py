"""Finds the original files, and checks them by size and sha256."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from ..input_error import InputError
from ..models import BLIP2_QFORMER, EVA_VIT_G, FAMILY, File
from .language_model import read_json
from .tensors import SAFE, TORCH, folder_files

TOKENIZER_FILES = ("tokenizer.model", "tokenizer.json", "added_tokens.json")


@dataclass(frozen=True)
class Sources:
    """The files and folders that a checkpoint is made from; None for those it does not need."""

    eva: Path | None = None
    qformer: Path | None = None
    projector: Path | None = None
    llm: Path | None = None
    delta: Path | None = None
    base: Path | None = None
    hf_blip2: Path | None = None

    def given(self) -> dict[str, Path]:
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: path for name, path in named.items() if path is not None}


@dataclass(frozen=True)
class Missing:
    """A missing part: the option that names it, and a description of it."""

    option: str
    text: str


def official(model: str) -> dict[str, File]:
    """Option -> the released file for it."""
    bridge = {"qformer": BLIP2_QFORMER} if FAMILY[model].qformer else {}
    return {"eva": EVA_VIT_G, **bridge, "projector": FAMILY[model].projector}


def _below(folder: Path, name: str) -> Path | None:
    if (folder / name).is_file():
        return folder / name
    found = sorted(path for path in folder.rglob(name) if path.is_file())
    if len(found) > 1:
        raise InputError(f"{folder}: holds {name} {len(found)} times", "name one with its option")
    return found[0] if found else None


def _language_models(folder: Path) -> list[Path]:
    found = sorted({path.parent for path in folder.rglob("config.json")})
    return [path for path in found if read_json(path / "config.json").get("model_type") == "llama"]


def locate(model: str, folder: Path | None, given: Sources) -> tuple[Sources, list[Missing]]:
    """The parts that the options name or `folder` has, and the missing ones.

    Raises InputError for a path that does not exist or a choice that is ambiguous.
    """
    for option, path in given.given().items():
        if not path.exists():
            raise InputError(f"{path}: does not exist (--{option.replace('_', '-')})")
    if folder is not None and not folder.is_dir():
        raise InputError(f"{folder}: not a folder (--from)")
    if (given.delta is None) != (given.base is None):
        raise InputError("--delta and --base go together", "pass the delta's folder and LLaMA's")
    if given.llm and given.delta:
        raise InputError("--llm and --delta exclude each other", "leave one out")
    chosen = given.given()
    missing = []
    needed = official(model)
    if given.hf_blip2:
        needed = {"projector": needed["projector"]}
    for option, file in needed.items():
        if option not in chosen:
            if path := folder and _below(folder, file.name):
                chosen[option] = path
            else:
                missing.append(Missing(option, describe(file)))
    if not (given.llm or given.delta):
        found = _language_models(folder) if folder else []
        deltas = [path for path in found if "delta" in path.name.lower()]
        if len(found) == 1:
            chosen["llm"] = found[0]
        elif len(found) == 2 and len(deltas) == 1:
            chosen["delta"] = deltas[0]
            chosen["base"] = next(path for path in found if path not in deltas)
        elif found:
            names = ", ".join(str(path.relative_to(folder)) for path in found)
            raise InputError(
                f"{folder}: holds several language models: {names}", "name one with --llm"
            )
        else:
            missing.append(Missing("llm", describe_language_model(model)))
    return Sources(**chosen), missing


def describe(file: File) -> str:
    size = f"{file.bytes:,} bytes" if file.bytes else f"about {file.about}"
    return f"{file.name}  {size}, sha256 {file.sha256 or 'not known'}\n      from {file.url}"


def describe_language_model(model: str) -> str:
    words = FAMILY[model].language_model
    embeddings = 2 * words.vocab_sizes[0] * words.hidden_size
    layer = 4 * words.hidden_size**2 + 3 * words.hidden_size * words.intermediate_size
    gigabytes = 2 * (embeddings + words.layers * layer) / 1e9
    return (
        f"the folder of {words.repository}: config.json, tokenizer.model, its {SAFE} or {TORCH} "
        f"shards with their index  about {gigabytes:.1f} GB, sha256 not known\n"
        f"      from https://huggingface.co/{words.repository}"
    )


def missing_files(model: str, missing: list[Missing], why: str = "") -> InputError:
    listed = "".join(f"\n    {item.text}" for item in missing)
    options = ", ".join(f"--{item.option.replace('_', '-')}" for item in missing)
    return InputError(
        f"{model}: {len(missing)} missing{': ' + why if why else ''}; needed:{listed}",
        f"put them into the folder of --from, or name them ({options}), or pass --fetch",
    )


def files_of(sources: Sources) -> list[tuple[str, Path]]:
    """(option, file) of every file that is read, in a fixed order."""
    out = []
    for option, path in sources.given().items():
        if path.is_file():
            out.append((option, path))
            continue
        pattern = r"(vision_model|qformer|language_projection)\..*|query_tokens"
        files = folder_files(path, pattern if option == "hf_blip2" else ".*")
        for whole in (SAFE, TORCH):
            files += [path / f"{whole}.index.json"]
        if option != "hf_blip2":
            files += [path / name for name in ("config.json", *TOKENIZER_FILES)]
        out += [(option, file) for file in files if file.is_file()]
    return out


def official_files(model: str, sources: Sources) -> list[Path]:
    """The files whose sha256 the release publishes, or could."""
    found = (getattr(sources, option) for option in official(model))
    return [path for path in found if path is not None]


def sha256(path: Path, advance: Callable[[int], None] = lambda _: None) -> str:
    total = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        block = bytearray(4 * 2**20)
        view = memoryview(block)
        while count := file.readinto(block):
            total.update(view[:count])
            advance(count)
    return total.hexdigest()


def verify(
    model: str, sources: Sources, sums: Mapping[Path, str], accepted: frozenset[str]
) -> None:
    """Checks each file whose sha256 is known, unless `accepted` names it. Raises InputError."""
    known = {family.projector.sha256: f"{name}'s projector" for name, family in FAMILY.items()}
    for option, file in official(model).items():
        path = getattr(sources, option)
        if path is None or file.sha256 is None or option in accepted:
            continue
        if sums[path] != file.sha256:
            whose = known.get(sums[path])
            what = f"this is {whose}" if whose else f"its sha256 is {sums[path]}"
            raise InputError(
                f"{path}: not the released {file.name}: {what}, expected {file.sha256}",
                f"use the released file, or pass --accept-other {option} for your own",
            )
