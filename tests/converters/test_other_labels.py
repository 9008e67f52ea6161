"""Labels of two tools in one folder: those of one are read, and what the other marks is never background."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converters import read_labels
from converters.recognition import reading_of
from converters.sources import open_source
from tests.commands import defectkit
from tests.converters.formats.reading import HEIGHT, WIDTH, photo, write
from toolkit import ToolkitError

ROW = "0 0.5 0.5 0.25 0.25\n"
SIDES = {"width": WIDTH, "height": HEIGHT}
BOX = "<bndbox><xmin>0</xmin><ymin>0</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
CVAT_BOX = '<box label="dent" occluded="0" xtl="1" ytl="2" xbr="5" ybr="6"/>'


def voc(*labels: str) -> str:
    objects = "".join(f"<object><name>{label}</name>{BOX}</object>" for label in labels)
    sides = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    return f"<annotation>{sides}{objects}</annotation>"


def labelme(image: str, *labels: str) -> dict[str, Any]:
    shapes = [{"label": label, "points": [[2, 2], [8, 2], [8, 8]], "shape_type": "polygon"} for label in labels]
    return {"version": "5", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": None} | {
        f"image{side.title()}": told for side, told in SIDES.items()
    }


def coco(*images: str, marked: str = "") -> dict[str, Any]:
    listed = [{"id": number, "file_name": name, **SIDES} for number, name in enumerate(images)]
    box = {"bbox": [2, 2, 5, 5], "area": 25, "iscrowd": 0, "segmentation": []}
    drawn = [{"id": 1, "image_id": images.index(marked), "category_id": 1, **box}] if marked else []
    return {"images": listed, "annotations": drawn, "categories": [{"id": 1, "name": "pit"}]}


def cvat(drawn: str) -> str:
    images = "".join(
        f'<image id="{number}" name="{name}" width="{WIDTH}" height="{HEIGHT}">{CVAT_BOX * (name == drawn)}</image>'
        for number, name in enumerate(("a.jpg", "b.jpg"))
    )
    return f"<annotations><version>1.1</version>{images}</annotations>"


Files = dict[str, Any]
YOLO: Files = {"b.txt": ROW, "classes.txt": "pit\n"}
TASK = {"id": 1, "data": {"image": "a.jpg"}}
RESULT = {
    "type": "rectanglelabels",
    "from_name": "l",
    "to_name": "i",
    "original_width": WIDTH,
    "original_height": HEIGHT,
    "value": {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0, "rectanglelabels": ["dent"]},
}
OUTLINE = {"exterior": [[1, 1], [9, 9]], "interior": []}
SLY = {"size": SIDES, "objects": [{"classTitle": "dent", "geometryType": "rectangle", "points": OUTLINE}]}
STORED = {"id": 1, "result": [RESULT], "completed_by": {}, "task": TASK}
VIA = {
    "shape_attributes": {"name": "rect", "x": 3, "y": 4, "width": 9, "height": 6},
    "region_attributes": {"class": "d"},
}


def plant(root: Path, files: Files) -> Path:
    for name in ("a.jpg", "b.jpg"):
        photo(root / name)
    for name, told in files.items():
        if told is None:
            photo(root / name)
        else:
            write(root / name, told)
    return root


@pytest.mark.parametrize(
    ("files", "read", "other", "kind"),
    [
        ({**YOLO, "a.xml": voc("dent")}, "background by yolo-detect (b.txt)", "a.xml", "voc"),
        ({**YOLO, "a.txt": "", "xmls/a.xml": voc("dent")}, "background by yolo-detect (b.txt)", "xmls/a.xml", "voc"),
        ({**YOLO, "a.json": labelme("a.jpg", "dent")}, "background by yolo-detect (b.txt)", "a.json", "labelme"),
        ({**YOLO, "annotations.xml": cvat("a.jpg")}, "background by yolo-detect (b.txt)", "annotations.xml", "cvat"),
        (
            {**YOLO, "img/ca.jpg": None, "ann/ca.jpg.json": SLY},
            "not there by yolo-detect (b.txt)",
            "ann/ca.jpg.json",
            "supervisely",
        ),
        ({**YOLO, "1": STORED}, "background by yolo-detect (b.txt)", "1", "label-studio"),
        (
            {**YOLO, "v.json": {"a.jpg1": {"filename": "a.jpg", "size": -1, "regions": [VIA], "file_attributes": {}}}},
            "background by yolo-detect (b.txt)",
            "v.json",
            "via",
        ),
        (
            {"all.json": coco("a.jpg", "b.jpg", marked="b.jpg"), "a.json": labelme("a.jpg", "dent")},
            "background by coco (all.json)",
            "a.json",
            "labelme",
        ),
        (
            {"all.json": coco("b.jpg", marked="b.jpg"), "a.xml": voc("x")},
            "not there by coco (all.json)",
            "a.xml",
            "voc",
        ),
        ({"b.json": labelme("b.jpg", "dent"), "a.xml": voc("pit")}, "unlabelled by labelme (b.json)", "a.xml", "voc"),
    ],
)
def test_what_another_tool_marks_is_never_background(
    tmp_path: Path, files: Files, read: str, other: str, kind: str
) -> None:
    root = plant(tmp_path / "in", files)
    done = defectkit("convert", root, tmp_path / "out", "--to", "coco")
    (line,) = done.errors
    own = read.split(" by ")[1].split(" ")[0]
    assert f"a.jpg is {read}, and {other} ({kind}) marks something in it; move one of the two away" in line
    assert line.endswith(f"--layout {kind} takes those alone, --layout {own} these")
    assert not (tmp_path / "out").exists()
    for name in (kind, own):
        assert len(open_source(root, name).members)


def test_the_format_that_is_named_is_read_proved_and_kept(tmp_path: Path) -> None:
    root = plant(tmp_path / "in", {**YOLO, "a.xml": voc("dent")})
    done = defectkit("convert", root, tmp_path / "out", "--to", "coco", "--layout", "voc", "--without-label", "good")
    assert done.status == 0, done.err
    document = json.loads((tmp_path / "out/coco/annotations/instances_train.json").read_text())
    assert [one["name"] for one in document["categories"]] == ["dent"]
    assert len(document["images"]) == 2
    assert defectkit("verify", tmp_path / "out").status == 0


def test_what_marks_nothing_or_is_of_no_image_there_is_no_matter(tmp_path: Path) -> None:
    files = {
        **YOLO,
        "a.xml": voc(),
        "c.xml": voc("dent"),
        "notes.json": {"info": 1},
        "README.txt": "a\n",
        "train.txt": "a.jpg\n",
        "all.json": coco("a.jpg", "b.jpg"),
        "old/manifest.json": {"tool": "x"},
        "old/a.json": labelme("a.jpg", "x"),
    }
    assert not [note for note in open_source(plant(tmp_path, files)).notes if "another tool" in note]


def test_what_both_mark_is_read_once_and_the_other_is_named(tmp_path: Path) -> None:
    root = plant(tmp_path, {**YOLO, "a.txt": ROW, "a.xml": voc("dent")})
    note = "labels of another tool (voc) are not read: a.xml; --layout voc takes those alone"
    assert note in open_source(root).notes


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda root: open_source(root, "voc"), "holds no voc labels that mark anything; leave layout voc out"),
        (lambda root: open_source(root, {"labels": {"alone": "vox"}}), "cannot be 'vox'; use true or yolo-detect"),
    ],
)
def test_a_format_that_is_not_there_is_refused(tmp_path: Path, make: Callable[[Path], object], problem: str) -> None:
    with pytest.raises(ToolkitError, match=problem):
        make(plant(tmp_path, {**YOLO, "a.txt": ROW}))


def test_a_damaged_file_that_names_an_image_is_no_proof_of_its_being_good(tmp_path: Path) -> None:
    text = '{"images": [{"file_name": "a.jpg"}], "annotations": [{"id": 1}], "categories": 3}'
    root = plant(tmp_path, {**YOLO, "all.json": text})
    with pytest.raises(ToolkitError, match=r"a.jpg is background .* and all.json .coco. marks something"):
        open_source(root)


def test_a_read_tree_of_a_told_format_is_the_same(tmp_path: Path) -> None:
    root = plant(tmp_path, {**YOLO, "a.xml": voc("dent")})
    assert read_labels(root, reading=reading_of("voc")).kind == "voc"


@pytest.mark.parametrize("flag", ["--values", "--good"])
def test_what_masks_or_folders_mean_is_not_told_of_labels(tmp_path: Path, flag: str) -> None:
    done = defectkit("describe", plant(tmp_path, YOLO), "--layout", "yolo-detect", flag, "ids")
    said = f"error: {flag}: says nothing of labels, which --layout asks for; leave one of the two out"
    assert (done.status, done.errors) == (2, [said])
