"""What CVAT exports in formats of others, as datumaro 1.13.12 writes it: "COCO 1.0", "YOLO 1.1", "Ultralytics YOLO"."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import convert, read_labels, verify
from tests.converters.formats.cvat.stand_ins import SIZE, fill, photo
from toolkit.geometry.labels import Instance

WIDTH, HEIGHT = SIZE
NAMES = ("a", "sub/b", "c")
MASK = np.zeros((HEIGHT, WIDTH), np.bool_)
MASK[3:8, 4:9] = True
MASK[5, 6] = False

_MIDDLE, _TURN = complex(7.25, 5.125), complex(3**0.5 / 2, 0.5)
_TURNED = [_MIDDLE + _TURN * (complex(x, y) - _MIDDLE) for x, y in ((2, 3), (12.5, 3), (12.5, 7.25), (2, 7.25))]
CORNERS = [(one.real, one.imag) for one in _TURNED]
"""Of the box 2, 3 to 12.5, 7.25 that is turned by 30 degrees."""

YOLO_BOX = "0 0.241667 0.256250 0.350000 0.212500\n"
YOLO_DATA = "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n"
YOLO = {
    "YOLO 1.1": {
        "obj.data": YOLO_DATA,
        "obj.names": "dent\nrust\n",
        "train.txt": "".join(f"data/obj_train_data/{name}.jpg\n" for name in NAMES),
        "obj_train_data/a.txt": YOLO_BOX,
        "obj_train_data/sub/b.txt": "1 0.083333 0.125000 0.100000 0.150000\n",
        "obj_train_data/c.txt": "",
    },
    "Ultralytics YOLO Detection 1.0": {
        "data.yaml": "names:\n  0: dent\n  1: rust\npath: .\ntrain: train.txt\n",
        "train.txt": "".join(f"data/images/train/{name}.jpg\n" for name in NAMES),
        "labels/train/a.txt": YOLO_BOX,
        "labels/train/sub/b.txt": "1 0.083333 0.125000 0.100000 0.150000\n",
        "labels/train/c.txt": "",
    },
}


def coco(*annotations: dict[str, Any]) -> dict[str, Any]:
    told = {"license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0}
    images = [
        {"id": number, "width": WIDTH, "height": HEIGHT, "file_name": f"{name}.jpg", **told}
        for number, name in enumerate(NAMES, 1)
    ]
    return {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""},
        "categories": [{"id": n, "name": name, "supercategory": ""} for n, name in enumerate(("dent", "rust"), 1)],
        "images": images,
        "annotations": list(annotations),
    }


def box(number: int, angle: float) -> dict[str, Any]:
    """A box as CVAT exports it, however it is turned."""
    attributes = {"occluded": False, "rotation": angle}
    told = {"id": number, "image_id": 1, "category_id": 1, "segmentation": [], "iscrowd": 0, "attributes": attributes}
    return {**told, "area": 44.625, "bbox": [2.0, 3.0, 10.5, 4.25]}


POLYGON = [5.0, 5.0, 15.0, 5.0, 10.0, 15.5]
OTHERS: list[dict[str, Any]] = [
    {
        "id": 2,
        "image_id": 1,
        "category_id": 2,
        "segmentation": [POLYGON],
        "area": 50.0,
        "iscrowd": 0,
        "bbox": [5.0, 5.0, 10.0, 10.5],
        "attributes": {"occluded": True},
    },
    {
        "id": 3,
        "image_id": 2,
        "category_id": 2,
        "area": 24.0,
        "bbox": [4.0, 3.0, 5.0, 5.0],
        "iscrowd": 1,
        "segmentation": {"counts": [83, 5, 15, 5, 15, 2, 1, 2, 15, 5, 15, 5, 432], "size": [HEIGHT, WIDTH]},
    },
]


def write_coco(root: Path, *annotations: dict[str, Any], folder: str = "images/default") -> Path:
    for number, name in enumerate(NAMES):
        photo(root / folder / f"{name}.jpg", number)
    (root / "annotations").mkdir(parents=True)
    (root / "annotations/instances_default.json").write_text(json.dumps(coco(*annotations)))
    return root


def shown(root: Path) -> dict[str, list[Instance]]:
    return {one.key: list(one.instances) for one in read_labels(root)}


@pytest.mark.parametrize("folder", ["images/default", "images"])
def test_coco(tmp_path: Path, folder: str) -> None:
    root = write_coco(tmp_path / "in", box(1, 0.0), *OTHERS, folder=folder)
    found = shown(root)
    upright, drawn = found["a"]
    assert (upright.bbox, upright.mask) == ((2, 3, 12.5, 7.25), None)
    points = list(zip(POLYGON[::2], POLYGON[1::2], strict=True))
    assert np.array_equal(drawn.whole(WIDTH, HEIGHT), fill(points, SIZE))
    assert [np.array_equal(one.whole(WIDTH, HEIGHT), MASK) for one in found["b"]] == [True]
    assert found["c"] == []
    assert {one.key: one.kind for one in read_labels(root)}["c"] == "good"


def test_a_turned_box_of_the_coco_export_is_no_upright_one(tmp_path: Path) -> None:
    """The export leaves the box as it was before it was turned, and says by how much among its attributes."""
    root = write_coco(tmp_path / "in", box(1, 30.0), box(2, 90.0), box(3, 180.0), box(4, 0.0))
    turned, quarter, half, none = shown(root)["a"]
    assert np.array_equal(turned.whole(WIDTH, HEIGHT), fill(CORNERS, SIZE))
    assert quarter.bbox == (5.125, 0, 9.375, 10.375)  # cut off at the border
    assert half.bbox == none.bbox == (2, 3, 12.5, 7.25)
    note = "3 box(es) are turned (attributes.rotation, as CVAT has it), and are read as they stand"
    assert note in read_labels(root).notes
    assert verify(root).passed
    convert(root, tmp_path / "out", ["coco", "yolo-obb"])
    assert verify(tmp_path / "out", against=root).passed


def test_a_turned_box_of_the_datumaro_export_is_no_upright_one(tmp_path: Path) -> None:
    told = {"id": 0, "group": 0, "label_id": 0, "z_order": 0, "type": "bbox", "bbox": [2.0, 3.0, 10.5, 4.25]}
    boxes = [{**told, "attributes": {"occluded": False, "rotation": angle}} for angle in (30.0, 90.0, 0.0)]
    labels = {"labels": [{"name": "dent", "parent": "", "attributes": []}], "attributes": []}
    item = {"id": "a", "annotations": boxes, "image": {"path": "a.jpg", "size": [HEIGHT, WIDTH]}}
    text = json.dumps({"infos": {}, "categories": {"label": labels}, "items": [item]})
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/default.json").write_text(text)
    photo(tmp_path / "images/default/a.jpg")
    (read,) = read_labels(tmp_path)
    turned, quarter, none = read.instances
    assert read.kind == "masks"
    assert np.array_equal(turned.whole(WIDTH, HEIGHT), fill(CORNERS, SIZE))
    assert (quarter.bbox, none.bbox) == ((5.125, 0, 9.375, 10.375), (2, 3, 12.5, 7.25))


@pytest.mark.parametrize("angle", ["30.0", "90.0", "180.0", "0.0", "steep"])
def test_a_turned_box_of_the_voc_export_is_refused(tmp_path: Path, angle: str) -> None:
    sides = "<xmin>2.0</xmin><ymin>3.0</ymin><xmax>12.5</xmax><ymax>7.25</ymax>"
    said = f"<attributes><attribute><name>rotation</name><value>{angle}</value></attribute></attributes>"
    one = f"<object><name>dent</name><occluded>0</occluded><bndbox>{sides}</bndbox>{said}</object>"
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>1</depth></size>"
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations/a.xml").write_text(f"<annotation><filename>a.jpg</filename>{size}{one}</annotation>")
    photo(tmp_path / "JPEGImages/a.jpg")
    tree = read_labels(tmp_path)
    if angle not in ("30.0", "90.0"):
        assert [one.bbox for image in tree for one in image.instances] == [(2, 3, 12.5, 7.25)]
        return
    (problem,) = tree.records[0].inspect(None)  # type: ignore[arg-type]
    told = f"is a box that is turned by {angle} degrees (attribute rotation), and stands there upright"
    remedy = "export from CVAT as 'CVAT for images 1.1', or remove the attribute"
    assert str(problem) == f"{tmp_path}/Annotations/a.xml: object 1: {told}; {remedy}"


@pytest.mark.parametrize("rotation", [True, "30", None, float("nan")])
def test_what_is_no_angle_turns_nothing(tmp_path: Path, rotation: object) -> None:
    one = box(1, 0.0)
    one["attributes"] = {"occluded": False, "rotation": rotation}
    assert [found.bbox for found in shown(write_coco(tmp_path, one))["a"]] == [(2, 3, 12.5, 7.25)]


@pytest.mark.parametrize("kind", YOLO)
def test_yolo(tmp_path: Path, kind: str) -> None:
    images = "obj_train_data" if "obj.data" in YOLO[kind] else "images/train"
    for path, text in YOLO[kind].items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    for number, name in enumerate(NAMES):
        photo(tmp_path / images / f"{name}.jpg", number)
    tree = read_labels(tmp_path)
    assert (tree.layout_problems, tree.classes(), {one.split for one in tree.samples}) == (
        (),
        ["dent", "rust"],
        {"train"},
    )
    found = {key.rpartition("/")[2]: value for key, value in shown(tmp_path).items()}
    assert [(one.label, one.mask) for one in (*found["a"], *found["b"])] == [("dent", None), ("rust", None)]
    assert np.allclose(found["a"][0].bbox, (2, 3, 12.5, 7.25), atol=1e-3)
    assert np.allclose(found["b"][0].bbox, (1, 1, 4, 4), atol=1e-3)
    assert found["c"] == []
