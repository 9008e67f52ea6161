"""Maps of ids, of which only the rows that hold something are unpacked; OpenCV, which unpacks all, is the judge."""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.toolkit.imaging.test_png import PAETH, png_of_rows
from toolkit.errors import ToolkitError
from toolkit.imaging.images import encode_png
from toolkit.imaging.masks import read_class_ids, read_class_map
from toolkit.imaging.png import encode_rgb_png, read_packed_png

FILTERS = (
    cv2.IMWRITE_PNG_FILTER_NONE,
    cv2.IMWRITE_PNG_FILTER_SUB,
    cv2.IMWRITE_PNG_FILTER_UP,
    cv2.IMWRITE_PNG_FILTER_AVG,
    cv2.IMWRITE_PNG_FILTER_PAETH,
    cv2.IMWRITE_PNG_ALL_FILTERS,
)
LARGEST = (1 << 24) - 1

maps = st.tuples(st.integers(1, 7), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.uint32, shape, elements=st.sampled_from([0, 0, 0, 1, 2, 255, 256, 65536, LARGEST]))
)


def rgb_of(ids: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    return np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=2).astype(np.uint8)


def whole(data: bytes) -> npt.NDArray[np.uint32]:
    found = read_packed_png(Path("map.png"), data)
    assert found is not None
    width, height, x, y, crop = found
    assert not crop.size or all(crop.any(axis=axis)[[0, -1]].all() for axis in (0, 1)), "the crop is tight"
    ids = np.zeros((height, width), np.uint32)
    ids[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    return ids


@given(maps, st.sampled_from(FILTERS))
def test_ids_are_read_whatever_the_rows_were_filtered_with(ids: npt.NDArray[np.uint32], chosen: int) -> None:
    _, data = cv2.imencode(".png", rgb_of(ids)[:, :, ::-1], [cv2.IMWRITE_PNG_FILTER, chosen])
    assert np.array_equal(whole(bytes(data)), ids)


@given(maps)
def test_our_own_maps_come_back(ids: npt.NDArray[np.uint32]) -> None:
    assert np.array_equal(whole(encode_rgb_png(rgb_of(ids))), ids)


def test_rows_of_no_filter_that_exists_are_left_to_the_decoder() -> None:
    data = bytearray(png_of_rows(np.ones((1, 3), np.uint8), [PAETH + 1], width=1))
    data[25] = 2  # RGB
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    assert read_packed_png(Path("map.png"), bytes(data)) is None


def test_a_damaged_map_is_refused() -> None:
    data = bytearray(encode_rgb_png(rgb_of(np.full((4, 4), 7, np.uint32))))
    data[45] ^= 1
    with pytest.raises(ToolkitError, match="checksum"):
        read_packed_png(Path("map.png"), bytes(data))


@given(arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 0, 0, 1, 255])))
def test_a_class_map_is_what_its_whole_raster_is(ids: npt.NDArray[np.uint8]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "map.png")
        path.write_bytes(encode_png(ids))
        assert np.array_equal(read_class_map(path).pixels(), read_class_ids(path))
