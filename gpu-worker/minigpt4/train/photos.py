"""Reads data sets into listings of photos with keys and captions.

It reads WebDataset shards as img2dataset writes them (KEY.jpg with KEY.txt or KEY.json), and
folders with a JSON or JSONL file: MiniGPT-4's filter_cap.json, COCO's captions, the class names of
photos.jsonl, or rows with `image` and `captions`. Damaged samples are counted, named and left out.
"""

import glob
import hashlib
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from .config import Source
from .data_sets import DATA_SETS
from .files import FileSums
from .nano.texts import noun
from .outcome import BadData

PICTURES = ("jpg", "jpeg", "png", "webp")
LISTINGS = ("filter_cap.json", "captions.jsonl", "captions.json", "metadata.jsonl", "photos.jsonl")
KEY_FIELDS = ("key", "image_id", "synset", "id")
PICTURE_FIELDS = ("image", "file_name", "path")
CAPTION_FIELDS = ("captions", "caption", "text")


@dataclass(frozen=True)
class Photo:
    """`size` bytes at `offset` of `file` are the encoded picture (-1: the whole file)."""

    key: str
    captions: tuple[str, ...]
    file: Path
    offset: int = 0
    size: int = -1

    def read(self) -> bytes:
        """Raises OSError."""
        with self.file.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True)
class Damaged:
    """A sample that is left out, and the reason."""

    set: str
    key: str
    reason: str


@dataclass
class Listing:
    """The photos of a source, in its order. `digest` identifies the content, wherever it is."""

    source: Source
    photos: list[Photo] = field(default_factory=list)
    damaged: list[Damaged] = field(default_factory=list)
    digest: str = ""

    def damage(self, key: str, reason: str) -> None:
        self.damaged.append(Damaged(self.source.set, key, reason))


BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")


def expand(pattern: str) -> list[str]:
    """Expands ranges such as `{00000..00014}`, and keeps the numbers' width."""
    found = BRACES.search(pattern)
    if not found:
        return [pattern]
    first, last = found[1], found[2]
    width = len(first) if len(first) == len(last) or first.startswith("0") else 0
    out = []
    for number in range(int(first), int(last) + 1):
        out += expand(f"{pattern[: found.start()]}{number:0{width}d}{pattern[found.end() :]}")
    return out


def files_of(path: str) -> list[Path]:
    """The shards or the listing that a source's path names. Raises BadData."""
    if BRACES.search(path):
        out = [Path(each) for each in expand(path)]
    elif glob.has_magic(path) and not Path(path).exists():
        out = [Path(each) for each in sorted(glob.glob(path))]
    elif Path(path).is_dir():
        out = sorted(Path(path).glob("*.tar")) or [_listing_in(Path(path))]
    else:
        out = [Path(path)]
    missing = [str(each) for each in out if not each.is_file()]
    if missing or not out:
        raise BadData(
            f"{missing[0] if missing else path}: there is no such file"
            + (f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""),
            "--data names shards (DIR/{00000..00014}.tar), a JSON or JSONL file, or their folder",
        )
    return out


def _listing_in(folder: Path) -> Path:
    for name in LISTINGS:
        if (folder / name).exists():
            return folder / name
    found = sorted([*folder.glob("*.json"), *folder.glob("*.jsonl")])
    if len(found) != 1:
        raise BadData(
            f"{folder}: holds {len(found) or 'no'} JSON files and no shards",
            f"name the file itself, or call it one of {', '.join(LISTINGS)}",
        )
    return found[0]


def read_source(source: Source, sums: FileSums) -> Listing:
    """Reads keys and captions, and locates the pictures. Raises BadData."""
    listing = Listing(source)
    total = hashlib.sha256(f"{source.set}\n".encode())
    seen: set[str] = set()
    for file in files_of(source.path):
        shard = file.suffix == ".tar"
        for photo in _shard(file, listing) if shard else _rows(file, listing):
            if photo.key in seen:
                listing.damage(photo.key, f"{file.name}: the key has come before")
                continue
            if not photo.captions and source.weight:
                listing.damage(photo.key, f"{file.name}: it has no caption")
                continue
            seen.add(photo.key)
            listing.photos.append(photo)
            line = json.dumps([photo.key, photo.captions])
            total.update(f"{line} {'' if shard else sums.of(photo.file)}\n".encode())
        if shard:
            total.update(f"{sums.of(file)}\n".encode())
    if not listing.photos:
        raise BadData(
            f"{source.path}: holds no sample that can be used",
            "samples are KEY.jpg with KEY.txt or KEY.json, or rows with `image` and `captions`",
        )
    listing.digest = total.hexdigest()
    return listing


def _shard(file: Path, listing: Listing) -> Iterator[Photo]:
    """The samples of a shard with a picture. Members of one key need not be neighbours."""
    pictures: dict[str, tuple[int, int]] = {}
    texts: dict[str, dict[str, bytes]] = {}
    try:
        with tarfile.open(file) as tar:
            for member in tar:
                if not member.isfile():
                    continue
                path = PurePosixPath(member.name)
                name, _, ending = path.name.partition(".")
                key = str(path.with_name(name))
                texts.setdefault(key, {})
                if ending.lower() in PICTURES:
                    pictures[key] = (member.offset_data, member.size)
                elif ending in ("txt", "json"):
                    texts[key][ending] = tar.extractfile(member).read()
    except (tarfile.TarError, OSError, EOFError) as error:
        listing.damage(file.name, f"the shard ends early or is broken ({error})")
    for key, found in texts.items():
        if key not in pictures:
            listing.damage(key, f"{file.name}: it has no picture")
            continue
        try:
            captions = _captions_of(found)
        except ValueError as error:
            listing.damage(key, f"{file.name}: its text cannot be read ({error})")
            continue
        yield Photo(key, captions, file, *pictures[key])


def _captions_of(texts: Mapping[str, bytes]) -> tuple[str, ...]:
    """The lines of KEY.txt, or `captions` or `caption` of KEY.json. Raises ValueError."""
    lines = _clean(texts.get("txt", b"").decode().splitlines())
    if lines or "json" not in texts:
        return lines
    row = json.loads(texts["json"])
    if not isinstance(row, dict):
        raise ValueError("KEY.json holds no object")
    return _captions(row)


def _captions(row: Mapping) -> tuple[str, ...]:
    for name in CAPTION_FIELDS:
        if name in row:
            found = row[name]
            found = [found] if isinstance(found, str) else found
            if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
                raise ValueError(f"`{name}` holds no text")
            return _clean(found)
    return ()


def _clean(captions: Iterable[str]) -> tuple[str, ...]:
    return tuple(each.strip() for each in captions if each.strip())


def rows_of(file: Path) -> Iterator[tuple[str, object]]:
    """Yields (location, row) of a JSONL file; for a line that is not JSON, its ValueError."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{file}: cannot be read ({error})", "check the path and the file") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield f"{file.name}:{number}", json.loads(line)
            except ValueError as error:
                yield f"{file.name}:{number}", error


def _rows(file: Path, listing: Listing) -> Iterator[Photo]:
    """The photos of a JSON or JSONL file, whose pictures are in its folder."""
    if file.suffix == ".jsonl":
        rows, pictures = list(rows_of(file)), {}
    else:
        rows, pictures = _json_rows(file)
    together: dict[str, list[str]] = {}
    places: dict[str, Path] = {}
    for where, row in rows:
        if isinstance(row, ValueError) or not isinstance(row, dict):
            listing.damage(where, f"it is not a JSON object ({row})")
            continue
        try:
            key, picture, captions = _row(row, pictures)
        except ValueError as error:
            listing.damage(where, str(error))
            continue
        path = file.parent / picture
        if not path.is_file():
            listing.damage(key, f"{picture}: there is no such picture")
            continue
        together.setdefault(key, []).extend(captions)
        places.setdefault(key, path)
    for key, captions in together.items():  # all rows of a photo give its captions
        yield Photo(key, tuple(captions), places[key])


def _json_rows(file: Path) -> tuple[list[tuple[str, object]], dict[str, str]]:
    """The rows of filter_cap.json, COCO's captions or a plain list; for COCO also id -> picture."""
    try:
        found = json.loads(file.read_text())
        images = found.get("images", []) if isinstance(found, dict) else []
        pictures = {str(each["id"]): each["file_name"] for each in images}
        rows = found["annotations"] if isinstance(found, dict) else found
        if not isinstance(rows, list):
            raise TypeError
    except (OSError, ValueError) as error:
        raise BadData(f"{file}: cannot be read ({error})", "check the path and the file") from None
    except (KeyError, TypeError, AttributeError):
        raise BadData(
            f"{file}: holds no list of samples, alone or as `annotations`",
            "write it as filter_cap.json is written: items of image_id and caption",
        ) from None
    return [(f"{file.name}[{n}]", row) for n, row in enumerate(rows)], pictures


def _row(row: Mapping, pictures: Mapping[str, str]) -> tuple[str, str, tuple[str, ...]]:
    """Key, picture and captions. Raises ValueError, which says what is missing."""
    picture = next((row[name] for name in PICTURE_FIELDS if isinstance(row.get(name), str)), None)
    if "synset" in row and "name" in row:
        return row["synset"], picture or f"{row['synset']}.jpg", _names(row)
    if "image_id" in row:
        key = str(row["image_id"])
        return key, picture or pictures.get(key) or f"image/{key}.jpg", _captions(row)
    if picture is None:
        raise ValueError(f"it names no picture; one of {', '.join(PICTURE_FIELDS)} does")
    given = next((str(row[name]) for name in KEY_FIELDS if name in row), None)
    return given or str(PurePosixPath(picture).with_suffix("")), picture, _captions(row)


def _names(row: Mapping) -> tuple[str, ...]:
    """Captions that say only what the class name says."""
    return (f"a photo of {noun(row['name'])}", noun(row["name"]))


def licences(sources: Iterable[Source]) -> tuple[str, ...]:
    return tuple(sorted({DATA_SETS[source.set].licence for source in sources}))


def research_only(sources: Iterable[Source]) -> bool:
    return any(DATA_SETS[source.set].research for source in sources)
