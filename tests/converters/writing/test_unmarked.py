"""An image whose annotations mark none of its pixels shows something, nobody knows where: it is no background."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from converters import convert, read_labels, verify
from tests.converters.support import save_png
from toolkit import ToolkitError


def _voc(rest: str) -> str:
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
    inner = rest or f"<object><name>dent</name>{box}</object>"
    size = "<size><width>30</width><height>20</height></size>"
    return f"<annotation>{size}{inner}</annotation>"


def _labelme(points: list[list[int]], name: str) -> str:
    shape = {"label": "dent", "points": points, "shape_type": "polygon", "group_id": None}
    told = {"version": "5", "imagePath": name, "imageData": None, "imageHeight": 20, "imageWidth": 30}
    return json.dumps({**told, "shapes": [shape]})


def _coco() -> str:
    images = [{"id": n, "file_name": f"{name}.png", "width": 30, "height": 20} for n, name in enumerate("ab", 1)]
    one = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 9, 9], "iscrowd": 0, "area": 81}
    annotations = [one, {**one, "id": 2, "image_id": 2, "bbox": [90, 2, 9, 9]}]
    return json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "dent"}]})


def _cvat() -> str:
    def image(number: int, name: str, x: int) -> str:
        box = f"<box label='dent' xtl='{x}' ytl='2' xbr='{x + 5}' ybr='9'/>"
        return f"<image id='{number}' name='{name}' width='30' height='20'>{box}</image>"

    return f"<annotations><version>1.1</version>{image(0, 'a.png', 1)}{image(1, 'b.png', 90)}</annotations>"


def _via() -> str:
    def image(name: str, x: int) -> dict[str, object]:
        shape = {"name": "rect", "x": x, "y": 2, "width": 5, "height": 5}
        region = {"shape_attributes": shape, "region_attributes": {"type": "dent"}}
        return {"filename": name, "size": 1, "regions": [region], "file_attributes": {}}

    return json.dumps({"a.png1": image("a.png", 2), "b.png1": image("b.png", 90)})


def _tasks() -> str:
    def task(number: int, name: str, x: int) -> dict[str, object]:
        value = {"x": x, "y": 10, "width": 20, "height": 20, "rotation": 0, "rectanglelabels": ["dent"]}
        result = {"id": "r", "from_name": "l", "to_name": "image", "type": "rectanglelabels", "value": value}
        sizes = {"original_width": 30, "original_height": 20}
        return {"id": number, "data": {"image": name}, "annotations": [{"id": 1, "result": [{**result, **sizes}]}]}

    return json.dumps([task(1, "a.png", 10), task(2, "b.png", 120)])


TREES: dict[str, dict[str, str]] = {
    "voc": {
        "a.xml": _voc(""),
        "b.xml": _voc(
            "<object><name>pit</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>4</xmax><ymax>4</ymax></bndbox></object>"
        ),
    },
    "labelme": {
        "a.json": _labelme([[2, 2], [8, 2], [8, 8]], "a.png"),
        "b.json": _labelme([[2, 2], [8, 2]], "b.png"),
    },
    "coco": {"annotations.json": _coco()},
    "cvat": {"annotations.xml": _cvat()},
    "via": {"via.json": _via()},
    "label-studio": {"tasks.json": _tasks()},
    "yolo": {"a.txt": "0 0.5 0.5 0.2 0.2\n", "b.txt": "0 0.5 0.5 0 0\n", "classes.txt": "dent\n"},
}


def _plant(root: Path, files: dict[str, str]) -> Path:
    for number, name in enumerate("ab"):
        save_png(root / f"{name}.png", np.full((20, 30), number, np.uint8))
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize("name", TREES)
def test_it_is_left_out_of_what_is_written(tmp_path: Path, name: str) -> None:
    root = _plant(tmp_path / "in", TREES[name])
    report = convert(root, tmp_path / "out", ["coco", "yolo-detect"], only=["dent"] if name == "cvat" else ())
    for manifest in report.manifests.values():
        assert manifest["images"]["count"] == 1
        assert [one["key"] for one in manifest["left_out"]] == ["b"]
    (note,) = [one for one in report.notes if "no background" in one]
    assert note == "1 image(s) are left out, and no background: its annotations mark none of its pixels: b"
    assert any("annotation(s) left out, listed in manifest.json" in one for one in report.notes)
    assert [image.key for image in read_labels(tmp_path / "out/coco")] == ["a"]
    assert verify(tmp_path / "out").passed


def test_where_no_image_is_left_it_is_an_error(tmp_path: Path) -> None:
    root = _plant(
        tmp_path / "in", {"annotations.xml": _cvat().replace("xtl='1'", "xtl='91'").replace("xbr='6'", "xbr='99'")}
    )
    with pytest.raises(ToolkitError, match=r"none of its 2 images is left: annotations mark no pixel of 2; correct"):
        convert(root, tmp_path / "out", "coco")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "inner",
    [
        "<robndbox><cx>20</cx><cy>10</cy><w>10</w><h>4</h><angle>0.3</angle></robndbox>",
        "<polygon><x1>2</x1><y1>2</y1><x2>10</x2><y2>2</y2><x3>10</x3><y3>8</y3></polygon>",
    ],
)
def test_pascal_voc_objects_without_a_box_leave_their_image_unlabelled(tmp_path: Path, inner: str) -> None:
    other = _voc(f"<object><name>pit</name>{inner}</object>")
    root = _plant(tmp_path / "in", {"a.xml": _voc(""), "b.xml": other})
    tree = read_labels(root)
    assert {one.key: one.kind for one in tree.samples} == {"a": "boxes", "b": "unlabelled"}
    told = "1 image(s) show nothing but objects without a <bndbox>, and are unlabelled: b.xml"
    assert told in tree.notes
    report = convert(root, tmp_path / "out", ["coco", "yolo-classify"])
    assert {name: one["images"]["count"] for name, one in report.manifests.items()} == {"coco": 1, "yolo-classify": 1}
