"""Label Studio's exports to YOLO and COCO, as its converter (label-studio-sdk 2.1.2) writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import convert, read_labels, verify
from tests.commands import save
from tests.converters.formats.label_studio.judge import HEIGHT, WIDTH

NOTES = {
    "categories": [{"id": 0, "name": "dent"}, {"id": 1, "name": "rust"}],
    "info": {"year": 2024, "version": "1.0", "contributor": "Label Studio"},
}
BOX = "0 0.25 0.4 0.3 0.4\n"


def export(root: Path, names: list[str], *, label: str = "{}") -> Path:
    """What the YOLO export holds: the names of the label files may be those of addresses."""
    for number, name in enumerate(names):
        save(root / f"images/{name}.png", np.full((HEIGHT, WIDTH), number, np.uint8))
        path = root / f"labels/{label.format(name.replace(' ', '%20'))}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(BOX if number == 0 else "")
    (root / "classes.txt").write_text("dent\nrust\n")
    (root / "notes.json").write_text(json.dumps(NOTES, indent=2))
    return root


@pytest.mark.parametrize("name", ["ab12cd34-a", "ab12cd34-a b"])
def test_the_yolo_export(tmp_path: Path, name: str) -> None:
    tree = read_labels(export(tmp_path / "in", [name, "00112233-b"]))
    assert (tree.kind, tree.names) == ("yolo-detect", ["dent", "rust"])
    assert tree.layout_problems == ()
    assert not any("notes.json" in note for note in tree.notes)
    (one,) = next(image.instances for image in tree if image.key == name)
    assert one.label == "dent"
    assert one.bbox == pytest.approx((4, 4, 16, 12))
    convert(tree, tmp_path / "out", "label-studio")
    assert verify(tmp_path / "out", against=tmp_path / "in").passed


def coco(name: str, folder: str) -> dict[str, Any]:
    polygon = [4.0, 2.0, 24.0, 3.0, 12.0, 16.0]
    shared = {"image_id": 0, "ignore": 0, "iscrowd": 0}
    return {
        "images": [{"width": WIDTH, "height": HEIGHT, "id": 0, "file_name": f"{folder}{name}.png"}],
        "categories": [{"id": 0, "name": "dent"}, {"id": 1, "name": "rust"}],
        "annotations": [
            {"id": 0, "category_id": 0, "segmentation": [], "bbox": [4.0, 4.0, 12.0, 8.0], "area": 96.0, **shared},
            {
                "id": 1,
                "category_id": 1,
                "segmentation": [polygon],
                "bbox": [4.0, 2.0, 20.0, 14.0],
                "area": 136.0,
                **shared,
            },
        ],
        "info": {"year": 2024, "version": "1.0", "contributor": "Label Studio"},
    }


@pytest.mark.parametrize(
    ("name", "told", "folder"),
    [
        ("ab12cd34-a", "ab12cd34-a", "images/"),
        ("ab12cd34-a", "ab12cd34-a", "images\\1\\"),
        ("ab12cd34-a b", "ab12cd34-a%20b", "/data/upload/1/"),
    ],
)
def test_the_coco_export(tmp_path: Path, name: str, told: str, folder: str) -> None:
    save(tmp_path / f"in/images/{name}.png", np.full((HEIGHT, WIDTH), 1, np.uint8))
    (tmp_path / "in/result.json").write_text(json.dumps(coco(told, folder), indent=2))
    tree = read_labels(tmp_path / "in")
    assert (tree.kind, tree.layout_problems) == ("coco", ())
    (image,) = tree
    assert [(one.label, one.mask is None) for one in image.instances] == [("dent", True), ("rust", False)]
    assert image.path == tmp_path / f"in/images/{name}.png"
    convert(tree, tmp_path / "out", "label-studio")
    assert verify(tmp_path / "out", against=tmp_path / "in").passed
