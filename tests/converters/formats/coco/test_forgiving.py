"""COCO files that say things loosely, twice, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converters import convert, read_labels, verify
from converters.sources import open_source
from converters.viewing.gallery_items import open_views
from tests.converters.formats.coco.stand_ins import (
    NAN,
    SIZE,
    annotation,
    coco,
    coco_tree,
    image,
    listed,
    ring,
)
from toolkit import ToolkitError, describe_dataset

IDS = {"numbers": (5, 3), "text": ("5", "3"), "fractions": (5.0, 3.0), "text of fractions": ("5.0", "3.0")}


@pytest.mark.parametrize("there", IDS)
@pytest.mark.parametrize("here", IDS)
def test_ids_are_compared_as_whole_numbers(tmp_path: Path, here: str, there: str) -> None:
    (number, category), (image_id, category_id) = IDS[there], IDS[here]
    document = coco(
        annotation(image_id=image_id, category_id=category_id),
        images=[listed(id=number)],
        categories=[{"id": category, "name": "scratch"}],
    )
    (found,) = read_labels(coco_tree(tmp_path, document))
    assert [(one.label, one.bbox) for one in found.instances] == [("scratch", (3, 4, 12, 9))]


def test_ids_of_images_may_be_text(tmp_path: Path) -> None:
    images = [listed(id="007"), listed("b.png", id="7")]
    document = coco(annotation(image_id="7"), images=images)
    assert {one.key: len(one.instances) for one in read_labels(coco_tree(tmp_path, document))} == {"a": 0, "b": 1}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"images": [listed(), listed("b.png")]}, "two images have the id 5: a.png and b.png"),
        ({"images": [listed(), listed("b.png", id="5")]}, "two images have the id 5: a.png and b.png"),
        ({"images": [listed(), listed(id=6)]}, "lists a.png twice, as image 5 and as image 6"),
        ({"images": [listed(), listed("./a.png", id=6)]}, "lists a.png twice"),
        ({"images": [listed(id=True)]}, r"images\[0\] has no usable image id: it is true"),
        ({"images": [listed(id=NAN)]}, r"images\[0\] has no usable image id: it is NaN"),
        ({"images": [listed(id=5.5)]}, r"images\[0\] has no usable image id: it is 5.5"),
        ({"images": [listed("é" * 200)]}, r"images\[0\] has no usable 'file_name'"),
        ({"images": [listed("a\0.png")]}, r"images\[0\] has no usable 'file_name'"),
        ({"images": [listed("..")]}, r"images\[0\] has no usable 'file_name'"),
        ({"annotations": [annotation(image_id="x")]}, 'annotations name image "x", which is not listed'),
        ({"categories": [{"id": "x", "name": "dent"}]}, r"categories\[0\] \('dent'\) has no usable 'id': it is \"x\""),
        ({"categories": [{"id": True, "name": "dent"}]}, "has no usable 'id': it is true"),
        ({"categories": [{"id": 3, "name": " "}]}, "has no usable 'name'"),
        (
            {"categories": [{"id": 3, "name": "dent"}, {"id": "3", "name": "scratch"}]},
            "two categories have the id 3: 'dent' and 'scratch'",
        ),
        (
            {
                "categories": [{"id": 3, "name": "dent"}, {"id": 4, "name": "dent"}],
                "annotations": [annotation(), annotation(category_id=4)],
            },
            r"two categories are called 'dent' \(ids 3 and 4\)",
        ),
    ],
    ids=str,
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path, members: dict[str, Any], words: str) -> None:
    with pytest.raises(ToolkitError, match=rf"instances_train\.json: .*{words}"):
        read_labels(coco_tree(tmp_path, {**coco(annotation()), **members}))


def test_a_category_that_marks_something_stays_whatever_it_groups(tmp_path: Path) -> None:
    categories = [{"id": 3, "name": "flaw"}, {"id": 4, "name": "dent", "supercategory": "flaw"}]
    tree = read_labels(coco_tree(tmp_path, coco(annotation(), categories=categories)))
    assert tree.classes() == ["flaw", "dent"]


def test_a_tree_in_which_nothing_is_marked_is_a_problem(tmp_path: Path) -> None:
    image(tmp_path / "tree/a.png")
    tree = read_labels(coco_tree(tmp_path / "tree", coco()))
    assert [problem.problem for problem in tree.layout_problems] == ["no image has an annotation"]
    with pytest.raises(ToolkitError, match="no image has an annotation"):
        convert(tree, tmp_path / "out", ["coco"])


NOTHING = {
    "a polygon outside": {"segmentation": [ring(100, 100, 120, 120)]},
    "a polygon of no width": {"segmentation": [ring(3, 4, 3, 9)]},
    "a box outside": {"bbox": [99, 99, 5, 5]},
    "a box of no size": {"bbox": [3, 4, 0, 0]},
    "neither box nor segmentation": {"bbox": [], "segmentation": []},
    "nothing at all": {"bbox": None, "segmentation": None},
    "run lengths of background": {"segmentation": {"counts": [600], "size": list(SIZE)}},
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_marks_nothing_is_left_out_and_counted(tmp_path: Path, name: str) -> None:
    image(tmp_path / "tree/images/a.png")
    drawn = annotation(segmentation=[ring(3, 4, 12, 9)])
    root = coco_tree(tmp_path / "tree", coco(annotation(id=77, **NOTHING[name]), drawn))
    report = convert(root, tmp_path / "out", ["coco", "yolo-detect"])
    for manifest in report.manifests.values():
        reason = "annotation 77 marks no pixel of the image"
        assert manifest["components"] == {
            "found": 2,
            "written": 1,
            "skipped": [{"key": "a", "reason": reason, "area": 0}],
        }
    assert any(note.startswith("1 annotation(s) left out") for note in report.notes)
    assert verify(tmp_path / "out")
    assert verify(root)
    source = open_source(root)
    notes = describe_dataset(source.dataset, labels=source.reader).notes
    assert any(note.startswith("1 annotation(s) mark no pixel") for note in notes)
    (item,) = open_views(root).items
    assert len(item.load().boxes or ()) == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be-bom"])
def test_files_of_other_editors_are_read(tmp_path: Path, encoding: str) -> None:
    root = coco_tree(tmp_path, coco(annotation()))
    (path,) = root.glob("annotations/*.json")
    text = path.read_text()
    path.write_bytes(b"\xfe\xff" + text.encode("utf-16-be") if "bom" in encoding else text.encode(encoding))
    assert [len(found.instances) for found in read_labels(root)] == [1]


def test_nan_does_no_harm_where_nobody_reads_it(tmp_path: Path) -> None:
    root = coco_tree(tmp_path, coco(annotation(area=NAN, score=float("inf"))))
    assert [len(found.instances) for found in read_labels(root)] == [1]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data.replace(b"dent", b"d\xe9nt"), r"is not text in UTF-8 \(byte .* is 0xe9\); save it as UTF-8"),
        (lambda data: data.replace(b"dent", b"d\tent"), "is not readable JSON; .*control character"),
        (
            lambda data: data.replace(b'"dent"', b"NaN").replace(b"scratch", b"\t"),
            "is not readable JSON; .*Invalid control character",
        ),
        (lambda data: data[:-1], "is not readable JSON"),
        (lambda data: data[:-1] + b',"x":' + b"[" * 100_000, "is not readable JSON"),
        (lambda data: data[:-1] + b',"x":NaN,"y":' + b"[" * 100_000, "is not readable JSON"),
        (lambda data: data.replace(b"dent", b"\\ud800"), "is not readable JSON"),
        (lambda data: data.replace(b"dent", b"\\ud800").replace(b": 45", b": NaN"), "is not readable JSON"),
    ],
)
def test_bytes_that_are_no_json_are_named(tmp_path: Path, damage: Callable[[bytes], bytes], words: str) -> None:
    root = coco_tree(tmp_path, coco(annotation()))
    (path,) = root.glob("annotations/*.json")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ToolkitError, match=rf"instances_train\.json: {words}"):
        read_labels(root)


NO_SIZE: dict[str, Any] = {
    "zero": {"width": 0, "height": 0},
    "one of them": {"width": 0},
    "null": {"width": None, "height": None},
    "below zero": {"width": -30, "height": -20},
    "not a number": {"width": NAN, "height": NAN},
}


@pytest.mark.parametrize("name", [*NO_SIZE, "missing"])
def test_a_size_that_is_missing_is_that_of_the_file(tmp_path: Path, name: str) -> None:
    document = coco(annotation(segmentation=[ring(20, 12, 29, 17)]), images=[listed(**NO_SIZE.get(name, {}))])
    if name == "missing":
        del document["images"][0]["width"]
    root = coco_tree(tmp_path, document)
    with pytest.raises(ToolkitError, match=r"images\[0\] \(a.png\) has no usable size, and its image is not there"):
        read_labels(root)
    image(root / "images/a.png")
    (found,) = read_labels(root)
    assert (found.width, found.height, found.instances[0].bbox) == (30, 20, (20, 12, 29, 17))


def test_a_size_that_is_not_that_of_the_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    document = coco(annotation(), images=[listed(width=20, height=30), listed("b.png", id=6)])
    root = coco_tree(tmp_path / "tree", document)
    for name in "ab":
        image(root / f"images/{name}.png")
    words = "images/a.png: is 30 x 20 pixels, its labels are for 20 x 30"
    with pytest.raises(ToolkitError, match=words):
        convert(root, tmp_path / "out", ["yolo-detect"])
    assert not (tmp_path / "out").exists()
    report = convert(root, tmp_path / "out", ["yolo-detect"], on_problem="skip")
    assert report.manifests["yolo-detect"]["images"]["count"] == 1


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ({"width": "wide"}, 'has the width "wide", no whole number'),
        ({"width": True}, "has the width true, no whole number"),
        ({"height": 20.5}, "has the height 20.5, no whole number"),
        ({"width": 1 << 40}, "pixels, and its image is not there"),
    ],
)
def test_a_size_that_is_none_is_refused(tmp_path: Path, size: dict[str, Any], words: str) -> None:
    with pytest.raises(ToolkitError, match=words):
        read_labels(coco_tree(tmp_path, coco(annotation(), images=[listed(**size)])))


def test_images_that_nobody_lists_are_named(tmp_path: Path) -> None:
    root = coco_tree(tmp_path, coco(annotation()))
    image(root / "images/train/spare.png")
    assert (
        read_labels(root).notes[-1] == "1 image(s) that no annotation file lists are not read: images/train/spare.png"
    )


def test_a_list_in_the_middle_of_a_large_file_is_found(tmp_path: Path) -> None:
    long = {"comment": "long" * 20_000}
    document = coco(annotation(segmentation=[ring(3, 4, 12, 9)]), images=[listed(**long)])
    document["categories"][-1] |= long
    image(tmp_path / "images/train/a.png")
    (read,) = read_labels(coco_tree(tmp_path, document))
    assert [one.label for one in read.instances] == ["scratch"]
