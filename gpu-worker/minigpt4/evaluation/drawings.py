"""Draws pictures with known texts: signs and menus to read, and hand-drawn drafts of web pages.

    python -m minigpt4.evaluation.drawings --out DIR

writes them with `drawings.json`, their ground truth. The seed fixes texts, colours and strokes. The
fonts are DejaVu's if they are installed, Pillow's own and a printed hand, so that a machine without
DejaVu draws the same texts in other letters.
"""

import argparse
import io
import json
import math
import random
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from . import handwriting

SIGNS, DRAFTS, SEED = 50, 20, 15
FONTS = (
    "DejaVuSans-Bold.ttf",
    "DejaVuSerif-Bold.ttf",
    "DejaVuSansCondensed-Bold.ttf",
    "DejaVuSans.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSansMono-Bold.ttf",
)
SIGN_TEXTS = (
    "STOP", "NO PARKING", "Open daily", "Exit", "Fresh bread", "Wet floor", "Bus stop",
    "Speed limit 30", "Beware of the dog", "Harbor Street", "Private road", "Please ring the bell",
    "Coffee to go", "Garage sale", "Mind the step", "Library closed", "Push", "One way",
    "Lost cat", "Farm eggs", "Room 214", "No swimming", "Ticket office", "Bakery", "Low bridge",
    "School zone", "Sale ends Friday", "Platform 7", "Wash your hands", "Welcome to Riverton",
    "Do not enter", "Staff only", "Ice cream", "Happy birthday", "Queue here",
)  # fmt: skip
DISHES = (
    "Tomato soup", "Green salad", "Grilled fish", "Roast chicken", "Mushroom pasta", "Apple pie",
    "Cheese toast", "Lemon cake", "Bean stew", "Garlic bread", "Rice bowl", "Iced tea",
    "Onion rings", "Fruit plate", "Veggie burger", "Hot chocolate",
)  # fmt: skip
TITLES = (
    "My Cat Blog", "Joke Of The Day", "Garden Club", "Pizza House", "Travel Notes", "Book Swap",
    "Daily Quiz", "Bike Repair", "Photo Wall", "Tea Shop", "Movie Night", "Chess School",
    "Weather Now", "Plant Care", "Music Room", "Recipe Box", "Dog Walkers", "Star Map",
    "Yoga Corner", "Job Board",
)  # fmt: skip
BUTTONS = (
    "Sign Up", "Send", "Log In", "Next", "Search", "Buy Now", "Cancel", "Show More", "Contact",
    "Reply", "Start", "Share", "Download", "Help",
)  # fmt: skip
PAPERS = ((250, 248, 240), (255, 255, 255), (244, 238, 222), (236, 240, 245))
SIGN_COLOURS = (  # board, letters
    ((190, 30, 35), (255, 255, 255)),
    ((20, 80, 160), (255, 255, 255)),
    ((250, 205, 40), (20, 20, 20)),
    ((250, 250, 248), (25, 25, 30)),
    ((30, 110, 60), (250, 250, 240)),
    ((45, 45, 48), (245, 225, 160)),
)
GROUNDS = ((120, 160, 190), (150, 145, 135), (95, 120, 90), (190, 180, 165))


@dataclass(frozen=True)
class Drawing:
    """A sign's `lines` are its text; a draft's `lines` are its title, and it has `buttons`."""

    key: str
    image: bytes = field(repr=False)
    lines: tuple[str, ...]
    buttons: tuple[str, ...] = ()


def signs(count: int = SIGNS, seed: int = SEED) -> list[Drawing]:
    """Every fifth sign is a menu of three dishes; the others have one text.

    Texts repeat only after all have been used.
    """
    draw = random.Random(f"signs {seed}")
    texts = draw.sample(SIGN_TEXTS, len(SIGN_TEXTS))
    out = []
    for n in range(count):
        menu = n % 5 == 4
        lines = tuple(draw.sample(DISHES, 3)) if menu else (texts[n % len(texts)],)
        if not menu and n >= len(texts):
            lines = (f"{lines[0]} {draw.randint(2, 99)}",)
        out.append(Drawing(f"sign-{n:02}", _jpeg(_sign(lines, menu, draw)), lines))
    return out


def drafts(count: int = DRAFTS, seed: int = SEED) -> list[Drawing]:
    draw = random.Random(f"drafts {seed}")
    titles = draw.sample(TITLES, len(TITLES))
    out = []
    for n in range(count):
        buttons = tuple(draw.sample(BUTTONS, draw.choice((1, 2, 2, 3))))
        title = titles[n % len(titles)]
        out.append(Drawing(f"draft-{n:02}", _jpeg(_draft(title, buttons, draw)), (title,), buttons))
    return out


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=88)
    return out.getvalue()


def _font(name: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return ImageFont.load_default(size)


def _sign(lines: tuple[str, ...], menu: bool, draw: random.Random) -> Image.Image:
    """Draws a board on a plain background, slightly tilted and blurred."""
    image = Image.new("RGB", (640, 480), draw.choice(GROUNDS))
    canvas = ImageDraw.Draw(image)
    for _ in range(12):  # marks that are not text
        x, y, r = draw.randint(0, 640), draw.randint(0, 480), draw.randint(10, 60)
        shade = tuple(max(0, min(255, c + draw.randint(-18, 18))) for c in image.getpixel((2, 2)))
        canvas.ellipse((x - r, y - r, x + r, y + r), fill=shade)
    board, ink = draw.choice(SIGN_COLOURS)
    box = (50, 60, 590, 420) if menu else (60, 120, 580, 360)
    canvas.rounded_rectangle(box, radius=draw.choice((0, 12, 28)), fill=board)
    hand, name = draw.random() < 0.2, draw.choice(FONTS)
    rows = ("MENU", *lines) if menu else _wrapped(lines[0])
    height = (box[3] - box[1] - 40) / len(rows)
    for n, row in enumerate(rows):
        y = box[1] + 20 + n * height
        room = box[2] - box[0] - 50
        if hand:
            size = min(height * 0.6, room * 6 / (len(row) * handwriting.ADVANCE))
            x = (box[0] + box[2] - handwriting.width(row, size)) / 2
            at = (x, y + (height - size) / 2)
            handwriting.write(canvas, at, row, size, draw, max(3, int(size / 9)), ink)
            continue
        size = int(min(height * 0.7, 84))
        while size > 14 and canvas.textlength(row, _font(name, size)) > room:
            size -= 2
        middle = ((box[0] + box[2]) / 2, y + height / 2)
        canvas.text(middle, row, fill=ink, font=_font(name, size), anchor="mm")
    ground = image.getpixel((2, 2))
    image = image.rotate(draw.uniform(-4, 4), resample=Image.Resampling.BICUBIC, fillcolor=ground)
    return image.filter(ImageFilter.GaussianBlur(draw.uniform(0, 0.8)))


def _wrapped(text: str) -> tuple[str, ...]:
    said = text.split()
    if len(text) <= 12 or len(said) == 1:
        return (text,)
    half = min(range(1, len(said)), key=lambda n: abs(len(" ".join(said[:n])) - len(text) / 2))
    return (" ".join(said[:half]), " ".join(said[half:]))


def _draft(title: str, buttons: tuple[str, ...], draw: random.Random) -> Image.Image:
    """Draws a sketch of a page: a frame, a title, lines for text, a crossed box for a picture."""
    image = Image.new("RGB", (640, 800), draw.choice(PAPERS))
    canvas = ImageDraw.Draw(image)

    def frame(x0: float, y0: float, x1: float, y1: float, thickness: int = 3) -> None:
        corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0 + 2, y0 - 3))
        handwriting.stroke(canvas, corners, draw, 1.1, thickness)

    frame(40, 40, 600, 760, 4)
    size = min(46.0, 470 * 6 / (len(title) * handwriting.ADVANCE))
    x = (640 - handwriting.width(title, size)) / 2
    handwriting.write(canvas, (x, 80), title, size, draw, 5)
    handwriting.stroke(canvas, ((70, 160), (570, 160)), draw, 1.2, 3)
    y = 200.0
    if draw.random() < 0.7:
        frame(90, y, 300, y + 150)
        handwriting.stroke(canvas, ((90, y), (300, y + 150)), draw, 1.2, 2)
        handwriting.stroke(canvas, ((300, y), (90, y + 150)), draw, 1.2, 2)
        left, rows = 330, 4
    else:
        left, rows = 90, 4
    for n in range(rows):
        end = 560 - draw.randint(0, 90)
        wave = [
            (left + k * 14, y + 20 + n * 36 + 3 * math.sin(k)) for k in range((end - left) // 14)
        ]
        handwriting.stroke(canvas, wave, draw, 0.8, 2)
    y += 200
    if draw.random() < 0.5:
        frame(90, y, 550, y + 50)  # a text field
        y += 90
    for button in buttons:
        size = 26.0
        wide = handwriting.width(button, size)
        frame(300 - wide / 2 - 20, y, 340 + wide / 2, y + 62)
        handwriting.write(canvas, (322 - wide / 2, y + 18), button, size, draw, 3)
        y += 88
    return image


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="minigpt4.evaluation.drawings",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
    )
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    truth = []
    for drawn in (*signs(seed=given.seed), *drafts(seed=given.seed)):
        (given.out / f"{drawn.key}.jpg").write_bytes(drawn.image)
        truth.append({"key": drawn.key, "lines": drawn.lines, "buttons": drawn.buttons})
    (given.out / "drawings.json").write_text(json.dumps(truth, indent=1) + "\n")
    print(f"{len(truth)} drawings in {given.out}")


if __name__ == "__main__":
    main()
