"""The reviewer's decisions, one JSON line each, on disk before the page gets its answer.

The last decision about a target counts. An undo is a line too: it takes back the last decision that
still counts, whatever its target.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from ..targets import Target
from ..work_log import JsonLines

KEEP, EDIT, DROP, UNDO = "keep", "edit", "drop", "undo"
DECISIONS = (KEEP, EDIT, DROP)
LONGEST = 20_000  # characters of an edited answer


@dataclass(frozen=True)
class Decision:
    """`answer` is the edited answer."""

    target: str
    decision: str
    answer: str | None = None


class InvalidDecision(ValueError):
    """The request is not a valid decision."""


def check(told: object) -> Decision:
    """Raises InvalidDecision."""
    if not isinstance(told, dict) or not isinstance(told.get("target"), str):
        raise InvalidDecision("target is missing")
    decision, answer = told.get("decision"), told.get("answer")
    if decision not in DECISIONS:
        raise InvalidDecision(f"decision: must be one of {', '.join(DECISIONS)}")
    if decision != EDIT:
        return Decision(told["target"], decision)
    if not isinstance(answer, str) or not answer.strip() or len(answer) > LONGEST:
        raise InvalidDecision(f"answer: must be a text of 1 to {LONGEST} characters")
    return Decision(told["target"], EDIT, answer.strip())


class Decisions:
    """The decisions of one output folder. Raises InputError if another process writes them."""

    def __init__(self, path: Path):
        self._lines = JsonLines(path)
        self._stack: list[Decision] = []
        self.unreadable = 0
        for line in self._lines.lines:
            try:
                told = json.loads(line)
                if told.get("decision") == UNDO:
                    if self._stack:
                        self._stack.pop()
                else:
                    self._stack.append(check(told))
            except (ValueError, AttributeError):
                self.unreadable += 1

    def standing(self) -> dict[str, Decision]:
        """target -> the decision that counts."""
        return {decision.target: decision for decision in self._stack}

    def add(self, decision: Decision) -> None:
        self._write({"target": decision.target, "decision": decision.decision}, decision.answer)
        self._stack.append(decision)

    def undo(self) -> Decision | None:
        """Takes the last decision back, and returns it."""
        if not self._stack:
            return None
        last = self._stack.pop()
        self._write({"target": last.target, "decision": UNDO}, None)
        return last

    def _write(self, told: dict[str, object], answer: str | None) -> None:
        if answer is not None:
            told["answer"] = answer
        told["at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._lines.append(json.dumps(told, ensure_ascii=False).encode("utf-8", "replace") + b"\n")

    def close(self) -> None:
        self._lines.close()


@dataclass(frozen=True)
class FinalTarget:
    """A target of the final set. `by_hand` is the reviewer's decision, if there is one."""

    target: Target
    answer: str
    by_hand: str | None


def apply(targets: list[Target], standing: dict[str, Decision]) -> list[FinalTarget]:
    """The targets that pass the rules and were not dropped, and all that were kept or edited."""
    out = []
    for target in targets:
        decision = standing.get(target.id)
        if decision is None:
            if not target.faults:
                out.append(FinalTarget(target, target.answer, None))
        elif decision.decision == EDIT and decision.answer:
            out.append(FinalTarget(target, decision.answer, EDIT))
        elif decision.decision == KEEP:
            out.append(FinalTarget(target, target.answer, KEEP))
    return out
