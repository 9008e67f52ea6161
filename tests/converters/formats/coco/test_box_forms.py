"""Boxes in another form than x, y, width, height: refused where images or polygons tell, else taken as they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters import convert, read_labels
from tests.converters.formats.coco.stand_ins import SIZE, annotation, coco, coco_tree, image, listed, ring
from toolkit import ToolkitError

HEIGHT, WIDTH = SIZE
CORNERS = [[3, 4, 12, 9], [20, 12, 28, 18], [18, 2, 29, 7], [1, 10, 9, 19]]
UPRIGHT = [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in CORNERS]


def boxed(root: Path, boxes: Sequence[Sequence[float]], **more: Any) -> Path:
    document = coco(*(annotation(id=number, bbox=list(box)) for number, box in enumerate(boxes)), **more)
    image(root / "images/a.png")
    return coco_tree(root, document)


def test_corners_are_refused(tmp_path: Path) -> None:
    root = boxed(tmp_path / "in", CORNERS)
    words = r"train\.json: its boxes look like corners x1, y1, x2, y2: 3 of 4 would leave their images, .*; take x from"
    with pytest.raises(ToolkitError, match=words):
        convert(root, tmp_path / "out", ["coco"])
    assert not (tmp_path / "out").exists()
    boxed(root, UPRIGHT)
    (found,) = read_labels(root)
    assert [list(one.bbox) for one in found.instances] == CORNERS


@pytest.mark.parametrize("size", [{}, {"width": 0, "height": 0}])
def test_one_box_is_enough(tmp_path: Path, size: dict[str, int]) -> None:
    root = boxed(tmp_path, CORNERS[1:2], images=[listed(**size)])
    with pytest.raises(ToolkitError, match="1 of 1 would leave their images"):
        read_labels(root)


def test_corners_among_boxes_of_another_source_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match="3 of 8 would leave their images"):
        read_labels(boxed(tmp_path, [*CORNERS, *UPRIGHT]))


def test_polygons_tell_too(tmp_path: Path) -> None:
    x0, y0, x1, y1 = CORNERS[0]
    drawn = annotation(id=8, bbox=CORNERS[0], segmentation=[ring(x0, y0, x1, y1)])
    root = coco_tree(tmp_path, coco(drawn, annotation(id=9, bbox=[1, 1, 5, 6])))
    with pytest.raises(ToolkitError, match="1 of those with polygons are the corners of these"):
        read_labels(root)
    sound = annotation(id=8, bbox=UPRIGHT[0], segmentation=[ring(x0, y0, x1, y1)])
    (found,) = read_labels(coco_tree(tmp_path, coco(sound, annotation(id=9, bbox=CORNERS[1]))))
    assert found.instances[1].bbox == (20, 12, 30, 20)


def test_boxes_of_polygons_are_not_needed(tmp_path: Path) -> None:
    drawn = [annotation(id=n, bbox=box, segmentation=[ring(*box)]) for n, box in enumerate(CORNERS)]
    (found,) = read_labels(coco_tree(tmp_path, coco(*drawn)))
    assert [list(one.bbox) for one in found.instances] == CORNERS


def test_shares_of_an_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=r"shares of their images, not pixels.* such as \[0\.1, 0\.2, 0\.3, 0\.4\]"):
        read_labels(boxed(tmp_path, [[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1]]))
    (found,) = read_labels(boxed(tmp_path / "pixel", [[0, 0, 1, 1]]))
    assert found.instances[0].bbox == (0, 0, 1, 1)


@pytest.mark.parametrize(
    "boxes",
    [
        [[25, 15, 8, 8], [28, 1, 9, 3]],  # cut by the right border
        [[1, 1, 30, 20]],  # a pixel too far
        [[0, 0, 30, 20], [2, 2, 27, 17]],
        [[3, 4, 9, 5], [5, 5, 24, 14], [6, 2, 26, 3], [20, 3, 4, 5], [1, 2, 3, 4]],  # one of five, by two pixels
        [[-3, -2, 9, 9], [28, 18, 9, 9]],
    ],
    ids=str,
)
def test_sound_boxes_are_taken_as_they_are(tmp_path: Path, boxes: list[list[float]]) -> None:
    (found,) = read_labels(boxed(tmp_path, boxes))
    assert len(found.instances) == len(boxes)


def side(length: int) -> st.SearchStrategy[tuple[int, int]]:
    """First and last pixel of a box along a side of an image."""
    return st.tuples(st.integers(0, length - 1), st.integers(0, length - 1)).map(lambda ends: (min(ends), max(ends)))


@given(st.lists(st.tuples(side(WIDTH), side(HEIGHT)), min_size=1, max_size=12))
def test_boxes_inside_their_images_are_never_refused(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[tuple[int, int], tuple[int, int]]]
) -> None:
    boxes = [[x0, y0, x1 - x0 + 1, y1 - y0 + 1] for (x0, x1), (y0, y1) in drawn]
    (found,) = read_labels(boxed(tmp_path_factory.getbasetemp() / "inside", boxes))
    assert [list(one.bbox) for one in found.instances] == [[x, y, x + w, y + h] for x, y, w, h in boxes]


def test_polygons_in_shares_of_an_image_are_refused(tmp_path: Path) -> None:
    shares = annotation(segmentation=[[0.1, 0.1, 0.3, 0.1, 0.3, 0.3]])
    with pytest.raises(ToolkitError, match="its polygons are shares of their images, not pixels"):
        read_labels(coco_tree(tmp_path, coco(shares)))
    for sound in (ring(0, 0, 1, 1), ring(3, 4, 12, 9)):
        assert len(read_labels(coco_tree(tmp_path, coco(annotation(segmentation=[sound]))))) == 1
