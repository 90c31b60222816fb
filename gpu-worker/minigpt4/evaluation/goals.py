"""The goals for mini, checked against the measures of a run and of stage 1's run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .caption_agreement import MAIN_NOUN, UNSUPPORTED, WORDS
from .caption_scores import CIDER
from .failures import FAILURES
from .measures import HUMAN, MODEL, SWAPPED, Measure, Z
from .suites import CONSENSUS, DIFFERENT, FAILED, FORMED, MENTIONED, RENDERED

TASKS = ("story", "poem", "recipe", "advertisement", "website")
FALL = 10.0  # factor by which failures must fall from stage 1 to stage 2


@dataclass(frozen=True)
class Goal:
    """`met` is None if this run lacks the measure."""

    line: int
    what: str
    value: float | None
    bound: str
    met: bool | None


class _Measures:
    def __init__(self, measures: Sequence[Measure]):
        self._by = {(m.section, m.name, m.of): m for m in measures}

    def __call__(self, section: str, name: str, of: str = MODEL) -> Measure | None:
        found = self._by.get((section, name, of))
        return None if found is None or math.isnan(found.value) else found


def _least(line: int, what: str, found: Measure | None, bound: float) -> Goal:
    value = found and found.value
    return Goal(line, what, value, f"at least {bound:g}", value is not None and value >= bound)


def _most(line: int, what: str, found: Measure | None, bound: float, under: bool = False) -> Goal:
    value = found and found.value
    met = value is not None and (value < bound if under else value <= bound)
    return Goal(line, what, value, f"{'under' if under else 'at most'} {bound:g}", met)


@dataclass(frozen=True)
class Fall:
    """The factor by which a failure rate fell, with a 95 % interval.

    The interval is Katz's for a ratio of rates, with half a case added to each count so that none
    is zero.
    """

    section: str
    name: str
    before: Measure
    after: Measure

    @property
    def times(self) -> float:
        return self.before.value / self.after.value if self.after.value else math.inf

    @property
    def interval(self) -> tuple[float, float]:
        hits = [m.value * m.count + 0.5 for m in (self.before, self.after)]
        of = [m.count + 0.5 for m in (self.before, self.after)]
        log = math.log((hits[0] / of[0]) / (hits[1] / of[1]))
        half = Z * math.sqrt(1 / hits[0] - 1 / of[0] + 1 / hits[1] - 1 / of[1])
        return math.exp(log - half), math.exp(log + half)


def falls(before: Sequence[Measure], after: Sequence[Measure]) -> list[Fall]:
    old, new = _Measures(before), _Measures(after)
    out = []
    for section in ("descriptions", "poems"):
        for name in (FAILED, *FAILURES):
            was, now = old(section, name), new(section, name)
            if was and now and was.count and now.count:
                out.append(Fall(section, name, was, now))
    return out


def goals(measures: Sequence[Measure], fallen: Sequence[Fall]) -> list[Goal]:
    """The goals whose measures this run has."""
    found = _Measures(measures)
    out = [
        _least(1, "CIDEr-D", found("captions", CIDER), 0.40),
        _most(1, "CIDEr-D, swapped photos", found("captions", CIDER, SWAPPED), 0.06),
        _least(1, "main noun said", found("captions", MAIN_NOUN), 0.68),
        _most(1, "main noun, swapped photos", found("captions", MAIN_NOUN, SWAPPED), 0.25),
        _least(1, "objects named, of those the encoder gets right", _named(measures), 85 / 95),
        _least(2, "words of a description", found("descriptions", WORDS), 30),
    ]
    model, best = found("captions", CIDER), found("captions", CIDER, CONSENSUS)
    if model and best:
        bound = f"above consensus of nearest photos, {best.value:.3f}"
        out.append(Goal(1, "CIDEr-D", model.value, bound, model.value > best.value))
    for fall in fallen:
        if fall.name == FAILED:
            # From zero to zero is not a fall.
            met = fall.before.value > 0 and fall.times >= FALL
            bound = f"at least {FALL:g} times fewer than before"
            out.append(Goal(2, f"failed {fall.section}", fall.times, bound, met))
    ours = found("descriptions", UNSUPPORTED)
    human = found("descriptions", UNSUPPORTED, HUMAN)
    if ours and human:
        out.append(_most(2, "content words in no caption", ours, round(human.value + 0.15, 3)))
    for task in TASKS:
        out += [
            _least(3, f"{task}: main thing said", found(task, MENTIONED), 0.80),
            _most(3, f"{task}: swapped photos", found(task, MENTIONED, SWAPPED), 0.15, under=True),
            _least(3, f"{task}: form", found(task, FORMED), 0.90),
            _least(3, f"{task}: answers differ", found(task, DIFFERENT), 1.0),
        ]
    out += [
        _least(3, "website: page renders", found("website", RENDERED), 0.90),
        _least(4, "signs read", found("reading", "signs read"), 0.90),
        _least(
            4, "drafts that become pages", found("drafts", "pages with title and buttons"), 0.80
        ),
    ]
    return sorted((goal for goal in out if goal.value is not None), key=lambda goal: goal.line)


def _named(measures: Sequence[Measure]) -> Measure | None:
    """nano's measure, with the first wording."""
    return next(
        (
            m
            for m in measures
            if m.section == "naming" and m.of == MODEL and m.name.startswith("named, '")
        ),
        None,
    )
