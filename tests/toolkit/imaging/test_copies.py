"""Copies for readers that neither turn an image nor stretch its depth: the pixels are those of `read_image`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.commands import save
from toolkit.imaging.copies import eight_bit_copy, is_copy, upright_copy
from toolkit.imaging.images import read_header, read_image


def photo(path: Path, pixels: Any, orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def scene(largest: int, kind: Any, *more: int) -> Any:
    return np.random.default_rng(0).integers(0, largest, (9, 14, *more), endpoint=True).astype(kind)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_a_copy_stands_upright_for_a_bare_pillow(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = photo(tmp_path / f"0.{suffix}", scene(255, np.uint8, 3), orientation)
    copy = tmp_path / "copy.png"
    copy.write_bytes(upright_copy(path))
    with Image.open(copy) as image:
        assert np.array_equal(np.asarray(image.convert("RGB"))[:, :, ::-1], read_image(path))
    assert not read_header(copy).turned
    assert is_copy(copy, path)


@pytest.mark.parametrize("pixels", [scene(4000, np.uint16), scene(255, np.uint8), scene(255, np.uint8, 4)])
def test_depth_and_alpha_stay(tmp_path: Path, pixels: Any) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(upright_copy(photo(tmp_path / "0.png", pixels, 6)))
    with Image.open(copy) as image:
        assert np.array_equal(np.asarray(image), np.rot90(pixels, -1))


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("colours", [(), (3,)])
def test_8_bits_have_the_pixels_of_the_view(tmp_path: Path, suffix: str, colours: tuple[int, ...]) -> None:
    path = tmp_path / f"0.{suffix}"
    cv2.imwrite(str(path), scene(4000, np.uint16, *colours))
    data = eight_bit_copy(path)
    assert data is not None
    copy = tmp_path / f"copy.{suffix}"
    copy.write_bytes(data)
    plain: Any = cv2.imread(str(copy), cv2.IMREAD_UNCHANGED)
    assert (plain.dtype, plain.shape) == (np.uint8, (9, 14, *colours))
    seen: Any = cv2.imread(str(copy))
    assert np.array_equal(seen, read_image(path))
    assert is_copy(copy, path)


def test_8_bits_stay_as_they_are(tmp_path: Path) -> None:
    assert eight_bit_copy(save(tmp_path / "0.png", scene(255, np.uint8))) is None


def test_other_pixels_are_no_copy(tmp_path: Path) -> None:
    path = photo(tmp_path / "0.png", scene(255, np.uint8, 3), 6)
    (tmp_path / "copy.png").write_bytes(upright_copy(path))
    changed = read_image(tmp_path / "copy.png")
    changed[0, 0] ^= 1
    assert not is_copy(save(tmp_path / "1.png", changed), path)
    assert not is_copy(photo(tmp_path / "2.png", scene(255, np.uint8, 3)), path)


def test_the_same_pixels_in_other_bytes_are_no_copy_where_none_was_called_for(tmp_path: Path) -> None:
    pixels = scene(255, np.uint8, 3)
    Image.fromarray(pixels).save(tmp_path / "0.png", compress_level=0)
    Image.fromarray(pixels).save(tmp_path / "1.png", compress_level=9)
    assert not is_copy(tmp_path / "0.png", tmp_path / "1.png")
