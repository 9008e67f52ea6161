"""Label maps tell what corners of boxes are, where the boxes themselves may be read in both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters import convert, read_labels
from tests.converters.formats.voc.stand_ins import SIZE, dent, save_map, write
from toolkit import ToolkitError

LABELMAP = "background:0,0,0::\ndent:128,0,0::\nrust:0,128,0::\n"
Box = tuple[int, int, int, int]


def _plant(root: Path, name: str, tight: list[Box], told: list[Box], *, kinds: str = "CO") -> None:
    """An image with masks of some tight, half-open boxes, and the corners that an XML file tells of them."""
    write(root, name, *(dent(*corners) for corners in told))
    classes, numbers = (np.zeros(SIZE[::-1], np.uint8) for _ in "CO")
    for number, (x0, y0, x1, y1) in enumerate(tight, 1):
        classes[y0:y1, x0:x1] = 1
        numbers[y0:y1, x0:x1] = number
    (root / "labelmap.txt").write_text(LABELMAP)
    if "C" in kinds:
        save_map(root / f"SegmentationClass/{name}.png", classes)
    if "O" in kinds:
        save_map(root / f"SegmentationObject/{name}.png", numbers)


TIGHT: list[Box] = [(3, 3, 10, 9), (14, 5, 20, 12)]


@pytest.mark.parametrize("kinds", ["C", "O", "CO"])
@pytest.mark.parametrize(("form", "less"), [("edges0", 0), ("inclusive1", 1)])
def test_tight_boxes_tell(tmp_path: Path, kinds: str, form: str, less: int) -> None:
    told = [(x0 + less, y0 + less, x1, y1) for x0, y0, x1, y1 in TIGHT]
    _plant(tmp_path, "a", TIGHT, told, kinds=kinds)
    write(tmp_path, "b", dent(8, 8, 12, 12))  # which has no map, and is read as the others are
    tree = read_labels(tmp_path)
    assert tree.reading.voc_boxes == form
    assert f"({form}); 2 of 3 are the tight boxes of their masks so; --voc-boxes has the last word" in tree.notes[0]
    first, second = tree
    assert [one.bbox for one in first.instances] == TIGHT
    assert second.instances[0].bbox == (8 - less, 8 - less, 12, 12)


def test_where_maps_show_every_object_they_count(tmp_path: Path) -> None:
    told = [(x0 + 3, y0 + 2, x1 + 1, y1) for x0, y0, x1, y1 in TIGHT]
    _plant(tmp_path / "in", "a", TIGHT, told)
    (image,) = read_labels(tmp_path / "in")
    assert [one.bbox for one in image.instances] == TIGHT
    assert all(one.mask is not None for one in image.instances)
    convert(tmp_path / "in", tmp_path / "out", "coco")
    (read,) = read_labels(tmp_path / "out/coco")
    assert [one.bbox for one in read.instances] == TIGHT


@pytest.mark.parametrize(
    ("tight", "told"),
    [
        (TIGHT, [(6, 5, 11, 9), (17, 7, 21, 12), (22, 14, 25, 18)]),  # one has no mask
        (TIGHT, [TIGHT[0], (15, 6, 20, 12), (22, 14, 25, 18)]),  # one is tight in each way
    ],
)
def test_where_they_do_not_tell_it_is_asked(tmp_path: Path, tight: list[Box], told: list[Box]) -> None:
    _plant(tmp_path, "a", tight, told)
    with pytest.raises(ToolkitError, match="may be read in both ways"):
        read_labels(tmp_path)
