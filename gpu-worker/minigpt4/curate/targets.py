"""Targets: answers, tidied and checked by the rules, before the review."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from .filters import AnswerContext, faults
from .target_maker import TaskResult
from .tasks import BOUNDS, BY_RULE
from .tidy import tidy
from .words import words

SAME = "same answer"
FAILED = "failed"


@dataclass(frozen=True)
class Target:
    """`faults`: rule -> what is wrong; empty if it passes."""

    key: str
    kind: str
    prompt: str
    answer: str
    sources: dict[str, Any]
    captions: tuple[str, ...]
    faults: dict[str, str]

    @property
    def id(self) -> str:
        """Identifies this exact text, so that decisions about other texts do not apply."""
        parts = json.dumps([self.key, self.kind, self.prompt, self.answer], ensure_ascii=False)
        return hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()[:16]


def judge(made: TaskResult, models: dict[str, dict[str, str]]) -> Target:
    """`models`: the describing and the editing model, for the sources."""
    task = made.task
    answer = tidy(made.answer, page=task.kind == "website") if not task.answer else made.answer
    known = AnswerContext(
        BOUNDS[task.kind], task.captions, task.main, made.cut_off, task.least_words
    )
    sources = dict(task.sources)
    if made.seen:
        sources |= {"seen": made.seen, **models}
    elif not task.answer:
        sources["written_by"] = models.get("edited_by", {})
    else:
        sources["written_by"] = "rule"
    return Target(
        task.key, task.kind, task.prompt, answer, sources, task.captions, faults(answer, known)
    )


def without_same(targets: Iterable[Target]) -> list[Target]:
    """Marks answers that an earlier photo has word for word, except short ones made by rule."""
    seen: dict[tuple[str, str], str] = {}
    out = []
    for target in targets:
        if target.kind not in BY_RULE and not target.faults:
            text = " ".join(words(target.answer))
            first = seen.setdefault((target.kind, text), target.key)
            if first != target.key:
                target = replace(target, faults={SAME: f"as of photo {first}"})
        out.append(target)
    return out
