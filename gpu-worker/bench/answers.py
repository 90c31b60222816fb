"""The answers of either side, and the rates over many of them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """Seconds from the question to the first and to the last token; ids without the stop."""

    first: float
    whole: float
    token_ids: tuple[int, ...]


@dataclass(frozen=True)
class Turn:
    """The answers of one side's turn, in the order of the photos.

    `seconds` for all of them, `processor_seconds` that the side's processes used meanwhile, and
    the bytes of `memory` that they hold at the end.
    """

    answers: Sequence[Answer]
    seconds: float
    processor_seconds: float
    memory: int


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-round(share * 100) * len(ordered) // 100) - 1)]


def summary(turns: Sequence[Turn]) -> dict:
    """Rates over all turns; times in seconds."""
    seconds = sum(turn.seconds for turn in turns)
    busy = sum(turn.processor_seconds for turn in turns)
    answers = [answer for turn in turns for answer in turn.answers]
    tokens = sum(len(answer.token_ids) for answer in answers)
    return {
        "requests": len(answers),
        "tokens": tokens,
        "tokens_per_second": round(tokens / seconds, 2),
        "requests_per_second": round(len(answers) / seconds, 3),
        "ttft_p50": round(percentile([answer.first for answer in answers], 0.5), 3),
        "ttft_p95": round(percentile([answer.first for answer in answers], 0.95), 3),
        "whole_p50": round(percentile([answer.whole for answer in answers], 0.5), 3),
        "cores_used": round(busy / seconds, 2),
        "memory_gib": round(max(turn.memory for turn in turns) / 2**30, 2),
        "tokens_per_processor_second": round(tokens / busy, 2),
        "tokens_per_second_of_turns": [
            round(sum(len(a.token_ids) for a in turn.answers) / turn.seconds, 2) for turn in turns
        ],
    }
