"""The report: a JSON file, and tables for people."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from ..input_error import InputError
from .goals import Fall, Goal
from .measures import Measure
from .paper import PAPER

SAMPLES = 20  # raw answers per section in the report


def shown(measure: Measure) -> str:
    """A value with its interval: rates in percent, means with suitable digits."""
    if math.isnan(measure.value):
        return "-"
    if measure.unit == "rate":
        return f"{100 * measure.value:.1f} % ({100 * measure.low:.1f} - {100 * measure.high:.1f})"
    digits = 3 if abs(measure.value) < 10 and measure.name.startswith("CIDEr") else 1
    return f"{measure.value:.{digits}f} ({measure.low:.{digits}f} - {measure.high:.{digits}f})"


def tables(measures: Sequence[Measure]) -> str:
    """A Markdown table per section: a row per measure, a column per `of`."""
    out = []
    for section in dict.fromkeys(m.section for m in measures):
        of_section = [m for m in measures if m.section == section]
        columns = list(dict.fromkeys(m.of for m in of_section))
        rows = [[section, "n", *columns]]
        for name in dict.fromkeys(m.name for m in of_section):
            cells = {m.of: m for m in of_section if m.name == name}
            counts = sorted({m.count for m in cells.values()})
            told = [shown(cells[of]) if of in cells else "" for of in columns]
            rows.append([name, "/".join(map(str, counts)), *told])
        out.append(_table(rows))
    return "\n".join(out)


def goal_table(found: Sequence[Goal]) -> str:
    rows = [["goal", "line", "value", "bound", "met"]]
    for goal in found:
        value = "-" if goal.value is None else f"{goal.value:.3g}"
        rows.append([goal.what, str(goal.line), value, goal.bound, "yes" if goal.met else "NO"])
    return _table(rows)


def fall_table(found: Sequence[Fall]) -> str:
    rows = [["failures", "before", "after", "times fewer (95 %)"]]
    for fall in found:
        low, high = fall.interval
        times = "all gone" if math.isinf(fall.times) else f"{fall.times:.1f}"
        rows.append(
            [
                f"{fall.section}: {fall.name}",
                shown(fall.before),
                shown(fall.after),
                f"{times} ({low:.1f} - {high:.1f})",
            ]
        )
    return _table(rows)


def paper_table(measures: Sequence[Measure]) -> str:
    """The paper's numbers next to the measures of the same name."""
    found = {(m.section, m.name): m for m in measures if m.of == "model"}
    rows = [["the paper's numbers", "MiniGPT-4's paper", "here", "of what, there"]]
    for told in PAPER:
        here = found.get((told.section, told.name))
        if here is not None:
            value = f"{100 * told.value:.0f} %" if here.unit == "rate" else f"{told.value:g}"
            rows.append([f"{told.section}: {told.name}", value, shown(here), told.about])
    return _table(rows) if len(rows) > 1 else ""


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]

    def line(cells: Iterable[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    return "\n".join(
        [line(rows[0]), line("-" * width for width in widths), *map(line, rows[1:]), ""]
    )


def write(
    folder: Path,
    about: dict,
    measures: Sequence[Measure],
    found: Sequence[Goal],
    fallen: Sequence[Fall],
    rows: Sequence[dict],
) -> str:
    """Writes report.json, report.md and samples.jsonl into `folder`, and returns the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    samples: dict[str, list[dict]] = {}
    for row in rows:
        part = samples.setdefault(row["section"], [])
        if len(part) < SAMPLES:
            part.append(row)
    paper = [asdict(told) for told in PAPER] if about.get("family") else []
    report = {
        **about,
        "measures": [measure.as_json() for measure in measures],
        "falls": [
            {
                "section": fall.section,
                "name": fall.name,
                "before": fall.before.value,
                "after": fall.after.value,
                "times": None if math.isinf(fall.times) else fall.times,
                "interval": fall.interval,
            }
            for fall in fallen
        ],
        "goals": [
            {**asdict(g), "value": None if g.value is not None and math.isinf(g.value) else g.value}
            for g in found
        ],
        "paper": paper,
        "samples": samples,
    }
    text = tables(measures)
    if fallen:
        text += "\n" + fall_table(fallen)
    if paper:
        text += "\n" + paper_table(measures)
    if found:
        text += "\n" + goal_table(found)
    _put(folder / "report.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    head = f"# {about['model']['name']}, {about['model']['digest'][:12]}\n\n"
    _put(folder / "report.md", head + text)
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    _put(folder / "samples.jsonl", "".join(f"{line}\n" for line in lines))
    return text


def _put(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)


def read_measures(path: Path) -> list[Measure]:
    """The measures of an earlier report. Raises InputError."""
    try:
        rows = json.loads(path.read_text())["measures"]
        return [
            Measure(**{k: math.nan if v is None else v for k, v in row.items()}) for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: is not a report ({error})",
            "pass a report.json of this command to --before",
        ) from None
