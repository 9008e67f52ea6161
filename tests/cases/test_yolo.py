"""YOLO trees as tools write them: read as ultralytics reads them, or refused by file and line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from converters import read_labels
from tests.cases.showing import block, converted, objects, photo, product, refused, shown
from tests.commands import defectkit

ROW = "0 0.3 0.35 0.3 0.3"
BOX, AREA = (6, 6, 18, 15), 108
DENT = [("dent", BOX, AREA)]


def tree(root: Path, files: Mapping[str, str]) -> Path:
    """Text files, and a photo beside each label file as trainers look for it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if path.parent.name.lower() == "labels" or "labels/" in name:
            place = name.replace("Labels", "Images").replace("labels", "images")
            photo((root / place).with_suffix(".jpg"), sum(name.encode()))
    return root


def one(root: Path, rows: str, **more: Any) -> Path:
    """A tree of one image with the given rows, of class dent."""
    listed = yaml.safe_dump({"train": "images/train", "val": "images/train", "names": ["dent"], **more})
    return tree(root, {"labels/train/a.txt": rows, "data.yaml": listed})


def near(found: Sequence[tuple[str, tuple[float, ...], int]]) -> list[tuple[str, Any, int]]:
    return [(label, pytest.approx(box, abs=1e-4), area) for label, box, area in found]


@pytest.mark.parametrize("notes", [True, False])
def test_a_tree_with_a_list_of_names_needs_no_data_yaml(tmp_path: Path, notes: bool) -> None:
    """Label Studio's export (HumanSignal/label-studio #8966, HumanSignal/label-studio-converter PR #22)."""
    files = {f"labels/2007-0{n}_adf{n}.txt": ROW.replace("0 ", "1 ", 1) for n in range(2)}
    names = json.dumps({"categories": [{"id": 0, "name": "dent"}, {"id": 1, "name": "scratch"}]})
    extra = {"classes.txt": "dent\nscratch\n"} | ({"notes.json": names} if notes else {})
    root = tree(tmp_path / "in", {**files, **extra})
    told = converted(root, tmp_path / "out", to="yolo-detect,coco")["notes"]
    assert "classes.txt names classes that do not occur: dent" in told
    scratch = near([("scratch", BOX, AREA)])
    for place in ("yolo-detect", "coco"):
        assert list(objects(tmp_path / "out" / place).values()) == [scratch, scratch]
    assert read_labels(tmp_path / "out/coco").classes() == ["dent", "scratch"]


def test_names_that_nothing_tells_are_asked_for(tmp_path: Path) -> None:
    """Label Studio's export without its names (HumanSignal/label-studio #8966)."""
    root = tree(tmp_path / "in", {"labels/a.txt": ROW})
    (line,) = refused(root, tmp_path / "out", files=("",)).errors
    assert "no data.yaml or classes.txt that names their classes; write a classes.txt" in line
    (root / "classes.txt").write_text("dent\n")
    converted(root, tmp_path / "out")
    assert objects(tmp_path / "out/coco") == {"a": near(DENT)}


@pytest.mark.parametrize(
    ("folders", "listed"),
    [
        ("Train/Labels", {"train": "Train/Images", "val": "Train/Images"}),
        ("Train/Labels", {"train": "train/images"}),
        ("train/labels", {"train": "Train/Images"}),
        ("Train/Labels", {}),
    ],
)
def test_folders_are_found_in_either_letter_case(tmp_path: Path, folders: str, listed: dict[str, str]) -> None:
    """Capitals in folders (roboflow/roboflow-python PR #421)."""
    rows = {f"{folders}/{name}.txt": ROW for name in "ab"}
    root = tree(tmp_path / "in", {**rows, "data.yaml": yaml.safe_dump({**listed, "names": ["dent"]})})
    converted(root, tmp_path / "out")
    assert objects(tmp_path / "out/coco") == {"a": near(DENT), "b": near(DENT)}
    assert shown(root) == {"a": near(DENT), "b": near(DENT)}


def test_images_none_of_which_has_labels_are_never_good(tmp_path: Path) -> None:
    """Labels where no reader looks (roboflow/roboflow-python PR #421)."""
    root = one(tmp_path / "in", ROW)
    (root / "labels").rename(root / "annotations")
    (line,) = refused(root, tmp_path / "out", files=("",)).errors
    assert "none of its 1 images has a label file; looked in " in line


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (f"{ROW} 0.5757", "has 6 columns, which are a box and a confidence: a prediction, and no label"),
        ("0 0.1 0.1 0.3 0.1 0.3 0.3 0.1 0.3 0.87", "has 10 columns, an even number, as polygons with a confidence"),
    ],
)
def test_a_confidence_is_no_label(tmp_path: Path, row: str, words: str) -> None:
    """Predictions taken for labels (voxel51/fiftyone #1460, ultralytics/ultralytics #1170)."""
    root = one(tmp_path / "in", f"{row}\n")
    (line,) = refused(root, tmp_path / "out", files=("labels/train/a.txt",)).errors
    assert f"a.txt:1: {words}" in line
    assert "remove the last number of the row" in line
    tree(root, {"labels/train/a.txt": row.rpartition(" ")[0]})
    converted(root, tmp_path / "out")
    assert [len(found) for found in objects(tmp_path / "out/coco").values()] == [1]


@pytest.mark.parametrize(
    ("row", "largest"), [("0 12 9 24 18", "24"), ("0 0 0 16 0 16 9 0 9", "16"), ("0 20 15 4 4", "20")]
)
def test_coordinates_in_pixels_are_refused(tmp_path: Path, row: str, largest: str) -> None:
    """Coordinates that are not normalised (ultralytics/ultralytics #20138, ultralytics/yolov5 #443)."""
    root = one(tmp_path / "in", f"{ROW}\n{row}\n")
    (line,) = refused(root, tmp_path / "out", files=("labels/train/a.txt",)).errors
    assert f"a.txt:2: has coordinates above 1: not normalised (the largest is {largest}); divide x and width" in line


def test_a_box_that_sticks_out_a_little_is_cut_off_at_the_border(tmp_path: Path) -> None:
    """Slightly out (ultralytics/ultralytics #20138): as ultralytics takes it."""
    converted(one(tmp_path / "in", "0 0.975 0.5 0.1 0.2"), tmp_path / "out")
    assert objects(tmp_path / "out/coco") == {"a": near([("dent", (37, 12, 40, 18), 18)])}


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.usefixtures("ultralytics")
def test_a_box_among_polygons_is_told_of(tmp_path: Path, turn: int) -> None:
    """Rows of both kinds in one file (ultralytics/ultralytics PR #25657)."""
    from ultralytics.data.utils import verify_image_label

    rows = [ROW, "0 0.5 0.5 0.7 0.5 0.7 0.8 0.5 0.8"][::turn]
    root = one(tmp_path / "in", "\n".join(rows))
    files = str(root / "images/train/a.jpg"), str(root / "labels/train/a.txt")
    assert "mix" in verify_image_label((*files, "", False, 1, 0, 0, False))[-1]
    done = converted(root, tmp_path / "out", to="coco,yolo-segment")
    told = "1 box(es) stand among 1 polygon(s), and have no mask; ultralytics passes over the 1 file(s) that hold both"
    assert told in done["notes"]
    assert any("1 object(s) have a box alone: written as rectangles in yolo-segment" in one for one in done["notes"])
    fidelity = {kind: manifest["fidelity"] for kind, manifest in done["formats"].items()}
    assert (fidelity["yolo-segment"]["rectangles"], fidelity["yolo-segment"]["exact"]) == (1, 0)
    ((first, second),) = (image.instances for image in read_labels(tmp_path / "out/coco"))
    assert sorted([first.mask is None, second.mask is None]) == [False, True]
    (text,) = (tmp_path / "out/yolo-segment/labels/train").glob("*.txt")
    assert all(len(line.split()) > 5 for line in text.read_text().splitlines())


@pytest.mark.parametrize("shape", [[2, 2], [2, 3]])
def test_keypoints_are_passed_over(tmp_path: Path, shape: list[int]) -> None:
    """Pose rows, as many numbers as a polygon has (no report: kpt_shape in the dataset file)."""
    points = " 0.25 0.25 2 0.35 0.35 1" if shape[1] == 3 else " 0.25 0.25 0.35 0.35"
    root = one(tmp_path / "in", ROW + points, kpt_shape=shape)
    notes = converted(root, tmp_path / "out")["notes"]
    assert "1 box(es) have keypoints (kpt_shape), which are passed over" in notes
    assert objects(tmp_path / "out/coco") == {"a": near(DENT)}
    done = refused(root, tmp_path / "other", files=("",), to="yolo-segment")
    assert "its labels are boxes" in done.errors[0]


ODD = ["010", "no", "null", "1e3", "~", "0x1F", "1_000", "2024-01-01", "a: b", "#7", "Ø 3 mm", "12:30", "=", "2", "-"]


def test_names_that_yaml_takes_for_something_else_stay_text(tmp_path: Path) -> None:
    """Defect codes as names (no report: YAML's numbers, dates and booleans)."""
    root = tmp_path / "in"
    for name in ODD:
        product(root, {"000_mask.png": block(8, 14, 4, 24)}, name)
    converted(root, tmp_path / "out", to="yolo-segment,semantic")
    for kind in ("yolo-segment", "semantic"):
        names = yaml.safe_load((tmp_path / "out" / kind / "data.yaml").read_text(encoding="utf-8"))["names"]
        assert set(ODD) <= set(names.values())
        found = objects(tmp_path / "out" / kind)
        assert {key: found[key] for key in found if "/good/" not in key} == {
            f"part/test/{name}/000": [(name, (4, 8, 24, 14), 120)] for name in ODD
        }
    again = converted(tmp_path / "out/yolo-segment", tmp_path / "again", to="yolo-segment")
    assert again["formats"]["yolo-segment"]["classes"] == sorted(ODD)
    assert defectkit("describe", tmp_path / "out/yolo-segment", "--json").json()["defect_names"] == sorted(ODD)
