"""Draws loss.png from metrics.jsonl: each step's loss, its running mean, the held-out loss.

It uses Pillow alone. Axes have round numbers; the loss axis cuts the first steps' peaks if they
would hide the rest.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .files import replace_atomically

WIDTH, HEIGHT = 960, 540
LEFT, RIGHT, TOP, BOTTOM = 84, 28, 64, 62
INK, GRID, PALE, STRONG, HELD_OUT = "#24292f", "#e4e7eb", "#b6cdea", "#1f5fb4", "#c2410c"
TICKS = 6

Points = Sequence[tuple[int, float]]


def round_step(span: float) -> float:
    """A step of 1, 2 or 5 times a power of ten that divides `span` into a few."""
    rough = max(span, 1e-9) / TICKS
    power = 10 ** math.floor(math.log10(rough))
    return next(power * n for n in (1, 2, 5, 10) if power * n >= rough * 0.999)


def ticks(low: float, high: float) -> list[float]:
    step = round_step(high - low)
    first = math.ceil(low / step - 1e-9)
    return [step * n for n in range(first, math.floor(high / step + 1e-9) + 1)]


def running_mean(points: Points) -> list[tuple[int, float]]:
    """A centred mean over a fiftieth of the steps."""
    half = max(1, len(points) // 100)
    sums = [0.0]
    for _, value in points:
        sums.append(sums[-1] + value)
    out = []
    for n, (step, _) in enumerate(points):
        first, last = max(0, n - half), min(len(points), n + half + 1)
        out.append((step, (sums[last] - sums[first]) / (last - first)))
    return out


def draw(title: str, losses: Points, held_out: Points = ()) -> Image.Image:
    """Draws (step, loss) points of training and of held-out photos. `losses` is not empty."""
    mean = running_mean(losses)
    values = sorted(value for _, value in losses)
    top = max(values[math.ceil(0.99 * len(values)) - 1], *(v for _, v in [*mean[-1:], *held_out]))
    low = min(values[0], *(v for _, v in [*mean, *held_out]))
    margin = max((top - low) * 0.08, top * 0.02, 1e-3)
    low, top = max(0.0, low - margin), top + margin
    last = max(losses[-1][0], 1)

    def at(step: float, value: float) -> tuple[float, float]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * step / last
        up = (min(max(value, low), top) - low) / (top - low)
        return across, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * up

    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen = ImageDraw.Draw(image)
    small, large = ImageFont.load_default(14), ImageFont.load_default(18)
    for value in ticks(low, top):
        y = at(0, value)[1]
        pen.line([(LEFT, y), (WIDTH - RIGHT, y)], GRID)
        pen.text((LEFT - 10, y), f"{value:g}" if value == 0 else f"{value:.4g}", INK, small, "rm")
    for step in ticks(0, last):
        if step == int(step):
            x = at(step, low)[0]
            pen.line([(x, HEIGHT - BOTTOM), (x, HEIGHT - BOTTOM + 5)], INK)
            pen.text((x, HEIGHT - BOTTOM + 10), f"{step:,.0f}", INK, small, "ma")
    pen.line([(LEFT, TOP), (LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, HEIGHT - BOTTOM)], INK)
    pen.text((WIDTH / 2, HEIGHT - 14), "step", INK, small, "ms")
    side = Image.new("RGB", (240, 22), "white")
    ImageDraw.Draw(side).text((120, 11), "loss per target token", INK, small, "mm")
    image.paste(side.rotate(90, expand=True), (8, (HEIGHT - BOTTOM + TOP) // 2 - 120))
    pen.line([at(*point) for point in losses] or [], PALE)
    pen.line([at(*point) for point in mean], STRONG, 3, joint="curve")
    if len(held_out) > 1:
        pen.line([at(*point) for point in held_out], HELD_OUT)
    for points, colour in ((mean[-1:], STRONG), (held_out, HELD_OUT)):
        for x, y in (at(*point) for point in points):
            pen.ellipse([x - 4, y - 4, x + 4, y + 4], colour, "white")
    pen.text((LEFT, 14), title, INK, large, "la")
    x = LEFT
    legend = [(PALE, "each step"), (STRONG, "running mean")]
    for colour, words in [*legend, *([(HELD_OUT, "photos for choosing")] if held_out else [])]:
        pen.line([(x, 49), (x + 22, 49)], colour, 4)
        pen.text((x + 28, 49), words, INK, small, "lm")
        x += 44 + pen.textlength(words, small)
    return image


def write(path: Path, title: str, rows: Iterable[dict]) -> None:
    """Draws the rows of metrics.jsonl; writes nothing if none has a loss."""
    rows = list(rows)
    losses = [(row["step"], row["loss"]) for row in rows if row.get("loss") is not None]
    held_out = [(row["step"], row["choose_loss"]) for row in rows if "choose_loss" in row]
    if losses:
        image = draw(title, losses, held_out)
        replace_atomically(path, lambda part: image.save(part, "PNG"))
