"""Images of any size are read as far as their files can hold them, without a word on stderr."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from toolkit.errors import ToolkitError
from toolkit.gallery.pictures import open_picture
from toolkit.imaging.images import read_header, read_image
from toolkit.imaging.limits import without_pillow_limit
from toolkit.imaging.masks import read_mask


def png_of(width: int, height: int, *, bits: int = 1, rows: int | None = None) -> bytes:
    """A grey PNG of zeros, flat and so small; `rows` of its pixels are there."""
    packer, row = zlib.compressobj(9), bytes(1 + (width * bits + 7) // 8)
    wanted = height if rows is None else rows
    raw = b"".join(packer.compress(row * min(256, wanted - start)) for start in range(0, wanted, 256)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", raw), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's limit, lowered so that small images stand for those of 190 megapixels."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)


@pytest.mark.usefixtures("small_limit")
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp"])
@pytest.mark.filterwarnings("error")
def test_the_limit_of_pillow_is_none_of_ours(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"0.{suffix}"
    pixels = np.zeros((40, 30), np.uint8)
    pixels[3:9, 4:20] = 255
    cv2.imwrite(str(path), pixels)
    header = read_header(path)
    assert (header.width, header.height) == (30, 40)
    assert read_image(path).shape == (40, 30, 3)
    assert open_picture(path).width == 30
    assert read_mask(path, 128).crop.shape == (6, 16)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_pillow_gets_its_limit_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 77)
    with without_pillow_limit():
        with without_pillow_limit():
            assert Image.MAX_IMAGE_PIXELS is None
        assert Image.MAX_IMAGE_PIXELS is None
    assert Image.MAX_IMAGE_PIXELS == 77


@pytest.mark.parametrize(
    ("width", "height"), [(1 << 15, (1 << 15) + 1), (1_000_001, 2)], ids=["too many pixels", "too long a side"]
)
def test_more_than_opencv_decodes_is_refused_by_name(
    tmp_path: Path, width: int, height: int, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "0.png"
    path.write_bytes(png_of(width, height))
    with pytest.raises(ToolkitError, match=rf"0\.png: is {width} x {height} pixels, and OpenCV decodes no more than"):
        read_image(path)
    assert read_header(path).width == width
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("bits", [1, 8])
def test_a_file_that_cannot_hold_what_it_declares_is_refused(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "0.png"
    path.write_bytes(png_of(32000, 32000, bits=bits, rows=2))
    for read in (read_header, read_image, read_mask):
        with pytest.raises(ToolkitError, match="declares 32000 x 32000 pixels, more than"):
            read(path)


def test_a_jpeg_that_cannot_hold_what_it_declares_is_refused(tmp_path: Path) -> None:
    buffer = BytesIO()
    Image.new("L", (16, 16), 90).save(buffer, "JPEG")
    data = buffer.getvalue()
    place = data.index(b"\xff\xc0") + 5
    path = tmp_path / "0.jpg"
    path.write_bytes(data[:place] + struct.pack(">HH", 40000, 40000) + data[place + 4 :])
    for read in (read_header, read_image):
        with pytest.raises(ToolkitError, match="declares 40000 x 40000 pixels, more than"):
            read(path)


def png_of_colours(width: int, height: int) -> bytes:
    """A PNG of 16 bits a channel with alpha, of which a million bytes of pixels are there."""
    data = bytearray(png_of(width, height, rows=1_000_000 // width))
    data[24:26] = 16, 6
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def tiff_of_floats(width: int, height: int) -> bytes:
    """A TIFF of floating-point numbers that says it is larger than it is."""
    buffer = BytesIO()
    Image.fromarray(np.zeros((64, 32), np.float32)).save(buffer, "TIFF")
    data = buffer.getvalue()
    for tag, value, wanted in ((256, 32, width), (257, 64, height)):
        entry = next(place for place in range(len(data)) if data[place : place + 2] == struct.pack("<H", tag))
        assert struct.unpack_from("<I", data, entry + 8)[0] == value
        data = data[: entry + 2] + struct.pack("<HII", 4, 1, wanted) + data[entry + 12 :]
    return data


@pytest.mark.parametrize(
    ("suffix", "data"),
    [("png", png_of_colours(1 << 12, 1 << 15)), ("tif", tiff_of_floats(1 << 15, 1 << 14))],
    ids=["colours of 16 bits", "floats"],
)
def test_deep_pixels_take_more_bytes(tmp_path: Path, suffix: str, data: bytes) -> None:
    path = tmp_path / f"0.{suffix}"
    path.write_bytes(data)
    for read in (read_image, read_mask):
        with pytest.raises(ToolkitError, match=r"declares \d+ x \d+ pixels, more than"):
            read(path)
