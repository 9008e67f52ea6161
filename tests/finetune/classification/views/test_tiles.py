"""Crops and their labels, tiles and what they say together."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.classification.config import BackboneConfig, TilesConfig
from finetune.classification.views.datasets import labelled_images
from finetune.classification.views.framing import tile_windows
from finetune.classification.views.tiles import CropDataset, TileDataset, crop_places, find_crop_places, pool_tiles
from finetune.engine.splits import ImageRecord, ImageRecords, SplitConfig, open_examples
from tests.commands import save
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Instance, LabelledImage


def unit(image: torch.Tensor) -> torch.Tensor:
    return image.float() / 255


def marked(mask: np.ndarray) -> LabelledImage:
    ys, xs = np.nonzero(mask)
    box = int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1
    part = mask[box[1] : box[3], box[0] : box[2]]
    instance = Instance("dent", box, part, int(part.sum()))
    return LabelledImage("k", None, mask.shape[1], mask.shape[0], (instance,))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ImageRecords:
    """Grey parts; a dent is a white spot of 6 pixels in an image of 64, each image's elsewhere."""
    tmp_path = tmp_path_factory.mktemp("data")
    for number in range(4):
        plain = np.full((64, 48, 3), 40, np.uint8)
        save(tmp_path / f"part/train/good/{number:03}.png", plain + number)
        x, y = 2 + 11 * number, 50 - 13 * number
        plain[y : y + 6, x : x + 6] = 255
        save(tmp_path / f"part/test/dent/{number:03}.png", plain)
        save(tmp_path / f"part/ground_truth/dent/{number:03}_mask.png", (plain[:, :, 0] == 255).astype(np.uint8) * 255)
    return open_examples(tmp_path, SplitConfig(val=0, test=0.25))


@given(
    st.integers(20, 40),
    st.integers(20, 40),
    st.integers(8, 50),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 5, 180]),
)
def test_a_crop_holds_half_of_a_defect_or_none_of_it(width, height, side, seed, rotation):
    random = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.bool_)
    y, x = int(random.integers(height)), int(random.integers(width))
    mask[y : y + random.integers(1, 12), x : x + random.integers(1, 12)] = True
    found = crop_places(marked(mask), side, rotation)
    side = min(side, width, height)
    assert found.side == side
    held = [int(mask[y : y + side, x : x + side].sum()) for (places,) in [found.defects] for x, y in places.tolist()]
    assert held
    assert min(held) * 2 >= max(held) or rotation  # of turned crops the part that stays in view counts
    for x, y in found.free.tolist():
        assert 0 <= x <= width - side
        assert 0 <= y <= height - side
        assert not mask[y : y + side, x : x + side].any()


def test_a_defect_stays_in_a_crop_that_is_turned():
    mask = np.zeros((200, 200), np.bool_)
    mask[100:104, 100:104] = True
    (places,) = crop_places(marked(mask), 64, rotation=180).defects
    middles = places + 32 - 102
    assert np.hypot(*middles.T).max() < 32  # inside the circle that every turn leaves in view
    (plain,) = crop_places(marked(mask), 64).defects
    assert len(plain) > len(places)


def test_crops_show_what_their_labels_say(data):
    config = BackboneConfig(image_size=24, tiles={"side": 24, "per_image": 4, "background": 0.5}, weights="none")
    crops = labelled_images(data.examples, data.classes, config, unit, data.source)
    assert isinstance(crops, CropDataset)
    assert len(crops) == 4 * 8
    assert sorted(set(crops.labels)) == [0, 1]
    assert sum(crops.labels) == 2 * 4  # half of the crops of four images with a dent
    for epoch in range(3):
        for number in range(len(crops)):
            item = crops[epoch, number]
            assert item["image"].shape == (3, 24, 24)
            assert (float((item["image"] == 1).sum()) / 3 >= 18) is (item["label"] == 1)
            assert torch.equal(item["image"], crops[epoch, number]["image"])
    assert any(not torch.equal(crops[0, number]["image"], crops[1, number]["image"]) for number in range(len(crops)))


def test_without_good_crops_each_crop_has_the_class_of_its_image(data):
    config = BackboneConfig(image_size=24, tiles={"side": 24, "per_image": 3}, weights="none")
    crops = labelled_images(data.examples, data.classes, config, unit, data.source, background=False, fixed=True)
    assert sum(crops.labels) == 3 * 4
    assert torch.equal(crops[0, 5]["image"], crops[7, 5]["image"])


def test_a_defect_that_nobody_marked_is_refused(data, tmp_path):
    one = next(example for example in data.examples if example.label == "dent")
    with pytest.raises(ToolkitError, match=r"dent.*: has no mask or box that says .*; use tiles="):
        find_crop_places([one], 24, None)
    good = ImageRecord("g", tmp_path / "not there.png", "good", "", "train")
    assert find_crop_places([good], 24, data.source) == {}


@settings(max_examples=30)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 120), st.floats(0, 0.9))
def test_tiles_cover_an_image_and_overlap(width, height, side, overlap):
    windows = tile_windows(width, height, side, overlap)
    side = min(side, width, height)
    assert {(x1 - x0, y1 - y0) for x0, y0, x1, y1 in windows} == {(side, side)}
    for length, starts in ((width, {one[0] for one in windows}), (height, {one[1] for one in windows})):
        order = sorted(starts)
        assert (order[0], order[-1] + side) == (0, length)
        steps = [after - before for before, after in pairwise(order)]
        assert max(steps, default=1) <= max(1, math.ceil(side * (1 - overlap)))
    assert len(windows) == len(set(windows))


def test_all_tiles_of_an_image_are_looked_at(data):
    tiles = TileDataset([one.image for one in data.examples], TilesConfig(side=24, overlap=0), 24, unit)
    assert len(tiles) == 8 * 2 * 3
    seen = [index for number, (index, _) in enumerate(tiles.items) if (tiles[number]["image"] == 1).any()]
    assert sorted(set(seen)) == [place for place, one in enumerate(data.examples) if one.label == "dent"]


CHANCES = np.array([[0.7, 0.2, 0.1], [0.2, 0.3, 0.5], [0.9, 0.05, 0.05]])


@pytest.mark.parametrize(
    ("pool", "good", "told"),
    [
        ("max", 0, [0.2, 0.3, 0.5]),  # the least likely good
        ("max", None, [0.9, 0.05, 0.05]),  # the surest
        ("mean", 0, [0.6, 0.55 / 3, 0.65 / 3]),
        ("both", 0, [0.4, (0.3 + 0.55 / 3) / 2, (0.5 + 0.65 / 3) / 2]),
    ],
)
def test_tiles_say_together(pool, good, told):
    assert pool_tiles(CHANCES, pool, good) == pytest.approx(told)
