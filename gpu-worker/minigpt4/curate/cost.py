"""Estimates a run's answers, tokens, time and money before it asks a model."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .models import about_tokens
from .tasks import EDIT, MAX_TOKENS, MERGED, SEEN, Task
from .work_log import Entry, rate

# Tokens of an answer and share of tasks with the step, until the log has better numbers.
USUAL = {
    (SEEN, "describe"): 70, (SEEN, "continue"): 70, (SEEN, "edit"): 110, (MERGED, "answer"): 50,
    (MERGED, "longer"): 55, "story": 110, "poem": 60, "recipe": 180, "website": 300, "humour": 60,
    "advertisement": 70,
}  # fmt: skip
SHARES = {"continue": 0.8, "longer": 0.6}
# Output tokens per second of mini in 8 bits with 16 requests on two cores.
USUAL_RATE = 49.0


@dataclass(frozen=True)
class Price:
    """Money per million input and output tokens."""

    prompt: float
    output: float


@dataclass(frozen=True)
class Row:
    kind: str
    targets: int
    by_rule: int
    in_log: int  # answers in the log
    to_ask: float
    prompt_tokens: float
    output_tokens: float


@dataclass(frozen=True)
class Estimate:
    """`source` says where the rate comes from."""

    rows: tuple[Row, ...]
    rate: float
    source: str
    price: Price | None

    @property
    def to_ask(self) -> int:
        return round(sum(row.to_ask for row in self.rows))

    @property
    def prompt_tokens(self) -> int:
        return round(sum(row.prompt_tokens for row in self.rows))

    @property
    def output_tokens(self) -> int:
        return round(sum(row.output_tokens for row in self.rows))

    @property
    def seconds(self) -> float:
        return self.output_tokens / self.rate

    @property
    def money(self) -> float | None:
        if self.price is None:
            return None
        spent = self.prompt_tokens * self.price.prompt + self.output_tokens * self.price.output
        return spent / 1e6


def steps_of(task: Task, image_tokens: int) -> list[tuple[str, float]]:
    """(step, prompt tokens) of a task, in order."""
    if task.answer:
        return []
    if task.kind == SEEN:
        asked = image_tokens + about_tokens(task.prompt) + 10
        described = USUAL[SEEN, "describe"] + USUAL[SEEN, "continue"]
        edit = about_tokens(EDIT) + described
        return [("describe", asked), ("continue", asked + 80), ("edit", edit)]
    asked = about_tokens(task.typed) + 10
    if task.kind == MERGED:
        return [("answer", asked), ("longer", asked + USUAL[MERGED, "answer"] + 40)]
    return [("answer", asked)]


def estimate(
    tasks: Iterable[tuple[Task, dict[str, Entry], bool]],
    image_tokens: int,
    entries: Sequence[Entry],
    given_rate: float | None,
    price: Price | None,
) -> Estimate:
    """`tasks`: each with its steps in the log, and whether these are all its steps."""
    usual = _usual(entries)
    sums: dict[str, list[float]] = {}
    for task, held, whole in tasks:
        row = sums.setdefault(task.kind, [0, 0, 0, 0, 0, 0])
        row[0] += 1
        row[1] += bool(task.answer)
        row[2] += len(held)
        if whole:
            continue
        for step, prompt_tokens in steps_of(task, image_tokens):
            if step in held:
                continue
            share = SHARES.get(step, 1.0)
            row[3] += share
            row[4] += share * prompt_tokens
            row[5] += share * usual(task.kind, step)
    measured = rate(entries)
    if given_rate is not None:
        found, source = given_rate, "from --rate"
    elif measured:
        found, source = measured[0], f"measured on {measured[1]} earlier answers"
    else:
        found, source = USUAL_RATE, "mini on two cores; --rate overrides it"
    rows = tuple(
        Row(kind, int(n), int(ruled), int(held), ask, tokens_in, tokens_out)
        for kind, (n, ruled, held, ask, tokens_in, tokens_out) in sums.items()
    )
    return Estimate(rows, found, source, price)


def _usual(entries: Sequence[Entry]):
    seen: dict[tuple[str, str], list[int]] = {}
    for entry in entries:
        seen.setdefault((entry.kind, entry.step), []).append(entry.answer.output_tokens)

    def usual(kind: str, step: str) -> float:
        found = seen.get((kind, step), [])
        if len(found) >= 5:
            return sum(found) / len(found)
        guess = USUAL.get((kind, step)) or USUAL.get(kind)
        return float(guess if isinstance(guess, int) else MAX_TOKENS[kind])

    return usual


def duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 90 else f"{minutes} min"
