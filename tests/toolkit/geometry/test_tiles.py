"""Where tiles lie, what they are called, and what of an image's labels lies in each."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.converters.support import label_mask
from toolkit import Instance, LabelledImage, Tiles, ToolkitError
from toolkit.dataset.keys import file_name, key_of_file_name
from toolkit.geometry.tiles import cut_labels, image_of_tile, plan_tiles, tile_key, tile_windows, window_in

LENGTHS = st.integers(1, 700)
TILES = st.builds(Tiles, st.integers(32, 300), st.floats(0, 0.9))


@settings(max_examples=60, deadline=None)
@given(LENGTHS, LENGTHS, TILES)
def test_tiles_cover_each_pixel_are_of_one_size_and_overlap_as_asked(width: int, height: int, tiles: Tiles) -> None:
    windows = tile_windows(width, height, tiles)
    seen = np.zeros((height, width), np.bool_)
    for x0, y0, x1, y1 in windows:
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert (x1 - x0, y1 - y0) == (min(width, tiles.side), min(height, tiles.side))
        seen[y0:y1, x0:x1] = True
    assert seen.all()
    assert len(set(windows)) == len(windows)
    columns, rows = (sorted({(one[axis], one[axis + 2]) for one in windows}) for axis in (0, 1))
    for spans in (columns, rows):
        assert all(end - start >= tiles.shared for (_, end), (start, _) in itertools.pairwise(spans))


@pytest.mark.parametrize(
    ("length", "overlap", "starts"),
    [
        (256, 0.2, [0]),
        (40, 0.2, [0]),
        (257, 0.0, [0, 1]),
        (512, 0.0, [0, 256]),
        (1024, 0.2, [0, 205, 410, 615, 768]),
    ],
)
def test_the_last_tile_is_shifted_inward(length: int, overlap: float, starts: list[int]) -> None:
    windows = tile_windows(length, 30, Tiles(256, overlap))
    assert [window[0] for window in windows] == starts


@pytest.mark.parametrize("key", ["screw/test/dent/000", "a@x5y7", "__%/_b_", "lonely\nname"])
def test_keys_of_tiles_are_unique_and_tell_their_image_in_file_names_too(key: str) -> None:
    told = tile_key(key, (512, 0, 768, 256))
    assert image_of_tile(told) == (key, (512, 0))
    assert key_of_file_name(file_name(told)) == told
    assert image_of_tile("screw/test/dent/000") is None


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), TILES, st.integers(40, 110), st.integers(40, 110))
def test_tiles_put_together_are_the_mask(seed: int, tiles: Tiles, width: int, height: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((height, width)) < rng.choice([0.003, 0.05])
    image = label_mask("a", mask)
    cuts, left_out, _ = plan_tiles(image, tiles)
    pasted = np.zeros_like(mask)
    for cut in cuts:
        x0, y0, x1, y1 = cut.window
        assert window_in(cut.image.key, width, height, tiles) == cut.window
        assert np.array_equal(cut.image.marked(), mask[y0:y1, x0:x1])
        pasted[y0:y1, x0:x1] |= cut.image.marked()
        assert len(cut.whole) + len(cut.partial) == len(cut.image.instances)
        for one in cut.image.instances:  # boxes are tight
            assert one.region[:, [0, -1]].any(axis=0).all()
            assert one.region[[0, -1]].any(axis=1).all()
            assert one.area == one.region.sum()
    assert np.array_equal(pasted, mask)
    assert left_out == 0


def test_what_fits_into_the_overlap_is_whole_in_a_tile() -> None:
    for x in range(180):
        mask = np.zeros((40, 200), np.bool_)
        mask[3:9, x : x + 12] = True
        cuts, _, _ = plan_tiles(label_mask("a", mask), Tiles(64, 0.2))
        assert any(cut.whole for cut in cuts), x


def test_of_a_train_image_some_background_is_drawn_and_all_that_shows_something_stays() -> None:
    mask = np.zeros((300, 300), np.bool_)
    mask[10:20, 10:20] = True
    image = label_mask("a", mask)
    every, _, _ = plan_tiles(image, Tiles(64, 0))
    few, left_out, _ = plan_tiles(image, Tiles(64, 0, background=3))
    assert (len(every), len(few), left_out) == (25, 4, 21)
    assert [cut.window for cut in few if cut.image.instances] == [(0, 0, 64, 64)]
    less, _, _ = plan_tiles(image, Tiles(64, 0, background=2))
    assert {cut.window for cut in less} < {cut.window for cut in few} < {cut.window for cut in every}
    tested, left_out, _ = plan_tiles(replace(image, subset="test"), Tiles(64, 0, background=0))
    assert (len(tested), left_out) == (25, 0)


def test_boxes_are_cut_as_they_stand_and_slivers_are_counted() -> None:
    boxes = [Instance("dent", (60.4, 10.0, 64.4, 20.5), None, 40), Instance("dent", (1.0, 2.0, 3.5, 4.0), None, 6)]
    image = LabelledImage("a", Path("a.jpg"), 128, 64, tuple(boxes), "train", "dent", "boxes")
    left, right = (cut_labels(image, window) for window in ((0, 0, 64, 64), (64, 0, 128, 64)))
    assert [one.bbox for one in left.image.instances] == [(60.4, 10.0, 64.0, 20.5), (1.0, 2.0, 3.5, 4.0)]
    assert (left.whole, left.partial, left.slivers) == ((1,), (0,), 0)
    assert (right.image.instances, right.slivers) == ((), 1)
    assert (right.image.kind, right.image.image_label, str(right.image.path)) == ("good", "good", "a.jpg.png")


@pytest.mark.parametrize(
    ("tiles", "flag"),
    [
        (Tiles(8), "tiles"),
        (Tiles(64, 1.0), "overlap"),
        (Tiles(64, float("nan")), "overlap"),
        (Tiles(64, 0.2, -1), "background"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(tiles: Tiles, flag: str) -> None:
    with pytest.raises(ToolkitError, match=flag):
        tiles.check()
