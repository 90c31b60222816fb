"""Kinds of settings. Each checks a value from JSON, and reads one from a flag."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..input_error import InputError


class Kind(Protocol):
    """`check` takes a JSON value, `read` a flag's text. Both raise InputError."""

    repeated: bool  # whether the flag may be repeated, each time for another entry

    def check(self, name: str, value: object) -> object: ...

    def read(self, name: str, text: str) -> object: ...


def unusable(name: str, value: object, wanted: str) -> InputError:
    return InputError(f"{name}: {value!r} cannot be used", f"give {name} {wanted}")


@dataclass(frozen=True)
class Number:
    """A finite or whole number. `least` and `most` are inclusive, `above` and `below` exclusive."""

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
            raise unusable(name, value, str(self))
        if (
            (self.least is not None and value < self.least)
            or (self.most is not None and value > self.most)
            or (self.above is not None and value <= self.above)
            or (self.below is not None and value >= self.below)
        ):
            raise unusable(name, value, str(self))
        return int(value) if self.whole else float(value)

    def read(self, name: str, text: str) -> int | float:
        try:
            value = float(text)
        except ValueError:
            raise unusable(name, text, str(self)) from None
        return self.check(name, value)


@dataclass(frozen=True)
class Switch:
    repeated: bool = False

    def check(self, name: str, value: object) -> bool:
        if not isinstance(value, bool):
            raise unusable(name, value, "true or false")
        return value

    def read(self, name: str, text: str) -> bool:
        raise NotImplementedError  # argparse makes --name and --no-name


@dataclass(frozen=True)
class Text:
    """A text that is not empty; one of `among`, if that is set."""

    among: tuple[str, ...] = ()
    wanted: str = "a text"
    repeated: bool = False

    def check(self, name: str, value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise unusable(name, value, self.wanted)
        if self.among and value not in self.among:
            raise unusable(name, value, f"one of {', '.join(self.among)}")
        return value

    read = check


@dataclass(frozen=True)
class Maybe:
    """A kind, or null (a flag's `none`)."""

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
            raise unusable(name, value, "a list")
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
            value = dict(value)  # flags give pairs
        if not isinstance(value, Mapping):
            raise unusable(name, value, 'an object such as {"classes": 5}')
        return {
            Text().check(name, prefix): float(self.factor.check(f"{name}.{prefix}", factor))
            for prefix, factor in value.items()
        }

    def read(self, name: str, text: str) -> tuple[str, float]:
        prefix, equals, factor = text.partition("=")
        if not equals or not prefix:
            raise unusable(name, text, "as PREFIX=FACTOR, such as classes=5")
        return prefix, float(self.factor.read(f"{name}.{prefix}", factor))
