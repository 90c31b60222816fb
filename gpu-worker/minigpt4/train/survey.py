"""Surveys every photo once: whether it is damaged, its perceptual hash, its frozen features.

Only the projection learns, so the encoder runs once per photo. The cache keeps its features in
parts, each written atomically, so that an interrupted run continues with the next part. Parts are
mapped, not read. If there are too many photos to cache (`live`), the survey looks only for damage
and near-duplicates, and the encoder runs at each step.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..config import EFFICIENTNET, MiniGPT4Config
from ..image_encoder import ImageEncoder
from ..images import Limits, Undecodable, decode
from ..input_error import InputError
from ..processing import fit, normalise, to_rgb
from .files import replace_atomically, write_atomically
from .near_duplicates import hashes
from .photos import Listing, Photo

FORMAT = 1  # of the parts; a new number invalidates the cache
PART = 256  # photos of a part
AT_ONCE = 16  # photos decoded together
DECODERS = 4
OPEN_PARTS = 64
DTYPES = {name: getattr(torch, name) for name in ("float32", "float16", "bfloat16")}

Features = tuple[torch.Tensor, ...]


def encoder_digest(encoder: ImageEncoder, config: MiniGPT4Config) -> str:
    """Identifies what is frozen in front of the projection: the weights and their configuration."""
    total = hashlib.sha256(json.dumps(_description(config), sort_keys=True).encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        if not name.startswith("projection."):
            total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            total.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def _description(config: MiniGPT4Config) -> dict:
    parts = {}
    for name in ("vision_config", "bridge_config", "qformer_config"):
        part = getattr(config, name, None)
        found = part.to_dict() if part is not None else {}
        parts[name] = {k: v for k, v in found.items() if k != "transformers_version"}
    return json.loads(json.dumps(parts, default=str))


class PhotoEncoder:
    """Opens and encodes photos. The encoder moves to the device when it is first needed."""

    def __init__(self, encoder: ImageEncoder, config: MiniGPT4Config, device: str):
        self._encoder, self._vision = encoder, config.vision_config
        self._device = device
        # On a CPU, EfficientNet's convolutions are two to three times faster in channels_last.
        self._last = config.vision_config.tower == EFFICIENTNET and device == "cpu"
        self._ready = False

    def close(self) -> None:
        """Frees the device. The next call of `features` moves the encoder there again."""
        if self._ready:
            self._encoder.to("cpu")
            self._ready = False

    def _prepare(self) -> None:
        self._encoder.to(self._device)
        if self._last:
            self._encoder.vision.to(memory_format=torch.channels_last)
        if self._device != "cpu":
            self._encoder.half_on_gpu()
        self._ready = True

    def open(self, photo: Photo) -> Image.Image:
        """Opens a photo as upright RGB. Raises Undecodable or OSError."""
        return to_rgb(decode(photo.read(), Limits()))

    def pixels(self, image: Image.Image, mirrored: bool) -> torch.Tensor:
        square = fit(image, self._vision.image_size, self._vision.fit)
        return normalise(ImageOps.mirror(square) if mirrored else square, self._vision)

    @torch.no_grad()
    def features(self, pixels: Sequence[torch.Tensor]) -> Features:
        """Pixels -> the projection's inputs, on the device."""
        if not self._ready:
            self._prepare()
        batch = torch.stack(list(pixels)).to(self._device)
        if self._last:
            batch = batch.to(memory_format=torch.channels_last)
        return self._encoder.features(batch)


@dataclass(frozen=True)
class SurveyResult:
    """The survey of a source: the indices of its `whole` photos, and their hashes."""

    whole: np.ndarray  # [N] int64, ascending
    hashes: np.ndarray  # [N, 2] int64


class Survey:
    """The survey of one source, in one folder of the cache.

    `views` is 1, or 2 with a mirrored view. With `live` the survey stores no features.
    """

    def __init__(
        self,
        cache: Path,
        listing: Listing,
        photo_encoder: PhotoEncoder,
        encoder: str,
        views: int,
        dtype: str,
        live: bool,
    ):
        about = {
            "format": FORMAT,
            "part": PART,
            "data": listing.digest,
            **({} if live else {"encoder": encoder, "views": views, "dtype": dtype}),
        }
        name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
        self.folder = cache / f"{listing.source.set}-{name}"
        self._about, self._listing, self._encoder = about, listing, photo_encoder
        self._views, self._dtype, self._live = views, DTYPES[dtype], live
        self._open: OrderedDict[int, tuple] = OrderedDict()

    @property
    def parts(self) -> int:
        return -(-len(self._listing.photos) // PART)

    def photos_of(self, part: int) -> int:
        return len(self._photos(part))

    def _path(self, part: int) -> Path:
        return self.folder / f"part-{part:06d}.safetensors"

    def _photos(self, part: int) -> list[Photo]:
        return self._listing.photos[part * PART : (part + 1) * PART]

    def _is_whole(self, part: int) -> bool:
        try:
            with safe_open(self._path(part), "pt") as file:
                return file.metadata() is not None
        except (OSError, SafetensorError):
            return False

    def make(
        self, mine: range, advance: Callable[[int], None], skip: Callable[[int], None]
    ) -> None:
        """Writes the parts of `mine` that are missing. Raises InputError or OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if mine.start == 0:
            write_atomically(self.folder / "about.json", json.dumps(self._about, indent=2).encode())
        with ThreadPoolExecutor(DECODERS) as pool:
            for part in mine:
                photos = self._photos(part)
                if self._is_whole(part):
                    skip(len(photos))
                else:
                    self._write(part, photos, pool, advance)

    def _write(
        self,
        part: int,
        photos: list[Photo],
        pool: ThreadPoolExecutor,
        advance: Callable[[int], None],
    ) -> None:
        rows: list[int] = []
        marks: list[tuple[int, int]] = []
        columns: list[list[torch.Tensor]] = []
        damaged: list[tuple[int, str]] = []
        for start in range(0, len(photos), AT_ONCE):
            some = photos[start : start + AT_ONCE]
            opened = list(pool.map(self._look, some))
            good = [n for n, each in enumerate(opened) if not isinstance(each, str)]
            damaged += [(start + n, each) for n, each in enumerate(opened) if isinstance(each, str)]
            rows += [start + n for n in good]
            marks += [opened[n][0] for n in good]
            if good and not self._live:
                found = self._encoder.features([view for n in good for view in opened[n][1]])
                columns = columns or [[] for _ in found]
                for column, values in zip(columns, found, strict=True):
                    values = values.view(len(good), self._views, *values.shape[1:])
                    column.append(self._stored(values, [some[n].key for n in good]))
            advance(len(some))
        tensors = {f"feature.{n}": torch.cat(column) for n, column in enumerate(columns)}
        tensors["row"] = torch.tensor(rows, dtype=torch.int64)
        tensors["hash"] = torch.tensor(marks, dtype=torch.int64).view(-1, 2)
        metadata = {"damaged": json.dumps(damaged)}
        replace_atomically(
            self._path(part), lambda path: save_file(tensors, path, metadata=metadata)
        )

    def _look(self, photo: Photo) -> tuple[tuple[int, int], list[torch.Tensor]] | str:
        """The hashes and views of a photo, or what is wrong with it."""
        try:
            image = self._encoder.open(photo)
        except (Undecodable, OSError, ValueError) as error:
            return str(error) or type(error).__name__
        views = (
            [] if self._live else [self._encoder.pixels(image, bool(n)) for n in range(self._views)]
        )
        return hashes(image), views

    def _stored(self, values: torch.Tensor, keys: list[str]) -> torch.Tensor:
        stored = values.to(self._dtype).cpu()
        if not stored.isfinite().all():
            bad = [key for key, row in zip(keys, stored, strict=True) if not row.isfinite().all()]
            raise InputError(
                f"{self._listing.source.set}: features of {', '.join(bad[:5])} are not finite "
                f"as {self._dtype}",
                "pass --cache-dtype float32; if it is, the checkpoint's encoder is damaged",
            )
        return stored.contiguous()

    def found(self) -> SurveyResult:
        """Reads all parts, which must exist, and adds damaged photos to the listing."""
        whole, marks = [], []
        for part in range(self.parts):
            with safe_open(self._path(part), "pt") as file:
                whole.append(file.get_tensor("row").numpy() + part * PART)
                marks.append(file.get_tensor("hash").numpy())
                for row, reason in json.loads(file.metadata()["damaged"]):
                    self._listing.damage(self._photos(part)[row].key, reason)
        return SurveyResult(np.concatenate(whole), np.concatenate(marks))

    def rows(self, wanted: Sequence[tuple[int, int]]) -> list[Features]:
        """(photo, view) -> its features without a batch dimension; with `live`, its pixels."""
        if not self._live:
            return [self._row(photo, view) for photo, view in wanted]
        with ThreadPoolExecutor(DECODERS) as pool:
            return list(pool.map(lambda each: (self._pixels(*each),), wanted))

    def _row(self, photo: int, view: int) -> Features:
        part, row = divmod(photo, PART)
        slices, rows = self._part(part)
        return tuple(each[rows[row], view] for each in slices)

    def _pixels(self, photo: int, view: int) -> torch.Tensor:
        return self._encoder.pixels(self._encoder.open(self._listing.photos[photo]), bool(view))

    def _part(self, part: int) -> tuple[list, dict[int, int]]:
        if part in self._open:
            self._open.move_to_end(part)
            return self._open[part]
        file = safe_open(self._path(part), "pt")
        names = sorted(name for name in file.keys() if name.startswith("feature."))  # noqa: SIM118
        names.sort(key=lambda name: int(name.split(".")[1]))
        rows = {row: n for n, row in enumerate(file.get_tensor("row").tolist())}
        self._open[part] = ([file.get_slice(name) for name in names], rows)
        if len(self._open) > OPEN_PARTS:
            self._open.popitem(last=False)
        return self._open[part]
