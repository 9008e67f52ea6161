"""Masks to instances: grouping, gaps, small parts, boxes and order."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.masks import SHAPES, masks, picture
from toolkit.dataset.samples import BoxLabel, Sample
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import Found, Grouping, box_instances, crop_to_bbox, find_instances, parse_grouping
from toolkit.geometry.labels import Instance
from toolkit.imaging.masks import Mask

Bools = npt.NDArray[np.bool_]
DIRECTIONS = [(-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)]


def found_in(mask: Bools, grouping: str = "components", min_area: int = 0) -> Found:
    height, width = mask.shape
    return find_instances(Mask.of(mask.astype(np.uint8), width, height), "dent", parse_grouping(grouping), min_area)


def painted(instances: tuple[Instance, ...], shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """How many instances hold each pixel."""
    canvas = np.zeros(shape, np.int64)
    for instance in instances:
        x0, y0, x1, y1 = instance.bbox
        canvas[y0:y1, x0:x1] += instance.mask
    return canvas


def components(mask: Bools) -> int:
    return int(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0]) - 1


@given(mask=masks(), grouping=st.sampled_from(["components", "image", "merge:0", "merge:1", "merge:5"]))
def test_every_pixel_is_in_one_instance_with_a_tight_box(mask: Bools, grouping: str) -> None:
    found = found_in(mask, grouping)
    assert np.array_equal(painted(found.instances, mask.shape), mask)
    for instance in found.instances:
        assert all(instance.mask[side].any() for side in (0, -1, (slice(None), 0), (slice(None), -1)))
        assert instance.area == np.count_nonzero(instance.mask)
        assert instance.mask.dtype == np.bool_
    assert found.components == components(mask)
    assert found.too_small == ()


@given(mask=masks())
def test_a_component_is_an_instance(mask: Bools) -> None:
    found = found_in(mask)
    assert len(found.instances) == components(mask)
    assert all(components(instance.mask) == 1 for instance in found.instances)


@given(mask=masks())
def test_an_image_is_one_instance(mask: Bools) -> None:
    assert [instance.area for instance in found_in(mask, "image").instances] == [np.count_nonzero(mask)]


@given(mask=masks(), gap=st.integers(0, 6))
def test_parts_merge_exactly_when_few_enough_pixels_lie_between(mask: Bools, gap: int) -> None:
    height, width = mask.shape
    _, numbered = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    group = {number: {number} for number in range(1, int(numbered.max()) + 1)}
    reach = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * gap + 3, 2 * gap + 3))
    for number in list(group):
        near = cv2.dilate((numbered == number).astype(np.uint8), reach) > 0
        for other in np.unique(numbered[near & mask]).tolist():
            merged = group[number] | group[other]
            group |= dict.fromkeys(merged, merged)
    found = found_in(mask, f"merge:{gap}")
    assert len(found.instances) == len({frozenset(members) for members in group.values()})
    assert painted(found.instances, (height, width)).max() == 1


@pytest.mark.parametrize(("dx", "dy"), DIRECTIONS)
@pytest.mark.parametrize("gap", [0, 1, 2, 7])
def test_the_gap_counts_the_pixels_between(dx: int, dy: int, gap: int) -> None:
    for between, instances in [(gap, 1), (gap + 1, 2)]:
        mask = np.zeros((30, 30), np.bool_)
        mask[14, 14] = mask[14 + dy * (between + 1), 14 + dx * (between + 1)] = True
        assert len(found_in(mask, f"merge:{gap}").instances) == instances


def test_parts_merge_by_way_of_others() -> None:
    assert len(found_in(picture("#..#..#"), "merge:2").instances) == 1
    assert len(found_in(picture("#..#...#"), "merge:2").instances) == 2


@pytest.mark.parametrize(
    ("min_area", "areas", "too_small"),
    [(0, [1, 2, 4], []), (1, [1, 2, 4], []), (2, [2, 4], [1]), (3, [4], [1, 2]), (5, [], [1, 2, 4])],
)
@pytest.mark.parametrize("grouping", ["components", "image", "merge:0"])
def test_components_below_the_minimum_are_left_out_and_reported(
    grouping: str, min_area: int, areas: list[int], too_small: list[int]
) -> None:
    found = found_in(picture("#..##....##", ".........##"), grouping, min_area)
    assert sorted(found.too_small) == too_small
    assert found.components == 3
    if grouping == "image":
        assert [instance.area for instance in found.instances] == ([sum(areas)] if areas else [])
    else:
        assert [instance.area for instance in found.instances] == areas


def test_a_part_that_is_left_out_joins_no_others() -> None:
    mask = picture("##.#.##")
    assert len(found_in(mask, "merge:1").instances) == 1
    assert len(found_in(mask, "merge:1", min_area=2).instances) == 2


@pytest.mark.parametrize("grouping", ["components", "image", "merge:9"])
def test_large_components_are_left_out_and_reported(grouping: str) -> None:
    mask = np.zeros((8, 20), np.uint8)
    mask[1:3, 1:3] = mask[1:5, 5:9] = mask[0:6, 12:18] = 1
    found = find_instances(Mask.of(mask, 20, 8), "dent", parse_grouping(grouping), 0, 16)
    assert (sum(one.area for one in found.instances), found.components, found.too_large) == (20, 3, (36,))
    every = find_instances(Mask.of(mask, 20, 8), "dent", parse_grouping(grouping), 5, 36)
    assert (every.too_small, every.too_large) == ((4,), ())


def test_one_component_alone_can_be_too_small() -> None:
    found = found_in(picture(".#.", ".#."), min_area=3)
    assert (found.instances, found.components, found.too_small) == ((), 1, (2,))


def test_instances_come_row_by_row_with_half_open_boxes_in_the_image() -> None:
    found = found_in(np.pad(picture("...#", "....", "#...", "#.##"), ((5, 2), (3, 1))))
    assert [instance.bbox for instance in found.instances] == [(6, 5, 7, 6), (3, 7, 4, 9), (5, 8, 7, 9)]
    assert {instance.label for instance in found.instances} == {"dent"}


@given(mask=masks())
def test_the_order_follows_the_first_pixels(mask: Bools) -> None:
    first = [(i.bbox[1], i.bbox[0] + int(i.mask[0].argmax())) for i in found_in(mask).instances]
    assert first == sorted(first)


def test_diagonal_contact_joins_and_a_hole_stays_open() -> None:
    assert len(found_in(SHAPES["diagonal line rising"]).instances) == 1
    (ring,) = found_in(SHAPES["ring"]).instances
    assert not ring.mask[ring.mask.shape[0] // 2, ring.mask.shape[1] // 2]


def test_a_mask_without_pixels_has_no_instances() -> None:
    found = found_in(np.zeros((3, 4), np.bool_))
    assert (found.instances, found.components, found.too_small) == ((), 0, ())


@pytest.mark.parametrize(
    ("text", "grouping"),
    [
        ("components", Grouping("components")),
        ("image", Grouping("image")),
        ("merge:0", Grouping("merge", 0)),
        ("merge:12", Grouping("merge", 12)),
    ],
)
def test_a_grouping_is_read(text: str, grouping: Grouping) -> None:
    assert parse_grouping(text) == grouping


@pytest.mark.parametrize("text", ["", "merge", "merge:", "merge:-1", "merge:1.5", "merge:x", "Image", "components "])
def test_other_groupings_are_refused(text: str) -> None:
    with pytest.raises(ToolkitError) as caught:
        parse_grouping(text)
    assert str(caught.value) == (
        f"instances: {text!r} is none of the ways to group; use components, image or merge:GAP"
    )


@given(mask=masks(), x=st.integers(0, 9), y=st.integers(0, 9))
def test_a_crop_is_tight_and_keeps_its_place(mask: Bools, x: int, y: int) -> None:
    instance = crop_to_bbox(mask, "dent", (x, y))
    assert instance is not None
    assert np.array_equal(painted((instance,), (mask.shape[0] + y, mask.shape[1] + x))[y:, x:], mask)
    assert instance.area == np.count_nonzero(mask)
    assert crop_to_bbox(np.zeros_like(mask), "dent") is None


def test_boxes_of_a_sample_stay_in_their_image(tmp_path: Path) -> None:
    def boxed(*box: float) -> tuple[Instance, ...]:
        label = BoxLabel("dent", (box[0], box[1], box[2], box[3]))
        return box_instances(Sample("a", tmp_path / "a.png", (), "part", "", "train", boxes=(label,)), (20, 10))

    (inside,) = boxed(1.5, 2, 20.5, 9)
    assert (inside.bbox, inside.mask) == ((1.5, 2, 20, 9), None)
    with pytest.raises(ToolkitError, match=r"a\.png: a box of 'dent' \(1, 2, 30, 9\) leaves its 20 x 10 pixels"):
        boxed(1, 2, 30, 9)
    with pytest.raises(ToolkitError, match="covers nothing"):
        boxed(3, 2, 3, 9)
