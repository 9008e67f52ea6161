"""What a mask means is not guessed: each way to save one gives the right pixels or a refusal that says the way out."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from toolkit.errors import ToolkitError
from toolkit.imaging.masks import present_values, read_class_ids, read_mask, read_values
from toolkit.imaging.stored import is_lossy

Pixels = npt.NDArray[Any]
MARKED = np.zeros((20, 30), np.bool_)
MARKED[5:12, 4:21] = True
TWO = MARKED.astype(np.uint8)
TWO[14:17, 22:28] = 2
RED, GREEN = (200, 0, 0), (0, 120, 0)


def encoded(pixels: Pixels | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(buffer, kind, **options)
    return buffer.getvalue()


def palette(indices: Pixels, *colours: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray(indices.astype(np.uint8), "P")
    image.putpalette([value for colour in colours for value in colour])
    return image


def coloured(indices: Pixels, *colours: tuple[int, ...]) -> Pixels:
    return np.array(colours, np.uint8)[indices.astype(np.uint8)]


def packed_png(numbers: Pixels, bits: int, *, colours: bytes = b"") -> bytes:
    """A PNG whose numbers, grey values or palette indices, take `bits` each."""
    height, width = numbers.shape
    unpacked = (numbers[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(unpacked.reshape(height, -1), axis=1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, 3 if colours else 0, 0, 0, 0)
    chunks = [
        (b"IHDR", header),
        *([(b"PLTE", colours)] if colours else []),
        (b"IDAT", zlib.compress(raw)),
        (b"IEND", b""),
    ]
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[bytes], Path]:
    def save(data: bytes) -> Path:
        path = tmp_path / "mask.png"
        path.write_bytes(data)
        return path

    return save


Saved = Callable[[bytes], Path]

BINARY = {
    "adaptive palette, black at 1": encoded(palette(1 - MARKED, RED, (0, 0, 0))),
    "VOC palette": encoded(palette(MARKED, (0, 0, 0), (128, 0, 0))),
    "black at 7": encoded(palette(np.where(MARKED, 3, 7), *[(9, 9, 200)] * 7, (0, 0, 0))),
    "white at 0": encoded(palette(1 - MARKED, (255, 255, 255), (0, 0, 0))),
    "two indices of one colour": encoded(palette(TWO * MARKED + MARKED[:, ::-1] * 0, (0, 0, 0), RED, RED)),
    "black and white BMP, reversed": encoded(palette(1 - MARKED, (255, 255, 255), (0, 0, 0)), "BMP"),
    "1 bit": packed_png(MARKED.astype(np.uint8), 1),
    "2 bits, 0 and 3": packed_png(MARKED * np.uint8(3), 2),
    "4 bits, 0 and 1": packed_png(MARKED.astype(np.uint8), 4),
    "4 bits, 0 and 15": packed_png(MARKED * np.uint8(15), 4),
    "RGBA, opaque": encoded(np.dstack([MARKED * np.uint8(255)] * 3 + [np.full(MARKED.shape, 255, np.uint8)])),
    "RGBA, half transparent all over": encoded(
        np.dstack([MARKED * np.uint8(255)] * 3 + [np.full(MARKED.shape, 9, np.uint8)])
    ),
    "RGBA, white where opaque": encoded(np.dstack([MARKED * np.uint8(255)] * 4)),
    "16 bits, 0 and 255": encoded(MARKED.astype(np.uint16) * np.uint16(255)),
    "TIFF, white is 0": encoded(Image.fromarray(MARKED), "TIFF", compression="group4"),
}


@pytest.mark.parametrize("form", BINARY)
def test_masks_that_mean_one_thing(saved: Saved, form: str) -> None:
    assert np.array_equal(read_mask(saved(BINARY[form])).pixels() > 0, MARKED)


ZERO = np.zeros((20, 30), np.uint8)
EMPTY = {
    "grey": encoded(ZERO),
    "1 bit": encoded(ZERO.astype(bool)),
    "4 bits": packed_png(ZERO, 4),
    "16 bits": encoded(ZERO.astype(np.uint16)),
    "RGB": encoded(np.dstack([ZERO] * 3)),
    "RGBA": encoded(np.dstack([ZERO] * 3 + [ZERO + 255])),
    "RGBA, transparent": encoded(np.dstack([ZERO] * 4)),
    "grey and alpha": encoded(np.dstack([ZERO, ZERO + 255])),
    "palette": encoded(palette(ZERO, (0, 0, 0), RED)),
    "BMP": encoded(ZERO, "BMP"),
    "BMP, colour": encoded(np.dstack([ZERO] * 3), "BMP"),
    "TIFF": encoded(ZERO, "TIFF"),
    "TIFF, 16 bits": encoded(ZERO.astype(np.uint16), "TIFF"),
    "JPEG": encoded(ZERO, "JPEG"),
    "JPEG, colour": encoded(np.dstack([ZERO] * 3), "JPEG"),
    "WebP": encoded(np.dstack([ZERO] * 3), "WEBP"),
}


@pytest.mark.parametrize("form", EMPTY)
@pytest.mark.parametrize("reading", ["", "nonzero"])
def test_a_mask_with_nothing_marked_is_empty(saved: Saved, form: str, reading: Any) -> None:
    mask = read_mask(saved(EMPTY[form]), reading=reading)
    assert (mask.width, mask.height, mask.crop.size) == (30, 20, 0)


PAINT = MARKED * np.uint8(255)
SMOOTH = np.clip(np.hypot(*(np.mgrid[:20, :30] - 10)) * 20, 0, 255).astype(np.uint8)
REFUSED = {
    "white paint": (
        encoded(np.dstack([ZERO + 255] * 3 + [PAINT])),
        "is #ffffff all over: what it marks may be in its alpha channel",
        "say with --values alpha that what is not transparent counts",
    ),
    "black paint": (encoded(np.dstack([ZERO] * 3 + [PAINT])), "is #000000 all over", "say with --values alpha"),
    "grey paint": (encoded(np.dstack([ZERO + 7, PAINT])), "is #070707 all over", "say with --values alpha"),
    "palette of one colour and alpha": (
        encoded(palette(MARKED, RED, RED), transparency=b"\0\xff"),
        "is #c80000 all over",
        "say with --values alpha",
    ),
    "black paint on transparent white": (
        encoded(np.dstack([255 - PAINT] * 3 + [PAINT])),
        "all that it marks is transparent",
        "say with --values alpha",
    ),
    "one grey": (encoded(MARKED * np.uint8(38)), "(38)", "say with --values nonzero that 38 marks the defect"),
    "12 bits": (encoded(MARKED.astype(np.uint16) * 4095), "(4095)", "say with --values nonzero that 4095 marks"),
    "2 bits, 0 and 2": (packed_png(MARKED * np.uint8(2), 2), "(2)", "say with --values nonzero"),
    "ids": (
        encoded(TWO),
        "grey values in a mask that should be binary (1, 2)",
        "they look like class ids: say --values ids, or name them, as in --values '1=NAME,2=NAME'",
    ),
    "ids of 2 bits": (packed_png(TWO, 2), "(1, 2)", "--values ids"),
    "ids of 16 bits": (encoded(TWO.astype(np.uint16) * 3), "(3, 6)", "--values '3=NAME,6=NAME'"),
    "ids and ignore": (encoded(np.where(TWO == 2, 255, TWO).astype(np.uint8)), "(1, 255)", "--values ids"),
    "many greys": (encoded(SMOOTH), "...)", "say with --threshold N, or --values '>=128', which count as defect"),
    "two greys": (encoded(np.where(TWO == 2, 200, TWO * 100).astype(np.uint8)), "(100, 200)", "--threshold N"),
    "JPEG": (encoded(PAINT, "JPEG", quality=70), "...)", "say with --threshold 128 which count as defect"),
    "red on black": (
        encoded(coloured(MARKED, (0, 0, 0), RED)),
        "the channels of this RGB mask differ",
        "say with --values nonzero that its #c80000 marks the defect",
    ),
    "two colours": (
        encoded(coloured(TWO, (0, 0, 0), RED, GREEN)),
        "the channels of this RGB mask differ",
        "name its colours in a layout file",
    ),
    "VOC palette, two": (
        encoded(palette(TWO, (0, 0, 0), RED, GREEN)),
        "several colours in a palette mask that should be binary (indices 1, 2)",
        "--values '1=NAME,2=NAME'",
    ),
    "palette without black": (
        encoded(palette(MARKED, (30, 30, 200), RED)),
        "no colour of its palette that occurs is black",
        "--values ids",
    ),
    "palette, all one colour": (
        encoded(palette(MARKED | True, (0, 0, 0), RED)),
        "no colour of its palette",
        "--values ids",
    ),
}


@pytest.mark.parametrize("form", REFUSED)
def test_masks_that_may_mean_several_things(saved: Saved, form: str) -> None:
    data, problem, remedy = REFUSED[form]
    path = saved(data)
    with pytest.raises(ToolkitError) as caught:
        read_mask(path)
    (found,) = caught.value.problems
    assert found.file == str(path)
    assert problem in found.problem
    assert remedy in found.remedy


ALPHA = {name: REFUSED[name][0] for name in REFUSED if "paint" in name or "alpha" in name}


@pytest.mark.parametrize("form", ALPHA)
def test_what_is_not_transparent_is_marked_where_that_is_said(saved: Saved, form: str) -> None:
    assert np.array_equal(read_mask(saved(ALPHA[form]), reading="alpha").pixels() > 0, MARKED)


@pytest.mark.parametrize("reading", ["", "nonzero"])
@pytest.mark.parametrize("threshold", [None, 128])
def test_paint_all_over_is_refused_whatever_is_counted(saved: Saved, reading: Any, threshold: int | None) -> None:
    with pytest.raises(ToolkitError, match="may be in its alpha channel"):
        read_mask(saved(ALPHA["white paint"]), threshold, reading=reading)


def test_grey_and_alpha_that_only_pillow_reads(saved: Saved) -> None:
    data = bytearray(encoded(np.dstack([MARKED * np.uint8(255), ZERO + 255])))
    data[26] = 1  # a method of compression that OpenCV does not know, and Pillow passes over
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path = saved(bytes(data))
    assert np.array_equal(read_mask(path).pixels() > 0, MARKED)
    assert np.array_equal(read_mask(path, reading="nonzero").pixels() > 0, MARKED)


def test_soft_alpha_needs_a_threshold(saved: Saved) -> None:
    path = saved(encoded(np.dstack([ZERO + 255] * 3 + [SMOOTH])))
    with pytest.raises(ToolkitError, match=r"is half transparent in places \(alpha .*; say with threshold=N"):
        read_mask(path, reading="alpha")
    assert np.array_equal(read_mask(path, 100, reading="alpha").pixels() > 0, SMOOTH >= 100)


@pytest.mark.parametrize(
    ("pixels", "problem"),
    [
        (PAINT, "has no alpha channel"),
        (np.dstack([PAINT] * 3), "has no alpha channel"),
        (np.dstack([PAINT] * 3 + [ZERO + 255]), "nothing in it is transparent"),
    ],
)
def test_alpha_that_is_not_there(saved: Saved, pixels: Pixels, problem: str) -> None:
    with pytest.raises(ToolkitError, match=problem):
        read_mask(saved(encoded(pixels)), reading="alpha")


NONZERO = {
    "one grey": (encoded(MARKED * np.uint8(38)), MARKED),
    "ids": (encoded(TWO), TWO > 0),
    "16 bits": (encoded(TWO.astype(np.uint16) * 300), TWO > 0),
    "red on black": (encoded(coloured(MARKED, (0, 0, 0), RED)), MARKED),
    "colours": (encoded(coloured(TWO, (0, 0, 0), RED, (0, 0, 1))), TWO > 0),
    "RGBA": (encoded(coloured(TWO, (0, 0, 0, 9), (200, 0, 0, 0), (0, 3, 0, 80))), TWO > 0),
    "palette": (encoded(palette(TWO, (0, 0, 0), RED, GREEN)), TWO > 0),
    "palette, black at 1": (encoded(palette(1 - MARKED, RED, (0, 0, 0))), MARKED),
    "palette, dark at 0": (encoded(palette(TWO, (10, 20, 30), RED, GREEN)), TWO > 0),
    "palette, all one colour": (encoded(palette(MARKED | True, (0, 0, 0), RED)), MARKED | True),
    "BMP of three greys": (encoded(palette(TWO, (0, 0, 0), (255, 255, 255), (85, 85, 85)), "BMP"), TWO > 0),
    "1 bit": (packed_png(MARKED.astype(np.uint8), 1), MARKED),
}


@pytest.mark.parametrize("form", NONZERO)
def test_nonzero_is_what_is_not_background(saved: Saved, form: str) -> None:
    data, marked = NONZERO[form]
    assert np.array_equal(read_mask(saved(data), reading="nonzero").pixels() > 0, marked)


def test_nonzero_does_not_guess_a_background(saved: Saved) -> None:
    with pytest.raises(ToolkitError, match="no colour of its palette that occurs is black"):
        read_mask(saved(encoded(palette(TWO, (120, 120, 120), RED, GREEN))), reading="nonzero")


def test_a_lossy_webp_is_known_behind_a_long_profile(saved: Saved) -> None:
    faint = np.where(MARKED, 255, SMOOTH // 32).astype(np.uint8)
    profile = bytes(6000)
    path = saved(encoded(Image.fromarray(faint).convert("RGB"), "WEBP", quality=90, icc_profile=profile))
    assert is_lossy(path.read_bytes())
    assert not is_lossy(encoded(Image.fromarray(faint).convert("RGB"), "WEBP", lossless=True, icc_profile=profile))


@pytest.mark.parametrize("reading", ["nonzero", "values", "colours"])
def test_what_lossy_compression_left_is_no_value(saved: Saved, reading: Any) -> None:
    path = saved(encoded(PAINT, "JPEG", quality=70))
    with pytest.raises(ToolkitError, match="changed by lossy compression; say with threshold=128"):
        read_mask(path, values=(255,), reading=reading)
    with pytest.raises(ToolkitError, match="changed by lossy compression, and name no classes"):
        read_values(path, "values")
    with pytest.raises(ToolkitError, match="changed by lossy compression, and name no classes"):
        read_class_ids(path)


IDS = {
    "1 bit": (packed_png(MARKED.astype(np.uint8), 1), MARKED.astype(int)),
    "2 bits": (packed_png(TWO + MARKED * np.uint8(2), 2), TWO + MARKED * 2),
    "4 bits": (packed_png(TWO * np.uint8(7), 4), TWO * 7),
    "1 bit, palette": (packed_png(MARKED.astype(np.uint8), 1, colours=bytes([0, 0, 0, 200, 0, 0])), MARKED.astype(int)),
    "2 bits, palette": (packed_png(TWO, 2, colours=bytes([0, 0, 0, *RED, *GREEN])), TWO),
    "4 bits, palette of zeros": (packed_png(TWO, 4, colours=bytes(48)), TWO),
    "8 bits": (encoded(TWO * np.uint8(100)), TWO * 100),
    "8 bits, interlaced": (encoded(TWO, interlace=1), TWO),
    "16 bits": (encoded(TWO.astype(np.uint16)), TWO),
    "RGB": (encoded(np.dstack([TWO] * 3)), TWO),
    "BMP, 1 bit": (encoded(Image.fromarray(MARKED), "BMP"), MARKED.astype(int)),
    "BMP, palette": (encoded(palette(TWO, (0, 0, 0), RED, GREEN), "BMP"), TWO),
    "TIFF, 1 bit": (encoded(Image.fromarray(MARKED), "TIFF"), MARKED.astype(int)),
    "TIFF, palette": (encoded(palette(TWO, (0, 0, 0), RED, GREEN), "TIFF"), TWO),
}


@pytest.mark.parametrize("form", IDS)
def test_ids_are_the_numbers_as_they_stand(saved: Saved, form: str) -> None:
    data, ids = IDS[form]
    path, present = saved(data), tuple(sorted(set(ids.ravel().tolist()) - {0}))
    assert np.array_equal(read_values(path, "values"), ids)
    found = read_class_ids(path)
    assert found.dtype == np.uint8
    assert np.array_equal(found, ids)
    assert present_values(path, "values") == present
    for value in (0, *present):
        assert np.array_equal(read_mask(path, values=(value,)).pixels() > 0, ids == value)
        assert np.array_equal(read_mask(path, None, (value,), "values").pixels() > 0, ids == value)


def test_the_black_of_a_palette_is_no_class(saved: Saved) -> None:
    path = saved(encoded(palette(1 - MARKED, RED, (0, 0, 0))))
    assert present_values(path, "values") == (0,)
    assert np.array_equal(read_mask(path, values=(0,)).pixels() > 0, MARKED)


COLOURS = {
    "RGB": encoded(coloured(TWO, (0, 0, 0), RED, GREEN)),
    "RGBA": encoded(coloured(TWO, (0, 0, 0, 255), (*RED, 255), (*GREEN, 0))),
    "palette": encoded(palette(TWO, (0, 0, 0), RED, GREEN)),
    "palette, black last": encoded(palette(2 - TWO, GREEN, RED, (0, 0, 0))),
    "BMP": encoded(coloured(TWO, (0, 0, 0), RED, GREEN), "BMP"),
    "WebP": encoded(coloured(TWO, (0, 0, 0), RED, GREEN), "WEBP", lossless=True),
}


@pytest.mark.parametrize("form", COLOURS)
def test_colours_are_told_apart(saved: Saved, form: str) -> None:
    path = saved(COLOURS[form])
    assert present_values(path, "colours") == (0x007800, 0xC80000)
    assert np.array_equal(read_mask(path, None, (0xC80000,), "colours").pixels() > 0, TWO == 1)
    assert np.array_equal(read_values(path, "colours"), np.array([0, 0xC80000, 0x007800])[TWO])


def test_greys_are_colours_too(saved: Saved) -> None:
    assert present_values(saved(encoded(TWO * np.uint8(16))), "colours") == (0x101010, 0x202020)
    assert present_values(saved(packed_png(TWO, 2)), "colours") == (0x555555, 0xAAAAAA)
    assert present_values(saved(encoded(TWO.astype(np.uint16) << 8)), "colours") == (0x010101, 0x020202)


def test_colours_are_no_values(saved: Saved) -> None:
    path = saved(COLOURS["RGB"])
    for read in (lambda: read_values(path, "values"), lambda: present_values(path, "values")):
        with pytest.raises(ToolkitError, match="the channels of this RGB mask differ"):
            read()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_threshold_beyond_the_range_of_few_bits_counts_in_0_to_255(saved: Saved, bits: int) -> None:
    path = saved(packed_png(MARKED * np.uint8((1 << bits) - 1), bits))
    for threshold in (128, 1 << bits, 255):
        assert np.array_equal(read_mask(path, threshold).pixels() > 0, MARKED)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("colours", [False, True])
def test_a_threshold_counts_in_the_range_of_few_bits(saved: Saved, bits: int, colours: bool) -> None:
    full = (1 << bits) - 1
    ramp = (np.arange(20 * 30).reshape(20, 30) % (full + 1)).astype(np.uint8)
    greys = bytes(value for value in range(0, 256, 255 // full) for _ in range(3)) if colours else b""
    path = saved(packed_png(ramp, bits, colours=greys))
    for threshold in range(1, full + 1):
        wanted = ramp * (255 // full) >= threshold if colours else ramp >= threshold  # a palette has grey values
        assert np.array_equal(read_mask(path, threshold).pixels() > 0, wanted), threshold
