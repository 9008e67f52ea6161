"""Datumaro's own JSON, as version 1.13 exports it, held against pycocotools."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from converters import convert, read_labels, verify
from converters.formats.datumaro.annotations import load_datumaro
from converters.formats.label_tree import LabelRecord
from tests.commands import defectkit
from tests.converters.formats.reading import HEIGHT, WIDTH, Bools, kinds, objects, photo, problems, write
from tests.converters.support import make_dataset
from tests.masks import masks
from toolkit import ToolkitError
from toolkit.dataset.samples import Sample

CORRECT = "correct or remove it"


def note(kind: str, label: Any = 0, **more: Any) -> dict[str, Any]:
    """An annotation as it is exported."""
    told = {"id": 0, "type": kind, "attributes": {}, "group": 0, "label_id": label, "z_order": 0}
    return {**told, **more}


def rle(mask: Bools, label: int = 0, **more: Any) -> dict[str, Any]:
    packed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = packed["counts"].decode()
    return note("mask", label, rle={"counts": counts, "size": [*mask.shape]}, **more)


def polygon(*points: float, label: int = 0, **more: Any) -> dict[str, Any]:
    return note("polygon", label, points=list(points), **more)


def box(*sides: float, label: int = 0, **more: Any) -> dict[str, Any]:
    return note("bbox", label, bbox=list(sides), **more)


def item(name: str, *annotations: Any, path: str | None = "", size: Any = (HEIGHT, WIDTH)) -> dict[str, Any]:
    image = {"path": f"{name}.png" if path == "" else path, "size": list(size) if size else None}
    return {"id": name, "annotations": list(annotations), "image": image}


def document(*items: Any, labels: Any = ("dent", "rust")) -> dict[str, Any]:
    listed = [{"name": name, "parent": "", "attributes": []} for name in labels]
    categories = {"label": {"labels": listed, "label_groups": [], "attributes": []}}
    return {"dm_format_version": "1.0", "media_type": 2, "infos": {}, "categories": categories, "items": list(items)}


def tree(root: Path, **subsets: list[dict[str, Any]]) -> Path:
    for subset, items in subsets.items():
        for one in items:
            photo(root / "images" / subset / (one["image"]["path"] or f"{one['id']}.png"))
        write(root / f"annotations/{subset}.json", document(*items))
    return root


def filled(*points: float) -> Bools:
    """What pycocotools fills."""
    return np.asarray(coco_mask.decode(coco_mask.frPyObjects([list(points)], HEIGHT, WIDTH))[..., 0], bool)


def loaded(annotations: list[dict[str, Any]], size: tuple[int, int] = (WIDTH, HEIGHT)) -> Any:
    sample = Sample("a", Path("a.png"), (), "product", "dent", "train", kind="masks")
    payload = ("a.json", ("a.json: item", annotations))
    return load_datumaro(LabelRecord(sample, load_datumaro, payload, {0: "dent", 1: "rust"}, size), "truncate")


@settings(max_examples=60, deadline=None)
@given(masks())
def test_masks_are_exact(mask: Bools) -> None:
    height, width = mask.shape
    found = loaded([rle(mask)], (width, height))
    if not mask.any():
        assert (len(found), found.left_out) == (0, ("annotations[0] marks no pixel of the image",))
    else:
        assert np.array_equal(found[0].whole(width, height), mask)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 40, width=32), st.floats(-5, 30, width=32)), min_size=3, max_size=8))
def test_polygons_are_those_of_pycocotools(points: list[tuple[float, float]]) -> None:
    flat = [value for point in points for value in point]
    found = loaded([polygon(*flat)])
    expected = filled(*flat)
    assert np.array_equal(found[0].whole(WIDTH, HEIGHT) if found else np.zeros_like(expected), expected)


def test_an_ellipse_is_the_polygon_that_datumaro_takes_for_it() -> None:
    turns = np.linspace(0, 2 * math.pi, num=720)
    flat = np.stack([10 + 5 * np.cos(turns), 8.5 + 3.5 * np.sin(turns)], axis=1).ravel().tolist()
    (found,) = loaded([note("ellipse", points=[5, 5, 15, 12])])
    assert np.array_equal(found.whole(WIDTH, HEIGHT), filled(*flat))


def test_groups_are_objects() -> None:
    """Polygons of one group and label are parts, whose box says no more; another label is another object."""
    first, second = (1, 1, 5, 1, 5, 5), (10, 10, 15, 10, 15, 15)
    found = loaded(
        [
            polygon(*first, group=7, attributes={"deep": True}),
            polygon(*second, group=7, attributes={"deep": False, "is_crowd": True}),
            box(1, 1, 14, 14, group=7),
            box(2, 2, 3, 3, group=7, label=1),
            box(0, 0, 2, 2, group=8),
            box(5, 5, 2, 2, group=8),
        ]
    )
    drawn = [one for one in found if one.mask is not None]
    assert [np.array_equal(one.whole(WIDTH, HEIGHT), filled(*first) | filled(*second)) for one in drawn] == [True]
    assert drawn[0].attributes == {"deep": "true; false", "iscrowd": "1"}
    boxes = [(one.label, one.bbox) for one in found if one.mask is None]
    assert boxes == [("rust", (2, 2, 5, 5)), ("dent", (0, 0, 2, 2)), ("dent", (5, 5, 7, 7))]


def test_what_has_a_higher_z_order_lies_on_top() -> None:
    found = loaded([box(0, 0, 9, 9, z_order=2), box(1, 1, 2, 2, label=1, z_order=-1), box(3, 3, 2, 2)])
    assert [one.bbox[0] for one in found] == [1, 3, 0]


def test_a_tree_is_read(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((HEIGHT, WIDTH)) > 0.5
    root = tree(
        tmp_path / "in",
        train=[
            item("a", rle(mask, attributes={"score": 0.5}), note("points", points=[1, 2]), note("label")),
            item("b", box(3.5, 4, 10, 6, label=1)),
            item("c"),
        ],
        val=[
            item("d", note("caption", None, caption="x")),
            item("e", note("label", 1)),
            item("a", polygon(1, 1, 9, 1, 9, 9)),
        ],
    )
    photo(root / "images/val/f.png")
    assert kinds(root) == {
        "images/train/a.png": ("dent", "masks", "train"),
        "images/train/b.png": ("rust", "boxes", "train"),
        "images/train/c.png": ("good", "good", "train"),
        "images/val/a.png": ("dent", "masks", "val"),
        "images/val/d.png": ("", "unlabelled", "val"),
        "images/val/e.png": ("", "unlabelled", "val"),
        "images/val/f.png": ("", "unlabelled", "val"),
    }
    assert kinds(root, without_label="unlabelled")["images/train/c.png"][1] == "unlabelled"
    found = read_labels(root)
    assert (found.kind, found.classes(), found.layout_problems) == ("datumaro", ["dent", "rust"], ())
    assert objects(root, "b.png") == [("rust", (3.5, 4, 13.5, 10))]
    shown = next(iter(found))
    assert np.array_equal(shown.instances[0].whole(WIDTH, HEIGHT), mask)
    assert (shown.instances[0].attributes, shown.left_out) == (
        {"score": "0.5"},
        ("annotations[1] is of the type points, which has no area",),
    )
    done = defectkit("convert", root, tmp_path / "out", "--to", "coco", "--on-problem", "skip")
    assert done.status == 0, done.err
    assert verify(tmp_path / "out", against=root).passed
    alone = read_labels(root / "annotations/val.json")
    assert (alone.kind, len(alone)) == ("datumaro", 3)


def test_a_run_that_is_moved_is_found(tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[3:9, 4:12] = True
    root = tree(tmp_path / "in", train=[item("a", rle(mask))])
    convert(root, tmp_path / "out", ["coco"])
    mask[8, 11] = False
    write(root / "annotations/train.json", document(item("a", rle(mask))))
    assert not verify(tmp_path / "out", against=root).passed


def test_of_several_labels_none_is_the_class(tmp_path: Path) -> None:
    root = tree(tmp_path, default=[item("a"), item("b", note("label", 1))])
    told = item("a", note("label", 0), note("label", 1))
    write(root / "annotations/default.json", document(told, item("b", note("label", 1))))
    problem = "has several labels: dent, rust; keep the one of its class"
    assert problems(root) == [f'annotations/default.json: item "a": {problem}']


@pytest.mark.parametrize("labels", [(1,), (1, 0)])
def test_labels_of_images_are_no_classes_where_others_have_objects(tmp_path: Path, labels: tuple[int, ...]) -> None:
    told = [note("label", number) for number in labels]
    root = tree(tmp_path / "in", default=[item("a", box(3, 4, 10, 6)), item("b", *told)])
    found = kinds(root)
    assert found["images/default/b.png"] == ("", "unlabelled", "train")
    (said,) = [one for one in read_labels(root).notes if "a label alone" in one]
    assert "unlabelled (--without-label good takes them as good): b (rust" in said
    assert convert(root, tmp_path / "out", "coco").manifests["coco"]["images"]["count"] == 1
    assert kinds(root, without_label="good")["images/default/b.png"] == ("good", "good", "train")


def test_labels_of_images_alone_are_classes(tmp_path: Path) -> None:
    items = [item("a", note("label", 0)), item("b", note("label", 2)), item("c")]
    root = tree(tmp_path / "in", default=items)
    write(root / "annotations/default.json", document(*items, labels=("dent", "rust", "OK")))
    assert kinds(root) == {
        "images/default/a.png": ("dent", "class", "train"),
        "images/default/b.png": ("good", "good", "train"),
        "images/default/c.png": ("", "unlabelled", "train"),
    }
    assert defectkit("convert", root, tmp_path / "out", "--to", "yolo-classify").status == 0
    refused = defectkit("convert", root, tmp_path / "no", "--to", "coco")
    assert "classes of whole images" in refused.err


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no label": (
        polygon(1, 1, 9, 1, 9, 9) | {"label_id": None},
        "has the label_id null, which is no label; give it one, or remove it",
    ),
    "an unknown label": (box(1, 1, 2, 2, label=9), "has the unknown label_id 9; correct it, or add the label"),
    "a boolean": (box(True, 1, 2, 2), f"has the coordinate true, no number; {CORRECT}"),
    "three numbers": (box(1, 2, 3), f"has the coordinates [1, 2, 3], not 4 numbers; {CORRECT}"),
    "an odd number": (polygon(1, 2, 3), f"has the coordinates [1, 2, 3], not x and y by turns; {CORRECT}"),
    "far away": (polygon(1, 2, 1e9, 4, 5, 6), f"has the coordinate 1000000000.0, beyond all images; {CORRECT}"),
    "below zero": (box(1, 2, -3, 4), f"is -3 wide and 4 high; {CORRECT}"),
    "another type": (
        note("rotated_bbox"),
        'is of the type "rotated_bbox", which is not read; turn it into a polygon or a mask, or remove it',
    ),
    "runs of another size": (
        rle(np.ones((2, 2), bool)),
        f"has malformed pixels (run lengths for 2 x 2 pixels in an image of 30 x 20); {CORRECT}",
    ),
    "no runs": (note("mask"), f"its rle is null, no object; {CORRECT}"),
    "runs cut short": (
        note("mask", rle={"counts": "o", "size": [HEIGHT, WIDTH]}),
        f"has malformed pixels (run lengths in a text that is cut short or holds other characters); {CORRECT}",
    ),
    "a group that is none": (box(1, 1, 2, 2, group="x"), 'has the group "x", no whole number; correct it'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(tmp_path: Path, case: str) -> None:
    told, problem = REFUSED[case]
    root = tree(tmp_path, train=[item("a", told), item("b", box(1, 1, 2, 2))])
    assert problems(root) == [f'annotations/train.json: item "a": annotations[0]: {problem}']
    assert "unlabelled" not in {kind for _, kind, _ in kinds(root).values()}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another size": (item("a", size=(3, 0)), "has the size 0 x 3, that of no image; correct it"),
    "no size": (
        item("a") | {"image": {"path": "a.png", "size": 3}},
        "has the size 3, which is not [height, width]; correct it",
    ),
    "a cloud of points": (
        item("a") | {"point_cloud": {"path": "a.pcd"}},
        "is a point cloud, and images are read; remove it",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_items_that_are_wrong(tmp_path: Path, case: str) -> None:
    told, problem = WRONG[case]
    root = tree(tmp_path, train=[item("a"), item("b", box(1, 1, 2, 2))])
    write(root / "annotations/train.json", document(told, item("b", box(1, 1, 2, 2))))
    assert problems(root) == [f'annotations/train.json: item "a": {problem}']
    assert "unlabelled" not in {kind for _, kind, _ in kinds(root).values()}


def test_an_image_of_another_size_is_a_problem(tmp_path: Path) -> None:
    root = tree(tmp_path, train=[item("a", box(1, 1, 2, 2), size=(21, 30))])
    (found,) = problems(root)
    assert found.startswith("images/train/a.png: is 30 x 20 pixels, its labels are for 30 x 21")


def test_images_are_found(tmp_path: Path) -> None:
    """Where the path leads from images/<subset> or images, by its name, or by the id where no path is told."""
    paths = {"a": "sub/a.png", "b": "C:\\x\\B.PNG", "c": None, "d": "/home/me/d.png"}
    for place in ("train/sub/a.png", "train/b.png", "train/c.jpg", "test/d.png", "val/d.png"):
        photo(tmp_path / "images" / place)
    items = [item(name, box(1, 1, 2, 2), path=path) for name, path in paths.items()]
    write(tmp_path / "annotations/train.json", document(*items))
    marked = {name.removeprefix("images/") for name, (_, kind, _) in kinds(tmp_path).items() if kind == "boxes"}
    assert marked == {"train/sub/a.png", "train/b.png", "train/c.jpg"}
    (found,) = problems(tmp_path)
    told = "no image /home/me/d.png (2 files of that name are there: images/test/d.png, images/val/d.png)"
    assert found == f"annotations/train.json: {told}; put it there, or correct its name"


def test_labels_without_images(tmp_path: Path) -> None:
    """As Datumaro exports them by default: the same id may be in two subsets."""
    for subset in ("train", "val"):
        write(tmp_path / f"annotations/{subset}.json", document(item("a", box(1, 1, 2, 2), path=None)))
    found = read_labels(tmp_path)
    assert [(one.sample.key, one.sample.split) for one in found.records] == [("train/a", "train"), ("val/a", "val")]
    assert found.notes[0] == f"no image was found below {tmp_path}: the labels of 2 images are read without them"


def test_files_must_agree_on_their_labels(tmp_path: Path) -> None:
    root = tree(tmp_path, train=[item("a", box(1, 1, 2, 2))], val=[item("b")])
    write(root / "annotations/val.json", document(item("b"), labels=("rust", "dent")))
    with pytest.raises(ToolkitError, match=r"val.json: calls label 0 'rust', another file 'dent'; make them agree"):
        read_labels(root)


def test_labels_that_occur_nowhere_are_named(tmp_path: Path) -> None:
    root = tree(tmp_path, train=[item("a", box(1, 1, 2, 2))])
    assert read_labels(root).notes == ("1 label(s) occur in no annotation: rust",)


def test_coco_is_not_taken_for_it_nor_a_dataset_with_masks(tmp_path: Path) -> None:
    make_dataset(tmp_path / "in", {"dent": [np.eye(9, dtype=bool)] * 3})
    write(tmp_path / "in/part/annotations/x.json", document(item("a", box(1, 1, 2, 2))))
    assert defectkit("describe", tmp_path / "in/part", "--json").json()["layout"] != "datumaro"
    convert(tmp_path / "in", tmp_path / "out", ["coco"], on_problem="skip")
    assert read_labels(tmp_path / "out/coco").kind == "coco"


@pytest.mark.parametrize("change", [{"items": 3}, {"categories": None}, {"categories": {"label": {"labels": [{}]}}}])
def test_a_damaged_file_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    root = tree(tmp_path, train=[item("a", box(1, 1, 2, 2))])
    write(root / "annotations/train.json", json.dumps(document(item("a")) | change))
    with pytest.raises(ToolkitError, match=r"train\.json"):
        read_labels(root)
