"""Labels as other programs see them: each judged by that program, or by its own rule."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import supervision
from pycocotools import mask as coco_mask

from converters import convert, read_labels, verify
from converters.verification.as_seen import as_seen, formats_of, programs
from tests.commands import defectkit
from tests.converters.support import Bools, make_dataset
from tests.masks import SHAPES
from toolkit import Dataset, ToolkitError

MASKS: dict[str, list[Bools]] = {
    "dent": [SHAPES["ring"], SHAPES["comb"], SHAPES["disk"]],
    "scratch": [SHAPES["border contact"], SHAPES["blob with 23 holes"], SHAPES["one pixel"]],
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("source") / "dataset", MASKS, good=1)


@pytest.fixture(scope="module")
def labels(source: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("labels") / "out"
    convert(source, out, ["coco", "yolo-segment", "yolo-detect", "masks"], images="copy")
    return out


def seen(root: Path, program: str) -> dict[str, Bools]:
    """File name -> what a program is said to see in that image."""
    tree = as_seen(read_labels(root), program)
    assert tree is not None
    return {image.path.name: image.marked() for image in tree if image.path is not None}


def test_supervision_sees_coco_as_is_said(labels: Path) -> None:
    told, differing = seen(labels / "coco", "supervision"), 0
    images, file = labels / "coco/images/test", labels / "coco/annotations/instances_test.json"
    judged = supervision.DetectionDataset.from_coco(str(images), str(file), force_masks=True)
    for path, _, detections in judged:
        mask = np.zeros_like(told[Path(path).name])
        for one in detections.mask if detections.mask is not None else ():
            mask |= one
        assert np.array_equal(told[Path(path).name], mask), path
        differing += not np.array_equal(mask, label_mask_of(labels / "coco", Path(path).name))
    assert differing == 6  # all that show a defect: an outline through edges is filled with its outline


def label_mask_of(root: Path, name: str) -> Bools:
    return next(image.marked() for image in read_labels(root) if image.path is not None and image.path.name == name)


def test_supervision_sees_yolo_as_is_said(labels: Path) -> None:
    root = labels / "yolo-segment"
    told = seen(root, "supervision")
    judged = supervision.DetectionDataset.from_yolo(
        str(root / "images/test"), str(root / "labels/test"), str(root / "data.yaml"), force_masks=True
    )
    for path, _, detections in judged:
        mask = np.zeros_like(told[Path(path).name])
        for one in detections.mask if detections.mask is not None else ():
            mask |= one
        assert np.array_equal(told[Path(path).name], mask), path


def test_supervision_sees_the_boxes_of_voc(source: Dataset, tmp_path: Path) -> None:
    convert(source, tmp_path, "voc", images="copy")
    tree = as_seen(read_labels(tmp_path / "voc"), "supervision")
    assert tree is not None
    told = {image.path.name: [one.bbox for one in image.instances] for image in tree if image.path is not None}
    places = (str(tmp_path / "voc" / name) for name in ("JPEGImages", "Annotations"))
    for path, _, detections in supervision.DetectionDataset.from_pascal_voc(*places):
        assert [tuple(box) for box in detections.xyxy.tolist()] == told.pop(Path(path).name)
    assert not told
    for program in ("supervision", "cvat"):
        assert verify(tmp_path, source, seen_by=program).passed


def test_cvat_fills_yolo_with_pycocotools(labels: Path) -> None:
    root = labels / "yolo-segment"
    for name, mask in seen(root, "cvat").items():
        rows = next(root.glob(f"labels/*/{Path(name).stem}.txt")).read_text().split("\n")
        height, width = mask.shape
        rings = [np.array(row.split()[1:], float).reshape(-1, 2) * (width, height) for row in rows if row]
        whole = np.zeros_like(mask)
        for ring in rings:
            whole |= coco_mask.decode(coco_mask.frPyObjects([ring.ravel().tolist()], height, width))[..., 0] > 0
        assert np.array_equal(mask, whole), name


def test_verify_counts_what_a_program_sees(labels: Path, source: Dataset) -> None:
    report = verify(labels, source, seen_by="supervision")
    assert {tree.kind: tree.exact for tree in report.trees} == {"coco": 0, "yolo-segment": 6, "yolo-detect": 6}
    assert report.notes[0] == "not opened by supervision, and left out: masks"
    assert not report.passed
    assert verify(labels / "coco", source, seen_by="pycocotools").min_iou == 1
    least = report.min_iou
    assert least is not None
    assert verify(labels, source, seen_by="supervision", min_iou=least - 1e-9).passed


def test_damage_is_found_through_other_eyes(labels: Path, source: Dataset, tmp_path: Path) -> None:
    tree = tmp_path / "coco"
    convert(source, tmp_path, ["coco"], images="copy")
    file = tree / "annotations/instances_test.json"
    document = json.loads(file.read_text())
    document["annotations"][0]["segmentation"][0][0] += 3
    file.write_text(json.dumps(document))
    assert verify(tree, source, seen_by="cvat").min_iou != 1


def test_what_a_program_does_not_open_is_refused(labels: Path) -> None:
    with pytest.raises(ToolkitError, match=r"pycocotools opens no such labels .masks.; of our formats it opens coco"):
        verify(labels / "masks", seen_by="pycocotools")
    outcome = defectkit("verify", labels, "--as", "paint")
    assert (outcome.status, outcome.errors) == (
        2,
        [f"error: --as: nothing is known of 'paint'; use one of {', '.join(programs())}"],
    )
    assert "coco" in formats_of("cvat")
