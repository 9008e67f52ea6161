"""Rows of YOLO label files: what they show, and what is refused by file and line."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import convert, read_labels, verify
from converters.formats.yolo.rows import LabelFile, parse_rows
from converters.sources import open_source
from tests.converters.formats.yolo.support import BOX, TRIANGLE, boxes, image, lay_out, yolo_tree
from tests.converters.support import class_map, make_dataset
from toolkit import ToolkitError


def test_a_polygon_is_filled_as_ultralytics_fills_it(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"images/train/a.png": TRIANGLE}, train="images/train")
    (found,) = read_labels(root)
    assert np.argwhere(class_map(found, ["dent"])[2]).ravel().tolist() == list(range(3, 16))
    assert found.instances[0].bbox == (3, 2, 16, 11)


def test_boxes_and_polygons_may_stand_in_one_file(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"images/train/a.png": f"{BOX}\n{TRIANGLE}"}, train="images/train")
    assert [label for label, _ in boxes(root)["a"]] == ["scratch", "dent"]


@pytest.mark.parametrize("kind", ["yolo-detect", "yolo-segment", "yolo-obb"])
@pytest.mark.parametrize("added", [BOX, TRIANGLE, f"{BOX}\n{TRIANGLE}", f"{TRIANGLE}\n{BOX}"])
def test_boxes_and_polygons_in_one_file_of_ours_are_told_of(tmp_path: Path, kind: str, added: str) -> None:
    mask = np.zeros((20, 30), np.bool_)
    mask[4:9, 5:12] = mask[12:15, 20:28] = True
    convert(make_dataset(tmp_path / "data", {"dent": [mask]}, good=0), tmp_path / "out", kind, images="symlink")
    (rows,) = (tmp_path / "out" / kind / "labels/test").glob("*.txt")
    for text in (rows.read_text() + added + "\n", added + "\n" + rows.read_text(), added + "\n"):
        rows.write_text(text)
        report = verify(tmp_path / "out" / kind)
        assert any("labels_sha256" in line for line in report.failures)
        assert len(report.failures) > 1, report.failures


def test_what_reaches_out_of_the_image_is_cut_off(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"images/train/a.png": "0 0 0.5 0.2 0.2"}, train="images/train")
    assert boxes(root)["a"] == [("dent", (0, 8, 3, 12))]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("0 0.5 0.5 0.1", "has 4 columns, which is neither a box"),
        ("0 0.5 0.5 0.1 0.1 0.2", "has 6 columns, which are a box and a confidence.*; remove the last number"),
        ("0 0.1 0.1 0.5 0.1 0.1 0.5 0.3", "has 8 columns.* a confidence at their end.*; remove the last number"),
        ("7 0.5 0.5 0.1 0.1", "has class 7, which data.yaml does not name"),
        ("-1 0.5 0.5 0.1 0.1", "has class -1"),
        ("dent 0.5 0.5 0.1 0.1", "is not a row of numbers"),
        ("0 0.5 x 0.1 0.1", "is not a row of numbers"),
        ("0 0.5 nan 0.1 0.1", "not finite"),
        ("0 0.5 inf 0.1 0.1", "not finite"),
        ("0 1.5 0.5 0.1 0.1", r"coordinates above 1: not normalised \(the largest is 1\.5\); divide x"),
        ("0 20 15 40 30", r"coordinates above 1: not normalised \(the largest is 40\)"),
        ("0 1e300 0.5 0.1 0.1", r"coordinates above 1: not normalised \(the largest is 1e\+300\)"),
        ("0 0 0 20 0 20 10 0 10", r"coordinates above 1: not normalised \(the largest is 20\)"),
        ("0 2.1 0.1 2.5 0.1 2.1 0.5", r"coordinates above 1: not normalised \(the largest is 2\.5\)"),
        ("0 0.5 -0.2 0.1 0.1", r"negative coordinates \(the least is -0\.2\)"),
        ("0 0.5 0.5 -0.001 0.1", "negative coordinates"),
        ("0,0.5,0.5,0.1,0.1", "is not a row of numbers"),
        ("1.5 0.5 0.5 0.1 0.1", "is not a row of numbers"),
        ("nan 0.5 0.5 0.1 0.1", "is not a row of numbers"),
        ("inf 0.5 0.5 0.1 0.1", "is not a row of numbers"),
    ],
)
def test_a_damaged_row_is_named_by_file_and_line(tmp_path: Path, row: str, words: str) -> None:
    images = {"images/train/a.png": BOX, "images/train/b.png": f"{BOX}\n\n{row}\n"}
    root = yolo_tree(tmp_path / "tree", images, train="images/train")
    with pytest.raises(ToolkitError, match=rf"labels/train/b\.txt:3: .*{words}"):
        convert(read_labels(root), tmp_path / "out", ["coco"])
    assert not (tmp_path / "out").exists()
    report = convert(read_labels(root), tmp_path / "out", ["coco"], on_problem="skip")
    assert [Path(problem.file).name for problem in report.skipped] == ["b.txt:3"]


def one(root: Path, rows: str, **more: Any) -> Path:
    return yolo_tree(root / "tree", {"images/train/a.png": rows}, train="images/train", **more)


EDGES = [0, -0.005, -0.01, -0.0100001, -0.02, 1, 1.005, 1.01, 1.0100001, 1.02, 1.2, 2, 20, float("nan")]


def test_rows_are_refused_where_ultralytics_refuses_them(tmp_path: Path, ultralytics: Any) -> None:
    from ultralytics.data.utils import verify_image_label

    picture, label, draw = image(tmp_path / "a.png"), tmp_path / "a.txt", random.Random(5)
    taken = 0
    for _ in range(400):
        columns = draw.choice((4, 6, 8))
        edgy = draw.random() < 0.5
        rows = [
            [
                draw.choice((0, 0, 1, 2, 0.5, -1)),
                *(draw.choice(EDGES) if edgy and draw.random() < 0.3 else draw.random() for _ in range(columns)),
            ]
            for _ in range(draw.choice((1, 2)))
        ]
        rows += rows[:1] if draw.random() < 0.2 else []
        label.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
        theirs = verify_image_label((str(picture), str(label), "", False, 2, 0, 0, False))
        wanted = len(theirs[1]) if theirs[0] is not None else -1
        try:
            found = len(parse_rows(LabelFile(str(label)), {0: "dent", 1: "scratch"}))
        except ToolkitError:
            found = -1
        assert found == wanted, rows
        taken += wanted > 0
    assert 50 < taken < 350


@pytest.mark.parametrize("rows", [f"{BOX}\n{TRIANGLE}", f"{TRIANGLE}\n{BOX}"])
def test_a_box_among_polygons_stays_a_box_and_is_told_of(tmp_path: Path, rows: str) -> None:
    tree = read_labels(one(tmp_path, rows))
    (found,) = tree
    assert {i.label: i.mask is None for i in found.instances} == {"dent": False, "scratch": True}
    assert (tree.kind, found.kind) == ("yolo-segment", "masks")
    (note,) = tree.notes
    assert note == (
        "1 box(es) stand among 1 polygon(s), and have no mask; ultralytics passes over the 1 file(s) that hold both"
    )


def test_each_image_says_what_its_own_labels_are(tmp_path: Path) -> None:
    images = {"images/train/a.png": BOX, "images/train/b.png": TRIANGLE, "images/train/c.png": ""}
    tree = read_labels(yolo_tree(tmp_path, images, train="images/train"))
    assert [sample.kind for sample in tree.samples] == ["boxes", "masks", "good"]
    assert open_source(tree).holds == "pixels"
    assert "1 box(es) stand among 1 polygon(s), and have no mask" in tree.notes


def test_boxes_alone_are_boxes(tmp_path: Path) -> None:
    source = open_source(one(tmp_path, BOX))
    assert (source.layout, source.holds) == ("yolo-detect", "boxes")
    with pytest.raises(ToolkitError, match="its labels are boxes"):
        convert(source, tmp_path / "out", ["yolo-segment"])


@pytest.mark.parametrize("again", ["", "0"])
def test_a_row_that_stands_twice_is_read_once(tmp_path: Path, again: str) -> None:
    """As numbers, so that 0.2 and 0.20 are one."""
    tree = read_labels(one(tmp_path, f"{BOX}\n{TRIANGLE}\n{BOX}{again}\n{TRIANGLE}{again}\n"))
    assert [i.label for i in next(iter(tree)).instances] == ["scratch", "dent"]
    assert "2 row(s) stand twice in their file: read once, as ultralytics reads them" in tree.notes


POSED = "0 0.2 0.25 0.2 0.2 0.15 0.2 0.25 0.3"


def test_keypoints_are_passed_over_and_no_polygon_goes_through_them(tmp_path: Path) -> None:
    tree = read_labels(one(tmp_path, POSED, names=["clip"], kpt_shape=[2, 2]))
    assert [[(i.bbox, i.mask) for i in found.instances] for found in tree] == [[((3, 3, 9, 7), None)]]
    assert (tree.kind, tree.notes) == (
        "yolo-detect",
        ("1 box(es) have keypoints (kpt_shape), which are passed over",),
    )


@pytest.mark.parametrize("row", [f"{POSED} 0.1 0.1", "0 0.2 0.25 0.2 0.2 0.9", "0 0.2 0.25 0.2 0.2 0.15 0.2"])
def test_rows_that_do_not_fit_their_keypoints_are_refused(tmp_path: Path, row: str) -> None:
    with pytest.raises(ToolkitError, match=r"a\.txt:1: has \d+ columns, where a box and keypoints \(kpt_shape\) are 9"):
        list(read_labels(one(tmp_path, row, names=["clip"], kpt_shape=[2, 2])))


@pytest.mark.parametrize("shape", ["2", [2], [2, "x"], {"a": 2}], ids=str)
def test_a_damaged_kpt_shape_is_named(tmp_path: Path, shape: Any) -> None:
    with pytest.raises(ToolkitError, match=r"data\.yaml:[1-3]: has no usable `kpt_shape`: kpt_shape"):
        read_labels(one(tmp_path, POSED, kpt_shape=shape))


CORNERS = "0 0.2 0.2 0.6 0.2 0.6 0.6 0.2 0.6"


def test_four_corners_are_a_polygon_unless_the_tree_says_otherwise(tmp_path: Path) -> None:
    tree = read_labels(one(tmp_path, CORNERS))
    assert tree.kind == "yolo-segment"
    assert any("if they are oriented boxes, write task: obb in data.yaml" in note for note in tree.notes)


def test_four_corners_are_oriented_boxes_where_the_task_says_so(tmp_path: Path) -> None:
    tree = read_labels(one(tmp_path, CORNERS, task="obb"))
    assert tree.kind == "yolo-obb"
    assert [i.area for found in tree for i in found.instances] == [12 * 8]


@pytest.mark.parametrize(("rows", "kind"), [(CORNERS, "yolo-obb"), (f"{CORNERS}\n{TRIANGLE}", "yolo-segment")])
def test_a_folder_may_be_called_obb(tmp_path: Path, rows: str, kind: str) -> None:
    root = yolo_tree(tmp_path / "parts-obb", {"images/train/a.png": rows}, train="images/train")
    assert read_labels(root).kind == kind


def test_other_rows_among_oriented_boxes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=r"a\.txt:2: has 5 columns, where a class and four corners are 9"):
        list(read_labels(one(tmp_path, f"{CORNERS}\n{BOX}", task="obb")))


def test_boxes_are_read_in_double_precision(tmp_path: Path) -> None:
    """Single precision moves a side by more than a millionth of the image, and with it what a box contains."""
    root = lay_out(tmp_path, {"a.txt": "0 0.123456789 0.2 0.3 0.4\n0 0.123456789 0.2 0.3 0.2 0.3 0.4"})
    found = parse_rows(LabelFile(str(root / "a.txt")), {0: "dent"})
    assert [row.values[0] for row in found] == [0.123456789, 0.123456789]


@pytest.mark.parametrize("row", ["0 0.5 0.5 0 0.1", "0 1.01 0.5 0.01 0.1", "0 1.001 0.5 1.002 0.5 1.002 0.6"])
def test_a_row_that_marks_nothing_is_left_out_and_counted(tmp_path: Path, row: str) -> None:
    root = one(tmp_path, f"{BOX}\n{row}\n{BOX.replace('0.5', '0.4')}")
    (found,) = read_labels(root)
    assert ([i.label for i in found.instances], found.left_out) == (
        ["scratch"] * 2,
        ("line 2 marks no pixel of the image",),
    )
    report = convert(root, tmp_path / "out", ["yolo-detect"] if row.count(" ") == 4 else ["coco"])
    (manifest,) = report.manifests.values()
    assert manifest["components"] == {
        "found": 3,
        "written": 2,
        "skipped": [{"key": "a", "reason": "line 2 marks no pixel of the image", "area": 0}],
    }
    assert any("1 annotation(s) left out" in note for note in report.notes)
