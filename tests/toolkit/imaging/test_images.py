"""Reading images and masks of every form, refusing damaged ones by name, and writing without loss."""

from __future__ import annotations

import io
import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.masks import masks
from toolkit.errors import ToolkitError
from toolkit.imaging.images import (
    ImageHeader,
    encode_blank_map,
    encode_map,
    encode_png,
    is_image,
    read_header,
    read_image,
)
from toolkit.imaging.masks import Mask, read_class_ids, read_mask
from toolkit.imaging.png import encode_rgb_png

Pixels = npt.NDArray[Any]
MARKED = np.zeros((40, 56), np.bool_)
MARKED[7:21, 12:44] = True
MARKED[11:15, 20:30] = False
NOISE = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
OVAL = np.hypot(*(np.mgrid[:40, :56] - np.array([19.5, 27.5])[:, None, None])) < 15


def encoded(pixels: Pixels | Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(buffer, kind, **options)
    return buffer.getvalue()


def grey(marked: Pixels = MARKED, full: int = 255) -> Pixels:
    return (marked * full).astype(np.uint8)


def stacked(*channels: Pixels) -> Pixels:
    return np.stack(channels, axis=2)


def palette(*colours: tuple[int, int, int]) -> Image.Image:
    image = Image.new("P", MARKED.shape[::-1])
    image.putpalette([value for colour in colours for value in colour])
    image.putdata(grey(full=1).ravel().tolist())
    return image


def saved(folder: Path, data: bytes, name: str = "mask.png") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


ALPHA = np.arange(MARKED.size, dtype=np.uint8).reshape(MARKED.shape)
SIXTEEN = (MARKED * 65535).astype(np.uint16)
MASKS: dict[str, tuple[str, bytes]] = {
    "grey 0 and 255": ("png", encoded(grey(), "PNG")),
    "grey 0 and 1": ("png", encoded(grey(full=1), "PNG")),
    "RGB of equal channels": ("png", encoded(stacked(grey(), grey(), grey()), "PNG")),
    "RGBA": ("png", encoded(stacked(grey(), grey(), grey(), ALPHA), "PNG")),
    "grey and alpha": ("png", encoded(stacked(grey(), ALPHA), "PNG")),
    "palette of greys": ("png", encoded(palette((0, 0, 0), (255, 255, 255)), "PNG")),
    "palette of colours": ("png", encoded(palette((0, 0, 0), (200, 30, 0)), "PNG")),
    "1-bit": ("png", encoded(Image.fromarray(MARKED), "PNG")),
    "16-bit": ("png", encoded(SIXTEEN, "PNG")),
    "interlaced": ("PNG", encoded(grey(), "PNG", interlace=1)),
    "TIFF": ("tif", encoded(grey(), "TIFF")),
    "TIFF, compressed": ("tiff", encoded(grey(), "TIFF", compression="tiff_lzw")),
    "TIFF, 1-bit": ("tiff", encoded(Image.fromarray(MARKED), "TIFF", compression="group4")),
    "TIFF, 16-bit": ("tiff", encoded(SIXTEEN, "TIFF")),
    "BMP": ("bmp", encoded(grey(), "BMP")),
    "BMP, 1-bit": ("bmp", encoded(Image.fromarray(MARKED), "BMP")),
    "BMP, palette of greys": ("bmp", encoded(palette((0, 0, 0), (255, 255, 255)), "BMP")),
    "BMP, colour": ("BMP", encoded(stacked(grey(), grey(), grey()), "BMP")),
    "WebP": ("webp", encoded(stacked(grey(), grey(), grey()), "WEBP", lossless=True)),
}


@pytest.mark.parametrize("form", MASKS)
def test_a_mask_of_any_form_is_read(tmp_path: Path, form: str) -> None:
    suffix, data = MASKS[form]
    mask = read_mask(saved(tmp_path, data, f"000_mask.{suffix}"))
    assert (mask.width, mask.height) == (56, 40)
    assert np.array_equal(mask.pixels() > 0, MARKED)
    assert (mask.x, mask.y, *mask.crop.shape) == (12, 7, 14, 32)


@pytest.mark.parametrize("form", MASKS)
def test_the_size_is_read_from_any_form(tmp_path: Path, form: str) -> None:
    suffix, data = MASKS[form]
    header = read_header(saved(tmp_path, data, f"000.{suffix}"))
    assert (header.width, header.height) == (56, 40)


@pytest.mark.parametrize(
    ("pixels", "channels"),
    [(grey(), 1), (stacked(grey(), ALPHA), 2), (NOISE, 3), (stacked(*NOISE.T[:3], NOISE.T[0]), 4)],
)
def test_the_channels_are_counted(tmp_path: Path, pixels: Pixels, channels: int) -> None:
    assert read_header(saved(tmp_path, encoded(pixels, "PNG"))).channels == channels


def test_an_rgb_mask_of_one_and_a_single_pixel_is_read(tmp_path: Path) -> None:
    pixels = np.zeros((3, 4), np.uint8)
    pixels[2, 3] = 1
    mask = read_mask(saved(tmp_path, encoded(stacked(pixels, pixels, pixels), "PNG")))
    assert (mask.x, mask.y, mask.crop.tolist()) == (3, 2, [[1]])


def test_a_mask_of_zeros_has_an_empty_crop(tmp_path: Path) -> None:
    mask = read_mask(saved(tmp_path, encoded(np.zeros((5, 7), np.uint8), "PNG")))
    assert (mask.width, mask.height, mask.crop.size, mask.pixels().any()) == (7, 5, 0, False)


@pytest.mark.parametrize("quality", [60, 95])
def test_a_jpeg_needs_a_threshold_and_is_read_with_one(tmp_path: Path, quality: int) -> None:
    path = saved(tmp_path, encoded(grey(OVAL), "JPEG", quality=quality), "mask.jpg")
    with pytest.raises(ToolkitError, match="grey values in a mask that should be binary") as caught:
        read_mask(path)
    assert str(caught.value).endswith("they come of lossy compression: say with threshold=128 which count as defect")
    assert np.array_equal(read_mask(path, 128).pixels() > 0, OVAL)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_a_threshold_counts_values_of_that_or_more(tmp_path: Path, kind: str) -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = saved(tmp_path, encoded(ramp, kind), f"mask.{kind.lower()}")
    for threshold in (1, 100, 255):
        assert np.array_equal(read_mask(path, threshold).pixels() > 0, ramp >= threshold)


def test_a_threshold_is_in_the_range_of_the_file(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    path = saved(tmp_path, encoded(ramp, "PNG"))
    assert np.array_equal(read_mask(path, 1000).pixels() > 0, ramp >= 1000)


@pytest.mark.parametrize(
    ("pixels", "shown"),
    [
        (np.array([[0, 7], [255, 7]], np.uint8), "7, 255"),
        (np.array([[0, 128]], np.uint8), "128"),
        (np.array([[0, 1], [2, 0]], np.uint8), "1, 2"),
        (np.arange(9, dtype=np.uint8).reshape(3, 3), "1, 2, 3, 4, 5, ..."),
        (np.array([[0, 256]], np.uint16), "256"),
    ],
)
def test_grey_values_are_refused_and_shown(tmp_path: Path, pixels: Pixels, shown: str) -> None:
    path = saved(tmp_path, encoded(pixels, "PNG"))
    with pytest.raises(ToolkitError) as caught:
        read_mask(path)
    assert str(caught.value).startswith(f"{path}: grey values in a mask that should be binary ({shown}); ")


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("read", [read_mask, read_class_ids])
def test_channels_that_differ_are_refused(tmp_path: Path, channel: int, read: Callable[[Path], object]) -> None:
    channels = [grey(), grey(), grey()]
    channels[channel] = np.zeros_like(grey())
    path = saved(tmp_path, encoded(stacked(*channels), "PNG"))
    with pytest.raises(ToolkitError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: the channels of this RGB mask differ; ")


def test_class_ids_are_the_indices_of_a_palette(tmp_path: Path) -> None:
    path = saved(tmp_path, encoded(palette((10, 20, 30), (255, 255, 255)), "PNG"))
    assert np.array_equal(read_class_ids(path), MARKED)
    ids = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(read_class_ids(saved(tmp_path, encode_map(ids))), ids)


def test_class_ids_of_16_bits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match="class ids of type uint16"):
        read_class_ids(saved(tmp_path, encoded(SIXTEEN, "PNG")))


def broken(data: bytes, share: float = 0.6) -> bytes:
    return data[: int(len(data) * share)]


def flipped(data: bytes) -> bytes:
    """One bit of the compressed pixels turned."""
    place = data.index(b"IDAT") + 12
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


WHOLE = {
    "png": encoded(NOISE, "PNG"),
    "jpg": encoded(NOISE, "JPEG"),
    "bmp": encoded(NOISE, "BMP"),
    "webp": encoded(NOISE, "WEBP"),
    "tif": encoded(NOISE, "TIFF"),
}
TRUNCATED = "truncated: the file ends before the image does"
NO_IMAGE = "not a readable image"
READERS: list[Callable[[Path], object]] = [read_header, read_image, read_mask, read_class_ids]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("suffix", WHOLE)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_refused(tmp_path: Path, read: Callable[[Path], object], suffix: str, share: float) -> None:
    path = saved(tmp_path, broken(WHOLE[suffix], share), f"000.{suffix}")
    with pytest.raises(ToolkitError) as caught:
        read(path)
    expected = f"{re.escape(str(path))}: ({TRUNCATED}|{NO_IMAGE}.*); replace the file, or leave the sample out with .*"
    assert re.fullmatch(expected, str(caught.value))


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("empty.png", b"", "the file is empty (0 bytes)"),
        ("empty.jpg", b"", "the file is empty (0 bytes)"),
        ("text.png", b"an apology in place of an image\n" * 9, NO_IMAGE),
        ("page.jpg", b"<html><body>404 Not Found</body></html>", NO_IMAGE),
        ("head.png", WHOLE["png"][:20], TRUNCATED),
        ("head.jpg", WHOLE["jpg"][:20], TRUNCATED),
        ("head.bmp", WHOLE["bmp"][:20], TRUNCATED),
    ],
)
def test_a_file_that_is_no_image_is_refused(
    tmp_path: Path, read: Callable[[Path], object], name: str, data: bytes, problem: str
) -> None:
    path = saved(tmp_path, data, name)
    with pytest.raises(ToolkitError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert str(caught.value).count("\n") == 0
    assert str(caught.value).endswith('; replace the file, or leave the sample out with on_problem="skip"')


@pytest.mark.parametrize("read", [read_image, read_mask, read_class_ids])
def test_a_png_with_a_turned_bit_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = saved(tmp_path, flipped(WHOLE["png"]))
    with pytest.raises(ToolkitError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: damaged: a checksum of this PNG does not match; ")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate"])
def test_a_tiff_that_does_not_unpack_is_refused(
    tmp_path: Path, read: Callable[[Path], object], compression: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(encoded(grey(), "TIFF", compression=compression))
    data[12:30] = b"\x80\x55" * 9  # the strip begins behind the header of 8 bytes
    path = saved(tmp_path, bytes(data), "mask.tif")
    with pytest.raises(ToolkitError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: {NO_IMAGE}")
    capfd.readouterr()  # the decoders talk


@pytest.mark.parametrize("read", READERS)
def test_a_folder_in_place_of_an_image_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "000.png"
    path.mkdir()
    with pytest.raises(ToolkitError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: cannot be read (Is a directory); ")


@pytest.mark.parametrize("read", READERS)
def test_a_missing_file_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "gone.png"
    with pytest.raises(ToolkitError) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path}: cannot be read (No such file or directory); check that it exists and that you may read it"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, WHOLE["png"])
    path.chmod(0)
    with pytest.raises(ToolkitError, match=r"cannot be read \(Permission denied\)"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_bytes_after_the_image_are_no_damage(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path, WHOLE[suffix] + b"appended by the camera", f"000.{suffix}")
    assert read_header(path) == ImageHeader(56, 40, 3)
    assert read_image(path).shape == (40, 56, 3)


def test_a_bmp_that_declares_no_length_is_read(tmp_path: Path) -> None:
    data = WHOLE["bmp"][:2] + struct.pack("<I", 0) + WHOLE["bmp"][6:]
    assert np.array_equal(read_image(saved(tmp_path, data, "000.bmp")), NOISE[:, :, ::-1])


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_an_image_is_read_as_blue_green_red(tmp_path: Path, suffix: str) -> None:
    assert np.array_equal(read_image(saved(tmp_path, WHOLE[suffix], f"000.{suffix}")), NOISE[:, :, ::-1])


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *((f"000.{suffix}", True) for suffix in ("png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp")),
        *((f"000.{suffix}", True) for suffix in ("PNG", "JPG", "JpEg", "BMP", "TIF", "WEBP")),
        *((name, False) for name in ("000.txt", "png", ".png", "._000.png", "000.png.bak", "Thumbs.db", "000.gif")),
    ],
)
def test_images_are_known_by_their_ending(name: str, is_one: bool) -> None:
    assert is_image(name) is is_one


@given(mask=masks(), values=st.lists(st.integers(0, 255), min_size=2, max_size=2), colour=st.booleans())
def test_what_is_encoded_is_decoded_as_it_was(mask: npt.NDArray[np.bool_], values: list[int], colour: bool) -> None:
    pixels = np.where(mask, *values).astype(np.uint8)
    if colour:
        pixels = np.stack([pixels, pixels.max() - pixels, np.roll(pixels, 1)], axis=2)
    for encode in (encode_map, encode_png):
        data = encode(pixels)
        decoded = np.asarray(Image.open(io.BytesIO(data)))
        assert np.array_equal(decoded[:, :, ::-1] if colour else decoded, pixels)
        assert encode(pixels.copy()) == data


@pytest.mark.parametrize("shape", [(3, 5), (1, 1)])
def test_a_blank_map_is_what_encode_map_makes_of_zeros(shape: tuple[int, ...]) -> None:
    assert encode_blank_map(shape) == encode_blank_map(shape) == encode_map(np.zeros(shape, np.uint8))


def test_a_blank_map_of_colours_is_what_encode_rgb_png_makes_of_zeros() -> None:
    assert encode_blank_map((3, 5, 3)) == encode_rgb_png(np.zeros((3, 5, 3), np.uint8))


@given(mask=masks(), x=st.integers(0, 4), y=st.integers(0, 4))
def test_a_mask_keeps_what_is_marked_in_it(mask: npt.NDArray[np.bool_], x: int, y: int) -> None:
    height, width = mask.shape
    held = Mask.of(mask.astype(np.uint8), width + x, height + y, (x, y))
    assert np.array_equal(held.pixels(), np.pad(mask, ((y, 0), (x, 0))))
    assert held.crop.any(axis=0)[[0, -1]].all()
    assert held.crop.any(axis=1)[[0, -1]].all()


def test_a_png_chunk_is_checked_by_its_own_checksum(tmp_path: Path) -> None:
    note = b"tEXtnote\0made by hand"
    chunk = struct.pack(">I", len(note) - 4) + note + struct.pack(">I", zlib.crc32(note))
    path = saved(tmp_path, WHOLE["png"][:33] + chunk + WHOLE["png"][33:])
    assert np.array_equal(read_image(path), NOISE[:, :, ::-1])


@pytest.mark.usefixtures("ultralytics")
def test_a_damaged_image_is_named_where_ultralytics_has_changed_pillow(tmp_path: Path) -> None:
    """It looks for a plugin, which need not be there, as soon as Pillow does not know an image."""
    pytest.importorskip("ultralytics.utils.patches")
    (tmp_path / "0.webp").write_bytes(b"RIFF" + struct.pack("<I", 60) + b"AVI " + bytes(60))
    with pytest.raises(ToolkitError, match=r"0\.webp: not a readable image \(its content is of no known format\)"):
        read_header(tmp_path / "0.webp")
