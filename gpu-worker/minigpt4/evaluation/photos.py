"""Photos of known classes: which are held out, and which show food."""

from dataclasses import dataclass
from pathlib import Path

from ..input_error import InputError
from . import nano
from .shards import Sample

# Kinds of food without recipes, or that show a table rather than a dish.
NO_DISH = frozenset({"feed", "beverage", "fare", "entree"})


@dataclass(frozen=True)
class NamedPhoto:
    """`index` is the class's index in the encoder's head; `photo` has WordNet's entry for it."""

    index: int
    photo: "nano.Photo"
    held_out: bool

    @property
    def sample(self) -> Sample:
        photo = self.photo
        about = (f"A photo of {photo.name}: {photo.gloss}.",)
        names = (photo.name, *photo.lemmas, *photo.hypernyms[:1])
        return Sample(photo.synset, photo.path.read_bytes(), about, names)

    @property
    def is_food(self) -> bool:
        kinds = set(self.photo.hypernyms)
        return "food" in kinds and NO_DISH.isdisjoint(kinds)


def read_named(folder: Path) -> list[NamedPhoto]:
    """All photos, in the order of the classes. Raises InputError."""
    try:
        photos = nano.read_photos(folder)
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise InputError(f"{folder}: holds no named photos ({error})", "--names DIR") from None
    kept = nano.held_out(photo.synset for photo in photos)
    return [NamedPhoto(n, photo, photo.synset in kept) for n, photo in enumerate(photos)]
