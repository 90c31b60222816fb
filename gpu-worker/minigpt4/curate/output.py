"""Writes the files of a set atomically, so that a reader never finds half a file."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .photos import Photo
from .report import markdown
from .review.decisions import FinalTarget
from .tasks import DESCRIPTIONS, KINDS


def write_atomically(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def row(final: FinalTarget) -> dict[str, Any]:
    target = final.target
    out = {
        "key": target.key,
        "kind": target.kind,
        "prompt": target.prompt,
        "answer": final.answer,
        "sources": target.sources,
        "filters": "passed" if not target.faults else sorted(target.faults),
    }
    if final.by_hand:
        out["by_hand"] = final.by_hand
    return out


def _lines(rows: Sequence[dict[str, Any]]) -> bytes:
    lines = "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in rows)
    return lines.encode("utf-8", "replace")


def write_set(
    out: Path, final: Sequence[FinalTarget], photos: Sequence[Photo], summary: dict[str, Any]
) -> None:
    """Writes the set.

    answers.jsonl has all targets, answers/KIND.jsonl each kind, filter_cap/ the descriptions in the
    original's layout. report.json and report.md say what happened to the rest.
    """
    rows = [row(each) for each in final]
    write_atomically(out / "answers.jsonl", _lines(rows))
    for kind in KINDS:
        own = [each for each in rows if each["kind"] == kind]
        path = out / "answers" / f"{kind}.jsonl"
        if own:
            write_atomically(path, _lines(own))
        else:
            path.unlink(missing_ok=True)
    described = [each for each in rows if each["kind"] in DESCRIPTIONS]
    by_key = {photo.key: photo for photo in photos}
    annotations = []
    for each in described:
        name = image_id(each["key"])
        annotations.append({"image_id": name, "caption": each["answer"]})
        picture = out / "filter_cap" / "image" / f"{name}.jpg"
        if not picture.exists():
            write_atomically(picture, by_key[each["key"]].read())
    listing = json.dumps({"annotations": annotations}, ensure_ascii=False, indent=1)
    write_atomically(out / "filter_cap" / "filter_cap.json", listing.encode("utf-8", "replace"))
    text = json.dumps(summary, ensure_ascii=False, indent=2) + "\n"
    write_atomically(out / "report.json", text.encode("utf-8", "replace"))
    write_atomically(out / "report.md", markdown(summary).encode("utf-8", "replace"))


def image_id(key: str) -> str:
    """A key as a file name, with separators of folders escaped."""
    return quote(key, safe=" ")
