"""Label trees as other tools leave them, and as they get damaged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml

from converters import convert, read_labels
from converters.formats.label_tree import subset_of_name
from converters.rasterize import compress_rle, uncompressed_rle
from tests.converters.support import class_map, save_png
from toolkit import ToolkitError

SIZE = (20, 30)  # height, width


def image(path: Path, size: tuple[int, int] = SIZE) -> Path:
    return save_png(path, np.zeros(size, np.uint8))


def ring(x0: int, y0: int, x1: int, y1: int) -> list[int]:
    return [x0, y0, x1, y0, x1, y1, x0, y1]


SQUARE = np.zeros(SIZE, np.bool_)
SQUARE[4:9, 3:12] = True
RUNS = uncompressed_rle(SQUARE[4:9, 3:12], (3, 4), *SIZE)
BOTH = SQUARE.copy()
BOTH[12:15, 20:25] = True


def annotation(**more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": 5, "category_id": 3, "bbox": [3, 4, 9, 5], "area": 45, "iscrowd": 0, **more}


def coco(*annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 5, "file_name": "a.png", "width": SIZE[1], "height": SIZE[0]}],
        "annotations": list(annotations),
        "categories": [{"id": 0, "name": "dent"}, {"id": 3, "name": "scratch"}],
        **more,
    }


def coco_tree(root: Path, document: Any, file: str = "annotations/instances_train.json") -> Path:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(document if isinstance(document, str) else json.dumps(document))
    return root


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
    ("file", "place", "subset"),
    [
        ("annotations/instances_train.json", "images/train/a.png", "train"),
        ("annotations/instances_val2017.json", "val2017/a.png", "val"),
        ("annotations/instances_val2017.json", "images/val2017/a.png", "val"),
        ("annotations/instances_default.json", "images/a.png", "train"),
        ("annotations/test.json", "test/a.png", "test"),
        ("valid/_annotations.coco.json", "valid/a.png", "val"),
        ("train/_annotations.coco.json", "train/a.png", "train"),
        ("annotations.json", "a.png", "train"),
        ("train.json", "images/a.png", "train"),
    ],
)
def test_images_and_subsets_are_found(tmp_path: Path, file: str, place: str, subset: str) -> None:
    root = coco_tree(tmp_path / "tree", coco(annotation()), file)
    image(root / place)
    (found,) = read_labels(root)
    assert found.path is not None
    assert found.path.samefile(root / place)
    assert found.subset == subset


def test_images_that_are_not_there_do_no_harm(tmp_path: Path) -> None:
    (found,) = read_labels(coco_tree(tmp_path, coco(annotation())))
    assert (found.path, found.width, found.height) == (None, 30, 20)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"category_id": 8}, "has an unknown category 8"),
        ({"segmentation": [[1, 2, 3, 4]]}, "malformed segmentation"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "malformed segmentation"),
        ({"segmentation": [["a"] * 6]}, "malformed segmentation"),
        ({"segmentation": {"counts": [1, 2], "size": [9, 9]}}, "malformed segmentation"),
        ({"segmentation": {"size": list(SIZE)}}, "malformed segmentation"),
        ({"segmentation": [ring(100, 100, 120, 120)]}, "covers no pixel"),
        ({"bbox": [3, 4]}, "malformed segmentation"),
        ({"bbox": [99, 99, 5, 5]}, "covers no pixel"),
        ({"bbox": [3, 4, 0, 0]}, "covers no pixel"),
    ],
    ids=str,
)
def test_a_damaged_annotation_is_named(tmp_path: Path, members: dict[str, Any], words: str) -> None:
    root = coco_tree(tmp_path, coco(annotation(), annotation(id=77, **members)))
    with pytest.raises(ToolkitError, match=rf"instances_train\.json: annotation 77 of a\.png: .*{words}"):
        list(read_labels(root))


def without(part: str, number: int, member: str) -> dict[str, Any]:
    document = coco(annotation())
    del document[part][number][member]
    return document


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


def test_a_crowd_becomes_an_instance_like_others(tmp_path: Path) -> None:
    """Tools mark masks with holes as crowds; trainers pass those over, so that conversion makes them whole again."""
    root = coco_tree(tmp_path / "tree", coco(annotation(**FORMS["a crowd"].members)))
    convert(read_labels(root), tmp_path / "out", ["coco"], images="none")
    document = json.loads((tmp_path / "out/coco/annotations/instances_train.json").read_text())
    assert [(a["iscrowd"], a["area"], a["bbox"]) for a in document["annotations"]] == [(0, 45, [3, 4, 9, 5])]


@pytest.mark.parametrize(
    ("name", "subset"),
    [
        ("train", "train"),
        ("Train2017", "train"),
        ("valid", "val"),
        ("validation", "val"),
        ("test", "test"),
        ("x", None),
    ],
)
def test_names_of_subsets(name: str, subset: str | None) -> None:
    assert subset_of_name(name) == subset


def test_class_maps_of_other_tools_are_read(tmp_path: Path) -> None:
    """Several classes in one image; the image's class is then "combined"."""
    ids = np.zeros(SIZE, np.uint8)
    ids[2:5, 2:5], ids[8:12, 8:12] = 1, 2
    save_png(tmp_path / "masks/train/a.png", ids)
    image(tmp_path / "images/train/a.png")
    (tmp_path / "data.yaml").write_text(
        yaml.safe_dump({"train": "images/train", "masks_dir": "masks", "names": ["background", "dent", "scratch"]})
    )
    tree = read_labels(tmp_path)
    assert [(sample.key, sample.defect) for sample in tree.samples] == [("a", "combined")]
    assert [(i.label, i.bbox) for i in next(iter(tree)).instances] == [
        ("dent", (2, 2, 5, 5)),
        ("scratch", (8, 8, 12, 12)),
    ]


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
