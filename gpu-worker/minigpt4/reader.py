"""Reads the text in a picture, and tells the language model about it in one sentence.

The reader is PP-OCRv4 from the package `rapidocr-onnxruntime`: one model finds boxes of text,
another reads them. It is frozen and optional, and no part of MiniGPT-4. Whoever made the picture
wrote its text, so that text enters a prompt as a user's does, never as control.
"""

import importlib.util
import math
import re
import time
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL.Image import Image as Picture

from .templates import Image, Message

if TYPE_CHECKING:
    import numpy as np

PACKAGE = "rapidocr_onnxruntime"
FINDING_SIDE = 640  # longest side at which text is looked for, in pixels
READING_SIDE = 1280  # longest side at which it is read
ENLARGEMENT = 2.0  # of a small picture, at most: more of it brings only guesses
LEAST_SIDE = 32  # of the scaled picture; a narrower one has no room for a line
LEAST_HEIGHT = 8  # of a line
LONGEST = 40  # of a line, in its heights: time and memory grow with the length
MARGIN = 1.9  # how far a box reaches around its letters; the package's 1.6 cuts some
SURE = 0.9  # mean probability of a line's letters (docs/evaluation.md)
NEAR = 0.6  # of a line's height: the widest gap between lines that belong together
MAX_LINES = 40
MAX_BYTES = 1000  # of all text, in UTF-8; every token has at least one
READ_SECONDS = 4.0  # of processor time; lines that are not read by then are left out
LINE_BREAK = " / "

# PP-OCRv4 takes a capital I for an l. No English word begins so, but for the abbreviation.
MISREAD_I = re.compile(r"\bl(?!td\b)(?=[cdfgkmnrstv][a-z])")


def installed() -> bool:
    """Whether the reader's package is installed. Imports nothing."""
    return importlib.util.find_spec(PACKAGE) is not None


def tell(messages: Sequence[Message], texts: Sequence[Sequence[str]]) -> list[Message]:
    """The messages with the n-th image's text behind that image, if it has any."""
    remaining = iter(texts)
    told = []
    for message in messages:
        parts: list[str | Image] = []
        for part in message.content:
            parts.append(part)
            if isinstance(part, Image) and (blocks := next(remaining)):
                parts.append(sentence(blocks))
        told.append(Message(message.role, parts))
    return told


def sentence(blocks: Sequence[str]) -> str:
    quoted = ", ".join('"' + block.replace('"', "'") + '"' for block in blocks)
    return f"Text in the picture: {quoted}.\n"


class Reader:
    """The loaded models. They run in the caller's thread."""

    def __init__(self) -> None:
        """Raises ImportError if the package is not installed."""
        import cv2
        from rapidocr_onnxruntime import RapidOCR

        cv2.setNumThreads(1)
        self._models = RapidOCR(
            intra_op_num_threads=1,
            inter_op_num_threads=1,
            det_limit_type="max",
            det_limit_side_len=FINDING_SIDE,
            det_unclip_ratio=MARGIN,
        )

    def read(self, picture: Picture) -> list[str]:
        """The blocks of text that are surely read, top to bottom and left to right.

        Takes an RGB picture. A block is one line, or near lines with LINE_BREAK between them.
        """
        import numpy as np

        size = reading_size(picture.size)
        if min(size) < LEAST_SIDE:
            return []
        scaled = picture if size == picture.size else picture.resize(size, reducing_gap=2.0)
        pixels = np.asarray(scaled)[:, :, ::-1].copy()  # the models take BGR
        deadline = time.process_time() + READ_SECONDS
        found, _ = self._models.text_det(pixels)
        turn = levelling(found)
        boxes: list[np.ndarray] = []
        lines: list[str] = []
        for box in join_words([np.asarray(word) @ turn for word in found])[:MAX_LINES]:
            if time.process_time() > deadline or sum(map(len, lines)) >= MAX_BYTES:
                break
            place = (box @ turn.T).astype(np.float32)
            ((text, sure),), _ = self._models.text_rec(
                self._models.get_crop_img_list(pixels, [place])
            )
            if sure >= SURE and (line := tidy(text)):
                boxes.append(box)
                lines.append(line)
        return bounded(join_lines(boxes, lines))


def reading_size(size: tuple[int, int]) -> tuple[int, int]:
    longest = max(size)
    scale = min(READING_SIDE / longest, max(1.0, min(ENLARGEMENT, FINDING_SIDE / longest)))
    return round(size[0] * scale), round(size[1] * scale)


def levelling(boxes: "Sequence[np.ndarray]") -> "np.ndarray":
    """The rotation that makes the widest line level, for a sign that hangs askew.

    A box has its four corners from the top left one on, clockwise.
    """
    import numpy as np

    angle = 0.0
    if len(boxes):
        (x0, y0), (x1, y1) = max(boxes, key=_width)[:2]
        angle = math.atan2(y1 - y0, x1 - x0)
    if abs(angle) > math.pi / 4:
        angle = 0.0  # it is no line, or the picture lies on its side
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def join_words(words: "Sequence[np.ndarray]") -> "list[np.ndarray]":
    """The boxes of lines, in reading order, of the level boxes of words.

    Words are joined before they are read, because a box often holds the first letter of the next
    word too, and that letter would be read twice.
    """
    rows: list[list[np.ndarray]] = []
    for word in sorted(words, key=_middle):
        row = next((row for row in rows if _in_one_row(row[-1], word)), None)
        rows.append([word]) if row is None else row.append(word)
    lines: list[np.ndarray] = []
    for row in rows:
        first, *others = sorted(row, key=lambda word: word[:, 0].min())
        lines.append(first)
        for word in others:
            if _continues(lines[-1], word):
                lines[-1] = _around(lines[-1], word)
            else:
                lines.append(word)
    return [line for line in lines if _is_legible(line)]


def join_lines(boxes: "Sequence[np.ndarray]", lines: Sequence[str]) -> list[str]:
    """The lines of one sign or paragraph as one block; one after the other where there are more."""
    blocks: list[str] = []
    above: np.ndarray | None = None
    for box, line in zip(boxes, lines, strict=True):
        if above is not None and _is_below(above, box):
            blocks[-1] += LINE_BREAK + line
        else:
            blocks.append(line)
        above = box
    return blocks


def tidy(line: str) -> str:
    """The line with single spaces and without control characters; empty if it says nothing."""
    visible = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in line)
    if not any(c.isalnum() for c in visible):
        return ""
    return MISREAD_I.sub("I", " ".join(visible.split()))


def bounded(blocks: Sequence[str]) -> list[str]:
    """The first blocks, up to MAX_BYTES bytes."""
    kept, room = [], MAX_BYTES
    for block in blocks:
        whole = block.encode()
        if len(whole) > room:
            rest = whole[:room].decode(errors="ignore").rstrip()
            return [*kept, rest] if rest else kept
        room -= len(whole)
        kept.append(block)
    return kept


def _width(box: "np.ndarray") -> float:
    return math.dist(box[0], box[1])


def _height(box: "np.ndarray") -> float:
    return math.dist(box[0], box[3])


def _middle(box: "np.ndarray") -> float:
    return float(box[:, 1].mean())


def _is_legible(line: "np.ndarray") -> bool:
    return _height(line) >= LEAST_HEIGHT and _width(line) <= LONGEST * _height(line)


def _in_one_row(one: "np.ndarray", other: "np.ndarray") -> bool:
    return abs(_middle(one) - _middle(other)) < min(_height(one), _height(other)) / 2


def _are_alike(one: "np.ndarray", other: "np.ndarray") -> bool:
    low, high = sorted((_height(one), _height(other)))
    return low > high / 2


def _continues(line: "np.ndarray", word: "np.ndarray") -> bool:
    gap = word[:, 0].min() - line[:, 0].max()
    return _are_alike(line, word) and gap < max(_height(line), _height(word))


def _is_below(above: "np.ndarray", line: "np.ndarray") -> bool:
    gap = line[:, 1].min() - above[:, 1].max()
    apart = line[:, 0].min() > above[:, 0].max() or above[:, 0].min() > line[:, 0].max()
    near = gap < NEAR * min(_height(above), _height(line))
    return _are_alike(above, line) and near and not apart


def _around(line: "np.ndarray", word: "np.ndarray") -> "np.ndarray":
    import numpy as np

    corners = np.concatenate([line, word])
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
