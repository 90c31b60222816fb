"""Makes some 300 odd picture files: format x depth x chunk x damage, always the same ones.

`python tests/odd_pictures.py FOLDER` writes them with `index.json`. test/e2e/pictures.test.ts holds
the edge, the worker and Chromium to agree on each.
"""

import io
import json
import random
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageCms

SEED = 11
WIDTH, HEIGHT = 48, 40
Case = tuple[str, bytes]


def picture(width: int = WIDTH, height: int = HEIGHT, shift: int = 0) -> Image.Image:
    """Smooth colours, with a light disc and a dark one whose edges are sharp."""
    image = Image.new("RGB", (width, height))
    pixels = []
    for y in range(height):
        for x in range(width):
            red, green = 40 + 170 * x // width, 40 + 170 * y // height
            blue = (60 + shift + 90 * (x + y) // (width + height)) % 256
            if (4 * x - width) ** 2 + (4 * y - height) ** 2 < (min(width, height) // 2) ** 2 * 2:
                red, green, blue = 250, 240, 200
            if (4 * x - 3 * width) ** 2 + (4 * y - 3 * height) ** 2 < min(width, height) ** 2 // 2:
                red, green, blue = 20, 10, 30
            pixels.append((red, green, blue))
    image.putdata(pixels)
    return image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F] = "a maker"
    return tags.tobytes()


def profile() -> bytes:
    """sRGB with red and green exchanged; a reader that applies it shows other colours."""
    found = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = found.replace(b"rXYZ", b"????", 1).replace(b"gXYZ", b"rXYZ", 1)
    return swapped.replace(b"????", b"gXYZ", 1)


def flipped(data: bytes, at: int, mask: int = 0xFF) -> bytes:
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


# ---------------------------------------------------------------------------------------- PNG

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4))
PASSES += ((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
Rows = list[list[Sequence[int]]]  # [y][x] -> samples


def chunk(name: bytes, data: bytes = b"", crc: int | None = None) -> bytes:
    value = zlib.crc32(name + data) if crc is None else crc
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", value)


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Name and body of each, of a sound file."""
    found, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def samples(depth: int, colour: int) -> Rows:
    """The picture in samples of that depth."""
    top = (1 << depth) - 1
    rows: Rows = []
    image = picture()
    for y in range(HEIGHT):
        row: list[Sequence[int]] = []
        for x in range(WIDTH):
            red, green, blue = image.getpixel((x, y))
            grey = (red + green + blue) // 3
            fine = (x * 7 + y * 13) % 256  # low bytes of 16 bits
            if colour == 3:
                row.append([(x // 3 + y // 5) % min(1 << depth, 16)])
                continue
            parts = [red, green, blue] if colour in (2, 6) else [grey]
            if colour in (4, 6):
                parts.append((x * 255) // (WIDTH - 1))
            if depth == 16:
                row.append([part * 256 + fine for part in parts])
            else:
                row.append([(part * top + 127) // 255 for part in parts])
        rows.append(row)
    return rows


def packed(row: list[Sequence[int]], depth: int) -> bytes:
    if depth == 16:
        return b"".join(struct.pack(">H", value) for pixel in row for value in pixel)
    if depth == 8:
        return bytes(value for pixel in row for value in pixel)
    bits = "".join(f"{value:0{depth}b}" for pixel in row for value in pixel)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[n : n + 8], 2) for n in range(0, len(bits), 8))


def scanlines(rows: Rows, depth: int, colour: int, filters: Sequence[int] = (0,)) -> bytes:
    out, before = b"", b""
    step = max(1, depth * CHANNELS[colour] // 8)
    for y, row in enumerate(rows):
        line, kind = packed(row, depth), filters[y % len(filters)]
        above = before or bytes(len(line))
        coded = bytearray([kind])
        for n, value in enumerate(line):
            left = line[n - step] if n >= step else 0
            corner = above[n - step] if n >= step else 0
            guess = left + above[n] - corner
            near = min((left, above[n], corner), key=lambda each: abs(guess - each))
            off = (0, left, above[n], (left + above[n]) // 2, near)[kind]
            coded.append((value - off) % 256)
        out, before = out + bytes(coded), line
    return out


def interlaced(rows: Rows, depth: int, colour: int) -> bytes:
    out = b""
    for x0, y0, dx, dy in PASSES:
        part = [row[x0::dx] for row in rows[y0::dy]]
        if part and part[0]:
            out += scanlines(part, depth, colour)
    return out


def palette() -> bytes:
    return bytes(value for n in range(16) for value in (n * 16, 255 - n * 12, (n * 70) % 256))


def header(
    depth: int, colour: int, laced: int = 0, width: int = WIDTH, height: int = HEIGHT
) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, laced))


def png(
    depth: int = 8,
    colour: int = 2,
    *,
    before: bytes = b"",
    between: bytes = b"",
    after: bytes = b"",
    trns: bytes | None = None,
    plte: bytes | None = None,
    laced: bool = False,
    raw: bytes | None = None,
    data: bytes | None = None,
    filters: Sequence[int] = (0,),
    split: int = 0,
    end: bytes | None = None,
) -> bytes:
    """IHDR, `before`, PLTE, tRNS, `between`, IDAT, `after`, IEND."""
    if raw is None:
        rows = samples(depth, colour)
        raw = interlaced(rows, depth, colour) if laced else scanlines(rows, depth, colour, filters)
    data = zlib.compress(raw) if data is None else data
    if plte is None and colour == 3:
        plte = palette()[: 3 << min(depth, 4)]
    parts = [SIGNATURE, header(depth, colour, int(laced)), before]
    parts += [chunk(b"PLTE", plte)] if plte is not None else []
    parts += [chunk(b"tRNS", trns)] if trns is not None else []
    parts += [between]
    step = split or len(data) or 1
    parts += [chunk(b"IDAT", data[n : n + step]) for n in range(0, len(data) or 1, step)]
    parts += [after, chunk(b"IEND") if end is None else end]
    return b"".join(parts)


def png_depths() -> Iterator[Case]:
    for colour, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8)}.items():
        for depth in depths:
            yield f"png/plain-{colour}-{depth}", png(depth, colour)
            yield f"png/interlaced-{colour}-{depth}", png(depth, colour, laced=True)
    for colour in (4, 6):
        for depth in (8, 16):
            yield f"png/alpha-{colour}-{depth}", png(depth, colour)
            yield f"png/interlaced-{colour}-{depth}", png(depth, colour, laced=True)
    for kind in range(5):
        yield f"png/filter-{kind}", png(filters=(kind,))
    yield "png/filters-mixed-16", png(16, 6, filters=(4, 3, 2, 1, 0))
    yield "png/split-idat", png(split=7)
    yield "png/stored-blocks", png(data=zlib.compress(scanlines(samples(8, 2), 8, 2), 0))


def png_keys() -> Iterator[Case]:
    """tRNS of a colour: one that is there, others that only scaled values would match."""
    for depth in (1, 2, 4, 8, 16):
        rows = samples(depth, 0)
        for name, value in {
            "there": rows[9][9][0],
            "zero": 0,
            "one": 1,
            "top": (1 << depth) - 1,
        }.items():
            yield f"png/key-grey-{depth}-{name}", png(depth, 0, trns=struct.pack(">H", value))
            if name == "there":
                laced = png(depth, 0, trns=struct.pack(">H", value), laced=True)
                yield f"png/key-grey-{depth}-laced", laced
        beyond = struct.pack(">H", (rows[9][9][0] + (1 << depth)) & 0xFFFF)
        if depth < 16:
            yield f"png/key-grey-{depth}-beyond", png(depth, 0, trns=beyond)
    for depth in (8, 16):
        rows = samples(depth, 2)
        here = tuple(rows[9][9])
        near = (here[0], here[1], here[2] ^ 1)
        yield f"png/key-rgb-{depth}-there", png(depth, 2, trns=struct.pack(">3H", *here))
        yield f"png/key-rgb-{depth}-near", png(depth, 2, trns=struct.pack(">3H", *near))
        yield f"png/key-rgb-{depth}-white", png(depth, 2, trns=b"\xff" * 6)
        yield f"png/key-rgb-{depth}-zero", png(depth, 2, trns=bytes(6))
    for depth in (4, 8):
        data = scanlines([[[3]] * WIDTH] * HEIGHT, depth, 0)
        yield f"png/key-grey-{depth}-everywhere", png(depth, 0, raw=data, trns=b"\0\3")
    nothing = scanlines([[[9, 9, 9, 0]] * WIDTH] * HEIGHT, 8, 6)
    yield "png/alpha-nothing", png(8, 6, raw=nothing)
    flat = [[(200 * 256 + x % 2, 100 * 256, 50 * 256) for x in range(WIDTH)] for _ in range(HEIGHT)]
    raw = scanlines(flat, 16, 2)
    key = struct.pack(">3H", 200 * 256, 100 * 256, 50 * 256)
    yield "png/key-rgb-16-every-other", png(16, 2, raw=raw, trns=key)
    high = struct.pack(">3H", 200, 100, 50)
    yield "png/key-rgb-16-opaque", png(16, 2, raw=raw, trns=high)
    beyond = tuple(value + 256 for value in samples(8, 2)[9][9])
    yield "png/key-rgb-8-beyond", png(8, 2, trns=struct.pack(">3H", *beyond))
    for depth in (1, 2, 4, 8):
        alphas = bytes((n * 80) % 256 for n in range(min(1 << depth, 16)))
        yield f"png/alphas-palette-{depth}", png(depth, 3, trns=alphas)
        yield f"png/alphas-palette-{depth}-first", png(depth, 3, trns=b"\0")
        yield f"png/alphas-palette-{depth}-laced", png(depth, 3, trns=alphas, laced=True)
    yield "png/alphas-too-many", png(4, 3, trns=bytes(range(0, 250, 10)))
    yield "png/alphas-none", png(4, 3, trns=b"")
    yield "png/key-short-grey", png(8, 0, trns=b"\x50")
    yield "png/key-short-rgb", png(8, 2, trns=b"\0\x50\0")
    yield "png/key-long-grey", png(8, 0, trns=bytes(4))
    yield "png/key-with-alpha", png(8, 6, trns=bytes(6))
    wrong = chunk(b"tRNS", struct.pack(">H", samples(8, 0)[9][9][0]), crc=1)
    yield "png/key-bad-crc", png(8, 0, before=wrong)
    key = chunk(b"tRNS", struct.pack(">H", samples(8, 0)[9][9][0]))
    yield "png/key-after-idat", png(8, 0, after=key)
    yield "png/key-twice", png(8, 0, before=chunk(b"tRNS", bytes(2)) + key)
    short = chunk(b"tRNS", b"\0") + key
    yield "png/key-short-then-right", png(8, 0, before=short)
    yield "png/key-bad-then-right", png(8, 0, before=wrong + key)
    late = png(4, 3, before=chunk(b"tRNS", b"\xff\0"), trns=b"\0\x80")
    yield "png/alphas-before-and-after", late
    yield "png/alphas-before-palette", png(4, 3, before=chunk(b"tRNS", b"\0\x80"))


def png_extras() -> Iterator[Case]:
    """Optional chunks: valid, with a wrong length, with a wrong checksum, and misplaced."""
    bomb = b"big\0\0" + zlib.compress(bytes(3 << 20), 9)
    bodies = {
        b"gAMA": struct.pack(">I", 45455),
        b"sRGB": b"\0",
        b"pHYs": struct.pack(">IIB", 2835, 2835, 1),
        b"sBIT": b"\x08\x08\x08",
        b"bKGD": struct.pack(">3H", 255, 0, 0),
        b"tIME": struct.pack(">HBBBBB", 2026, 1, 2, 3, 4, 5),
        b"tEXt": b"Comment\0words",
        b"zTXt": b"Comment\0\0" + zlib.compress(b"words"),
        b"iTXt": b"Comment\0\0\0\0\0words",
        b"hIST": bytes(32),
        b"sPLT": b"name\0\x08" + bytes(12),
        b"eXIf": exif(1)[6:],
        b"acTL": struct.pack(">II", 1, 0),
        b"prVt": b"private",
    }
    for name, body in bodies.items():
        text = name.decode()
        yield f"png/extra-{text}", png(before=chunk(name, body))
        yield f"png/extra-{text}-empty", png(before=chunk(name))
        yield f"png/extra-{text}-short", png(before=chunk(name, body[:-1]))
        yield f"png/extra-{text}-long", png(before=chunk(name, body + b"\1"))
        yield f"png/extra-{text}-sum", png(before=chunk(name, body, crc=7))
        yield f"png/extra-{text}-late", png(after=chunk(name, body))
    srgb_points = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    for name, body in {b"cHRM": srgb_points, b"cICP": b"\x01\x0d\0\1", b"iCCP": bomb}.items():
        text = name.decode()
        yield f"png/extra-{text}-short", png(before=chunk(name, body[:-3]))
        yield f"png/extra-{text}-sum", png(before=chunk(name, body, crc=7))
        yield f"png/extra-{text}-late", png(after=chunk(name, body))
    yield "png/extra-iCCP-huge", png(before=chunk(b"iCCP", bomb))
    yield "png/extra-iCCP-no-zlib", png(before=chunk(b"iCCP", b"p\0\0nonsense"))
    yield "png/extra-iCCP-method", png(before=chunk(b"iCCP", b"p\0\7" + zlib.compress(b"x")))
    yield "png/extra-iCCP-no-name", png(before=chunk(b"iCCP", b"\0\0" + zlib.compress(b"x")))
    yield "png/extra-zTXt-bomb", png(before=chunk(b"zTXt", b"k\0\0" + bomb[5:]))
    yield "png/extra-iTXt-no-utf8", png(before=chunk(b"iTXt", b"k\0\0\0\xff\0\xff\0\xff"))
    many = b"".join(chunk(b"tEXt", b"k%d\0" % n + b"x" * 900) for n in range(2000))
    yield "png/extra-tEXt-many", png(before=many)
    yield (
        "png/extra-all",
        png(before=b"".join(chunk(name, body, crc=3) for name, body in bodies.items())),
    )
    for n in range(2, 9):
        turned = chunk(b"eXIf", exif(n)[6:])
        yield f"png/orientation-{n}", png(before=turned)
    yield "png/orientation-late", png(after=chunk(b"eXIf", exif(6)[6:]))
    yield "png/orientation-bad-sum", png(before=chunk(b"eXIf", exif(6)[6:], crc=5))
    yield "png/colour-gamma", png(before=chunk(b"gAMA", struct.pack(">I", 100000)))
    points = struct.pack(">8I", 31270, 32900, 30000, 60000, 64000, 33000, 15000, 6000)
    points = chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"cHRM", points)
    yield "png/colour-points", png(before=points)
    yield "png/colour-code", png(before=chunk(b"cICP", b"\x0c\x08\0\1"))
    name = b"p\0\0" + zlib.compress(profile())
    yield "png/colour-profile", png(before=chunk(b"iCCP", name))
    yield "png/unknown-critical", png(before=chunk(b"ABCD", b"must know"))


def png_damage() -> Iterator[Case]:
    raw = scanlines(samples(8, 2), 8, 2)
    data = zlib.compress(raw)
    sound = png()
    idat = sound.index(b"IDAT")
    yield "png/trailing", sound + b"more bytes"
    yield "png/trailing-png", sound + sound
    yield "png/no-iend", png(end=b"")
    yield "png/iend-cut", png(end=b"\0\0\0\0IE")
    yield "png/iend-bad-sum", png(end=chunk(b"IEND", crc=9))
    yield "png/iend-with-data", png(end=chunk(b"IEND", b"abc"))
    yield "png/header-bad-sum", flipped(sound, 30)
    yield "png/idat-bad-sum", flipped(sound, idat + 4 + len(data) + 2)
    yield "png/palette-bad-sum", flipped(png(4, 3), png(4, 3).index(b"PLTE") + 4 + 48)
    yield "png/adler-wrong", png(data=flipped(data, len(data) - 1))
    yield "png/adler-missing", png(data=data[:-4])
    yield "png/zlib-more", png(data=data + b"after the end")
    yield "png/idat-empty-first", png(between=chunk(b"IDAT"))
    yield "png/idat-parted", png(after=chunk(b"tEXt", b"k\0v") + chunk(b"IDAT", b"late"))
    parted = SIGNATURE + header(8, 2) + chunk(b"IDAT", data[:90]) + chunk(b"tEXt", b"k\0v")
    yield "png/idat-interrupted", parted + chunk(b"IDAT", data[90:]) + chunk(b"IEND")
    yield "png/rows-more", png(raw=raw + raw[:500])
    yield "png/rows-missing", png(raw=raw[: len(raw) // 2])
    yield "png/rows-missing-laced", png(raw=interlaced(samples(8, 2), 8, 2)[:-900], laced=True)
    yield "png/rows-one", png(raw=raw[: 1 + 3 * WIDTH])
    yield "png/rows-none", png(raw=b"")
    yield "png/filter-unknown", png(raw=b"\x09" + raw[1:])
    half = (1 + 3 * WIDTH) * (HEIGHT // 2)
    yield "png/filter-unknown-midway", png(raw=raw[:half] + b"\x09" + raw[half + 1 :])
    stored = zlib.compress(raw, 0)
    broken = zlib.compressobj()
    begun = broken.compress(raw[:half]) + broken.flush(zlib.Z_FULL_FLUSH)
    yield "png/deflate-broken-midway", png(data=begun + b"\xff\xff\xff\xff\xff")
    begun_key = struct.pack(">3H", *samples(8, 2)[9][9])
    yield "png/deflate-broken-key", png(data=begun + b"\xff\xff\xff\xff", trns=begun_key)
    yield "png/deflate-broken-start", png(data=data[:2] + b"\xff" * 20)
    yield "png/zlib-head", png(data=b"\x11\x11" + data[2:])
    yield "png/stored-cut", png(data=stored[: len(stored) // 2])
    yield "png/no-idat", png(data=None, raw=b"").replace(chunk(b"IDAT", zlib.compress(b"")), b"")
    for part in (20, 40, 60, 80, 95):
        yield f"png/cut-{part}", sound[: len(sound) * part // 100]
    yield "png/cut-after-header", sound[:33]
    yield "png/no-palette", png(4, 3).replace(chunk(b"PLTE", palette()), b"")
    yield "png/palette-short", png(4, 3, plte=palette()[:15])
    yield "png/palette-uneven", png(4, 3, plte=palette()[:-1])
    yield "png/palette-large", png(4, 3, plte=palette() * 2)
    yield "png/palette-empty", png(4, 3, plte=b"")
    yield "png/palette-twice", png(4, 3, before=chunk(b"PLTE", palette()[::-1]))
    yield "png/palette-short-alphas", png(4, 3, plte=palette()[:15], trns=b"\xff\xff\xff\xff\x40")
    yield (
        "png/palette-short-alphas-more",
        png(4, 3, plte=palette()[:15], trns=bytes(range(0, 160, 10))),
    )
    yield "png/palette-enormous", png(8, 3, plte=palette() * 20)
    yield "png/palette-of-rgb", png(8, 2, plte=palette())
    yield "png/palette-of-grey", png(8, 0, plte=palette())
    yield "png/palette-late", png(4, 3, plte=palette(), before=b"", after=chunk(b"PLTE", palette()))
    yield "png/depth-3", SIGNATURE + header(3, 0) + chunk(b"IDAT", data) + chunk(b"IEND")
    yield "png/depth-16-palette", SIGNATURE + header(16, 3) + sound[33:]
    yield "png/colour-5", SIGNATURE + header(8, 5) + sound[33:]
    yield "png/laced-2", SIGNATURE + header(8, 2, 2) + sound[33:]
    for place, name in ((26, "compression"), (27, "filtering")):
        head = bytearray(sound[16:29])
        head[place - 16] = 1
        yield f"png/method-{name}", SIGNATURE + chunk(b"IHDR", bytes(head)) + sound[33:]
    yield "png/header-twice", png(before=header(8, 2))
    yield "png/header-long", SIGNATURE + chunk(b"IHDR", sound[16:29] + b"\0") + sound[33:]
    yield "png/header-second", SIGNATURE + chunk(b"tEXt", b"k\0v") + sound[8:]
    yield "png/length-beyond", png(before=struct.pack(">I", 1 << 20) + b"tEXt")
    yield "png/name-no-letters", png(before=chunk(b"a1!x", b"what"))
    yield "png/small", png(raw=b"\0" + bytes(4)).replace(header(8, 2), header(8, 2, 0, 1, 1))
    cgbi = chunk(b"CgBI", bytes(4))
    yield "png/apple-cgbi", SIGNATURE + cgbi + sound[8:]


def frame(
    number: int,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    at: tuple[int, int] = (0, 0),
    dispose: int = 0,
    blend: int = 0,
) -> bytes:
    return chunk(b"fcTL", struct.pack(">5IHHBB", number, *size, *at, 1, 10, dispose, blend))


def frame_data(number: int, raw: bytes) -> bytes:
    return chunk(b"fdAT", struct.pack(">I", number) + zlib.compress(raw))


def apng() -> Iterator[Case]:
    head = SIGNATURE + header(8, 2)
    whole = scanlines(samples(8, 2), 8, 2)
    still = chunk(b"IDAT", zlib.compress(whole))
    other = [[(pixel[2], pixel[0], pixel[1]) for pixel in row] for row in samples(8, 2)]
    turned = scanlines(other, 8, 2)
    part = scanlines([row[10:30] for row in other[5:25]], 8, 2)
    two, one, end = (struct.pack(">II", n, 0) for n in (2, 1)), None, chunk(b"IEND")
    two, one = (chunk(b"acTL", body) for body in two)
    yield (
        "apng/still-is-first",
        head + two + frame(0) + still + frame(1) + frame_data(2, turned) + end,
    )
    hidden = head + one + still + frame(0) + frame_data(1, turned) + end
    yield "apng/still-is-no-frame", hidden
    small = frame(0, (20, 20), (10, 5))
    yield "apng/small-first", head + one + still + small + frame_data(1, part) + end
    over = frame(0, (20, 20), (10, 5), 2, 1)
    yield "apng/small-first-over", head + one + still + over + frame_data(1, part) + end
    split = zlib.compress(turned)
    fdat = b"".join(
        chunk(b"fdAT", struct.pack(">I", 1 + n) + split[n * 400 : n * 400 + 400])
        for n in range(-(-len(split) // 400))
    )
    yield "apng/split", head + one + still + frame(0) + fdat + end
    yield "apng/no-frames", head + one + still + end
    yield "apng/zero-frames", head + chunk(b"acTL", bytes(8)) + still + end
    late = head + still + one + frame(0) + frame_data(1, turned) + end
    yield "apng/control-late", late
    yield "apng/no-control", head + still + frame(0) + frame_data(1, turned) + end
    yield "apng/control-bad-sum", hidden.replace(one, chunk(b"acTL", struct.pack(">II", 1, 0), 4))
    yield "apng/control-short", hidden.replace(one, chunk(b"acTL", struct.pack(">I", 1)))
    yield "apng/control-twice", hidden.replace(one, one + one)
    yield "apng/more-announced", hidden.replace(one, two)
    outside = frame(0, (20, 20), (40, 30))
    yield "apng/outside", head + one + still + outside + frame_data(1, part) + end
    yield "apng/empty-frame", head + one + still + frame(0, (0, 0)) + frame_data(1, part) + end
    yield "apng/frame-bad-sum", hidden.replace(frame(0), frame(0)[:-1] + b"\x77")
    yield "apng/order-wrong", head + one + still + frame(5) + frame_data(9, turned) + end
    yield "apng/first-small-over-still", head + one + frame(0, (20, 20)) + still + end
    yield (
        "apng/data-broken",
        head + one + still + frame(0) + chunk(b"fdAT", struct.pack(">I", 1) + b"nonsense") + end,
    )
    data = SIGNATURE + header(8, 3) + chunk(b"PLTE", palette()) + chunk(b"tRNS", b"\0\x80")
    rows = samples(8, 3)
    raw, cut = scanlines(rows, 8, 3), scanlines([row[10:30] for row in rows[5:25]], 8, 3)
    yield (
        "apng/palette-small",
        data + one + chunk(b"IDAT", zlib.compress(raw)) + small + frame_data(1, cut) + end,
    )
    broken = chunk(b"IDAT", b"nonsense")
    yield "apng/still-broken", head + one + broken + frame(0) + frame_data(1, turned) + end
    yield (
        "apng/still-second-broken",
        head
        + two
        + frame(0)
        + still
        + frame(1)
        + chunk(b"fdAT", struct.pack(">I", 2) + b"nonsense", 5)
        + end,
    )
    yield (
        "apng/data-bad-sum",
        head
        + one
        + still
        + frame(0)
        + chunk(b"fdAT", struct.pack(">I", 1) + zlib.compress(turned), 5)
        + end,
    )
    yield (
        "apng/data-far",
        head + one + still + frame(0) + chunk(b"tEXt", b"k\0v") + frame_data(1, turned) + end,
    )
    yield "apng/two-before", head + two + frame(0) + frame(1) + still + end
    yield "apng/dispose-unknown", head + one + frame(0, dispose=9) + still + end
    yield "apng/frame-before-control", head + frame(0) + one + still + end
    two_frames = still + frame(1) + frame_data(2, turned) + end
    yield "apng/frame-before-control-two", head + frame(0) + two + two_frames
    yield "apng/frame-before-control-then", head + frame(0) + two + frame(0) + two_frames
    twice = head + one + still + frame(0) + frame(1)
    yield "apng/frames-two-then-data", twice + frame_data(2, turned) + end
    first_small = head + one + still + frame(0, (20, 20), (10, 5)) + frame(1)
    yield "apng/frames-two-small-first", first_small + frame_data(2, turned) + end
    second_small = head + one + still + frame(0) + frame(1, (20, 20), (10, 5))
    yield "apng/frames-two-small-second", second_small + frame_data(2, part) + end
    yield (
        "apng/frames-two-unordered",
        head + one + still + frame(0) * 2 + frame_data(1, turned) + end,
    )
    yield "apng/frame-twice-before-still", head + two + frame(0) + frame(0) + two_frames
    for name, body in {"fcTL": frame(0)[8:-4], "fdAT": frame_data(0, turned)[8:-4]}.items():
        kind = name.encode()
        for place, where in {"before": {"before": 1}, "after": {"after": 1}}.items():
            for fault, made in {
                "length": chunk(kind, body[:3]),
                "sum": chunk(kind, body, crc=7),
            }.items():
                yield f"apng/alone-{name}-{fault}-{place}", png(**dict.fromkeys(where, made))
    yield "apng/blend-unknown", head + one + frame(0, blend=9) + still + end
    yield (
        "apng/orientation",
        head + chunk(b"eXIf", exif(6)[6:]) + one + still + small + frame_data(1, part) + end,
    )
    yield "apng/cut-after-first", head + two + still + frame(0) + frame_data(1, turned)
    yield "apng/cut-in-first", (head + two + still + frame(0) + frame_data(1, turned))[:-50]
    yield (
        "apng/second-cut",
        (head + two + frame(0) + still + frame(1) + frame_data(2, turned))[:-200],
    )
    frames = [picture(shift=90), picture(shift=0)]
    yield "apng/pillow", saved(picture(), "PNG", save_all=True, append_images=frames)
    default = saved(picture(), "PNG", save_all=True, append_images=frames, default_image=True)
    yield "apng/pillow-default", default


# ---------------------------------------------------------------------------------------- GIF


def lzw(indices: Sequence[int], bits: int, *, clear: bool = True, end: bool = True) -> bytes:
    """Codes of a GIF's pixels, uncompressed: a clear code before the table would grow."""
    size, out, held, count = bits + 1, bytearray(), 0, 0
    codes: list[int] = []
    for n, index in enumerate(indices):
        if clear and n % max(1, (1 << bits) - 2) == 0:
            codes.append(1 << bits)
        codes.append(index)
    codes += [(1 << bits) + 1] if end else []
    for code in codes:
        held |= code << count
        count += size
        while count >= 8:
            out.append(held & 255)
            held, count = held >> 8, count - 8
    if count:
        out.append(held & 255)
    return bytes(out)


def blocks(data: bytes, size: int = 255) -> bytes:
    return b"".join(
        bytes([len(data[n : n + size])]) + data[n : n + size] for n in range(0, len(data), size)
    )


def gif_palette(shift: int = 0) -> bytes:
    return bytes(v for n in range(16) for v in (n * 16, 255 - n * 12, (n * 70 + shift) % 256))


def gif_indices(width: int = WIDTH, height: int = HEIGHT) -> list[int]:
    return [(x // 3 + y // 5) % 16 for y in range(height) for x in range(width)]


def gif_control(transparent: int | None = None, dispose: int = 0) -> bytes:
    flags = dispose << 2 | (transparent is not None)
    return b"\x21\xf9\x04" + struct.pack("<BHB", flags, 5, transparent or 0) + b"\0"


def gif_frame(
    size: tuple[int, int] = (WIDTH, HEIGHT),
    at: tuple[int, int] = (0, 0),
    *,
    local: bytes = b"",
    laced: bool = False,
    data: bytes | None = None,
    bits: int = 4,
    more: bytes = b"",
    close: bytes = b"\0",
) -> bytes:
    flags = (0x83 if local else 0) | (0x40 if laced else 0)
    indices = gif_indices(*size)
    if laced:
        width, height = size
        rows = [indices[y * width : (y + 1) * width] for y in range(height)]
        order = [y for a, b in ((0, 8), (4, 8), (2, 4), (1, 2)) for y in range(a, height, b)]
        indices = [index for y in order for index in rows[y]]
    data = blocks(lzw(indices, bits)) if data is None else data
    where = struct.pack("<4H", *at, *size)
    return b"\x2c" + where + bytes([flags]) + local + bytes([bits]) + data + more + close


def gif(
    *parts: bytes,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    table: bytes | None = None,
    background: int = 3,
    version: bytes = b"89a",
    trailer: bytes = b";",
) -> bytes:
    table = gif_palette() if table is None else table
    flags = 0x83 if table else 0x03
    head = b"GIF" + version + struct.pack("<2H3B", *size, flags, background, 0)
    return head + table + b"".join(parts) + trailer


def gifs() -> Iterator[Case]:
    whole, small = gif_frame(), gif_frame((20, 16), (8, 10))
    yield "gif/plain", gif(whole)
    yield "gif/87a", gif(whole, version=b"87a")
    yield "gif/interlaced", gif(gif_frame(laced=True))
    yield "gif/local-palette", gif(gif_frame(local=gif_palette(99)))
    yield "gif/only-local-palette", gif(gif_frame(local=gif_palette(99)), table=b"")
    yield "gif/no-palette", gif(whole, table=b"")
    yield "gif/transparent", gif(gif_control(5), whole)
    yield "gif/transparent-local", gif(gif_control(5), gif_frame(local=gif_palette(99)))
    yield "gif/transparent-beyond", gif(gif_control(200), whole)
    for name, control in {
        "": b"",
        "-transparent": gif_control(5),
        "-background": gif_control(3),
        "-dispose-1": gif_control(None, 1),
        "-dispose-2": gif_control(None, 2),
        "-dispose-3": gif_control(None, 3),
        "-dispose-3-transparent": gif_control(2, 3),
    }.items():
        yield f"gif/small-first{name}", gif(control, small)
        yield f"gif/small-first-then-whole{name}", gif(control, small, gif_control(), whole)
    yield "gif/small-local", gif(gif_frame((20, 16), (8, 10), local=gif_palette(99)))
    yield (
        "gif/small-only-local",
        gif(gif_frame((20, 16), (8, 10), local=gif_palette(99)), table=b""),
    )
    yield "gif/small-interlaced", gif(gif_frame((20, 16), (8, 10), laced=True))
    yield (
        "gif/small-grey",
        gif(gif_frame((20, 16), (8, 10)), table=bytes(n // 3 for n in range(48))),
    )
    yield "gif/small-corner", gif(gif_frame((10, 10), (38, 30)))
    yield "gif/small-pixel", gif(gif_frame((1, 1), (20, 20)))
    yield "gif/reaches-over", gif(gif_frame((40, 30), (20, 20)))
    yield "gif/larger-than-screen", gif(gif_frame((60, 50)))
    yield "gif/screen-zero", gif(whole, size=(0, 0))
    yield "gif/outside", gif(gif_frame((10, 10), (100, 100)))
    yield "gif/second-larger", gif(whole, gif_frame((60, 50)))
    yield "gif/frame-empty", gif(gif_frame((0, 0), data=b""), whole)
    yield "gif/frame-empty-only", gif(gif_frame((0, 0), data=b""))
    yield "gif/zeros-after-blocks", gif(gif_frame(close=b"\0\0\0\0"))
    yield "gif/zeros-many", gif(gif_frame(close=bytes(900)))
    yield "gif/zeros-before-image", gif(b"\0\0", gif_control(5), b"\0", whole)
    yield "gif/zeros-after-extension", gif(gif_control() + b"\0\0", whole)
    yield "gif/zeros-before-trailer", gif(whole, gif_frame((20, 16)), bytes(7))
    yield "gif/zeros-no-trailer", gif(whole, bytes(7), trailer=b"")
    yield "gif/junk-before-image", gif(b"\x42\x17", whole)
    yield "gif/junk-after-image", gif(whole, b"\x42\x17\x99", whole)
    yield "gif/no-trailer", gif(whole, trailer=b"")
    yield "gif/no-trailer-two", gif(whole, gif_control(), whole, trailer=b"")
    yield "gif/second-cut", gif(whole, gif_control(), whole)[:-300]
    yield "gif/no-terminator", gif(gif_frame(close=b""), trailer=b"")
    yield "gif/terminator-is-trailer", gif(gif_frame(close=b""))
    yield "gif/trailing", gif(whole) + b"more bytes"
    yield "gif/trailing-gif", gif(whole) + gif(whole)
    yield "gif/trailer-first", gif(trailer=b";") + whole
    yield "gif/no-image", gif(gif_control())
    yield "gif/no-clear-code", gif(gif_frame(data=blocks(lzw([5] * 8, 4, clear=False))))
    yield "gif/no-end-code", gif(gif_frame(data=blocks(lzw(gif_indices(), 4, end=False))))
    yield "gif/pixels-more", gif(gif_frame(data=blocks(lzw(gif_indices() + gif_indices(), 4))))
    yield "gif/pixels-missing", gif(gif_frame(data=blocks(lzw(gif_indices()[:900], 4))))
    laced = gif_frame(laced=True, data=blocks(lzw(gif_indices()[:900], 4)))
    yield "gif/pixels-missing-laced", gif(laced)
    few = blocks(lzw(gif_indices()[:900], 4))
    yield "gif/pixels-missing-transparent", gif(gif_control(5), gif_frame(data=few))
    yield "gif/pixels-none", gif(gif_frame(data=blocks(lzw([], 4))))
    yield "gif/blocks-none", gif(gif_frame(data=b""))
    yield "gif/blocks-small", gif(gif_frame(data=blocks(lzw(gif_indices(), 4), 1)))
    yield "gif/after-end-code", gif(gif_frame(more=blocks(b"\x55" * 40)))
    begun = lzw(gif_indices()[:700], 4, end=False)
    yield "gif/code-unknown", gif(gif_frame(data=blocks(begun + b"\xff\xff\xff\xff" * 9)))
    for bits in (0, 1, 2, 8, 9, 11, 12, 13):
        wide = [n % (1 << min(bits, 4)) for n in gif_indices()]
        data = blocks(lzw(wide, max(bits, 1)))
        yield f"gif/code-size-{bits}", gif(gif_frame(bits=bits, data=data))
    for part in (20, 50, 80, 97):
        data = gif(whole)
        yield f"gif/cut-{part}", data[: len(data) * part // 100]
    yield "gif/cut-in-palette", gif(whole)[:30]
    yield "gif/cut-in-screen", gif(whole)[:10]
    yield "gif/comment", gif(b"\x21\xfe" + blocks(b"words" * 99) + b"\0", whole)
    yield "gif/comment-last", gif(whole, b"\x21\xfe" + blocks(b"words") + b"\0")
    yield "gif/extension-unknown", gif(b"\x21\x77" + blocks(b"words") + b"\0", whole)
    yield "gif/extension-cut", gif(whole, b"\x21\xfe\x50abc", trailer=b"")
    yield "gif/control-short", gif(b"\x21\xf9\x02\x01\x05\0", whole)
    yield "gif/control-long", gif(b"\x21\xf9\x06\x01\0\0\x05\0\0\0", whole)
    yield "gif/control-twice", gif(gif_control(5), gif_control(7), whole)
    yield "gif/control-twice-opaque", gif(gif_control(5), gif_control(), whole)
    yield "gif/control-twice-clear", gif(gif_control(), gif_control(5), whole)
    remark = b"\x21\xfe\x01a\0"
    yield "gif/control-twice-parted", gif(gif_control(5), remark, gif_control(), whole)
    yield "gif/control-twice-dispose", gif(gif_control(5, 2), gif_control(None, 1), small, whole)
    later = gif_control(5) + gif_control(None, 2)
    yield "gif/control-twice-later", gif(whole, later, small)
    yield "gif/control-more-blocks", gif(gif_control(5)[:-1] + b"\x02ab\0", whole)
    yield "gif/control-more-blocks-later", gif(whole, gif_control(5)[:-1] + b"\x02ab\0", small)
    yield "gif/control-no-block", gif(b"\x21\xf9\0", whole)
    for label in (0x00, 0x01, 0x2C, 0x3B, 0x77, 0xFE, 0xFF):
        yield f"gif/extension-{label:02x}-empty", gif(bytes([0x21, label, 0]), whole)
        yield (
            f"gif/extension-{label:02x}-clear",
            gif(gif_control(5), bytes([0x21, label, 0]), whole),
        )
    loops = b"\x21\xff\x0bNETSCAPE2.0"
    yield "gif/loop", gif(loops + b"\x03\x01\0\0\0", whole)
    yield "gif/loop-empty", gif(loops + b"\0", whole)
    yield "gif/loop-short", gif(loops + b"\x01\x01\0", whole)
    yield "gif/loop-name-long", gif(b"\x21\xff\x0cNETSCAPE2.0x\x03\x01\0\0\0", whole)
    yield "gif/control-before-comment", gif(gif_control(5), b"\x21\xfe\x01a\0", whole)
    text = b"\x21\x01\x0c" + struct.pack("<4H4B", 0, 0, 9, 9, 8, 8, 1, 2) + b"\x02hi\0"
    yield "gif/plain-text", gif(gif_control(5), text, whole)
    yield (
        "gif/index-beyond-palette",
        gif(whole, table=gif_palette()[:6]).replace(b"\x83\x03\0", b"\x80\x03\0", 1),
    )
    quantized = [picture(shift=n).quantize(200) for n in (0, 60)]
    yield "gif/pillow", saved(quantized[0], "GIF")
    yield (
        "gif/pillow-animated",
        saved(quantized[0], "GIF", save_all=True, append_images=quantized[1:]),
    )


# --------------------------------------------------------------------------------------- JPEG

Segments = list[tuple[int, bytes]]


def segments(data: bytes) -> tuple[Segments, bytes]:
    """Marker and body up to the first scan's header, and the rest from its SOS on."""
    found, at = [], 2
    while data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    return found, data[at:]


def segment(marker: int, body: bytes, fill: int = 0) -> bytes:
    return b"\xff" * fill + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def joined(parts: Segments, rest: bytes, fill: int = 0, junk: bytes = b"") -> bytes:
    return b"\xff\xd8" + b"".join(segment(m, b, fill) + junk for m, b in parts) + rest


def jpegs() -> Iterator[Case]:
    photo = picture()
    for mode in ("L", "CMYK", "YCbCr"):
        yield f"jpeg/mode-{mode}", saved(photo.convert(mode), "JPEG", quality=92)
    for sampling in range(3):
        for kind in ("baseline", "progressive"):
            options = {"subsampling": sampling, "progressive": kind == "progressive"}
            yield f"jpeg/{kind}-{sampling}", saved(photo, "JPEG", quality=92, **options)
    yield "jpeg/optimized", saved(photo, "JPEG", quality=92, optimize=True)
    yield "jpeg/quality-low", saved(photo, "JPEG", quality=15)
    yield "jpeg/rgb", saved(photo, "JPEG", quality=92, keep_rgb=True)
    yield "jpeg/restarts", saved(photo, "JPEG", quality=92, restart_marker_blocks=1)
    yield "jpeg/restarts-rows", saved(photo, "JPEG", quality=92, restart_marker_rows=1)
    odd = picture(37, 29)
    yield "jpeg/odd-size", saved(odd, "JPEG", quality=92)
    yield "jpeg/odd-size-progressive", saved(odd, "JPEG", quality=92, progressive=True)
    for n in range(1, 9):
        yield f"jpeg/orientation-{n}", saved(photo, "JPEG", quality=92, exif=exif(n))

    yield "jpeg/colour-profile", saved(photo, "JPEG", quality=92, icc_profile=profile())
    sound = saved(photo, "JPEG", quality=92, subsampling=0)
    parts, rest = segments(sound)
    head = {marker: body for marker, body in parts}
    app1 = (0xE1, b"Exif\0\0" + exif(6)[6:])
    for fill in (1, 2, 700):
        yield f"jpeg/fill-{fill}", joined(parts, rest, fill)
    yield "jpeg/fill-before-scan", joined(parts, b"\xff\xff" + rest)
    yield "jpeg/fill-before-end", sound[:-2] + b"\xff\xff\xff\xd9"
    yield "jpeg/fill-zero", joined(parts, b"\0\0\0" + rest)
    yield "jpeg/junk-between", joined(parts, rest, 0, b"\x12\x34")
    yield "jpeg/junk-zeros", joined(parts, rest, 0, b"\0\0")
    yield "jpeg/junk-before-end", sound[:-2] + b"\x12\x34\xff\xd9"
    yield "jpeg/stuffed-between", joined(parts, rest, 0, b"\xff\0")
    yield "jpeg/restart-between", joined(parts, rest, 0, b"\xff\xd0")
    yield "jpeg/marker-tem", joined(parts, rest, 0, b"\xff\x01")
    yield "jpeg/marker-reserved", joined([(0xF0, b"abc"), *parts], rest)
    yield "jpeg/marker-reserved-low", joined([(0x02, b"abc"), *parts], rest)
    yield "jpeg/exif-late", joined([*parts, app1], rest)
    yield "jpeg/exif-twice", joined([app1, (0xE1, b"Exif\0\0" + exif(3)[6:]), *parts], rest)
    yield "jpeg/exif-before-jfif", joined([app1, *parts], rest)
    yield "jpeg/exif-broken", joined([(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"), *parts], rest)
    yield "jpeg/exif-empty", joined([(0xE1, b"Exif\0\0"), *parts], rest)
    yield "jpeg/exif-cut", joined([(0xE1, app1[1][:20]), *parts], rest)
    yield "jpeg/exif-nonsense", joined([(0xE1, b"Exif\0\0nonsense"), *parts], rest)
    long = app1[1][:16] + b"\x03\0\x04" + app1[1][19:]
    yield "jpeg/exif-long-type", joined([(0xE1, long), *parts], rest)
    yield "jpeg/xmp", joined([(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>"), *parts], rest)
    yield "jpeg/app-empty", joined([(0xE1, b""), (0xEE, b""), (0xE2, b""), *parts], rest)
    yield "jpeg/app-many", joined([(0xE0 + n, b"words") for n in range(16)] + parts, rest)
    yield "jpeg/iptc-broken", joined([(0xED, b"Photoshop 3.0\x008BIM\x04"), *parts], rest)
    yield "jpeg/mpf-broken", joined([(0xE2, b"MPF\0II*\0\x99\x99\x99\x99"), *parts], rest)
    yield "jpeg/mpf-cut", joined([(0xE2, b"MPF\0"), *parts], rest)
    yield "jpeg/jfif-short", joined([(0xE0, b"JFIF\0"), *parts[1:]], rest)
    yield "jpeg/jfif-none", joined(parts[1:], rest)
    yield "jpeg/icc-broken", joined([(0xE2, b"ICC_PROFILE\0\1\2nonsense"), *parts], rest)
    yield "jpeg/icc-cut", joined([(0xE2, b"ICC_PROFILE\0"), *parts], rest)
    for transform in (0, 1, 2):
        adobe = (0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))
        yield f"jpeg/adobe-rgb-{transform}", joined([adobe, *parts[1:]], rest)
    yield "jpeg/adobe-short", joined([(0xEE, b"Adobe\0"), *parts], rest)
    inks, inks_rest = segments(saved(photo.convert("CMYK"), "JPEG", quality=92))
    for transform in (0, 2):
        adobe = (0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))
        kept = [(m, b) for m, b in inks if m != 0xEE]
        yield f"jpeg/adobe-cmyk-{transform}", joined([adobe, *kept], inks_rest)
    yield "jpeg/cmyk-no-adobe", joined([(m, b) for m, b in inks if m != 0xEE], inks_rest)
    yield "jpeg/comment", joined([(0xFE, b"words"), *parts, (0xFE, b"more")], rest)
    yield "jpeg/comment-after-scan", sound[:-2] + segment(0xFE, b"words") + b"\xff\xd9"
    yield "jpeg/trailing", sound + b"more bytes"
    yield "jpeg/trailing-jpeg", sound + sound
    yield "jpeg/trailing-zeros", sound + bytes(999)
    yield "jpeg/no-eoi", sound[:-2]
    yield "jpeg/eoi-half", sound[:-1]
    yield "jpeg/no-eoi-trailing", sound[:-2] + bytes(50)
    yield "jpeg/no-eoi-grey", saved(photo.convert("L"), "JPEG", quality=92)[:-2]
    yield "jpeg/no-eoi-420", saved(photo, "JPEG", quality=92, subsampling=2)[:-2]
    yield "jpeg/no-eoi-restarts", saved(photo, "JPEG", restart_marker_blocks=1)[:-2]
    yield "jpeg/no-eoi-progressive", saved(photo, "JPEG", quality=92, progressive=True)[:-2]
    progressive = saved(photo, "JPEG", quality=92, progressive=True)
    for part in (30, 50, 70, 90):
        start = sound.index(b"\xff\xda")
        yield f"jpeg/cut-{part}", sound[: start + (len(sound) - start) * part // 100]
        start = progressive.index(b"\xff\xda")
        cut = start + (len(progressive) - start) * part // 100
        yield f"jpeg/cut-progressive-{part}", progressive[:cut]
        yield f"jpeg/cut-ended-{part}", sound[: len(sound) * part // 100] + b"\xff\xd9"
    yield "jpeg/cut-head", sound[:120]
    yield "jpeg/cut-before-scan", joined(parts, b"")
    yield (
        "jpeg/scan-empty",
        joined(parts, rest[: 2 + struct.unpack(">H", rest[2:4])[0]]) + b"\xff\xd9",
    )
    for n, at in enumerate((60, 200, 500)):
        place = sound.index(b"\xff\xda") + at
        broken = bytearray(sound)
        broken[place : place + 3] = b"\x55\xaa\x55"
        yield f"jpeg/scan-damaged-{n}", bytes(broken)
    restarts = saved(photo, "JPEG", quality=92, restart_marker_blocks=1)
    yield "jpeg/restart-missing", restarts.replace(b"\xff\xd3", b"", 1)
    yield "jpeg/restart-wrong", restarts.replace(b"\xff\xd3", b"\xff\xd6", 1)
    for name, marker in {"tables": 0xC4, "quantization": 0xDB, "frame": 0xC0}.items():
        yield f"jpeg/no-{name}", joined([(m, b) for m, b in parts if m != marker], rest)
    yield (
        "jpeg/tables-broken",
        joined([(m, b"\0" + b"\xff" * 16 + b"\0" if m == 0xC4 else b) for m, b in parts], rest),
    )
    full = b"\x11" + b"\x02" + bytes(15) + b"\0\1"
    yield "jpeg/tables-full", joined([*parts, (0xC4, full)], rest)
    yield (
        "jpeg/tables-symbol",
        joined([(m, b[:-1] + b"\x1f" if m == 0xC4 and b[0] == 0 else b) for m, b in parts], rest),
    )
    yield "jpeg/tables-number", joined([*parts, (0xC4, b"\x05" + full[1:])], rest)
    yield (
        "jpeg/sampling-many",
        joined([(m, b[:7] + b"\x44" + b[8:] if m == 0xC0 else b) for m, b in parts], rest),
    )
    yield "jpeg/conditioning-wrong", joined([*parts, (0xCC, b"\x22\0")], rest)
    yield (
        "jpeg/quantization-short",
        joined([(m, b[:-9] if m == 0xDB else b) for m, b in parts], rest),
    )
    frame = head[0xC0]

    def with_frame(body: bytes, marker: int = 0xC0) -> bytes:
        return joined([(marker, body) if m == 0xC0 else (m, b) for m, b in parts], rest)

    yield "jpeg/precision-12", with_frame(b"\x0c" + frame[1:])
    yield "jpeg/height-zero", with_frame(frame[:1] + b"\0\0" + frame[3:])
    yield (
        "jpeg/height-zero-dnl",
        joined(
            [(m, b[:1] + b"\0\0" + b[3:] if m == 0xC0 else b) for m, b in parts],
            rest[:-2] + segment(0xDC, struct.pack(">H", HEIGHT)) + b"\xff\xd9",
        ),
    )
    yield "jpeg/height-more", with_frame(frame[:1] + struct.pack(">H", HEIGHT + 24) + frame[3:])
    yield "jpeg/height-less", with_frame(frame[:1] + struct.pack(">H", HEIGHT - 16) + frame[3:])
    for marker in (0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCA, 0xCB, 0xCF):
        yield f"jpeg/frame-{marker:x}", with_frame(frame, marker)
    yield "jpeg/components-two", with_frame(frame[:5] + b"\x02" + frame[6:12])
    yield "jpeg/components-many", with_frame(frame[:5] + b"\x09" + frame[6:])
    yield "jpeg/components-none", with_frame(frame[:5] + b"\0")
    yield "jpeg/sampling-zero", with_frame(frame[:7] + b"\0" + frame[8:])
    yield "jpeg/sampling-five", with_frame(frame[:7] + b"\x51" + frame[8:])
    yield "jpeg/frame-short", with_frame(frame[:9])
    yield "jpeg/frame-long", with_frame(frame + b"\0")
    yield "jpeg/frame-twice", joined([*parts, (0xC0, frame)], rest)
    yield "jpeg/ids-same", with_frame(frame[:9] + frame[6:7] + frame[10:])
    yield "jpeg/table-id-five", with_frame(frame[:8] + b"\x05" + frame[9:])
    yield "jpeg/soi-twice", b"\xff\xd8" + sound
    yield "jpeg/length-zero", joined(parts, b"\xff\xe5\0\0" + rest)
    yield "jpeg/scan-id-unknown", joined(parts, rest[:5] + b"\x09" + rest[6:])
    yield "jpeg/scan-components-none", joined(parts, b"\xff\xda\0\x06\0\0\x3f\0" + rest[14:])
    yield "jpeg/restart-interval", joined([*parts, (0xDD, b"\0\x02")], rest)
    start = struct.unpack(">H", rest[2:4])[0] + 2
    scan = rest[:start]
    yield "jpeg/scan-head-twice", joined(parts, scan + rest)
    yield "jpeg/scan-head-late", sound[:-2] + scan + b"\xff\xd9"
    yield "jpeg/scan-twice", joined(parts, rest[:-2] + rest)
    yield "jpeg/scan-head-twice-cmyk", joined(inks, inks_rest[:18] + inks_rest)
    grey, grey_rest = segments(saved(photo.convert("L"), "JPEG", quality=92))
    yield "jpeg/scan-head-twice-grey", joined(grey, grey_rest[:10] + grey_rest)
    late, late_rest = segments(progressive)
    length = struct.unpack(">H", late_rest[2:4])[0] + 2
    yield "jpeg/scan-head-twice-progressive", joined(late, late_rest[:length] + late_rest)
    for n, each in enumerate(parts):
        twice = joined([*parts[: n + 1], each, *parts[n + 1 :]], rest)
        yield f"jpeg/segment-twice-{n}-{each[0]:x}", twice
    yield "jpeg/restart-interval-short", joined([*parts, (0xDD, b"\0")], rest)


# --------------------------------------------------------------------------------------- WebP


def riff(*parts: tuple[bytes, bytes], pad: bytes = b"\0", size: int = 0) -> bytes:
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + (pad if len(data) % 2 else b"")
        for name, data in parts
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4 + size) + b"WEBP" + body


def parts_of(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 12
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        found.append((data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return found


def canvas(flags: int, width: int = WIDTH, height: int = HEIGHT) -> tuple[bytes, bytes]:
    sizes = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return b"VP8X", bytes([flags, 0, 0, 0]) + sizes


def animated(
    size: tuple[int, int], at: tuple[int, int], bits: list[tuple[bytes, bytes]], flags: int = 0
) -> tuple[bytes, bytes]:
    words = [at[0] // 2, at[1] // 2, size[0] - 1, size[1] - 1, 100]
    head = b"".join(struct.pack("<I", word)[:3] for word in words) + bytes([flags])
    return b"ANMF", head + riff(*bits)[12:]


def webps() -> Iterator[Case]:
    photo = picture()
    clear = photo.copy()
    clear.putalpha(Image.linear_gradient("L").resize(photo.size))
    lossy, lossless = saved(photo, "WEBP", quality=92), saved(photo, "WEBP", lossless=True)
    lossy_alpha = saved(clear, "WEBP", quality=92)
    lossless_alpha = saved(clear, "WEBP", lossless=True, exact=True)
    yield "webp/lossy", lossy
    yield "webp/lossless", lossless
    yield "webp/lossy-alpha", lossy_alpha
    yield "webp/lossless-alpha", lossless_alpha
    for n in (3, 6, 8):
        yield f"webp/orientation-{n}", saved(photo, "WEBP", quality=92, exif=exif(n))
    yield "webp/colour-profile", saved(photo, "WEBP", lossless=True, icc_profile=profile())
    vp8, vp8l = parts_of(lossy)[0], parts_of(lossless)[0]
    alpha = dict(parts_of(lossy_alpha))
    yield "webp/extended-lossy", riff(canvas(0), vp8)
    yield "webp/extended-lossless", riff(canvas(0x10), vp8l)
    yield "webp/unknown-chunk", riff(canvas(0), (b"WHAT", b"words"), vp8, (b"MORE", b"odd"))
    yield "webp/unknown-chunk-simple", riff(vp8, (b"MORE", b"odd"))
    yield "webp/exif-flag-only", riff(canvas(0x08), vp8)
    yield "webp/exif-no-flag", riff(canvas(0), vp8, (b"EXIF", exif(6)[6:]))
    yield "webp/exif-simple", riff(vp8, (b"EXIF", exif(6)[6:]))
    yield "webp/exif-first", riff(canvas(0x08), (b"EXIF", exif(6)[6:]), vp8)
    yield "webp/exif-broken", riff(canvas(0x08), vp8, (b"EXIF", b"II*\0\xff\xff\xff\xff"))
    yield "webp/icc-broken", riff(canvas(0x20), (b"ICCP", b"nonsense"), vp8)
    yield "webp/icc-flag-only", riff(canvas(0x20), vp8)
    yield "webp/xmp", riff(canvas(0x04), vp8, (b"XMP ", b"<x/>"))
    yield "webp/pad-nonzero", riff(canvas(0), (b"WHAT", b"odd"), vp8, pad=b"\x77")
    odd_body = vp8[1] + (b"" if len(vp8[1]) % 2 else b"\0")
    yield "webp/pad-missing", riff((b"VP8 ", odd_body), pad=b"")
    yield "webp/alpha-flag-only", riff(canvas(0x10), vp8)
    yield (
        "webp/alpha-no-flag",
        riff(canvas(0), (b"ALPH", alpha[b"ALPH"]), (b"VP8 ", alpha[b"VP8 "])),
    )
    yield (
        "webp/alpha-late",
        riff(canvas(0x10), (b"VP8 ", alpha[b"VP8 "]), (b"ALPH", alpha[b"ALPH"])),
    )
    raw = bytes(n % 256 for n in range(WIDTH * HEIGHT))
    for name, plane in {
        "raw": b"\0" + raw,
        "raw-long": b"\0" + raw + b"more",
        "raw-short": b"\0" + raw[:-1],
        "raw-none": b"\0",
        "none": b"",
        "method": b"\2" + raw,
        "preprocessing": b"\x20" + raw,
        "reserved": b"\x80" + raw,
        "reserved-low": b"\x40" + raw,
    }.items():
        yield f"webp/alpha-{name}", riff(canvas(0x10), (b"ALPH", plane), (b"VP8 ", alpha[b"VP8 "]))
    yield (
        "webp/alpha-broken",
        riff(canvas(0x10), (b"ALPH", b"\x01nonsense"), (b"VP8 ", alpha[b"VP8 "])),
    )
    yield "webp/canvas-differs", riff(canvas(0, 60, 50), vp8)
    yield "webp/size-more", riff(vp8, size=40)
    yield "webp/size-less", riff(vp8, size=-4)
    yield "webp/size-huge", b"RIFF\xff\xff\xff\xff" + lossy[8:]
    yield "webp/size-zero", b"RIFF\0\0\0\0" + lossy[8:]
    yield "webp/size-odd", riff(vp8, size=1) + b"\0"
    yield "webp/trailing", lossy + b"more bytes"
    yield "webp/trailing-webp", lossy + lossy
    yield "webp/chunk-beyond", lossy[:16] + struct.pack("<I", len(vp8[1]) + 90) + lossy[20:]
    yield "webp/two-images", riff(vp8, vp8l)
    yield "webp/canvas-twice", riff(canvas(0), canvas(0), vp8)
    yield "webp/no-image", riff(canvas(0))
    yield "webp/empty", riff()
    for part in (20, 50, 80, 97):
        yield f"webp/cut-lossy-{part}", lossy[: len(lossy) * part // 100]
        yield f"webp/cut-lossless-{part}", lossless[: len(lossless) * part // 100]
    yield "webp/lossy-short", riff((b"VP8 ", vp8[1][: len(vp8[1]) // 2]))
    yield "webp/lossless-short", riff((b"VP8L", vp8l[1][: len(vp8l[1]) // 2]))
    yield "webp/lossy-header", riff((b"VP8 ", flipped(vp8[1], 4)))
    yield "webp/lossy-no-key-frame", riff((b"VP8 ", flipped(vp8[1], 0, 1)))
    yield "webp/lossy-hidden", riff((b"VP8 ", flipped(vp8[1], 0, 0x10)))
    yield "webp/lossless-header", riff((b"VP8L", flipped(vp8l[1], 0)))
    yield "webp/lossless-version", riff((b"VP8L", flipped(vp8l[1], 4, 0x20)))
    for n, at in enumerate((40, 200, 400)):
        yield f"webp/lossy-damaged-{n}", riff((b"VP8 ", flipped(vp8[1], at)))
        yield f"webp/lossless-damaged-{n}", riff((b"VP8L", flipped(vp8l[1], at % len(vp8l[1]))))

    turned = picture(shift=120)
    part = picture(20, 16)
    small = parts_of(saved(part, "WEBP", lossless=True))
    small_lossy = parts_of(saved(part, "WEBP", quality=92))
    whole, other = parts_of(lossless), parts_of(saved(turned, "WEBP", lossless=True))
    control = (b"ANIM", struct.pack("<IH", 0xFF0000FF, 0))
    full = (WIDTH, HEIGHT)
    yield (
        "webp/animated",
        riff(canvas(2), control, animated(full, (0, 0), whole), animated(full, (0, 0), other)),
    )
    yield (
        "webp/animated-small-first",
        riff(canvas(2), control, animated((20, 16), (8, 10), small), animated(full, (0, 0), other)),
    )
    yield "webp/animated-small-only", riff(canvas(2), control, animated((20, 16), (8, 10), small))
    yield (
        "webp/animated-small-lossy",
        riff(canvas(2), control, animated((20, 16), (8, 10), small_lossy)),
    )
    yield (
        "webp/animated-small-dispose",
        riff(
            canvas(2), control, animated((20, 16), (8, 10), small, 3), animated(full, (0, 0), other)
        ),
    )
    yield "webp/animated-no-control", riff(canvas(2), animated(full, (0, 0), whole))
    yield "webp/animated-no-flag", riff(canvas(0), control, animated(full, (0, 0), whole))
    yield "webp/animated-outside", riff(canvas(2), control, animated((20, 16), (40, 30), small))
    yield "webp/animated-flag-still", riff(canvas(2), whole[0])
    yield (
        "webp/animated-second-cut",
        riff(canvas(2), control, animated(full, (0, 0), whole), animated(full, (0, 0), other))[
            :-200
        ],
    )
    frames = [picture(shift=90)]
    yield (
        "webp/animated-control-twice",
        riff(canvas(2), control, control, animated(full, (0, 0), whole)),
    )
    yield "webp/animated-control-late", riff(canvas(2), animated(full, (0, 0), whole), control)
    yield (
        "webp/animated-control-short",
        riff(canvas(2), (b"ANIM", b"\0\0\0\0"), animated(full, (0, 0), whole)),
    )
    yield (
        "webp/animated-size-differs",
        riff(canvas(2), control, animated((24, 16), (8, 10), small), animated(full, (0, 0), other)),
    )
    yield (
        "webp/animated-second-differs",
        riff(canvas(2), control, animated(full, (0, 0), whole), animated((24, 16), (0, 0), small)),
    )
    yield (
        "webp/animated-still-too",
        riff(canvas(2), control, animated(full, (0, 0), whole), whole[0]),
    )
    yield (
        "webp/animated-still-first",
        riff(canvas(2), whole[0], control, animated(full, (0, 0), whole)),
    )
    yield (
        "webp/animated-alpha",
        riff(canvas(0x12), control, animated(full, (0, 0), parts_of(lossless_alpha)[-1:])),
    )
    yield "webp/flag-unknown", riff(canvas(0x40), vp8)
    yield "webp/flag-reserved", riff(canvas(0x01), vp8)
    yield "webp/extended-two", riff(canvas(0), vp8, vp8l)
    yield "webp/alpha-with-lossless", riff(canvas(0x10), (b"ALPH", alpha[b"ALPH"]), vp8l)
    yield (
        "webp/alpha-twice",
        riff(
            canvas(0x10),
            (b"ALPH", alpha[b"ALPH"]),
            (b"ALPH", alpha[b"ALPH"]),
            (b"VP8 ", alpha[b"VP8 "]),
        ),
    )
    yield (
        "webp/alpha-parted",
        riff(
            canvas(0x10), (b"ALPH", alpha[b"ALPH"]), (b"WHAT", b"word"), (b"VP8 ", alpha[b"VP8 "])
        ),
    )
    yield "webp/alpha-only", riff(canvas(0x10), (b"ALPH", alpha[b"ALPH"]))
    yield "webp/lossy-profile", riff((b"VP8 ", flipped(vp8[1], 0, 0x08)))
    yield "webp/pillow-animated", saved(photo, "WEBP", save_all=True, append_images=frames)


# ---------------------------------------------------------------------------------- any damage


def damaged() -> Iterator[Case]:
    """Valid files with one byte changed, at a place by the seed."""
    chance = random.Random(SEED)
    photo = picture()
    sources = {
        "png": png(),
        "png-palette": png(4, 3, trns=b"\0\x80"),
        "gif": gif(gif_control(5), gif_frame()),
        "jpeg": saved(photo, "JPEG", quality=92),
        "jpeg-progressive": saved(photo, "JPEG", quality=92, progressive=True),
        "webp": saved(photo, "WEBP", quality=92),
        "webp-lossless": saved(photo, "WEBP", lossless=True),
    }
    for name, data in sources.items():
        for n in range(6):
            at = chance.randrange(12, len(data))
            yield f"flip/{name}-{n}", flipped(data, at, 1 << chance.randrange(8))


MAKERS: list[Callable[[], Iterator[Case]]] = [
    png_depths,
    png_keys,
    png_extras,
    png_damage,
    apng,
    gifs,
    jpegs,
    webps,
    damaged,
]


def corpus() -> dict[str, bytes]:
    """By name."""
    found: dict[str, bytes] = {}
    for maker in MAKERS:
        for name, data in maker():
            assert name not in found, name
            found[name] = data
    return found


def write(folder: Path) -> None:
    index = {}
    for n, (name, data) in enumerate(corpus().items()):
        file = f"{n:03}.{name.split('/')[0]}"
        (folder / file).write_bytes(data)
        index[name] = file
    (folder / "index.json").write_text(json.dumps(index))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
