"""Draws hand-printed capitals with Pillow: wobbly strokes, the same for the same seed."""

import random
from collections.abc import Sequence
from itertools import pairwise

from PIL import ImageDraw

# Strokes of points xy on a grid 4 wide and 6 high, y down.
STROKES = {
    "A": "06 20 46|14 34",
    "B": "00 06 26 35 44 33 03|00 20 31 22 03",
    "C": "41 30 10 01 05 16 36 45",
    "D": "00 06 26 44 42 20 00",
    "E": "40 00 06 46|03 33",
    "F": "40 00 06|03 33",
    "G": "41 30 10 01 05 16 36 45 43 23",
    "H": "00 06|40 46|03 43",
    "I": "10 30|20 26|16 36",
    "J": "40 45 36 16 05",
    "K": "00 06|40 03 46",
    "L": "00 06 46",
    "M": "06 00 23 40 46",
    "N": "06 00 46 40",
    "O": "10 01 05 16 36 45 41 30 10",
    "P": "06 00 30 41 42 33 03",
    "Q": "10 01 05 16 36 45 41 30 10|34 46",
    "R": "06 00 30 41 42 33 03|23 46",
    "S": "41 30 10 01 02 13 33 44 45 36 16 05",
    "T": "00 40|20 26",
    "U": "00 05 16 36 45 40",
    "V": "00 26 40",
    "W": "00 16 22 36 40",
    "X": "00 46|40 06",
    "Y": "00 23 40|23 26",
    "Z": "00 40 06 46",
    "0": "10 01 05 16 36 45 41 30 10|32 14",
    "1": "11 20 26|16 36",
    "2": "01 10 30 41 42 06 46",
    "3": "00 40 23 33 44 45 36 16 05",
    "4": "36 30 04 44",
    "5": "40 00 02 32 43 45 36 06",
    "6": "40 20 02 05 16 36 45 44 33 03",
    "7": "00 40 16",
    "8": "10 01 02 13 33 44 45 36 16 05 04 13 33 42 41 30 10",
    "9": "43 13 02 01 10 30 41 43 26",
    "&": "46 01 10 20 21 04 05 16 26 44",
    "-": "13 33",
    ".": "26 26",
    "'": "20 21",
    "!": "20 24|26 26",
}
ADVANCE = 5.6  # grid units from letter to letter


def width(text: str, size: float) -> float:
    return len(text) * ADVANCE * size / 6


def stroke(
    canvas: ImageDraw.ImageDraw,
    points: Sequence[tuple[float, float]],
    draw: random.Random,
    wobble: float,
    thickness: int,
    ink: tuple[int, int, int] = (40, 42, 50),
) -> None:
    """Draws a line through the points as a pen does; between them it strays by `wobble` pixels."""
    path = [points[0]]
    for (x0, y0), (x1, y1) in pairwise(points):
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        for step in range(1, (parts := max(2, int(length / 12))) + 1):
            share = step / parts
            path.append(
                (
                    x0 + (x1 - x0) * share + draw.gauss(0, wobble),
                    y0 + (y1 - y0) * share + draw.gauss(0, wobble),
                )
            )
    canvas.line(path, fill=ink, width=thickness, joint="curve")
    for x, y in (path[0], path[-1]):  # round ends, and dots
        r = thickness / 2
        canvas.ellipse((x - r, y - r, x + r, y + r), fill=ink)


def write(
    canvas: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: float,
    draw: random.Random,
    thickness: int = 3,
    ink: tuple[int, int, int] = (40, 42, 50),
) -> None:
    """Prints text in capitals `size` pixels high; letters vary in slant, height and place."""
    unit = size / 6
    x, y = at
    for letter in text.upper():
        slant, scale = draw.gauss(0, 0.05), 1 + draw.gauss(0, 0.05)
        down = y + draw.gauss(0, size * 0.03)
        for line in STROKES.get(letter, "").split("|"):
            points = [
                (
                    x + (int(px) * scale + slant * (6 - int(py))) * unit,
                    down + int(py) * unit * scale,
                )
                for px, py in line.split()
            ]
            if points:
                stroke(canvas, points, draw, unit * 0.12, thickness, ink)
        x += ADVANCE * unit * (1 + draw.gauss(0, 0.03))
