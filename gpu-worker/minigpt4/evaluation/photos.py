"""Photos whose class is known: which of them are held out, and which show food."""

from dataclasses import dataclass
from pathlib import Path

from ..checkpoints.refusal import Refused
from . import nano
from .shards import Sample

# Kinds of food that no recipe is written for, or that show a table rather than a dish.
NO_DISH = frozenset({"feed", "beverage", "fare", "entree"})


@dataclass(frozen=True)
class Named:
    """`index` is the class's place in the encoder's head; `photo` what WordNet says of it."""

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


def read_named(folder: Path) -> list[Named]:
    """All of them, in the order of the classes. Raises Refused."""
    try:
        photos = nano.read_photos(folder)
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise Refused(f"{folder}: holds no named photos ({error})", "--names DIR") from None
    kept = nano.held_out(photo.synset for photo in photos)
    return [Named(n, photo, photo.synset in kept) for n, photo in enumerate(photos)]
