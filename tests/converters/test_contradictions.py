"""Folders that are labelled twice: labels stand where masks say no more than they do; else neither is taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from converters import read_labels
from tests.commands import defectkit, picture, save, stain
from toolkit import ToolkitError

BOX = "0 0.5 0.5 0.25 0.25\n"
BOTH = "--layout images-masks takes the masks, --layout labels the labels"


def labelled(root: Path, *, rows: tuple[int, ...], masks: bool = True) -> Path:
    """Three images; some of them with YOLO labels, and all of them with masks."""
    (root / "labels").mkdir(parents=True)
    (root / "classes.txt").write_text("dent\n")
    for number in range(3):
        save(root / f"images/{number}.png", picture(number))
        if masks:
            save(root / f"masks/{number}.png", stain(number))
        if number in rows:
            (root / f"labels/{number}.txt").write_text(BOX)
    return root


def test_an_image_that_only_its_mask_knows_of_is_refused(tmp_path: Path) -> None:
    root = labelled(tmp_path / "data", rows=(0, 2))
    done = defectkit("convert", root, tmp_path / "out", "--to", "coco")
    said = f"masks that say more: images/1.png is good by the labels, and its mask marks a defect; {BOTH}"
    assert (done.status, done.errors) == (2, [f"error: {root}: has labels (yolo-detect), and {said}"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("layout", "drawn"), [("labels", 2), ("images-masks", 3)])
def test_either_way_out_works_and_is_kept(tmp_path: Path, layout: str, drawn: int) -> None:
    root = labelled(tmp_path / "data", rows=(0, 2))
    done = defectkit("convert", root, tmp_path / "out", "--to", "coco", "--layout", layout)
    assert done.status == 0, done.err
    document = json.loads((tmp_path / "out/coco/annotations/instances_train.json").read_text())
    assert len({one["image_id"] for one in document["annotations"]}) == drawn
    assert defectkit("verify", tmp_path / "out").status == 0  # by the way that the manifest tells


def test_labels_of_all_that_masks_mark_stand(tmp_path: Path) -> None:
    root = labelled(tmp_path / "data", rows=(0, 1, 2))
    assert defectkit("convert", root, tmp_path / "out", "--to", "coco").status == 0
    assert len(read_labels(tmp_path / "out/coco")) == 3


def test_masks_of_good_images_mark_nothing_and_contradict_nothing(tmp_path: Path) -> None:
    root = labelled(tmp_path / "data", rows=(0, 2))
    save(root / "masks/1.png", stain(1) * 0)
    assert defectkit("convert", root, tmp_path / "out", "--to", "coco").status == 0


def test_masks_are_no_photos(tmp_path: Path) -> None:
    root = labelled(tmp_path / "data", rows=())
    (root / "annotations").mkdir()
    for number in range(3):
        box = "<xmin>1</xmin><ymin>1</ymin><xmax>24</xmax><ymax>16</ymax>"
        text = f"<annotation><object><name>dent</name><bndbox>{box}</bndbox></object></annotation>"
        (root / f"annotations/{number}.xml").write_text(text)
    (root / "classes.txt").unlink()
    done = defectkit("convert", root, tmp_path / "out", "--to", "coco", "--without-label", "good")
    assert done.status == 2
    assert done.errors == [
        f"error: {root}: has labels (voc), and the mask masks/0.png, which they take for an image; {BOTH}"
    ]


def test_a_folder_of_defects_is_not_background(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for number in range(2):
        save(root / f"OK/{number}.png", picture(number))
        save(root / f"NG/{number + 2}.png", picture(number + 2))
    (root / "NG/2.txt").write_text(BOX)
    (root / "classes.txt").write_text("dent\n")
    done = defectkit("convert", root, tmp_path / "out", "--to", "coco")
    assert done.status == 2
    assert "NG/3.png is good by the labels, and lies in a folder of defects; --layout good-bad takes" in done.err


def test_masks_beside_a_folder_of_labels_are_the_dataset(tmp_path: Path) -> None:
    root = labelled(tmp_path / "data", rows=())
    (root / "classes.txt").unlink()
    (root / "labels").rename(root / "labelme")
    for number in range(3):
        told = {"shapes": [], "imagePath": f"../images/{number}.png", "imageData": None}
        (root / f"labelme/{number}.json").write_text(json.dumps(told))
    done = defectkit("convert", root, tmp_path / "out", "--to", "coco", "--json")
    assert done.json()["formats"]["coco"]["fidelity"]["exact"] == 3
    assert any("look like LabelMe" in note for note in done.json()["notes"])


def test_what_is_no_label_tree_is_not_read_as_one(tmp_path: Path) -> None:
    save(tmp_path / "data/images/0.png", picture(0))
    save(tmp_path / "data/masks/0.png", stain(0))
    with pytest.raises(ToolkitError):
        read_labels(tmp_path / "data")
    done = defectkit("describe", tmp_path / "data", "--layout", "labels")
    assert done.errors == [f"error: {tmp_path / 'data'}: is no label tree of a known format; leave --layout labels out"]
