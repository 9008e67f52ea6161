"""Folders of images and masks under names of their own: never photos of two classes, and drafted as what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.sources import open_source
from tests.commands import defectkit
from tests.toolkit.dataset.layouts.stand_ins import IMAGE, Tree, plant, told
from toolkit.dataset.dataset import Dataset
from toolkit.dataset.layouts import load_dataset
from toolkit.dataset.layouts.files import list_files
from toolkit.dataset.layouts.guessing import draft
from toolkit.errors import ToolkitError

NAMES = ("0", "1", "2")


def pairs(image: str, mask: str) -> Tree:
    """Images and masks at patterns in which * is the name."""
    return {
        **{image.replace("*", name): IMAGE for name in NAMES},
        **{mask.replace("*", name): 255 for name in NAMES},
    }


@pytest.mark.parametrize("mask", ["NG_mask", "NG_Masken", "Label", "NG gt", "truth", "SegmentationClass", "zwei"])
def test_masks_are_no_photos_of_a_class(tmp_path: Path, mask: str) -> None:
    good: Tree = {f"OK/g{name}.png": IMAGE for name in NAMES}
    root = plant(tmp_path, {**good, **pairs("NG/*.png", f"{mask}/*.png")})
    with pytest.raises(ToolkitError, match="unknown layout"):
        load_dataset(root)
    assert f"mask: {mask}/{{name}}.{{ext}}" in draft(list_files(root)).replace("'", "")


def test_photos_of_equal_names_are_photos(tmp_path: Path) -> None:
    root = plant(tmp_path, {f"{folder}/{name}.png": IMAGE for folder in ("OK", "NG", "length") for name in NAMES})
    assert len(load_dataset(root)) == 9
    tree = {f"{folder}/{n}.png": np.full((4, 6), 90 + n, np.uint8) for folder, n in (("OK", 0), ("NG", 1))}
    assert len(load_dataset(plant(tmp_path / "b", tree))) == 2


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("Bilder/*.png", "Masken/*.png"),
        ("raw/*.bmp", "truth/*.png"),
        ("JPEGImages/*.jpg", "SegmentationClass/*.png"),
        ("Original Images/*.png", "Ground Truth/*.png"),
        ("a/*.png", "b/*.png"),
        ("pics/*.png", "m/*_m.png"),
        ("*.png", "*_m.png"),
        ("*.png", "*.mask.png"),
        ("all/*.png", "all/mask_*.png"),
        ("photos of it/*.png", "Masken/*.mask.png"),
        ("Bilder/train/*.png", "Masken/train/*.png"),
        ("set/Bilder/*.png", "set/Masken/*.png"),
    ],
)
def test_a_draft_of_pairs_works(tmp_path: Path, image: str, mask: str) -> None:
    check(tmp_path, pairs(image, mask), len(NAMES))


def test_a_draft_of_folders_of_dates_works(tmp_path: Path) -> None:
    tree: Tree = {}
    for date in ("2024-01-01", "2024-01-02"):
        tree = {**tree, **pairs(f"images/{date}/*.png", f"masks/{date}/*.png")}
    check(tmp_path, tree, 2 * len(NAMES))


def test_a_draft_of_several_folders_of_images_beside_one_of_masks_works(tmp_path: Path) -> None:
    good: Tree = {f"{subset}/OK/g{name}.png": IMAGE for name in NAMES for subset in ("train", "test")}
    root = plant(tmp_path / "data", {**good, **pairs("test/crack/*.png", "gt/crack/*.png")})
    file = tmp_path / "mine.yaml"
    file.write_text(draft(list_files(root)))
    dataset = load_dataset(root, file)
    assert told(dataset) == []
    assert sorted((one.defect, len(one.masks)) for one in dataset) == [("crack", 1)] * 3 + [("good", 0)] * 6


def check(folder: Path, tree: Tree, count: int) -> None:
    root = plant(folder / "data", tree)
    file = folder / "mine.yaml"
    file.write_text(draft(list_files(root)))
    dataset = load_dataset(root, file)
    assert told(dataset) == [], file.read_text()
    assert len(dataset) == count
    assert all(len(sample.masks) == 1 for sample in dataset), file.read_text()


TWO = ("Scratch", "Dent")


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("Images/*.jpg", "Masks/@/*.png"),
        ("Images/*.jpg", "Masks/@/*_mask.png"),
        ("Bilder/*.jpg", "Masken/@/m_*.png"),
        ("raw/*.png", "@/gt/*.png"),
        ("Images/train/*.png", "Masks/train/@/*.png"),
        ("train/Images/*.png", "train/Masks/@/*.png"),
        ("set/Images/*.png", "set/Masks/@/*.png"),
    ],
)
@pytest.mark.parametrize("subsets", [("train",), ("train", "valid")])
def test_a_draft_of_a_folder_of_masks_for_each_class_works(
    tmp_path: Path, image: str, mask: str, subsets: tuple[str, ...]
) -> None:
    tree: Tree = {}
    for subset in subsets if "train" in image else subsets[:1]:
        for number, name in enumerate("abc"):
            own = f"{subset}-{name}" if len(subsets) > 1 else name
            tree = {**tree, image.replace("train", subset).replace("*", own): IMAGE}
            for word in TWO[: number + 1]:
                tree = {**tree, mask.replace("train", subset).replace("@", word).replace("*", own): 255}
    dataset = drafted(tmp_path, tree)
    assert told(dataset) == []
    assert sorted(len(one.labels) for one in dataset) == [1, 2, 2] * (len(tree) // 8) or len(tree) > 8
    assert sorted({one.labels for one in dataset}) == [("Dent", "Scratch"), ("Scratch",)]


@pytest.mark.parametrize(
    ("good", "bad"), [("Pass", "Fail"), ("pass", "reject"), ("合格", "不合格"), ("OK", "NG"), ("good", "defect")]
)
@pytest.mark.parametrize("masks", [(), ("Masks/*.png",), ("{bad}_masks/*.png",), ("Masks/{bad}/*.png",)], ids=str)
def test_a_draft_knows_the_good_images(tmp_path: Path, good: str, bad: str, masks: tuple[str, ...]) -> None:
    tree: Tree = {f"{good}/g{name}.png": IMAGE for name in NAMES} | {f"{bad}/b{name}.png": IMAGE for name in NAMES}
    for mask in masks:
        tree = {**tree, **{mask.format(bad=bad).replace("*", f"b{name}"): 255 for name in NAMES}}
    dataset = drafted(tmp_path, tree)
    assert told(dataset) == []
    marked = "masks" if masks else "class"
    assert [(one.defect, one.kind) for one in dataset if one.defect == "good"] == [("good", "good")] * 3
    assert {(one.defect, one.kind) for one in dataset if one.defect != "good"} == {(bad, marked)}


def test_a_draft_asks_where_nothing_seems_good(tmp_path: Path) -> None:
    tree: Tree = {f"{word}/{name}.png": IMAGE for name in NAMES for word in ("A", "B")}
    assert "# If one of the folders (A, B) holds images without a defect" in draft(list_files(plant(tmp_path, tree)))
    tree = {**pairs("Bilder/*.png", "Masken/*.png"), "Bilder/x.png": IMAGE}
    text = draft(list_files(plant(tmp_path / "two", tree)))
    assert "# 1 image(s) have no mask (Bilder/x.png): if they show no defect, say missing_mask: good" in text


def drafted(folder: Path, tree: Tree) -> Dataset:
    root = plant(folder / "data", tree)
    file = folder / "mine.yaml"
    file.write_text(draft(list_files(root)))
    return load_dataset(root, file)


@pytest.mark.parametrize("mask", ["*_mask", "mask-*", "*.gt", "*_x"])
@pytest.mark.parametrize("folder", ["{}", "train/{}"])
def test_masks_beside_photos_are_no_photos_of_a_class(tmp_path: Path, mask: str, folder: str) -> None:
    tree: Tree = {f"{folder.format('good')}/g{name}.png": IMAGE for name in NAMES}
    tree = {**tree, **pairs(f"{folder.format('dent')}/*.png", f"{folder.format('dent')}/{mask}.png")}
    root = plant(tmp_path / "data", tree)
    outcome = defectkit("convert", root, tmp_path / "out", "--to", "yolo-classify")
    assert outcome.status == 2
    assert "unknown layout" in outcome.err or "look like masks of others" in outcome.err


def test_photos_called_alike_are_photos(tmp_path: Path) -> None:
    tree: Tree = {f"train/{word}/{name}{end}.png": IMAGE for name in NAMES for word in "ab" for end in ("", "_1", "_2")}
    assert len(open_source(plant(tmp_path, tree)).members) == 18


def test_masks_in_a_folder_of_their_own_are_no_class(tmp_path: Path) -> None:
    tree: Tree = {f"Train/Good/{name}.png": IMAGE for name in NAMES}
    tree = {**tree, **pairs("Test/Dent/*.png", "Ground_Truth/Dent/*.png")}
    with pytest.raises(ToolkitError, match="unknown layout"):
        open_source(plant(tmp_path, tree))
