"""Kinds of settings: each checks a value of JSON and reads one of a flag, or refuses it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..checkpoints.refusal import Refused


class Kind(Protocol):
    """`check` takes what JSON gave, `read` what stood behind a flag. Both raise Refused."""

    repeated: bool  # whether the flag may stand several times, each adding an entry

    def check(self, name: str, value: object) -> object: ...

    def read(self, name: str, text: str) -> object: ...


def refuse(name: str, value: object, wanted: str) -> Refused:
    return Refused(f"{name}: {value!r} cannot be used", f"give {name} {wanted}")


@dataclass(frozen=True)
class Number:
    """A finite number, or a whole one; bounds are included, `above` is not."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    whole: bool = False
    repeated: bool = False

    def __str__(self) -> str:
        bounds = {
            "of at least": self.least,
            "above": self.above,
            "of at most": self.most,
            "below": self.below,
        }
        told = [f"{words} {bound:g}" for words, bound in bounds.items() if bound is not None]
        return " ".join(
            ["a whole number" if self.whole else "a number", " and ".join(told)]
        ).strip()

    def check(self, name: str, value: object) -> int | float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or (self.whole and value != int(value)):
            raise refuse(name, value, str(self))
        if (
            (self.least is not None and value < self.least)
            or (self.most is not None and value > self.most)
            or (self.above is not None and value <= self.above)
            or (self.below is not None and value >= self.below)
        ):
            raise refuse(name, value, str(self))
        return int(value) if self.whole else float(value)

    def read(self, name: str, text: str) -> int | float:
        try:
            value = float(text)
        except ValueError:
            raise refuse(name, text, str(self)) from None
        return self.check(name, value)


@dataclass(frozen=True)
class Switch:
    repeated: bool = False

    def check(self, name: str, value: object) -> bool:
        if not isinstance(value, bool):
            raise refuse(name, value, "true or false")
        return value

    def read(self, name: str, text: str) -> bool:
        raise NotImplementedError  # its flags are --name and --no-name


@dataclass(frozen=True)
class Text:
    """A text that is not empty; one of `among`, where that is given."""

    among: tuple[str, ...] = ()
    wanted: str = "a text"
    repeated: bool = False

    def check(self, name: str, value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise refuse(name, value, self.wanted)
        if self.among and value not in self.among:
            raise refuse(name, value, f"one of {', '.join(self.among)}")
        return value

    read = check


@dataclass(frozen=True)
class Maybe:
    """A kind, or null (`none` behind a flag)."""

    kind: Kind
    repeated: bool = False

    def check(self, name: str, value: object) -> object:
        return None if value is None else self.kind.check(name, value)

    def read(self, name: str, text: str) -> object:
        return None if text == "none" else self.kind.read(name, text)


@dataclass(frozen=True)
class Many:
    """A list; its flag is repeated."""

    kind: Kind
    repeated: bool = True

    def check(self, name: str, value: object) -> tuple:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise refuse(name, value, "a list")
        return tuple(self.kind.check(f"{name}[{n}]", entry) for n, entry in enumerate(value))

    def read(self, name: str, text: str) -> object:
        return self.kind.read(name, text)


@dataclass(frozen=True)
class Scales:
    """Parameter prefix -> factor; a flag gives one as PREFIX=FACTOR."""

    repeated: bool = True
    factor: Number = Number(above=0)

    def check(self, name: str, value: object) -> dict[str, float]:
        if isinstance(value, Sequence) and not isinstance(value, str):
            value = dict(value)  # from flags
        if not isinstance(value, Mapping):
            raise refuse(name, value, 'an object such as {"classes": 5}')
        return {
            Text().check(name, prefix): float(self.factor.check(f"{name}.{prefix}", factor))
            for prefix, factor in value.items()
        }

    def read(self, name: str, text: str) -> tuple[str, float]:
        prefix, equals, factor = text.partition("=")
        if not equals or not prefix:
            raise refuse(name, text, "as PREFIX=FACTOR, such as classes=5")
        return prefix, float(self.factor.read(f"{name}.{prefix}", factor))
