"""COCO instances: what pycocotools makes of the files is the mask, to the pixel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples

from converters import convert, write_labels
from converters.formats.base import Settings
from converters.formats.registry import find_format
from tests.converters.support import (
    Bools,
    boxes_of,
    coco_document,
    coco_masks,
    iou,
    label_mask,
    make_dataset,
    parts_of,
    relabel,
)
from tests.masks import SHAPES, masks
from toolkit import Dataset
from toolkit.dataset.keys import file_name
from toolkit.imaging.masks import read_mask


@pytest.fixture(scope="module", params=["polygon", "rle"])
def shapes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COCO tree of all shapes."""
    folder = tmp_path_factory.mktemp("shapes")
    dataset = make_dataset(folder / "dataset", {"shape": SHAPES})
    convert(dataset, folder / "labels", ["coco"], segmentation=request.param, images="none")
    return folder / "labels" / "coco"


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_comes_back_bit_for_bit(shapes: Path, name: str) -> None:
    read = coco_masks(coco_document(shapes, "test"))[f"part__test__shape__{name}"]
    assert len(read) == parts_of(SHAPES[name])
    assert np.array_equal(np.sum(read, axis=0), SHAPES[name])  # the sum: no pixel twice either


@pytest.mark.parametrize("name", SHAPES)
def test_an_annotation_says_of_itself_what_is_true(shapes: Path, name: str) -> None:
    document = coco_document(shapes, "test")
    stem = f"part__test__shape__{name}"
    (image_id,) = (record["id"] for record in document["images"] if Path(record["file_name"]).stem == stem)
    found = [annotation for annotation in document["annotations"] if annotation["image_id"] == image_id]
    boxes = [(x, y, x + w, y + h) for x, y, w, h in (annotation["bbox"] for annotation in found)]
    assert sorted(boxes) == boxes_of(SHAPES[name])
    assert [a["area"] for a in found] == [int(mask.sum()) for mask in coco_masks(document)[stem]]
    assert {(a["iscrowd"], a["category_id"]) for a in found} == {(0, 1)}


def test_ids_count_from_one(shapes: Path) -> None:
    document = coco_document(shapes, "test")
    for part in ("images", "annotations", "categories"):
        assert [record["id"] for record in document[part]] == list(range(1, len(document[part]) + 1))


def test_good_images_are_listed_without_annotations(shapes: Path) -> None:
    document = coco_document(shapes, "train")
    assert [record["file_name"] for record in document["images"]] == [f"part__train__good__{n:03}.png" for n in (0, 1)]
    assert document["annotations"] == []


@pytest.mark.parametrize("segmentation", ["polygon", "rle"])
@examples(max_examples=150)
@given(mask=masks())
def test_any_mask_comes_back_bit_for_bit(segmentation: Literal["polygon", "rle"], mask: Bools) -> None:
    encoded = find_format("coco").encode(
        label_mask("any", mask), Settings(classes=("defect",), segmentation=segmentation)
    )
    annotations = [json.loads(b'{"image_id":1,%b}' % members) for members in encoded.annotations]
    image = {"id": 1, "file_name": "any.png", "height": mask.shape[0], "width": mask.shape[1]}
    read = coco_masks({"images": [image], "annotations": annotations})["any"]
    assert np.array_equal(np.sum(read, axis=0), mask)
    assert [annotation["area"] for annotation in annotations] == [int(part.sum()) for part in read]
    assert sorted((x, y, x + w, y + h) for x, y, w, h in (a["bbox"] for a in annotations)) == boxes_of(mask)


def test_every_real_mask_comes_back_bit_for_bit(real_defects: Dataset, real_trees: Path) -> None:
    read = coco_masks(coco_document(real_trees / "coco", "test"))
    assert len(read) == len(real_defects)
    for sample in real_defects:
        truth = read_mask(sample.masks[0]).pixels() > 0
        assert np.array_equal(np.sum(read[file_name(sample.key)], axis=0), truth), sample.key


def test_the_order_of_classes_gives_the_ids(tmp_path: Path) -> None:
    image = label_mask("a", SHAPES["border contact"])
    labels = [f"class {number % 3}" for number in range(len(image.instances))]
    order = ["class 2", "class 0", "class 1"]
    write_labels([relabel(image, labels)], tmp_path, ["coco"], classes=order, image_mode="none")
    document = coco_document(tmp_path / "coco")
    assert [(c["id"], c["name"]) for c in document["categories"]] == list(enumerate(order, 1))
    assert [order[a["category_id"] - 1] for a in document["annotations"]] == labels


@pytest.mark.parametrize("threshold", [0.9, 0.99])
def test_fewer_vertices_keep_the_iou_asked_for(tmp_path: Path, threshold: float) -> None:
    shapes = {name: mask for name, mask in SHAPES.items() if mask.sum() > 100}
    dataset = make_dataset(tmp_path / "dataset", {"shape": shapes}, good=0)
    vertices = {}
    for least in (1.0, threshold):
        convert(dataset, tmp_path / str(least), ["coco"], min_iou=least, images="none")
        document = coco_document(tmp_path / str(least) / "coco", "test")
        vertices[least] = sum(len(ring) for a in document["annotations"] for ring in a["segmentation"])
    for stem, read in coco_masks(document).items():
        assert iou(np.any(read, axis=0), shapes[stem.removeprefix("part__test__shape__")]) >= threshold, stem
    assert vertices[threshold] < vertices[1.0]
