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


def test_a_photo_that_browsers_would_turn_is_encoded_as_stored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(GREY).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(GREY).save(tmp_path / "turned.png", exif=exif)
    for name in ("turned.jpg", "turned.png"):
        picture = open_picture(tmp_path / name)
        assert (picture.width, picture.height, picture.suffix) == (30, 40, ".png")
        assert picture.encoded is not None


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
