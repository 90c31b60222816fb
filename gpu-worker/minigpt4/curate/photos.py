"""Reads photos with captions from shards as img2dataset writes them.

A shard has KEY.jpg, KEY.txt with a caption per line, and KEY.json with `captions`. Pictures are
located first, and read when they are needed.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..input_error import InputError
from ..train.data_sets import DATA_SETS, OWN
from ..train.split import split

PICTURES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
MIB = 2**20


@dataclass(frozen=True)
class Photo:
    """`size` bytes at `offset` of `file` are the encoded picture."""

    key: str
    captions: tuple[str, ...]
    file: Path
    offset: int
    size: int
    media_type: str

    def read(self) -> bytes:
        """Raises OSError."""
        with self.file.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass
class Photos:
    """The photos of the shards. `left_out` counts held-out keys; `damaged` has keys and reasons."""

    photos: list[Photo] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)
    left_out: int = 0
    sets: list[str] = field(default_factory=list)  # names from train/data_sets.py
    digest: str = ""


def shards_of(path: str) -> list[Path]:
    """A shard, a folder of them, or DIR/{00000..00014}.tar. Raises InputError."""
    before, brace, rest = path.partition("{")
    numbers, closing, after = rest.partition("}")
    first, dots, last = numbers.partition("..")
    if brace and closing and dots and first.isdigit() and last.isdigit():
        found = [
            Path(f"{before}{number:0{len(first)}d}{after}")
            for number in range(int(first), int(last) + 1)
        ]
    else:
        found = sorted(Path(path).glob("*.tar")) if Path(path).is_dir() else [Path(path)]
    missing = next((each for each in found if not each.is_file()), None)
    if missing or not found:
        raise InputError(
            f"{missing or path}: there is no such shard",
            "--data names shards (DIR/{00000..00014}.tar) or their folder",
        )
    return found


def set_of(path: str) -> tuple[str, str]:
    """The data set's name and the shards of `[SET=]PATH`; without SET a folder's name decides."""
    name, equals, rest = path.partition("=")
    if equals and name in DATA_SETS:
        return name, rest
    parts = Path(path).absolute().parts
    return next((part for part in parts if part in DATA_SETS), OWN), path


def read_photos(paths: list[str], keep_out: int | None, seed: int, limit: int | None) -> Photos:
    """The photos of all shards in an order by the seed, without held-out ones.

    `limit` takes the first ones, so that a larger limit includes a smaller one's photos. With
    `keep_out` None each data set holds out its default number. Raises InputError.
    """
    out, total = Photos(), hashlib.sha256()
    seen: set[str] = set()
    for given in paths:
        name, path = set_of(given)
        own: list[Photo] = []
        if name not in out.sets:
            out.sets.append(name)
        for shard in shards_of(path):
            total.update(f"{shard.name} {shard.stat().st_size}\n".encode())
            for photo in _shard(shard, out):
                if photo.key in seen:
                    out.damaged.append((photo.key, f"{shard.name}: the key has come before"))
                    continue
                seen.add(photo.key)
                own.append(photo)
        known = DATA_SETS[name]
        kept = split(
            (photo.key for photo in own),
            known.test if keep_out is None else keep_out,
            known.choose if keep_out is None else 0,
        ).held_out
        out.left_out += len(kept)
        out.photos += [photo for photo in own if photo.key not in kept]
    if not out.photos:
        raise InputError(
            f"{', '.join(paths)}: no photo is left to curate",
            f"{out.left_out} are held out (--held-out), {len(out.damaged)} are damaged",
        )
    for photo in out.photos:
        total.update(json.dumps([photo.key, photo.captions]).encode())
    out.digest = total.hexdigest()
    out.photos.sort(key=lambda photo: hashlib.sha256(f"{seed}:{photo.key}".encode()).hexdigest())
    out.photos = out.photos[:limit]
    return out


def _shard(file: Path, out: Photos) -> Iterator[Photo]:
    """The samples of a shard; members of one key need not be neighbours."""
    pictures: dict[str, tuple[int, int, str]] = {}
    texts: dict[str, dict[str, bytes]] = {}
    size = file.stat().st_size
    try:
        with tarfile.open(file) as tar:
            for member in tar:
                if not member.isfile():
                    continue
                path = PurePosixPath(member.name)
                name, _, ending = path.name.partition(".")
                key, ending = str(path.with_name(name)), ending.lower()
                texts.setdefault(key, {})
                if member.offset_data + member.size > size:
                    raise EOFError("the last sample is cut")
                if ending in PICTURES:
                    pictures[key] = (member.offset_data, member.size, PICTURES[ending])
                elif ending in ("txt", "json"):
                    reader = tar.extractfile(member)
                    texts[key][ending] = reader.read(MIB) if reader else b""
            # tarfile accepts a file that ends inside a header.
            with file.open("rb") as end:
                end.seek(tar.offset)
                if end.read(512).strip(b"\0") or tar.offset > size:
                    raise EOFError("its end is missing")
    except (tarfile.TarError, OSError, EOFError) as error:
        out.damaged.append((file.name, f"the shard ends early or is broken ({error})"))
    for key, found in texts.items():
        if key not in pictures:
            out.damaged.append((key, f"{file.name}: it has no picture"))
            continue
        try:
            captions = _captions(found)
        except (ValueError, TypeError) as error:
            out.damaged.append((key, f"{file.name}: its captions cannot be read ({error})"))
            continue
        yield Photo(key, captions, file, *pictures[key])


def _captions(texts: Mapping[str, bytes]) -> tuple[str, ...]:
    """The lines of KEY.txt, or `captions` or `caption` of KEY.json."""
    lines: object = texts.get("txt", b"").decode().splitlines()
    if not lines and "json" in texts:
        row = json.loads(texts["json"])
        if not isinstance(row, dict):
            raise ValueError("KEY.json holds no object")
        lines = row.get("captions") or row.get("caption") or []
        lines = [lines] if isinstance(lines, str) else lines
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise ValueError("captions are texts")
    return tuple(line.strip() for line in lines if line.strip())
