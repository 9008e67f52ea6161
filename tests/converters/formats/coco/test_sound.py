"""Verifying COCO files of other tools, whose boxes and areas are those of vertices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import convert, verify
from tests.converters.formats.coco.stand_ins import annotation, coco, coco_tree, image, listed, ring

DECIMALS = [5.2, 6.4, 15.7, 7.1, 14.9, 15.3, 4.8, 13.6]
SLIVER = [2.0, 2.0, 12.0, 2.0, 12.0, 9.0, 28.9, 9.2, 12.0, 9.4, 12.0, 12.0, 2.0, 12.0]


def told(points: list[float], **more: Any) -> dict[str, Any]:
    """An annotation with the box of its vertices and its area by the shoelace formula."""
    x, y = np.array(points[::2]), np.array(points[1::2])
    area = abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2
    box = [float(x.min()), float(y.min()), float(np.ptp(x)), float(np.ptp(y))]
    return annotation(**{"segmentation": [points], "bbox": box, "area": area, **more})


SOUND = {
    "vertices": told(DECIMALS),
    "pixels": annotation(segmentation=[ring(3, 4, 12, 9)]),
    "a corner that no pixel follows": told(SLIVER),
    "beyond the border": told([-3.5, 4, 12, 4, 12, 9, -3.5, 9]),
    "a crowd": annotation(segmentation=[ring(3, 4, 12, 9)], iscrowd=1),
    "one pixel less": annotation(segmentation=[ring(3, 4, 12, 9)], bbox=[3, 4, 8, 4]),
    "a box of fractions": annotation(bbox=[3.3, 4.4, 9.1, 5.2], area=47.32),
    "rounded": told(DECIMALS, area=round(told(DECIMALS)["area"])),
    "no area": told(DECIMALS, area=None),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_file_passes(tmp_path: Path, name: str) -> None:
    root = coco_tree(tmp_path, coco(SOUND[name]))
    image(root / "images/a.png")
    assert verify(root).failures == ()


UNSOUND = {
    "a box elsewhere": told(DECIMALS, bbox=[8, 6, 11, 9]),
    "a box of corners": told(DECIMALS, bbox=[4.8, 6.4, 15.7, 15.3]),
    "an area of a half": told(DECIMALS, area=40.0),
    "an area of the box": told(SLIVER, area=269.0),
    "an area in text": told(DECIMALS, area="80"),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_what_is_not_sound_fails(tmp_path: Path, name: str) -> None:
    root = coco_tree(tmp_path, coco(UNSOUND[name]))
    image(root / "images/a.png")
    (failure,) = verify(root).failures
    assert ("bbox" if "bbox" in failure else "area") == name.split()[1].replace("box", "bbox")


@pytest.mark.parametrize("member", ["bbox", "area", "iscrowd"])
def test_ours_must_be_right_to_the_pixel(tmp_path: Path, member: str) -> None:
    convert(coco_tree(tmp_path / "tree", coco(annotation(segmentation=[DECIMALS]))), tmp_path / "out", ["coco"])
    path = tmp_path / "out/coco/annotations/instances_train.json"
    document = json.loads(path.read_text())
    (one,) = document["annotations"]
    one[member] = {"bbox": [one["bbox"][0] + 0.5, *one["bbox"][1:]], "area": one["area"] + 1, "iscrowd": 1}[member]
    path.write_text(json.dumps(document))
    said = "crowd" if member == "iscrowd" else member
    assert any(said in failure for failure in verify(tmp_path / "out").failures)


def test_a_file_whose_size_is_another_fails(tmp_path: Path) -> None:
    root = coco_tree(tmp_path, coco(annotation(), images=[listed(width=20, height=30)]))
    image(root / "images/a.png")
    words = "is 30 x 20 pixels, its labels are for 20 x 30"
    assert any(words in failure for failure in verify(root).failures)
