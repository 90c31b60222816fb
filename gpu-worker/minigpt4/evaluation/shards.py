"""Reads photos with captions from WebDataset shards, and splits them."""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..input_error import InputError

PICTURES = ("jpg", "jpeg", "png", "webp")
TEST, CHOOSING = 500, 300
BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass(frozen=True)
class Sample:
    """A stored photo and its captions; `names` if its class is known."""

    key: str
    image: bytes
    captions: tuple[str, ...]
    names: tuple[str, ...] = ()


def shard_files(pattern: str) -> list[Path]:
    """`DIR/{00000..00014}.tar`, one .tar, or a folder of them. Raises InputError."""
    found = BRACES.search(pattern)
    if found:
        head, tail = pattern[: found.start()], pattern[found.end() :]
        width = len(found[1])
        files = [
            Path(f"{head}{number:0{width}d}{tail}")
            for number in range(int(found[1]), int(found[2]) + 1)
        ]
    elif Path(pattern).is_dir():
        files = sorted(Path(pattern).glob("*.tar"))
    else:
        files = [Path(pattern)]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise InputError(
            f"{missing[0]}: there is no such shard", "--captions DIR/{00000..00014}.tar"
        )
    if not files:
        raise InputError(
            f"{pattern}: the folder holds no .tar", "--captions DIR/{00000..00014}.tar"
        )
    return files


def read_shards(pattern: str) -> Iterator[Sample]:
    """Samples in the order of the shards, without those that lack a picture or a caption."""
    for file in shard_files(pattern):
        parts: dict[str, dict[str, bytes]] = {}
        try:
            with tarfile.open(file) as tar:
                for member in tar:
                    if not member.isfile():
                        continue
                    path = PurePosixPath(member.name)
                    name, _, ending = path.name.partition(".")
                    content = tar.extractfile(member)
                    if content is not None:
                        part = parts.setdefault(str(path.with_name(name)), {})
                        part[ending.lower()] = content.read()
        except (tarfile.TarError, EOFError, OSError) as error:
            raise InputError(
                f"{file}: is not a complete shard ({error})", "download it again"
            ) from None
        for key, found in parts.items():
            image = next((found[ending] for ending in PICTURES if ending in found), None)
            captions = _captions(file, key, found)
            if image is not None and captions:
                yield Sample(key, image, captions)


def _captions(file: Path, key: str, found: dict[str, bytes]) -> tuple[str, ...]:
    """The lines of KEY.txt, or `captions` or `caption` of KEY.json."""
    try:
        lines = found.get("txt", b"").decode().splitlines()
        if not any(map(str.strip, lines)) and "json" in found:
            row = json.loads(found["json"])
            lines = row.get("captions") or [row.get("caption") or ""]
        return tuple(line.strip() for line in lines if line.strip())
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{file}: the text of {key} cannot be read ({error})") from None


@dataclass(frozen=True)
class Split:
    """`test` is for measuring, `choosing` for choices between models, `training` the rest."""

    test: tuple[Sample, ...]
    choosing: tuple[Sample, ...]
    training: tuple[Sample, ...]


def by_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def split(samples: Iterable[Sample], test: int = TEST, choosing: int = CHOOSING) -> Split:
    """By SHA-256 of the key: the first 500, the next 300, and the rest, each in that order."""
    ranked: Sequence[Sample] = sorted(samples, key=lambda sample: by_key(sample.key))
    return Split(
        tuple(ranked[:test]),
        tuple(ranked[test : test + choosing]),
        tuple(ranked[test + choosing :]),
    )
