"""Extracts from a PNG file the first picture that a viewer shows, as a PNG that Pillow reads.

Pillow fails on optional chunks that decoding does not need (a colour profile of megabytes, a wrong
checksum), and compares samples that it scaled to 8 bits with a transparent colour that is not
scaled. Viewers do neither, so this module writes a new file around the compressed pixels.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE = 0, 2, 3
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, 4: 2, 6: 4}
# Adam7: first column and row, and the steps to the next ones.
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
PASSES = (*PASSES, (0, 1, 1, 2))


@dataclass(frozen=True)
class FirstPicture:
    """A still PNG, and its place `at` on a canvas of `size`.

    `key` is the transparent colour of 16-bit RGB, which the PNG itself then omits.
    """

    data: bytes
    size: tuple[int, int]
    at: tuple[int, int]
    key: tuple[int, int, int] | None


@dataclass
class _Parts:
    header: bytes = b""
    palette: bytes = b""
    transparency: bytes = b""
    exif: bytes = b""
    still: bytes = b""
    animated: bool = False
    frame: bytes = b""
    frame_data: bytes = b""
    frame_is_still: bool = False


def first_picture(data: bytes) -> FirstPicture:
    """Raises ValueError if the chunks hold no picture."""
    parts = _parts(data)
    width, height, depth, colour = struct.unpack_from(">IIBB", parts.header)
    size, at, pixels = (width, height), (0, 0), parts.still
    if parts.animated and not parts.frame_is_still:
        _, width, height, *at = struct.unpack_from(">5I", parts.frame)
        if not width or not height or at[0] + width > size[0] or at[1] + height > size[1]:
            raise ValueError("the first frame is outside of the canvas")
        pixels = parts.frame_data
    header = struct.pack(">II", width, height) + parts.header[8:]
    chunks = [(b"IHDR", header)]
    key, transparency = None, _scaled(parts.transparency, depth, colour)
    if colour == PALETTE:
        entries = min(len(parts.palette) // 3, 256)
        if not entries:
            raise ValueError("the palette is missing")
        # Viewers show the last colour for indices beyond the palette.
        chunks.append((b"PLTE", _padded(parts.palette, entries, 3)))
        if len(transparency) >= entries:
            transparency = _padded(transparency, entries, 1)
    if (colour, depth) == (RGB, 16) and transparency:
        key = struct.unpack(">3H", transparency)
    elif transparency:
        chunks.append((b"tRNS", transparency))
    if parts.exif:
        chunks.append((b"eXIf", parts.exif))
    chunks += [(b"IDAT", pixels), (b"IEND", b"")]
    return FirstPicture(_written(chunks), size, (at[0], at[1]), key)


def with_sound_stream(data: bytes) -> bytes:
    """Recompresses the pixels of a `first_picture` file, so that the stream's checksum is right.

    Raises ValueError if pixels are missing.
    """
    chunks = [(name, body) for name, body, _ in _chunks(data)]
    width, height, depth, colour, _, _, laced = struct.unpack(">IIBBBBB", chunks[0][1])
    bits = depth * CHANNELS[colour]
    rows = [(width, height)]
    if laced:
        rows = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in PASSES]
    length = sum(high * (1 + -(-wide * bits // 8)) for wide, high in rows if wide > 0 and high > 0)
    # A raw stream, without a header and so without a checksum.
    raw = zlib.decompressobj(-15).decompress(dict(chunks)[b"IDAT"][2:], length)
    if len(raw) < length:
        raise ValueError("pixels are missing")
    stream = zlib.compress(raw, 0)
    return _written([(name, stream if name == b"IDAT" else body) for name, body in chunks])


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yields each chunk's name, body and whether its checksum is right, until one is cut off."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            return
        body = data[at + 8 : end - 4]
        # The zlib stream has a checksum of its own for the pixels.
        sound = name in (b"IDAT", b"fdAT") or data[end - 4 : end] == _sum(name, body)
        yield name, body, sound
        at = end


def _parts(data: bytes) -> _Parts:
    """Reads the chunks as viewers do: the first of each kind with a right checksum counts."""
    parts, run, over, stills, fdats = _Parts(), False, False, [], []
    for n, (name, body, sound) in enumerate(_chunks(data)):
        if n == 0 and (name != b"IHDR" or len(body) != 13 or body[9] not in CHANNELS):
            raise ValueError("the header is invalid")
        if name == b"IDAT":
            # Only the first run of these chunks is the picture.
            if not stills or run:
                stills.append(body)
            run = True
            continue
        run = False
        if name == b"IEND":
            break
        if n == 0:
            parts.header = body
        elif name == b"fdAT" and parts.frame and not parts.frame_is_still:
            if not over:
                fdats.append(body[4:])
        elif not sound:
            continue
        elif name == b"fcTL" and len(body) == 26:
            # fcTL may come before acTL; one without pixels is not a frame.
            over = bool(fdats)
            if not over and not parts.frame_is_still:
                parts.frame, parts.frame_is_still = body, not stills
        elif stills:
            continue
        elif name == b"PLTE" and not parts.palette:
            parts.palette = body
        elif name == b"tRNS" and not parts.transparency:
            if parts.palette or parts.header[9] != PALETTE:
                parts.transparency = body
        elif name == b"eXIf" and not parts.exif:
            parts.exif = body
        elif name == b"acTL" and len(body) == 8:
            parts.animated = body[:4] != bytes(4)
    parts.still, parts.frame_data = b"".join(stills), b"".join(fdats)
    return parts


def _padded(table: bytes, entries: int, each: int) -> bytes:
    """256 entries of `each` bytes; repeats the last one for those that are missing."""
    table = table[: entries * each]
    return table + table[-each:] * (256 - entries)


def _scaled(transparency: bytes, depth: int, colour: int) -> bytes:
    """tRNS as Pillow compares it: in 8 bits if Pillow scales the samples to 8. b"" for none."""
    if colour == PALETTE:
        return transparency
    if colour not in (GREY, RGB) or len(transparency) != 2 * CHANNELS[colour]:
        return b""
    if depth == 16:
        return transparency
    key, top = transparency[1::2], (1 << depth) - 1  # the low byte holds a sample of fewer bits
    if max(key) > top:
        return b""
    return b"".join(struct.pack(">H", value * 255 // top) for value in key)


def _written(chunks: list[tuple[bytes, bytes]]) -> bytes:
    out = [SIGNATURE]
    for name, body in chunks:
        out += [struct.pack(">I", len(body)), name, body, _sum(name, body)]
    return b"".join(out)


def _sum(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))
