"""The report of what was made, what was dropped and why: JSON, Markdown, and a short table."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ..train.data_sets import DATA_SETS
from .filters import RULES
from .photos import Photos
from .review.decisions import DROP, EDIT, KEEP, Decision, FinalTarget
from .targets import SAME, Target
from .tasks import KINDS
from .work_log import Entry

EXAMPLES = 3  # per kind and rule
REASONS = (*RULES, SAME)


def report(
    photos: Photos,
    targets: Sequence[Target],
    failed: Sequence[dict[str, str]],
    final: Sequence[FinalTarget],
    standing: dict[str, Decision],
    entries: Iterable[Entry],
    config: dict[str, Any],
    models: dict[str, dict[str, str]],
) -> dict[str, Any]:
    kinds = {}
    for kind in KINDS:
        made = [target for target in targets if target.kind == kind]
        lost = [row for row in failed if row["kind"] == kind]
        if not made and not lost:
            continue
        # An answer that breaks several rules counts under the first, so that the table adds up.
        first = Counter(next(iter(target.faults)) for target in made if target.faults)
        broken = Counter(name for target in made for name in target.faults)
        by_hand = Counter(standing[target.id].decision for target in made if target.id in standing)
        kinds[kind] = {
            "made": len(made),
            "failed": len(lost),
            "passed": sum(not target.faults for target in made),
            "dropped": {name: first[name] for name in REASONS if first[name]},
            "broken": {name: broken[name] for name in REASONS if broken[name]},
            "by_hand": {name: by_hand[name] for name in (KEEP, EDIT, DROP) if by_hand[name]},
            "final": sum(each.target.kind == kind for each in final),
        }
    asked = list(entries)
    known = {target.id for target in targets}
    return {
        "photos": len(photos.photos),
        "held_out": photos.left_out,
        "damaged": [{"key": key, "reason": reason} for key, reason in photos.damaged],
        "data": photos.digest,
        "licences": licences(photos, models),
        "research_only": any(DATA_SETS[name].research for name in photos.sets),
        "data_sets": photos.sets,
        "models": models,
        "settings": config,
        "answers": {
            "kept": len(asked),
            "prompt_tokens": sum(entry.answer.prompt_tokens for entry in asked),
            "output_tokens": sum(entry.answer.output_tokens for entry in asked),
        },
        "kinds": kinds,
        "final": len(final),
        "decisions": {
            "standing": len(standing),
            "about_other_texts": sum(target not in known for target in standing),
        },
        "failed": list(failed),
        "examples": _examples(targets),
    }


def licences(photos: Photos, models: dict[str, dict[str, str]]) -> list[str]:
    out = [DATA_SETS[name].licence for name in photos.sets]
    if any(DATA_SETS[name].research for name in photos.sets):
        out.append("made from research-only data: this set, and what is trained on it, is too")
    writers = {f"{summary['model']} at {summary['origin']}" for summary in models.values()}
    out += [f"texts written by {who}: that model's terms hold for them" for who in sorted(writers)]
    return out


def _examples(targets: Iterable[Target]) -> list[dict[str, str]]:
    count: Counter[tuple[str, str]] = Counter()
    out = []
    for target in targets:
        for rule, why in target.faults.items():
            count[target.kind, rule] += 1
            if count[target.kind, rule] <= EXAMPLES:
                out.append(
                    {
                        "key": target.key,
                        "kind": target.kind,
                        "rule": rule,
                        "why": why,
                        "answer": target.answer,
                    }
                )
    return out


def rows(summary: dict[str, Any]) -> list[list[str]]:
    """The table: a row per kind, with the fate of its targets."""
    out = [["kind", "made", "failed", "passed", "by hand", "final", "dropped, by the first rule"]]
    for kind, found in summary["kinds"].items():
        by_hand = ", ".join(f"{name} {n}" for name, n in found["by_hand"].items()) or "-"
        dropped = ", ".join(
            f"{name} {n}" for name, n in sorted(found["dropped"].items(), key=lambda item: -item[1])
        )
        numbers = [found["made"], found["failed"], found["passed"]]
        out.append([kind, *map(str, numbers), by_hand, str(found["final"]), dropped or "-"])
    return out


def markdown(summary: dict[str, Any]) -> str:
    head, *body = rows(summary)
    lines = ["# What was curated", ""]
    lines += [f"- {line}" for line in summary["licences"]]
    lines.append(
        f"- {summary['photos']} photos; {summary['held_out']} more are held out for measuring, "
        f"{len(summary['damaged'])} samples are damaged"
    )
    lines += ["", f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in body]
    if summary["examples"]:
        lines += ["", "## Dropped, for example", ""]
    for each in summary["examples"]:
        answer = " / ".join(each["answer"].split("\n"))
        answer = f"{answer[:400]}…" if len(answer) > 400 else answer
        lines.append(
            f"- **{each['kind']}**, {each['rule']} ({_quiet(each['why'])}): {_quiet(answer)}"
        )
    if summary["failed"]:
        lines += ["", "## Failed", ""]
        lines += [
            f"- {row['key']}, {row['kind']}: {_quiet(row['reason'])}" for row in summary["failed"]
        ]
    return "\n".join(lines) + "\n"


def _quiet(text: str) -> str:
    """Escapes text for Markdown."""
    for sign in "\\`*_<>[]|#":
        text = text.replace(sign, f"\\{sign}")
    return text
