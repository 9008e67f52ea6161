"""YOLO rows: filled as trainers fill them they are the mask, and boxes are the tight boxes."""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import numpy.typing as npt
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from shapely import MultiPoint, Polygon

from converters import convert, write_labels
from converters.formats.base import Settings
from converters.formats.label_tree import LabelRecord
from converters.formats.registry import find_format
from converters.formats.yolo.reader import load_obb
from converters.formats.yolo.rows import LabelFile
from converters.verification.comparison import box_faults
from tests.converters.support import (
    Bools,
    boxes_of,
    fill,
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
from tests.masks import SHAPES, masks, picture
from toolkit import Dataset
from toolkit.dataset.keys import file_name
from toolkit.dataset.samples import Sample
from toolkit.geometry.instances import Grouping, find_instances
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.imaging.masks import Mask, read_mask

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
    assert all((values >= 0).all() and (values <= 1).all() for _, values in rows)


@examples(max_examples=200)
@given(mask=masks())
def test_rows_fill_to_any_mask(mask: Bools) -> None:
    image = label_mask("any", mask)
    ((_, text),) = find_format("yolo-segment").encode(image, Settings(classes=("defect",))).files
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


def boxes_in(path: Path, size: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Rows of detection boxes in pixels, (N, 4) x0, y0, x1, y1, sorted by whole pixels."""
    values = np.array([line.split()[1:] for line in path.read_text().splitlines()], np.float64)
    centre, span = values[:, :2] * size[::-1], values[:, 2:] * size[::-1]
    boxes = np.concatenate([centre - span / 2, centre + span / 2], axis=1)
    return boxes[np.lexsort(np.rint(boxes).T[::-1])]


def assert_boxes(path: Path, mask: Bools) -> None:
    assert np.abs(boxes_in(path, mask.shape) - boxes_of(mask)).max() <= 0.01


@pytest.mark.parametrize("name", SHAPES)
def test_detection_rows_are_the_tight_boxes(shapes: Path, name: str) -> None:
    assert_boxes(label_file(shapes, "yolo-detect", name), SHAPES[name])


def test_detection_rows_of_real_masks_are_the_tight_boxes(real_defects: Dataset, tmp_path: Path) -> None:
    convert(real_defects, tmp_path / "out", ["yolo-detect"], images="none")
    for sample in real_defects:
        path = tmp_path / "out/yolo-detect/labels/test" / f"{file_name(sample.key)}.txt"
        assert_boxes(path, read_mask(sample.masks[0]).pixels() > 0)


def test_equal_boxes_stay_two_rows(tmp_path: Path) -> None:
    """Two strokes that cross without touching a common pixel have one box; trainers drop a row that stands twice."""
    halves = np.eye(12, dtype=np.bool_), np.eye(12, dtype=np.bool_)[::-1]
    instances = tuple(Instance("defect", (2, 3, 14, 15), half, 12) for half in halves)
    write_labels(
        [LabelledImage("twins", None, 40, 30, instances, "train", "defect")],
        tmp_path,
        ["yolo-detect"],
        classes=["defect"],
        image_mode="none",
    )
    path = label_file(tmp_path, "yolo-detect", "twins")
    assert len(set(path.read_text().splitlines())) == 2
    assert np.abs(boxes_in(path, (30, 40)) - (2, 3, 14, 15)).max() <= 0.01


def assert_oriented(path: Path, mask: Bools) -> None:
    """Every part lies in a box of its own, pixel squares and all, no larger than its upright box."""
    rows = label_rows(path)
    parts = find_instances(Mask.of(mask.view(np.uint8), *mask.shape[::-1]), "defect").instances
    assert len(rows) == len(parts)
    for part, (_, values) in zip(parts, rows, strict=True):
        box = Polygon(values.reshape(4, 2).astype(np.float64) * mask.shape[::-1])
        y, x = np.nonzero(part.mask)
        corners = [(x + dx + part.bbox[0], y + dy + part.bbox[1]) for dx in (0, 1) for dy in (0, 1)]
        squares = MultiPoint(np.concatenate([np.stack(pair, axis=1) for pair in corners]))
        assert box.buffer(1e-4).covers(squares)  # label_rows gives single precision
        upright = (part.bbox[2] - part.bbox[0]) * (part.bbox[3] - part.bbox[1])
        assert box.area <= upright + 0.1


@pytest.mark.parametrize("corner", range(4))
@pytest.mark.parametrize("name", SHAPES)
def test_oriented_boxes_hold_every_pixel_square(tmp_path: Path, name: str, corner: int) -> None:
    mask = in_canvas(SHAPES[name], 53, corner)
    out = write_masks(tmp_path, {"shape": mask}, ["yolo-obb"])
    assert_oriented(label_file(out, "yolo-obb", "shape"), mask)


@examples(max_examples=60)
@given(mask=masks())
def test_oriented_boxes_hold_every_pixel_square_of_any_mask(
    tmp_path_factory: pytest.TempPathFactory, mask: Bools
) -> None:
    out = write_masks(tmp_path_factory.mktemp("any"), {"any": mask}, ["yolo-obb"])
    assert_oriented(label_file(out, "yolo-obb", "any"), mask)


def oriented_faults(image: LabelledImage) -> list[str]:
    """What `verify` finds in the oriented boxes of an image, written and read back."""
    found = find_format("yolo-obb")
    ((_, text),) = found.encode(image, Settings(classes=("defect",))).files
    with NamedTemporaryFile() as label:
        label.write(text)
        label.flush()
        sample = Sample("a", Path(), (), "product", "defect", "train")
        file = LabelFile(label.name)
        record = LabelRecord(sample, load_obb, file, {0: "defect"}, (image.width, image.height))
        return box_faults(found, record, record.labelled(), image)


@examples(max_examples=500, deadline=None)
@given(size=st.tuples(st.integers(1, 40), st.integers(1, 40)), seed=st.integers(0, 2**32))
def test_oriented_boxes_of_shapes_that_fill_the_image_pass_their_proof(size: tuple[int, int], seed: int) -> None:
    """Turned boxes reach out of the image there, and upright ones stand in for them."""
    width, height = size
    draw = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.bool_)
    left, top = draw.integers(0, 2, 2) * (width > 1, height > 1)
    mask[top:, left:] = True
    rows, columns = np.mgrid[:height, :width]
    for x, y in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):  # corners off
        slant = abs(columns - x) * draw.random() + abs(rows - y) * draw.random()
        mask &= slant >= draw.random() * draw.integers(0, 2) * min(size) / 2
    image = label_mask("a", mask)
    assert oriented_faults(image) == []


def test_an_upright_box_that_stands_in_for_a_turned_one_has_a_margin() -> None:
    slanted = picture("#####..", "######.", ".######", "..####.", "...##..")
    instance = Instance("defect", (1, 1, 8, 6), slanted, int(slanted.sum()))
    assert oriented_faults(LabelledImage("a", None, 8, 6, (instance,), "train", "defect")) == []


@pytest.mark.parametrize("kind", ["yolo-segment", "yolo-obb"])
def test_equal_instances_stay_two_rows(kind: str) -> None:
    """Trainers drop a row that stands twice."""
    square = Instance("defect", (2, 3, 14, 15), np.ones((12, 12), np.bool_), 144)
    image = LabelledImage("twins", None, 40, 30, (square,) * 3, "train", "defect")
    ((_, text),) = find_format(kind).encode(image, Settings(classes=("defect",))).files
    rows = text.decode().splitlines()
    assert len({*rows}) == len(rows) == 3
    filled = [fill([np.array(row.split()[1:], np.float32).reshape(-1, 2)], (30, 40), rounding=False) for row in rows]
    assert all(np.array_equal(filled[0], other) for other in filled)


def test_an_oriented_box_follows_a_slanted_scratch(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:64, :64]
    scratch = (np.abs(rows - columns) <= 2) & (rows + columns > 20) & (rows + columns < 100)
    out = write_masks(tmp_path, {"scratch": np.asarray(scratch)}, ["yolo-obb"])
    ((_, values),) = label_rows(label_file(out, "yolo-obb", "scratch"))
    assert Polygon(values.reshape(4, 2) * 64).area < 0.3 * 40 * 40


def test_bridges_join_parts_into_one_row_and_are_counted(tmp_path: Path) -> None:
    wanted = ("border contact", "disk", "part in a hole")
    dataset = make_dataset(tmp_path / "dataset", {"shape": {name: SHAPES[name] for name in wanted}})
    report = convert(dataset, tmp_path / "out", ["yolo-segment"], instances="image", join_parts=True, images="none")
    added = 0
    for name in wanted:
        path = tmp_path / "out/yolo-segment/labels/test" / f"part__test__shape__{name}.txt"
        filled = fill_rows(path, SHAPES[name].shape, rounding=False)
        assert len(label_rows(path)) == 1
        assert (filled >= SHAPES[name]).all()
        assert np.array_equal(filled, fill_rows(path, SHAPES[name].shape, rounding=True))
        assert parts_of(filled) == 1
        added += int(filled.sum() - SHAPES[name].sum())
    assert added > 0
    assert report.manifests["yolo-segment"]["bridge_pixels"] == added


@pytest.mark.parametrize("threshold", [0.9, 0.99])
def test_fewer_vertices_keep_the_iou_asked_for(tmp_path: Path, threshold: float) -> None:
    shapes = {name: mask for name, mask in SHAPES.items() if mask.sum() > 100}
    dataset = make_dataset(tmp_path / "dataset", {"shape": shapes})
    lengths = {}
    for least in (1.0, threshold):
        convert(dataset, tmp_path / str(least), ["yolo-segment"], min_iou=least, images="none")
        folder = tmp_path / str(least) / "yolo-segment" / "labels" / "test"
        lengths[least] = sum(len(values) for path in folder.glob("*.txt") for _, values in label_rows(path))
    for name, mask in shapes.items():
        for rounding in (False, True):
            filled = fill_rows(folder / f"part__test__shape__{name}.txt", mask.shape, rounding=rounding)
            assert iou(filled, mask) >= threshold, name
    assert lengths[threshold] < lengths[1.0]


@pytest.mark.parametrize("kind", ["yolo-detect", "yolo-segment", "yolo-obb"])
def test_good_images_get_an_empty_label_file(trees: Path, product: Dataset, kind: str) -> None:
    good = {file_name(sample.key) for sample in product if not sample.masks}
    empty = {path.stem for path in (trees / kind / "labels").glob("*/*.txt") if not path.stat().st_size}
    assert empty == good


@pytest.mark.parametrize("kind", ["yolo-detect", "yolo-segment", "yolo-obb"])
def test_data_yaml_has_folders_and_names_and_no_path(trees: Path, product: Dataset, kind: str) -> None:
    document = yaml.safe_load((trees / kind / "data.yaml").read_text("utf-8"))
    assert document == {
        "train": "images/train",
        "val": "images/val",
        "test": "images/test",
        "names": dict(enumerate(product.classes())),
    }


def test_data_yaml_without_val_says_what_stands_in_for_it(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset", {"shape": [SHAPES["disk"]]})
    convert(dataset, tmp_path / "out", ["yolo-detect"])
    text = (tmp_path / "out/yolo-detect/data.yaml").read_text("utf-8")
    assert yaml.safe_load(text)["val"] == "images/test"
    assert text.startswith("# no val subset: test stands in for it")


def test_the_order_of_classes_gives_the_ids(tmp_path: Path) -> None:
    image = label_mask("a", SHAPES["border contact"])
    labels = [f"class {number % 3}" for number in range(len(image.instances))]
    order = ["class 2", "class 0", "class 1"]
    kinds = ["yolo-detect", "yolo-segment", "yolo-obb"]
    write_labels([relabel(image, labels)], tmp_path, kinds, classes=order, image_mode="none")
    for kind in kinds:
        assert [order[number] for number, _ in label_rows(label_file(tmp_path, kind, "a"))] == labels
        assert list(yaml.safe_load((tmp_path / kind / "data.yaml").read_text())["names"].values()) == order


@examples(max_examples=60)
@given(mask=masks())
def test_bridges_never_lose_a_pixel(mask: Bools) -> None:
    height, width = mask.shape
    found = find_instances(Mask.of(mask.view(np.uint8), width, height), "defect", Grouping("image"))
    image = LabelledImage("any", None, width, height, found.instances, "train", "defect")
    encoded = find_format("yolo-segment").encode(image, Settings(classes=("defect",), join_parts=True))
    ((_, text),) = encoded.files
    (row,) = text.decode().splitlines()
    polygon = np.array(row.split()[1:], np.float32).reshape(-1, 2)
    for rounding in (False, True):
        filled = fill([polygon], mask.shape, rounding=rounding)
        assert (filled >= mask).all()
        assert int(filled.sum() - mask.sum()) == encoded.bridges
