"""What was made, tidied and judged by the rules: the set before anybody looks at it."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from .asking import Made
from .filters import Known, faults
from .tasks import BOUNDS, BY_RULE
from .tidy import tidy
from .words import words

SAME = "same answer"
FAILED = "failed"


@dataclass(frozen=True)
class Target:
    """`faults`: rule -> what is wrong; empty where it passes."""

    key: str
    kind: str
    prompt: str
    answer: str
    sources: dict[str, Any]
    captions: tuple[str, ...]
    faults: dict[str, str]

    @property
    def id(self) -> str:
        """Of this very text: what somebody decided about another one does not hold for it."""
        parts = json.dumps([self.key, self.kind, self.prompt, self.answer], ensure_ascii=False)
        return hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()[:16]


def judge(made: Made, models: dict[str, dict[str, str]]) -> Target:
    """models: who described and who edited, for the sources."""
    task = made.task
    answer = tidy(made.answer, page=task.kind == "website") if not task.answer else made.answer
    known = Known(BOUNDS[task.kind], task.captions, task.main, made.cut_off, task.least_words)
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
    """Drops what is said word for word of an earlier photo; short answers made by rule may be."""
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
