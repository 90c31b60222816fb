"""Listings, surveys and answers -> the samples to train on, and those that are left out."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..prompt import Image, Message
from .config import Answers, TrainConfig
from .near_duplicates import near
from .outcome import BadData
from .photos import Damaged, Listing, rows_of
from .split import Split, split
from .survey import SurveyResult

NAMED = 5  # damaged samples that an error names; damaged.jsonl has all of them


class PhotoRef(NamedTuple):
    """A photo: the index of its source, and its index there."""

    source: int
    photo: int


@dataclass(frozen=True)
class Item:
    """A photo, the question about it (None: the stage's own), and the possible answers."""

    place: PhotoRef
    key: str
    messages: tuple[Message, ...] | None
    answers: tuple[str, ...]


@dataclass
class Component:
    """A source of captions or a task of answers, drawn by `weight`; `choose` is held out."""

    name: str
    weight: float
    items: list[Item] = field(default_factory=list)
    choose: list[Item] = field(default_factory=list)


@dataclass(frozen=True)
class Duplicate:
    """A photo that is left out because it looks like a held-out one."""

    set: str
    key: str
    like: str
    bits: int


@dataclass
class Material:
    components: list[Component]
    damaged: list[Damaged]
    duplicates: list[Duplicate]
    samples: int  # including damaged ones

    def write(self, folder: Path) -> None:
        """Writes the names of all samples that are left out."""
        for name, rows in (("damaged", self.damaged), ("duplicates", self.duplicates)):
            lines = [json.dumps(vars(row)) + "\n" for row in rows]
            (folder / f"{name}.jsonl").write_text("".join(lines))


def gather(
    config: TrainConfig, listings: Sequence[Listing], found: Sequence[SurveyResult]
) -> Material:
    """Raises BadData if too much is damaged or no sample is left to train on."""
    splits = [
        split((photo.key for photo in each.photos), each.source.test, each.source.choose)
        for each in listings
    ]
    duplicates, twins = _duplicates(listings, found, splits, config.duplicate_bits)

    def side(place: PhotoRef) -> str:
        key = listings[place.source].photos[place.photo].key
        kept = splits[place.source]
        if key in kept.test or place in twins:
            return "out"
        return "choose" if key in kept.choose else "train"

    components = []
    for source, (listing, seen) in enumerate(zip(listings, found, strict=True)):
        if listing.source.weight:
            items = [
                Item(PhotoRef(source, int(n)), photo.key, None, photo.captions)
                for n in seen.whole
                if (photo := listing.photos[n]).captions
            ]
            components.append(_component(listing.source.set, listing.source.weight, items, side))
    damaged = [each for listing in listings for each in listing.damaged]
    samples = sum(len(listing.photos) for listing in listings)
    samples += sum(len(each.damaged) for each in listings)
    samples -= sum(len(each.photos) - len(f.whole) for each, f in zip(listings, found, strict=True))
    for answers in config.answers:
        if answers.weight:
            items, broken, count = _answers(answers, listings, found)
            damaged += broken
            samples += count
            components.append(_component(answers.task, answers.weight, items, side))
    _check(damaged, samples, config.damaged_share)
    for component in components:
        if not component.items:
            raise BadData(
                f"{component.name}: all samples are held out, so none is left to train on",
                "add photos, or hold fewer out: `test` and `choose` of the data in --config",
            )
    return Material(components, damaged, duplicates, samples)


def _component(
    name: str, weight: float, items: list[Item], side: Callable[[PhotoRef], str]
) -> Component:
    out = Component(name, weight)
    for item in items:
        where = side(item.place)
        if where != "out":
            (out.items if where == "train" else out.choose).append(item)
    return out


def _check(damaged: Sequence[Damaged], samples: int, share: float) -> None:
    if len(damaged) > share * samples:
        names = "; ".join(f"{each.key} ({each.reason})" for each in damaged[:NAMED])
        more = f"; and {len(damaged) - NAMED} more" if len(damaged) > NAMED else ""
        raise BadData(
            f"{len(damaged)} of {samples} samples are damaged, over damaged_share {share:g}: "
            f"{names}{more}",
            "fix the data, or pass a larger --damaged-share",
        )


def _duplicates(
    listings: Sequence[Listing], found: Sequence[SurveyResult], splits: Sequence[Split], bits: int
) -> tuple[list[Duplicate], set[PhotoRef]]:
    """Photos that are not held out but look like one that is, from any source."""
    import numpy as np

    kept_keys: list[str] = []
    kept: list[np.ndarray] = [np.empty((0, 2), dtype=np.int64)]
    free: list[tuple[PhotoRef, np.ndarray]] = []
    for source, (listing, seen) in enumerate(zip(listings, found, strict=True)):
        held = splits[source].held_out
        for number, marks in zip(seen.whole, seen.hashes, strict=True):
            key = listing.photos[number].key
            if key in held:
                kept_keys.append(key)
                kept.append(marks[None])
            else:
                free.append((PhotoRef(source, int(number)), marks))
    if not free:
        return [], set()
    alike = near(np.stack([marks for _, marks in free]), np.concatenate(kept), bits)
    duplicates, twins = [], set()
    for row, (other, apart) in alike.items():
        place = free[row][0]
        listing = listings[place.source]
        key = listing.photos[place.photo].key
        duplicates.append(Duplicate(listing.source.set, key, kept_keys[other], apart))
        twins.add(place)
    return duplicates, twins


def _answers(
    answers: Answers, listings: Sequence[Listing], found: Sequence[SurveyResult]
) -> tuple[list[Item], list[Damaged], int]:
    """Rows {key, prompt or messages, answer} -> items, unusable rows, and the number of rows."""
    places: dict[str, list[PhotoRef]] = {}
    for source, (listing, seen) in enumerate(zip(listings, found, strict=True)):
        for number in seen.whole:
            places.setdefault(listing.photos[number].key, []).append(PhotoRef(source, int(number)))
    items: list[Item] = []
    broken: list[Damaged] = []
    count = 0
    for where, row in rows_of(Path(answers.path)):
        count += 1
        try:
            items.append(_item(row, places, listings))
        except ValueError as error:
            key = str(row.get("key", where)) if isinstance(row, dict) else where
            broken.append(Damaged(answers.task, key, f"{where}: {error}"))
    return items, broken, count


def _item(row: object, places: Mapping[str, list[PhotoRef]], listings: Sequence[Listing]) -> Item:
    """Raises ValueError, which says what is wrong."""
    if not isinstance(row, dict):
        raise ValueError(f"it is not a JSON object ({row})")
    key = row.get("key")
    here = places.get(key, []) if isinstance(key, str) else []
    if "set" in row:
        here = [place for place in here if listings[place.source].source.set == row["set"]]
    if len(here) != 1:
        what = "names no photo of the data" if not here else "is in several sets: give its `set`"
        raise ValueError(f"`key` {key!r} {what}")
    answers = row.get("answer")
    answers = [answers] if isinstance(answers, str) else answers
    if not isinstance(answers, list) or not all(isinstance(a, str) for a in answers):
        raise ValueError("`answer` is not a text")
    answers = tuple(a.strip() for a in answers if a.strip())
    if not answers:
        raise ValueError("`answer` is empty")
    if "messages" in row:
        return Item(here[0], key, _messages(row["messages"]), answers)
    question = row.get("prompt")
    if question is None:
        return Item(here[0], key, None, answers)
    if not isinstance(question, str) or not question.strip():
        raise ValueError("`prompt` is not a text")
    return Item(here[0], key, (Message("user", (Image(), question)),), answers)


def _messages(found: object) -> tuple[Message, ...]:
    """OpenAI's format. The image is at the `image` part, or at the start of the first user turn."""
    if not isinstance(found, list) or not found:
        raise ValueError("`messages` is not a list of messages")
    out: list[Message] = []
    for each in found:
        if not isinstance(each, dict) or each.get("role") not in ("system", "user", "assistant"):
            raise ValueError("`messages` hold an entry without a role that is known")
        content = each.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not isinstance(parts, list):
            raise ValueError("`messages` hold an entry without content")
        out.append(Message(each["role"], tuple(_part(part) for part in parts)))
    if out[-1].role != "user":
        raise ValueError("`messages` do not end with the user's turn")
    images = sum(isinstance(part, Image) for message in out for part in message.content)
    if images > 1:
        raise ValueError("`messages` hold several images; a sample has one")
    if not images:
        first = next(n for n, message in enumerate(out) if message.role == "user")
        out[first] = Message("user", (Image(), *out[first].content))
    return tuple(out)


def _part(part: object) -> str | Image:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("image", "image_url"):
        return Image()
    if kind != "text" or not isinstance(part.get("text"), str):
        raise ValueError("`messages` hold a part that is neither text nor image")
    return part["text"]
