"""PNGs of every kind that the specification allows, each with the samples that are in it.

Names of chunks and filters are those of the PNG specification (third edition), chapters 9 and 11.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "PALETTE",
    "SIGNATURE",
    "MadePng",
    "chunk",
    "chunks_of",
    "compress",
    "filtered",
    "make_png",
    "packed",
    "scan_lines",
]

Samples = npt.NDArray[np.uint16]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGBA: (8, 16)}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


@dataclass(frozen=True, eq=False)
class MadePng:
    """A sound PNG, and what was put into it.

    Attributes:
        samples: uint16 (H, W, C), as they are stored; indices for a palette.
        palette: uint8 (N, 3), or None.
        unequal: whether the colour channels differ.
        orientation: of its EXIF block; 1 without one.
        more: names of what it carries besides.
    """

    data: bytes
    colour: int
    depth: int
    interlaced: bool
    samples: Samples
    palette: npt.NDArray[np.uint8] | None
    unequal: bool
    orientation: int
    more: tuple[str, ...]

    @property
    def kind(self) -> str:
        """What a finding of it is called."""
        more = ", ".join(name for name in self.more if name in ("APNG", "hidden", "tRNS", "eXIf", "PLTE"))
        return f"colour {self.colour} depth {self.depth}{' interlaced' if self.interlaced else ''} {more}".strip()

    def __str__(self) -> str:
        height, width = self.samples.shape[:2]
        return f"{width} x {height} {self.kind} {' '.join(self.more)}"


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def chunks_of(data: bytes) -> list[tuple[bytes, bytearray]]:
    """Kind and content of every chunk up to the last whole one."""
    found, place = [], len(SIGNATURE)
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        found.append((data[place + 4 : place + 8], bytearray(data[place + 8 : place + 8 + length])))
        place += 12 + length
        if found[-1][0] == b"IEND":
            break
    return found


def packed(samples: Samples, depth: int) -> npt.NDArray[np.uint8]:
    """Rows of samples (H, W, C) as bytes: uint8 (H, bytes)."""
    height, width, channels = samples.shape
    flat = samples.reshape(height, width * channels)
    if depth == 16:
        return flat.astype(">u2").view(np.uint8).reshape(height, -1)
    if depth == 8:
        return flat.astype(np.uint8)
    each = 8 // depth
    padded = np.zeros((height, -(-flat.shape[1] // each) * each), np.uint8)
    padded[:, : flat.shape[1]] = flat
    groups = padded.reshape(height, -1, each)
    out = np.zeros(groups.shape[:2], np.uint8)
    for place in range(each):
        out |= (groups[:, :, place] << (8 - depth * (place + 1))).astype(np.uint8)
    return out


def filtered(rows: npt.NDArray[np.uint8], unit: int, kinds: Sequence[int]) -> bytes:
    """Rows with their filters, by number, in front: None, Sub, Up, Average, Paeth. `unit`: bytes of a pixel."""
    height, length = rows.shape
    wide = rows.astype(np.int16)
    up, left, corner = np.zeros_like(wide), np.zeros_like(wide), np.zeros_like(wide)
    up[1:] = wide[:-1]
    left[:, unit:] = wide[:, :-unit] if length > unit else 0
    corner[:, unit:] = up[:, :-unit] if length > unit else 0
    guess = left + up - corner
    near_left, near_up, near_corner = abs(guess - left), abs(guess - up), abs(guess - corner)
    below = np.where(near_up <= near_corner, up, corner)
    paeth = np.where((near_left <= near_up) & (near_left <= near_corner), left, below)
    out = np.zeros((height, length + 1), np.uint8)
    out[:, 0] = kinds
    for kind, taken in enumerate((np.zeros_like(wide), left, up, (left + up) // 2, paeth)):
        chosen = out[:, 0] == kind
        out[chosen, 1:] = ((wide - taken) & 255)[chosen]
    return out.tobytes()


def scan_lines(samples: Samples, depth: int, interlaced: bool, rng: random.Random, filters: Sequence[int]) -> bytes:
    """What is compressed: the rows, each with a filter out of `filters`."""
    unit = max(1, depth * samples.shape[2] // 8)
    passes = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7] if interlaced else [samples]
    parts = [
        filtered(packed(part, depth), unit, [rng.choice(filters) for _ in range(part.shape[0])])
        for part in passes
        if part.shape[0] and part.shape[1]
    ]
    return b"".join(parts)


def compress(rng: random.Random, raw: bytes) -> bytes:
    """A zlib stream as one encoder or another writes it: any window, level and strategy, with flushes in between."""
    level = rng.choice((0, 1, 6, 9))
    window = rng.choice((9, 12, 15, 15, 15, 15))
    strategy = rng.choice((zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED, *[zlib.Z_DEFAULT_STRATEGY] * 3))
    packer = zlib.compressobj(level, zlib.DEFLATED, window, 8, strategy)
    if rng.random() < 0.8:
        return packer.compress(raw) + packer.flush()
    out, step = b"", max(1, len(raw) // rng.randint(1, 5))
    for start in range(0, len(raw), step):
        out += packer.compress(raw[start : start + step]) + packer.flush(
            rng.choice((zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH))
        )
    return out + packer.flush()


def _size(rng: random.Random) -> tuple[int, int]:
    roll = rng.random()
    if roll < 0.25:
        return rng.choice(((1, 1), (1, 2), (2, 1), (1, rng.randint(1, 300)), (rng.randint(1, 300), 1)))
    if roll < 0.97:
        return rng.randint(1, 40), rng.randint(1, 40)
    if roll < 0.995:
        return rng.randint(1, 300), rng.randint(1, 300)
    return rng.choice(((3000, rng.randint(1, 60)), (rng.randint(1, 60), 3000), (1000, 1000)))


def _plane(rng: random.Random, gen: np.random.Generator, height: int, width: int, top: int) -> Samples:
    """One channel of samples up to `top`: like a mask more often than not."""
    full = min(top, rng.choice((1, top)))
    y, x = rng.randrange(height), rng.randrange(width)
    out = np.zeros((height, width), np.uint16)
    way = rng.randrange(7)
    if way == 1:
        out[:] = full
    elif way == 2:
        return gen.integers(0, top + 1, (height, width)).astype(np.uint16)
    elif way == 3:
        return (gen.random((height, width)) < rng.choice((0.02, 0.5, 0.98))).astype(np.uint16) * full
    elif way == 4:
        out[y if rng.random() < 0.5 else (y, x)] = full
    elif way == 5:  # columns that run on, so that the rows below hold only zeros once they are filtered
        out[y:, :: rng.randint(1, 4)] = full
        if rng.random() < 0.5:
            out[rng.randrange(y, height) + 1 :] = 0
    elif way == 6:
        out[y : y + rng.randint(1, height), x : x + rng.randint(1, width)] = full
    return out


def _palette(rng: random.Random, gen: np.random.Generator, entries: int) -> npt.NDArray[np.uint8]:
    table = gen.integers(0, 256, (entries, 3)).astype(np.uint8)
    if rng.random() < 0.5:
        table[:, 1:] = table[:, :1]
    if rng.random() < 0.4:
        table[0], table[1:] = 0, 255
    return table


def _ancillary(rng: random.Random, made: dict[str, Any]) -> list[tuple[str, bytes]]:
    """(name, chunk) of what stands in front of the pixels, in the order of the specification."""
    colour, depth, samples, palette = made["colour"], made["depth"], made["samples"], made["palette"]
    top = (1 << depth) - 1
    bits = rng.randint(1, 8 if colour == PALETTE else depth)
    space = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    found = [
        ("gAMA", 0.15, struct.pack(">I", rng.choice((45455, 100_000, 22727, 1)))),
        ("sRGB", 0.1, b"\0"),
        ("cHRM", 0.1, space),
        ("sBIT", 0.1, bytes([bits] * (3 if colour == PALETTE else CHANNELS[colour]))),
    ]
    chosen = [(name, chunk(name.encode(), body)) for name, share, body in found if rng.random() < share]
    if palette is not None:
        chosen.append(("", chunk(b"PLTE", palette.tobytes())))
    elif colour in (RGB, RGBA) and rng.random() < 0.1:
        chosen.append(("PLTE", chunk(b"PLTE", rng.randbytes(12))))
    if colour in (GREY, RGB, PALETTE) and rng.random() < 0.2:
        body = {
            GREY: struct.pack(">H", rng.choice((0, top, int(samples.flat[0])))),
            RGB: struct.pack(">HHH", *[rng.choice((0, top))] * 3),
            PALETTE: rng.randbytes(rng.randint(1, len(palette) if palette is not None else 1)),
        }[colour]
        chosen.append(("tRNS", chunk(b"tRNS", body)))
    if rng.random() < 0.1:
        chosen.append(("pHYs", chunk(b"pHYs", struct.pack(">IIB", 2835, rng.choice((2835, 5000)), 1))))
    if rng.random() < 0.1:
        chosen.append(("text", chunk(rng.choice((b"tEXt", b"prVt")), b"Comment\0" + rng.randbytes(20))))
    if made["orientation"] != 1:
        block = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + bytes([0, made["orientation"], 0, 0]) + b"\0\0\0\0"
        chosen.append(("eXIf", chunk(b"eXIf", block)))
    return chosen


def _frames(rng: random.Random, made: dict[str, Any], data: bytes) -> tuple[list[str], list[bytes]]:
    """Names of what it carries; the chunks of the pixels: in pieces, and now and then one frame of two."""
    samples, depth = made["samples"], made["depth"]
    height, width = samples.shape[:2]
    control = struct.pack(">IIIIHHBB", width, height, 0, 0, 1, 10, 0, 0)
    animated, hidden = rng.random() < 0.05, rng.random() < 0.5
    names, parts = [], []
    if animated:
        names += ["APNG", "hidden"] if hidden else ["APNG"]
        parts.append(chunk(b"acTL", struct.pack(">II", 1 if hidden else 2, 0)))
        parts += [] if hidden else [chunk(b"fcTL", struct.pack(">I", 0) + control)]
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((1, 1, 1, 2, 3, 20, 200)) - 1))
    parts += [chunk(b"IDAT", data[start:end]) for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    if rng.random() < 0.1:
        names.append("empty IDAT")
        parts.append(chunk(b"IDAT"))
    if animated:
        number = 0 if hidden else 1
        other = (1 << depth) - 1 - samples if made["colour"] != PALETTE else samples[::-1]
        raw = compress(rng, scan_lines(other, depth, made["interlaced"], rng, (0,)))
        parts.append(chunk(b"fcTL", struct.pack(">I", number) + control))
        parts.append(chunk(b"fdAT", struct.pack(">I", number + 1) + raw))
    if rng.random() < 0.05:
        parts.append(chunk(b"tIME", struct.pack(">HBBBBB", 2020, 1, 1, 0, 0, 0)))
    return names, parts


def make_png(rng: random.Random) -> MadePng:
    """A sound PNG by chance."""
    gen = np.random.default_rng(rng.getrandbits(64))
    colour = rng.choices((GREY, RGB, PALETTE, GREY_ALPHA, RGBA), (6, 2, 3, 2, 2))[0]
    depth = rng.choice(DEPTHS[colour]) if rng.random() < 0.7 else 8
    width, height = _size(rng)
    top = (1 << depth) - 1
    palette = _palette(rng, gen, rng.randint(1, 1 << depth)) if colour == PALETTE else None
    base = _plane(rng, gen, height, width, top if palette is None else len(palette) - 1)
    samples = np.repeat(base[:, :, None], CHANNELS[colour], axis=2)
    if colour in (GREY_ALPHA, RGBA):
        samples[:, :, -1] = gen.integers(0, top + 1, (height, width)) if rng.random() < 0.5 else top
    unequal = colour in (RGB, RGBA) and rng.random() < 0.3
    if unequal:
        samples[:, :, 0] = gen.integers(0, top + 1, (height, width))
    made: dict[str, Any] = {
        "colour": colour,
        "depth": depth,
        "interlaced": rng.random() < 0.15,
        "samples": samples,
        "palette": palette,
        "unequal": unequal,
        "orientation": rng.randint(1, 8) if rng.random() < 0.06 else 1,
    }
    filters = rng.choice(((0, 1, 2, 3, 4), (0, 1, 2, 3, 4), (0,), (1,), (2,), (3,), (4,)))
    data = compress(rng, scan_lines(samples, depth, made["interlaced"], rng, filters))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, made["interlaced"]))
    front = _ancillary(rng, made)
    names, frames = _frames(rng, made, data)
    tail = rng.randbytes(rng.randint(1, 300)) if rng.random() < 0.1 else b""
    whole = SIGNATURE + header + b"".join(part for _, part in front) + b"".join(frames) + chunk(b"IEND") + tail
    more = (*(name for name, _ in front if name), *names, *(["tail"] if tail else []))
    return MadePng(data=whole, more=more, **made)
