from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.commands import save
from toolkit.errors import ToolkitError
from toolkit.gallery.pictures import open_picture, thumbnail_size
from toolkit.imaging.images import read_image

GREY = np.random.default_rng(0).integers(0, 256, (40, 30), np.uint8)


@pytest.mark.parametrize(
    ("name", "pixels", "suffix", "encoded"),
    [
        ("a.png", GREY, ".png", False),
        ("a.JPG", GREY, ".jpg", False),
        ("a.webp", np.dstack([GREY] * 3), ".webp", False),
        ("a.bmp", GREY, ".bmp", False),
        ("a.tif", GREY, ".png", True),
        ("a.png", GREY.astype(np.uint16) * 257, ".png", True),
    ],
)
def test_what_browsers_show_is_taken_as_it_is(
    tmp_path: Path, name: str, pixels: npt.NDArray[Any], suffix: str, encoded: bool
) -> None:
    path = save(tmp_path / name, pixels)
    picture = open_picture(path)
    assert (picture.width, picture.height, picture.suffix) == (30, 40, suffix)
    assert (picture.encoded is not None) == encoded
    if picture.encoded is not None:
        shown = cv2.imdecode(np.frombuffer(picture.encoded, np.uint8), cv2.IMREAD_COLOR)
        assert np.array_equal(shown, read_image(path))


@pytest.mark.parametrize("name", ["turned.jpg", "turned.png", "turned.webp", "turned.tif"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_a_photo_that_some_browsers_turn_is_encoded_upright(tmp_path: Path, name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(GREY).save(tmp_path / name, exif=exif, quality=100)
    picture = open_picture(tmp_path / name)
    upright = read_image(tmp_path / name)
    assert upright.shape == ((40, 30, 3) if orientation == 3 else (30, 40, 3))
    assert (picture.height, picture.width, picture.suffix) == (*upright.shape[:2], ".png")
    for data in (picture.encoded, picture.thumbnail):
        assert data is not None
        assert b"eXIf" not in data
        assert np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), upright)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_camera_data_of_12_bits_are_stretched(tmp_path: Path, suffix: str) -> None:
    deep = np.random.default_rng(0).integers(1800, 3900, (40, 30)).astype(np.uint16)
    picture = open_picture(save(tmp_path / f"a.{suffix}", deep))
    assert picture.suffix == ".png"
    for data in (picture.encoded, picture.thumbnail):
        assert data is not None
        shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert np.array_equal(shown, deep >> 4)


@pytest.mark.parametrize(
    ("size", "small"),
    [((1024, 512), (256, 128)), ((30, 40), (30, 40)), ((5000, 3), (256, 1)), ((256, 256), (256, 256))],
)
def test_thumbnails(tmp_path: Path, size: tuple[int, int], small: tuple[int, int]) -> None:
    assert thumbnail_size(*size) == small
    picture = open_picture(save(tmp_path / "a.png", np.full((size[1], size[0]), 90, np.uint8)))
    thumbnail = cv2.imdecode(np.frombuffer(picture.thumbnail, np.uint8), cv2.IMREAD_COLOR)
    assert thumbnail is not None
    assert thumbnail.shape[1::-1] == small


def test_a_small_image_keeps_its_pixels(tmp_path: Path) -> None:
    picture = open_picture(save(tmp_path / "a.png", GREY))
    thumbnail = cv2.imdecode(np.frombuffer(picture.thumbnail, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(thumbnail, GREY)


def test_unreadable(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", GREY)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ToolkitError, match="truncated"):
        open_picture(path)
