"""Rasterising as the readers of labels do it: against the readers themselves, and by hand."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from converters import rasterize
from converters.rasterize import (
    compare_edges,
    compare_pixels,
    compress_rle,
    fill_edges,
    fill_edges_crop,
    fill_pixels,
    paint_rle,
    paint_rle_crop,
    to_pixels,
    uncompressed_rle,
)
from tests.converters.support import Bools
from tests.masks import masks
from toolkit.geometry.contours import centre_rings, edge_rings
from toolkit.geometry.tracing import trace

SQUARE = np.array([[1, 1], [4, 1], [4, 3], [1, 3]])


def test_edges_bound_pixel_squares() -> None:
    filled = fill_edges([SQUARE], 5, 6)
    assert np.argwhere(filled).tolist() == [[y, x] for y in (1, 2) for x in (1, 2, 3)]


def test_pixels_are_painted_with_their_outline() -> None:
    filled = fill_pixels([SQUARE], 5, 6)
    assert np.argwhere(filled).tolist() == [[y, x] for y in (1, 2, 3) for x in (1, 2, 3, 4)]


@pytest.mark.parametrize("fill", [fill_edges, fill_pixels])
def test_several_rings_are_united(fill: Any) -> None:
    one, other = fill([SQUARE], 9, 9), fill([SQUARE + 2], 9, 9)
    assert np.array_equal(fill([SQUARE, SQUARE + 2], 9, 9), one | other)
    assert not fill([], 9, 9).any()


COMPARED = [(compare_edges, fill_edges), (compare_pixels, fill_pixels)]


@pytest.mark.parametrize(("compare", "fill"), COMPARED)
@given(mask=masks())
def test_polygons_are_compared_with_what_they_fill(compare: Any, fill: Any, mask: Bools) -> None:
    outline = trace(mask)
    true = edge_rings(outline) if fill is fill_edges else centre_rings(outline)
    area = int(np.count_nonzero(mask))
    assert compare(true, mask) == (area, area)
    moved, cut = [ring + np.array([1, 0]) for ring in true], [ring[: max(3, len(ring) - 1)] for ring in true]
    for damaged in (true[:1], moved, cut):
        filled = fill(damaged, *mask.shape)
        assert compare(damaged, mask) == (np.count_nonzero(filled & mask), np.count_nonzero(filled | mask))


@pytest.mark.parametrize(("compare", "fill"), COMPARED)
def test_a_pixel_too_many_or_too_few_is_seen(compare: Any, fill: Any) -> None:
    mask = fill([SQUARE], 5, 6)
    area = int(np.count_nonzero(mask))
    more, fewer = mask.copy(), mask.copy()
    more[0, 0], fewer[2, 2] = True, False
    assert compare([SQUARE], more) == (area, area + 1)
    assert compare([SQUARE], fewer) == (area - 1, area)


@pytest.mark.parametrize(("rounding", "expected"), [("truncate", [[0, 1], [2, 3]]), ("round", [[1, 1], [2, 4]])])
def test_coordinates_become_whole(rounding: Any, expected: list[list[int]]) -> None:
    assert to_pixels(np.array([[0.9, 1.4], [2.25, 3.75]]), rounding).tolist() == expected


@given(mask=masks())
def test_run_lengths_are_those_of_pycocotools(mask: Bools) -> None:
    height, width = mask.shape[0] + 5, mask.shape[1] + 7
    whole = np.zeros((height, width), np.uint8, order="F")
    whole[2 : 2 + mask.shape[0], 3 : 3 + mask.shape[1]] = mask
    counts = uncompressed_rle(mask, (3, 2), height, width)
    assert sum(counts) == height * width
    assert compress_rle(counts, height, width) == coco_mask.encode(whole)["counts"].decode()
    for form in (counts, compress_rle(counts, height, width), compress_rle(counts, height, width).encode()):
        assert np.array_equal(paint_rle({"counts": form, "size": [height, width]}, height, width), whole > 0)


POINT = st.tuples(*[st.integers(-8, 40) | st.floats(-8, 40) | st.integers(-80, 400).map(lambda n: n / 10)] * 2)


@given(rings=st.lists(st.lists(POINT, min_size=3, max_size=7), min_size=1, max_size=3))
def test_a_crop_holds_the_pixels_that_the_whole_raster_holds(rings: list[list[tuple[float, float]]]) -> None:
    height, width = 31, 27
    points = [np.array(ring, np.float64) for ring in rings]
    crop, (x, y) = fill_edges_crop(points, height, width)
    whole = np.zeros((height, width), np.bool_)
    whole[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    assert np.array_equal(whole, fill_edges(points, height, width))


@given(mask=masks())
def test_short_and_long_run_lengths_are_read_alike(mask: Bools) -> None:
    segmentation = {"counts": compress_rle(uncompressed_rle(mask, (0, 0), *mask.shape), *mask.shape)}
    found = []
    for few in (0, 10**6):
        with patch.object(rasterize, "_FEW", few):
            found.append(paint_rle_crop(segmentation, *mask.shape))
    (one, at), (other, there) = found
    assert (at, one.tolist()) == (there, other.tolist())


def test_a_run_over_the_end_of_a_column_is_painted() -> None:
    crop, offset = paint_rle_crop({"counts": [9, 3, 0, 2, 16]}, 5, 6)
    assert (crop.astype(int).T.tolist(), offset) == ([[0, 0, 0, 0, 1], [1, 1, 1, 1, 0]], (1, 0))
    assert paint_rle_crop({"counts": [30]}, 5, 6)[0].size == 0


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ({"counts": [1, 2, 3], "size": [4, 5]}, "run lengths for 5 x 4 pixels in an image of 3 x 2"),
        ({"counts": [1, 2, 30]}, "do not fit"),
        ({"counts": [1, -2, 3]}, "do not fit"),
        ({"counts": [1, 2]}, "do not fit the image: they cover 3 pixels of 6"),
        ({"counts": [1, 2.5]}, "a run length 2.5, which is no whole number"),
        ({"counts": [1, float("nan")]}, "a run length nan"),
        ({"counts": [5, True]}, "a run length True"),
        ({"counts": [5, "1"]}, "a run length '1'"),
        ({"counts": [5, None]}, "a run length None"),
        ({"counts": []}, "they cover 0 pixels"),
        ({"counts": ""}, "they cover 0 pixels"),
        ({"counts": "P"}, "cut short"),
        ({"counts": "1 2"}, "cut short or holds other characters"),
        ({"counts": "0\u00e9"}, "cut short or holds other characters"),
        ({"counts": "PPPPPPPPPPPP0"}, "too large a number"),
        ({"counts": "6", "size": 6}, "whose size is not"),
        ({"counts": "6", "size": [2, 3, 1]}, "whose size is not"),
        ({"counts": compress_rle([0, 100], 10, 10), "size": [2, 3]}, "do not fit"),
        ({"size": [2, 3]}, "without counts"),
        ({"counts": 7}, "without counts"),
    ],
)
def test_malformed_run_lengths_are_refused(segmentation: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        paint_rle(segmentation, 2, 3)


def test_an_outline_that_would_take_all_memory_is_refused() -> None:
    comb = np.array([(1e6 * (-1) ** tooth, tooth) for tooth in range(100)])
    with pytest.raises(ValueError, match="a polygon whose outline is 200000000 pixels long"):
        fill_edges([comb], 20, 20)
    with pytest.raises(ValueError, match="outline is nan"):
        fill_edges([np.array([[0, 0], [np.nan, 1], [4, 4]])], 20, 20)


def test_a_point_far_out_is_filled_as_far_as_the_image_goes() -> None:
    filled = fill_edges([np.array([[5, 2], [1e6, 2], [1e6, 4], [5, 4]])], 10, 20)
    assert np.argwhere(filled).tolist() == [[y, x] for y in (2, 3) for x in range(5, 20)]


def test_long_outlines_of_large_images_are_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("converters.rasterize._SHORT_OUTLINE", 10)
    comb = np.array([(500 * (tooth % 2), tooth // 2) for tooth in range(1, 13)])
    assert fill_edges([comb], 12, 500).any()
    with pytest.raises(ValueError, match="outline"):
        fill_edges([comb], 12, 400)
