"""Detections of tiles put together: each object once, wherever edges fall. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from finetune.detection.tiles.merging import FAINTEST, merge_tiles
from finetune.metrics.detection import Detections
from toolkit.aliases import BoolArray
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance, Window
from toolkit.geometry.tiles import Tiles, tile_windows

PHOTO = Path("photo.png")
Box = tuple[float, float, float, float]
Seen = tuple[Box, float, str]
LEFT, RIGHT = (0, 0, 100, 100), (80, 0, 180, 100)  # which share 20 columns


def tile(window: Window, seen: Sequence[Seen], masks: Sequence[Instance] | None = None) -> tuple[Window, Detections]:
    """What was found in a tile, told in pixels of the photo, as the tile has it."""
    x, y = window[:2]
    boxes = np.array([box for box, _, _ in seen], np.float64).reshape(-1, 4) - [x, y, x, y]
    scores = np.array([score for _, score, _ in seen], np.float64)
    width, height = window[2] - x, window[3] - y
    moved = None
    if masks is not None:
        moved = tuple(
            Instance(one.label, tuple(np.subtract(one.bbox, [x, y, x, y]).tolist()), one.mask, one.area)
            for one in masks
        )
    return window, Detections("photo", PHOTO, width, height, boxes, scores, tuple(label for *_, label in seen), moved)


def merged(*found: tuple[Window, Detections], size: tuple[int, int] = (180, 100)) -> list[Seen]:
    """What the photo shows, best first."""
    told = merge_tiles(found, "photo", PHOTO, size)
    assert (told.key, told.path, told.width, told.height) == ("photo", PHOTO, *size)
    rows = zip(told.boxes.tolist(), told.scores.tolist(), told.labels, strict=True)
    return [((x0, y0, x1, y1), score, label) for (x0, y0, x1, y1), score, label in rows]


def test_what_an_edge_cuts_becomes_one_box_with_the_higher_score() -> None:
    found = merged(tile(LEFT, [((60, 40, 100, 50), 0.6, "dent")]), tile(RIGHT, [((80, 41, 130, 51), 0.8, "dent")]))
    assert found == [((60, 40, 130, 51), 0.8, "dent")]


def test_what_spans_three_tiles_is_one() -> None:
    third = (160, 0, 260, 100)
    found = merged(
        tile(LEFT, [((50, 40, 100, 50), 0.6, "dent")]),
        tile(RIGHT, [((80, 40, 180, 50), 0.5, "dent")]),
        tile(third, [((160, 40, 200, 50), 0.7, "dent")]),
        size=(260, 100),
    )
    assert found == [((50, 40, 200, 50), 0.7, "dent")]


def test_a_cut_view_gives_way_to_the_tile_that_sees_it_whole() -> None:
    whole = ((85, 40, 110, 50), 0.5, "dent")
    found = merged(tile(LEFT, [((83, 38, 100, 53), 0.9, "dent")]), tile(RIGHT, [whole]))
    assert found == [(whole[0], 0.9, "dent")]


def test_what_two_tiles_see_whole_is_told_once_by_the_surest() -> None:
    found = merged(tile(LEFT, [((84, 40, 94, 50), 0.6, "dent")]), tile(RIGHT, [((85, 41, 95, 51), 0.7, "dent")]))
    assert found == [((85, 41, 95, 51), 0.7, "dent")]


def test_classes_neighbours_and_strangers_stay_apart() -> None:
    cut = [((60.0, 40.0, 100.0, 50.0), 0.6, "dent")]
    for other in (
        ((80.0, 40.0, 130.0, 50.0), 0.5, "scratch"),  # another class
        ((80.0, 60.0, 130.0, 70.0), 0.5, "dent"),  # another place of the edge
        ((88.0, 42.0, 93.0, 46.0), 0.5, "dent"),  # whole, within the box of what goes on at the left
        ((120.0, 40.0, 130.0, 50.0), 0.5, "dent"),  # beyond the strip
    ):
        assert merged(tile(LEFT, cut), tile(RIGHT, [other])) == [cut[0], other]


def test_of_two_that_an_edge_cuts_side_by_side_each_finds_its_own_rest() -> None:
    left = [((60.0, 40.0, 100.0, 52.0), 0.9, "dent"), ((60.0, 46.0, 100.0, 58.0), 0.8, "dent")]
    right = [((80.0, 40.0, 120.0, 52.0), 0.7, "dent"), ((80.0, 46.0, 120.0, 58.0), 0.6, "dent")]
    found = merged(tile(LEFT, left), tile(RIGHT, right))
    assert found == [((60, 40, 120, 52), 0.9, "dent"), ((60, 46, 120, 58), 0.8, "dent")]


def test_one_tile_tells_two_apart_that_a_cut_view_of_another_covers() -> None:
    small = [((86.0, 40.0, 92.0, 50.0), 0.9, "dent"), ((93.0, 40.0, 99.0, 50.0), 0.8, "dent")]
    found = merged(tile(LEFT, [((84, 40, 100, 50), 0.5, "dent")]), tile(RIGHT, small))
    assert found == small


def test_two_ends_that_one_tile_sees_are_united_by_the_bend_in_the_next() -> None:
    ends = [((60.0, 20.0, 100.0, 30.0), 0.9, "dent"), ((60.0, 60.0, 100.0, 70.0), 0.8, "dent")]
    found = merged(tile(LEFT, ends), tile(RIGHT, [((80, 20, 130, 70), 0.7, "dent")]))
    assert found == [((60, 20, 130, 70), 0.9, "dent")]


def test_without_a_strip_what_ends_at_the_common_edge_is_compared_along_it() -> None:
    right = (100, 0, 200, 100)
    cut, rest = ((60.0, 40.0, 99.5, 50.0), 0.6, "dent"), ((100.0, 41.0, 130.0, 51.0), 0.5, "dent")
    assert merged(tile(LEFT, [cut]), tile(right, [rest]), size=(200, 100)) == [((60, 40, 130, 51), 0.6, "dent")]
    for other in (((110.0, 41.0, 130.0, 51.0), 0.5, "dent"), ((100.0, 70.0, 130.0, 80.0), 0.5, "dent")):
        assert merged(tile(LEFT, [cut]), tile(right, [other]), size=(200, 100)) == [cut, other]


def test_the_edge_of_the_photo_cuts_nothing() -> None:
    at_edge = ((0.0, 0.0, 30.0, 20.0), 0.4, "dent")
    assert merged(tile(LEFT, [at_edge]), tile(RIGHT, [])) == [at_edge]
    assert merged(tile(LEFT, []), tile(RIGHT, [])) == []


def test_what_two_tiles_see_whole_beside_each_other_is_two() -> None:
    one, other = ((82.0, 40.0, 92.0, 50.0), 0.6, "dent"), ((88.0, 40.0, 98.0, 50.0), 0.5, "dent")
    assert merged(tile(LEFT, [one]), tile(RIGHT, [other])) == [one, other]


@pytest.mark.parametrize(("start", "end"), [(60.0, 130.0), (86.0, 120.0)])  # cut in both tiles; whole in the second
def test_what_is_much_fainter_changes_nothing(start: float, end: float) -> None:
    sure = ((start, 40.0, 100.0, 50.0), 0.9, "dent")
    faint = ((max(start, 80.0), 41.0, end, 51.0), 0.9 * FAINTEST - 0.01, "dent")
    assert merged(tile(LEFT, [sure]), tile(RIGHT, [faint])) == [sure, faint]


def line(size: tuple[int, int]) -> BoolArray:
    """A diagonal scratch across a photo, a few pixels wide."""
    y, x = np.mgrid[: size[1], : size[0]]
    return np.asarray((abs(x - 2 * y + 10) < 5) & (x > 20) & (x < 130) & (y > 0), np.bool_)


@pytest.mark.parametrize("overlap", [0.0, 0.2])
def test_masks_of_tiles_are_the_mask_of_the_photo(overlap: float) -> None:
    size = (180, 100)
    truth, parallel = line(size), np.roll(line(size), 40, axis=1)
    found = []
    for window in tile_windows(*size, Tiles(64, overlap)):
        x0, y0, x1, y1 = window
        pieces = [crop_to_bbox(one[y0:y1, x0:x1], "scratch", (x0, y0)) for one in (truth, parallel)]
        there = [one for one in pieces if one is not None]
        found.append(tile(window, [(one.bbox, 0.5, "scratch") for one in there], there))
    told = merge_tiles(found, "photo", PHOTO, size)
    assert told.masks is not None
    assert {one.whole(*size).tobytes() for one in told.masks} == {truth.tobytes(), parallel.tobytes()}
    assert [one.bbox for one in told.masks] == [tuple(box) for box in told.boxes.tolist()]


def test_masks_that_do_not_meet_stay_apart_where_their_boxes_do() -> None:
    mask = np.zeros((100, 180), np.bool_)
    first, second = mask.copy(), mask.copy()
    first[40:42, 60:100] = first[40:60, 60:62] = True
    second[56:60, 80:120] = True
    pieces = [crop_to_bbox(one, "dent") for one in (first, second)]
    seen = [one for one in pieces if one is not None]
    boxes = [(one.bbox, 0.5, "dent") for one in seen]
    assert len(merged(tile(LEFT, boxes[:1]), tile(RIGHT, boxes[1:]))) == 1
    assert len(merged(tile(LEFT, boxes[:1], seen[:1]), tile(RIGHT, boxes[1:], seen[1:]))) == 2


@pytest.mark.parametrize("seed", range(20))
def test_what_is_found_above_a_score_does_not_depend_on_fainter_views(seed: int) -> None:
    draw = np.random.default_rng(seed)
    drawn = zip(*draw.integers([[0], [0], [0], [4]], [[3], [90], [90], [60]], (4, 14)).tolist(), strict=True)
    scores = draw.permutation(100)[:14].tolist()
    windows = tile_windows(240, 100, Tiles(100, 0.3))
    seen: dict[Window, list[Seen]] = {window: [] for window in windows}
    for (place, x, y, side), percent in zip(drawn, scores, strict=True):
        x0, y0, x1, y1 = windows[place]
        box = (float(x0 + x), float(y0 + y), float(min(x0 + x + side, x1)), float(min(y0 + y + side, y1)))
        seen[windows[place]].append((box, percent / 100, "dent"))

    def above(limit: float, floor: float) -> list[Seen]:
        kept = [tile(window, [one for one in told if one[1] > floor]) for window, told in seen.items()]
        return [one for one in merged(*kept, size=(240, 100)) if one[1] > limit]

    assert above(0.4, 0.0) == above(0.4, 0.4 * FAINTEST)
