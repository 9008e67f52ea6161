"""Grey masks whatever a PNG's rows were filtered with: Pillow, which unpacks all of them, is the judge."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from toolkit.errors import ToolkitError
from toolkit.imaging.images import read_header, read_image
from toolkit.imaging.masks import read_class_ids, read_mask
from toolkit.imaging.png import encode_rgb_png, is_rgb_png, read_grey_png, read_rgb_png

Bytes = npt.NDArray[np.uint8]
NONE, SUB, UP, AVERAGE, PAETH = range(5)
RGB = 2


def png_of_rows(rows: Bytes, filters: list[int], *, width: int | None = None, colour: int = 0) -> bytes:
    """A PNG, grey or of `colour`, whose filtered rows are as given, each with the number of its filter before it."""
    height, columns = rows.shape
    raw = b"".join(bytes([number]) + row.tobytes() for number, row in zip(filters, rows, strict=True))
    header = struct.pack(">IIBBBBB", width or columns, height, 8, colour, 0, 0, 0)
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


def rgb_png(channels: list[Bytes], filters: list[int]) -> bytes:
    """An RGB PNG of the filtered rows of its channels."""
    height, width = channels[0].shape
    rows = np.stack(channels, axis=2).reshape(height, 3 * width)
    return png_of_rows(rows, filters, width=width, colour=RGB)


@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    seed=st.integers(0, 2**32 - 1),
    density=st.sampled_from([0.0, 0.02, 0.2, 1.0]),
)
def test_equal_channels_are_one_whatever_the_filters(size: tuple[int, int], seed: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    rows = (rng.integers(0, 256, size) * (rng.random(size) < density)).astype(np.uint8)
    data = rgb_png([rows] * 3, rng.integers(0, 5, size[0]).tolist())
    assert is_rgb_png(data)
    found = read_rgb_png(Path("mask.png"), data)
    assert found is not None
    width, height, x, y, crop = found
    pixels = np.zeros((height, width), np.uint8)
    pixels[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    assert np.array_equal(np.repeat(pixels[:, :, None], 3, axis=2), by_pillow(data))


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("number", [NONE, SUB, UP, AVERAGE, PAETH])
def test_a_channel_that_differs_in_one_pixel_is_seen(channel: int, number: int) -> None:
    channels = [rows_with(9, 7, {3: 200, 5: 55}) for _ in range(3)]
    channels[channel][4, 6] = 1
    data = rgb_png(channels, [number] * 9)
    decoded = by_pillow(data)
    assert not all(np.array_equal(decoded[:, :, 0], decoded[:, :, other]) for other in (1, 2))
    assert read_rgb_png(Path("mask.png"), data) is None


def test_colours_whose_transparency_is_told_are_no_plain_ones() -> None:
    data = rgb_png([rows_with(4, 6, {1: 255})] * 3, [NONE] * 4)
    body = b"tRNS" + bytes(6)
    chunk = struct.pack(">I", 6) + body + struct.pack(">I", zlib.crc32(body))
    assert is_rgb_png(data)
    assert not is_rgb_png(data[:33] + chunk + data[33:])


def test_a_mask_of_equal_channels_means_what_a_grey_one_does(tmp_path: Path) -> None:
    rows = rows_with(9, 7, {3: 255, 5: 255})
    path = tmp_path / "mask.png"
    for threshold, values in ((None, ()), (9, ()), (None, (255,))):
        path.write_bytes(png_of_rows(rows, [SUB] * 9))
        grey = read_mask(path, threshold, values)
        path.write_bytes(rgb_png([rows] * 3, [SUB] * 9))
        found = read_mask(path, threshold, values)
        assert np.array_equal(found.pixels(), grey.pixels())
        assert (found.x, found.y, found.crop.shape) == (grey.x, grey.y, grey.crop.shape)


@pytest.mark.parametrize("size", [(0, 4), (4, 0)])
def test_colours_without_pixels_are_named(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(rgb_png([np.zeros(size, np.uint8)] * 3, [NONE] * size[0]))
    with pytest.raises(ToolkitError, match=r"mask\.png: not a readable image"):
        read_mask(path)


def test_rgb_rows_that_do_not_unpack_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    for filters, width in (([NONE, 9, NONE, NONE], 2), ([NONE] * 4, 3)):
        path.write_bytes(png_of_rows(rows_with(4, 6, {1: 255}), filters, width=width, colour=RGB))
        with pytest.raises(ToolkitError, match=r"mask\.png: not a readable image"):
            read_mask(path)


@given(size=st.tuples(st.integers(1, 12), st.integers(1, 12)), seed=st.integers(0, 2**32 - 1), most=st.integers(1, 256))
def test_an_rgb_map_is_decoded_as_it_was(size: tuple[int, int], seed: int, most: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, most, (*size, 3)).astype(np.uint8)
    data = encode_rgb_png(pixels)
    assert np.array_equal(by_pillow(data), pixels)
    assert np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)[:, :, ::-1], pixels)
    assert encode_rgb_png(pixels.copy()) == data


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


@pytest.mark.parametrize("colour", [0, 2], ids=["grey", "colours"])
def test_a_png_of_a_header_that_is_cut(tmp_path: Path, colour: int) -> None:
    for columns in range(1, 4000):  # until the checksum begins with the byte that is missing
        header = struct.pack(">IIBBBB", columns, 2, 8, colour, 0, 0)
        if not zlib.crc32(b"IHDR" + header) >> 24:
            break
    sound = png_of_rows(np.zeros((2, columns * (1 if colour == 0 else 3)), np.uint8), [NONE] * 2)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    path = tmp_path / "mask.png"
    path.write_bytes(sound[:8] + chunk + sound[33:])
    with pytest.raises(ToolkitError, match=r"mask\.png: not a readable image.*; replace the file"):
        read_mask(path)


@pytest.mark.parametrize("read", [read_header, read_image, read_mask, read_class_ids])
@pytest.mark.parametrize("first", [b"IEND", b"tEXt", b"IDAT"])
def test_a_png_without_a_header(tmp_path: Path, read: Callable[[Path], object], first: bytes) -> None:
    chunks = [first, b"IDAT", b"pHYs", b"IEND"] if first != b"IEND" else [first]  # longer than a header, or too short
    path = tmp_path / "mask.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + b"".join(bytes(4) + one + struct.pack(">I", zlib.crc32(one)) for one in chunks)
    )
    with pytest.raises(ToolkitError, match=r"mask\.png: (not a readable image|damaged).*; replace the file"):
        read(path)


@pytest.mark.parametrize("length", [0, 13])
def test_a_png_of_two_headers(tmp_path: Path, length: int) -> None:
    sound = png_of_rows(rows_with(4, 6, {1: 255}), [NONE] * 4)
    header = sound[16 : 16 + length]
    second = struct.pack(">I", length) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    path = tmp_path / "mask.png"
    path.write_bytes(sound[:33] + second + sound[33:])
    with pytest.raises(ToolkitError, match=r"mask\.png: damaged: this PNG has two headers; replace the file"):
        read_mask(path)
