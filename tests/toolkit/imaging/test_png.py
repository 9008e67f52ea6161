"""Grey masks whatever a PNG's rows were filtered with: Pillow, which unpacks all of them, is the judge."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from toolkit.errors import ToolkitError
from toolkit.imaging.images import read_header, read_image
from toolkit.imaging.masks import read_mask
from toolkit.imaging.png import read_grey_png

Bytes = npt.NDArray[np.uint8]
NONE, SUB, UP, AVERAGE, PAETH = range(5)


def png_of_rows(rows: Bytes, filters: list[int], *, width: int | None = None) -> bytes:
    """A grey PNG whose filtered rows are given as they are, each with the number of its filter before it."""
    height, columns = rows.shape
    raw = b"".join(bytes([number]) + row.tobytes() for number, row in zip(filters, rows, strict=True))
    header = struct.pack(">IIBBBBB", width or columns, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def whole(data: bytes) -> Bytes:
    """The pixels, put together from the crop."""
    width, height, x, y, crop = read_grey_png(Path("mask.png"), data)
    pixels = np.zeros((height, width), np.uint8)
    pixels[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    return pixels


def by_pillow(data: bytes) -> Bytes:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image)


def rows_with(height: int, width: int, marks: dict[int, int]) -> Bytes:
    """Rows of zeros but for those in `marks`: row -> the value that its third byte holds."""
    rows = np.zeros((height, width), np.uint8)
    for row, value in marks.items():
        rows[row, 2] = value
    return rows


@pytest.mark.parametrize("first", [NONE, SUB, UP, AVERAGE, PAETH])
@pytest.mark.parametrize("after", [NONE, SUB, UP, AVERAGE, PAETH])
def test_rows_of_zeros_below_the_last_mark_may_repeat_it(first: int, after: int) -> None:
    data = png_of_rows(rows_with(9, 7, {3: 200, 4: 55}), [first] * 5 + [after] * 4)
    assert np.array_equal(whole(data), by_pillow(data))


def test_a_filter_that_repeats_goes_on_only_as_far_as_it_reaches() -> None:
    data = png_of_rows(rows_with(9, 7, {3: 255}), [NONE] * 4 + [UP, UP, NONE, UP, UP])
    pixels = whole(data)
    assert np.flatnonzero(pixels.any(axis=1)).tolist() == [3, 4, 5]
    assert np.array_equal(pixels, by_pillow(data))


@pytest.mark.parametrize("row", [0, 8])
def test_marks_in_the_first_and_last_row(row: int) -> None:
    data = png_of_rows(rows_with(9, 7, {row: 255}), [UP] * 9)
    assert np.array_equal(whole(data), by_pillow(data))


@pytest.mark.parametrize("filters", [[NONE] * 4, [PAETH] * 4], ids=["none", "paeth"])
def test_nothing_marked_is_an_empty_crop_of_the_right_size(filters: list[int]) -> None:
    width, height, _, _, crop = read_grey_png(Path("mask.png"), png_of_rows(rows_with(4, 6, {}), filters))
    assert (width, height, crop.size) == (6, 4, 0)


@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    seed=st.integers(0, 2**32 - 1),
    density=st.sampled_from([0.0, 0.02, 0.2, 1.0]),
)
def test_any_rows_with_any_filters(size: tuple[int, int], seed: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    rows = (rng.integers(0, 256, size) * (rng.random(size) < density)).astype(np.uint8)
    data = png_of_rows(rows, rng.integers(0, 5, size[0]).tolist())
    assert np.array_equal(whole(data), by_pillow(data))


@pytest.mark.parametrize(
    ("rows", "filters", "width"),
    [
        (rows_with(4, 6, {1: 255}), [NONE] * 4, 9),  # fewer pixels than the header says
        (rows_with(4, 6, {1: 255}), [NONE, 9, NONE, NONE], None),  # no such filter
    ],
    ids=["too few pixels", "unknown filter"],
)
def test_pixels_that_do_not_unpack(tmp_path: Path, rows: Bytes, filters: list[int], width: int | None) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(png_of_rows(rows, filters, width=width))
    with pytest.raises(ToolkitError, match=r"mask\.png: not a readable image \(.+\); replace the file"):
        read_mask(path)


@pytest.mark.parametrize("read", [read_header, read_image, read_mask])
@pytest.mark.parametrize("place", [0, 4])
def test_a_png_of_no_rows_or_columns(tmp_path: Path, read: Callable[[Path], object], place: int) -> None:
    data = bytearray(png_of_rows(rows_with(4, 6, {}), [NONE] * 4))
    data[16 + place : 20 + place] = bytes(4)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path = tmp_path / "mask.png"
    path.write_bytes(data)
    with pytest.raises(ToolkitError, match=r"mask\.png: not a readable image.*; replace the file"):
        read(path)


def test_a_png_of_a_filter_method_that_nobody_knows(tmp_path: Path) -> None:
    data = bytearray(png_of_rows(rows_with(4, 6, {1: 255}), [NONE] * 4))
    data[27] = 1
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path = tmp_path / "mask.png"
    path.write_bytes(data)
    with pytest.raises(ToolkitError, match=r"mask\.png: not a readable image.*; replace the file"):
        read_mask(path)
