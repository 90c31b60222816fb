"""The data folder: `photos.jsonl`, one photo per ImageNet class, in the class order of the head."""

import json
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ...processing import to_rgb


@dataclass(frozen=True)
class Photo:
    """One line of photos.jsonl: the photo and WordNet 3.0's entry for its class."""

    path: Path
    synset: str
    name: str
    lemmas: tuple[str, ...]
    gloss: str
    hypernyms: tuple[str, ...]  # the direct hypernym first

    def open(self) -> Image.Image:
        """Opens the photo in RGB, upright."""
        return to_rgb(Image.open(self.path))


def read_photos(data: Path | str) -> list[Photo]:
    """All photos of a data folder, sorted by synset id, so that list index = class index.

    Raises FileNotFoundError if the folder has no photos.jsonl.
    """
    data = Path(data)
    listing = data / "photos.jsonl"
    if not listing.exists():
        raise FileNotFoundError(f"{listing} is missing: --data names its folder")
    photos = []
    for line in listing.read_text().splitlines():
        row = json.loads(line)
        photos.append(
            Photo(
                data / row["image"],
                row["synset"],
                row["name"],
                tuple(row["lemmas"]),
                row["gloss"],
                tuple(row["hypernyms"]),
            )
        )
    return sorted(photos, key=lambda photo: photo.synset)
