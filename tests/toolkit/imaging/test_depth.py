"""Images of more than 8 bits: the range that they use becomes 0..255."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.commands import save
from toolkit.errors import ToolkitError
from toolkit.imaging.images import depth_of, read_header, read_image, values_beyond


def ramp(largest: int) -> Any:
    return np.linspace(0, largest, 24 * 32).round().astype(np.uint16).reshape(24, 32)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    ("largest", "depth"),
    [(200, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (16383, 14), (16384, 16), (65535, 16)],
)
def test_the_depth_is_the_smallest_that_holds_the_largest_value(
    tmp_path: Path, suffix: str, largest: int, depth: int
) -> None:
    pixels = ramp(largest)
    path = save(tmp_path / f"0.{suffix}", pixels)
    assert (read_header(path).bits, depth_of(path)) == (16, depth)
    found = read_image(path)
    assert (found.dtype, found.shape) == (np.uint8, (24, 32, 3))
    assert np.array_equal(found[:, :, 0], pixels >> (depth - 8))


def test_colours_count_together_and_alpha_does_not(tmp_path: Path) -> None:
    colours = np.dstack([ramp(900), ramp(4000), ramp(30), np.full((24, 32), 65535, np.uint16)])
    path = tmp_path / "0.png"
    cv2.imwrite(str(path), colours)
    assert depth_of(path) == 12
    assert np.array_equal(read_image(path), colours[:, :, :3] >> 4)


def test_a_full_range_of_16_bits_is_what_opencv_makes_of_it(tmp_path: Path) -> None:
    path = save(tmp_path / "0.png", ramp(65535))
    assert np.array_equal(read_image(path), cv2.imread(str(path), cv2.IMREAD_COLOR))


@pytest.mark.parametrize(("pixels", "bits"), [(np.zeros((3, 4), np.uint8), 8), (np.zeros((3, 4), np.bool_), 1)])
@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_8_bits_and_fewer(tmp_path: Path, pixels: Any, bits: int, suffix: str) -> None:
    Image.fromarray(pixels).save(tmp_path / f"0.{suffix}")
    assert read_header(tmp_path / f"0.{suffix}").bits == bits
    assert depth_of(tmp_path / f"0.{suffix}") == 8


def test_a_turned_image_of_16_bits_stands_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(ramp(4000)).save(tmp_path / "0.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "0.png")[:, :, 0], np.rot90(ramp(4000) >> 4, -1))


def test_a_damaged_file_of_16_bits_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "0.png", ramp(4000))
    data = path.read_bytes()
    place = data.index(b"IDAT") + 8
    path.write_bytes(data[:place] + struct.pack("B", data[place] ^ 1) + data[place + 1 :])
    with pytest.raises(ToolkitError, match="a checksum of this PNG does not match"):
        depth_of(path)


class TestOneRangeForSeveral:
    def test_it_scales_all_alike_and_what_is_beyond_is_white(self, tmp_path: Path) -> None:
        pixels = ramp(8000)
        found = read_image(save(tmp_path / "0.png", pixels), 12)
        assert np.array_equal(found[:, :, 0], np.minimum(pixels >> 4, 255))

    def test_8_bits_stay_as_they_are(self, tmp_path: Path) -> None:
        path = save(tmp_path / "0.png", (ramp(65535) >> 8).astype(np.uint8))
        assert np.array_equal(read_image(path, 12), read_image(path))
        assert values_beyond(path, [8]) == {}

    def test_the_share_that_a_range_does_not_hold_is_known(self, tmp_path: Path) -> None:
        path = save(tmp_path / "0.png", np.repeat(np.array([255, 256, 1024, 4096], np.uint16), 64).reshape(16, 16))
        assert values_beyond(path, [8, 10, 12]) == {8: 0.75, 10: 0.5, 12: 0.25}
