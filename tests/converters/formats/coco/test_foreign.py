"""COCO files as other tools leave them, and as they get damaged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from converters import read_labels
from converters.rasterize import compress_rle
from tests.converters.formats.coco.stand_ins import (
    BOTH,
    NAN,
    RUNS,
    SIZE,
    SQUARE,
    annotation,
    coco,
    coco_tree,
    image,
    listed,
    ring,
    without,
)
from tests.converters.support import class_map
from toolkit import ToolkitError


class Form(NamedTuple):
    """A way to write a segmentation, and what it covers."""

    members: Mapping[str, Any]
    covers: np.ndarray[Any, np.dtype[np.bool_]]


FORMS = {
    "a polygon": Form({"segmentation": [ring(3, 4, 12, 9)]}, SQUARE),
    "a polygon of fractions": Form({"segmentation": [[v + 0.0001 for v in ring(3, 4, 12, 9)]]}, SQUARE),
    "several polygons": Form({"segmentation": [ring(3, 4, 12, 9), ring(20, 12, 25, 15)]}, BOTH),
    "overlapping polygons": Form({"segmentation": [ring(3, 4, 9, 9), ring(7, 4, 12, 9)]}, SQUARE),
    "run lengths": Form({"segmentation": {"counts": RUNS, "size": list(SIZE)}}, SQUARE),
    "a crowd": Form({"segmentation": {"counts": RUNS, "size": list(SIZE)}, "iscrowd": 1}, SQUARE),
    "compressed run lengths": Form({"segmentation": {"counts": compress_rle(RUNS, *SIZE), "size": list(SIZE)}}, SQUARE),
    "a box alone": Form({}, SQUARE),
    "an empty segmentation": Form({"segmentation": []}, SQUARE),
    "no segmentation": Form({"segmentation": None}, SQUARE),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_segmentation_is_read(tmp_path: Path, name: str) -> None:
    root = coco_tree(tmp_path, coco(annotation(**FORMS[name].members)))
    (found,) = read_labels(root)
    (instance, *_) = found.instances
    assert (instance.mask is None) == ("box" in name or "empty" in name or "no " in name)
    assert np.array_equal(class_map(found, ["scratch"]), FORMS[name].covers * 1)
    assert (found.key, found.subset, found.image_label, len(found.instances)) == ("a", "train", "scratch", 1)


def test_ids_may_have_gaps_and_begin_at_zero(tmp_path: Path) -> None:
    tree = read_labels(coco_tree(tmp_path, coco(annotation(), annotation(id=2, category_id=0))))
    assert tree.classes() == ["dent", "scratch"]
    assert [instance.label for image in tree for instance in image.instances] == ["scratch", "dent"]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"category_id": 8}, "has an unknown category 8"),
        ({"segmentation": [[1, 2, 3, 4]]}, "malformed segmentation"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "malformed segmentation"),
        ({"segmentation": [["a"] * 6]}, "malformed segmentation"),
        ({"segmentation": {"counts": [1, 2], "size": [9, 9]}}, "malformed segmentation"),
        ({"segmentation": {"size": list(SIZE)}}, "malformed segmentation"),
        ({"bbox": [3, 4]}, "the box of 2 numbers instead of 4"),
        ({"bbox": [3, 4, -1, 5]}, "a box -1 wide"),
        ({"bbox": [3, 4, "9", 5]}, 'the box holds "9", which is no number'),
        ({"bbox": [3, 4, True, 5]}, "the box holds true, which is no number"),
        ({"bbox": [3, 4, NAN, 5]}, "the box holds the coordinate NaN"),
        ({"bbox": "3, 4, 9, 5"}, "the box is text instead of a list of numbers"),
        ({"category_id": "3x"}, 'has the category "3x", which is no id'),
        ({"category_id": "8"}, 'has an unknown category "8"; correct it; known are 0, 3'),
        ({"category_id": True}, "has the category true"),
        ({"category_id": 3.5}, "has the category 3.5"),
        ({"category_id": NAN}, "has the category NaN"),
        ({"category_id": None}, "has no category"),
        ({"segmentation": ring(3, 4, 12, 9)}, "one list of numbers instead of a list of such lists"),
        ({"segmentation": "[[3, 4, 12, 4, 12, 9]]"}, "text instead of a list of lists"),
        ({"segmentation": [[3, 4, 12, 9]]}, "fewer than three points"),
        ({"segmentation": [[20, 20]]}, "fewer than three points"),
        ({"segmentation": [ring(3, 4, 12, 9), [20, 20, 21]]}, "a polygon of 3 numbers"),
        ({"segmentation": [[[3, 4], [12, 4], [12, 9], [3, 9]]]}, r"a polygon holds \[3, 4\], which is no number"),
        ({"segmentation": [[3, 4, 12, 4, 12, NAN]]}, "a polygon holds the coordinate NaN"),
        ({"segmentation": [[3, 4, 12, 4, 12, 1e12]]}, r"a polygon holds the coordinate 1000000000000\.0"),
        ({"segmentation": {"counts": [0, 10], "size": list(SIZE)}}, "they cover 10 pixels of 600"),
        ({"segmentation": {"counts": [0, "600"], "size": list(SIZE)}}, "a run length '600'"),
        ({"segmentation": {"counts": [599, True], "size": list(SIZE)}}, "a run length True"),
        (
            {"segmentation": {"counts": RUNS, "size": [*SIZE[::-1]]}},
            "run lengths for 20 x 30 pixels in an image of 30 x 20",
        ),
    ],
    ids=str,
)
def test_a_damaged_annotation_is_named(tmp_path: Path, members: dict[str, Any], words: str) -> None:
    root = coco_tree(tmp_path, coco(annotation(), annotation(id=77, **members)))
    with pytest.raises(ToolkitError, match=rf"instances_train\.json: annotation 77 of a\.png: .*{words}"):
        list(read_labels(root))


@pytest.mark.parametrize(
    "document",
    [
        '{"images": [], "annotations": [], "categories": [',
        '[1, 2]  // "images" "annotations"',
        '["images", "annotations"]',
        coco(annotation(), categories=None),
        coco(annotation(), images={}),
        coco(annotation(image_id=6)),
        coco(annotations=[3]),
        coco(images=["a.png"]),
        without("images", 0, "id"),
        without("images", 0, "file_name"),
        without("images", 0, "width"),
        without("images", 0, "height"),
        without("categories", 0, "id"),
        without("categories", 0, "name"),
        without("annotations", 0, "image_id"),
    ],
    ids=lambda document: str(document)[:60],
)
def test_a_damaged_file_is_named(tmp_path: Path, document: Any) -> None:
    with pytest.raises(ToolkitError, match=r"instances_train\.json: "):
        list(read_labels(coco_tree(tmp_path, document)))


@pytest.mark.parametrize("member", ["image_id", "file_name", "segments_info"])
def test_a_damaged_panoptic_file_is_named(tmp_path: Path, member: str) -> None:
    segment = {"id": 1, "category_id": 3, "area": 9, "bbox": [0, 0, 3, 3], "iscrowd": 0}
    whole = {"image_id": 5, "file_name": "a.png", "segments_info": [segment]}
    del whole[member]
    if member != "segments_info":  # by that the format is told
        whole["segments_info"] = [segment]
    document = coco(whole, info={"format": '"segments_info"'})
    if member == "segments_info":
        document["annotations"].append({"image_id": 5, "file_name": "a.png", "segments_info": []})
    root = coco_tree(tmp_path, document, "annotations/panoptic_train.json")
    with pytest.raises(ToolkitError, match=r"panoptic_train\.json: "):
        list(read_labels(root))


def test_categories_of_several_files_must_agree(tmp_path: Path) -> None:
    coco_tree(tmp_path, coco(annotation()))
    document = coco(annotation(), categories=[{"id": 3, "name": "dent"}])
    document["images"][0]["file_name"] = "b.png"
    coco_tree(tmp_path, document, "annotations/instances_val.json")
    with pytest.raises(ToolkitError, match=r"instances_val\.json: calls category 3 'dent', another file 'scratch'"):
        read_labels(tmp_path)


def test_coco_images_in_folders_of_their_own_are_told_apart(tmp_path: Path) -> None:
    document = coco(annotation())
    document["images"] = [{**document["images"][0], "id": number, "file_name": f"{number}/a.png"} for number in (5, 6)]
    tree = read_labels(coco_tree(tmp_path, document))
    assert [(image.key, len(image.instances)) for image in tree] == [("train/5/a", 1), ("train/6/a", 0)]


def test_crowds_are_told_of(tmp_path: Path) -> None:
    image(tmp_path / "images/a.png")
    tree = read_labels(coco_tree(tmp_path, coco(annotation(iscrowd=1), annotation(id=2))))
    assert any(note.startswith("1 annotation(s) are of crowds (iscrowd 1)") for note in tree.notes)


def test_labels_of_a_photo_as_it_is_stored_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (SIZE[1], SIZE[0])).save(tmp_path / "images/a.jpg", exif=exif)
    tree = read_labels(coco_tree(tmp_path, coco(annotation(), images=[listed("a.jpg")])))
    with pytest.raises(ToolkitError, match="as it is stored: its EXIF orientation is 6; save it"):
        list(tree)
