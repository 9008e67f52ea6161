"""YOLO rows: filled as trainers fill them they are the mask, and boxes are the tight boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as examples
from shapely import MultiPoint, Polygon

from converters import convert, write_labels
from converters.formats import FormatName, Settings
from converters.yolo import YoloSegment
from tests.converters.support import (
    Bools,
    boxes_of,
    fill_rows,
    in_canvas,
    iou,
    label_mask,
    label_rows,
    make_dataset,
    parts_of,
    relabel,
    write_masks,
)
from tests.masks import SHAPES, masks
from toolkit import Dataset
from toolkit.images import read_mask
from toolkit.instances import Grouping, find_instances
from toolkit.images import Mask
from toolkit.labels import Instance, LabelledImage
from toolkit.samples import file_name

ROUNDINGS = pytest.mark.parametrize("rounding", [False, True], ids=["truncating", "rounding"])


def label_file(out: Path, kind: str, name: str) -> Path:
    return out / kind / "labels" / "train" / f"{name}.txt"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All shapes as rows of every kind."""
    return write_masks(tmp_path_factory.mktemp("shapes"), SHAPES, ["yolo-detect", "yolo-segment", "yolo-obb"])


@ROUNDINGS
@pytest.mark.parametrize("name", SHAPES)
def test_rows_fill_to_the_shape(shapes: Path, name: str, rounding: bool) -> None:
    filled = fill_rows(label_file(shapes, "yolo-segment", name), SHAPES[name].shape, rounding=rounding)
    assert np.array_equal(filled, SHAPES[name])


@pytest.mark.parametrize("name", SHAPES)
def test_each_part_is_a_row_of_three_points_or_more(shapes: Path, name: str) -> None:
    rows = label_rows(label_file(shapes, "yolo-segment", name))
    assert len(rows) == parts_of(SHAPES[name])
    assert all(len(values) >= 6 and len(values) % 2 == 0 for _, values in rows)
    assert all((0 <= values).all() and (values <= 1).all() for _, values in rows)


@examples(max_examples=200)
@given(mask=masks())
def test_rows_fill_to_any_mask(mask: Bools) -> None:
    image = label_mask("any", mask)
    ((_, text),) = YoloSegment().encode(image, Settings(classes=("defect",))).files
    rows = [np.array(line.split()[1:], np.float32).reshape(-1, 2) for line in text.decode().splitlines()]
    assert len(rows) == parts_of(mask)
    for rounding in (False, True):
        assert np.array_equal(fill(rows, mask.shape, rounding=rounding), mask)


@ROUNDINGS
def test_rows_fill_to_every_real_mask(real_defects: Dataset, real_trees: Path, rounding: bool) -> None:
    for sample in real_defects:
        truth = read_mask(sample.masks[0]).pixels() > 0
        path = real_trees / "yolo-segment" / "labels" / "test" / f"{file_name(sample.key)}.txt"
        assert np.array_equal(fill_rows(path, truth.shape, rounding=rounding), truth), sample.key
        assert len(label_rows(path)) == parts_of(truth), sample.key


@pytest.mark.parametrize("size", [(3000, 4000), (4097, 5000), (9000, 40)])
def test_large_images_need_more_decimals_and_get_them(tmp_path: Path, size: tuple[int, int]) -> None:
    mask = np.zeros(size, np.bool_)
    for y, x in ((0, 0), (size[0] // 3, size[1] // 3), (size[0] - 12, size[1] - 13)):
        mask[y : y + 12, x : x + 13] = SHAPES["checkerboard"]
    out = write_masks(tmp_path, {"large": mask}, ["yolo-segment", "yolo-detect"])
    for rounding in (False, True):
        filled = fill_rows(label_file(out, "yolo-segment", "large"), size, rounding=rounding)
        assert np.array_equal(filled, mask)
    assert_boxes(label_file(out, "yolo-detect", "large"), mask)
