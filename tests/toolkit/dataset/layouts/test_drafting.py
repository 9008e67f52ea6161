"""Folders of images and masks under names of their own: never photos of two classes, and drafted as what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.toolkit.dataset.layouts.stand_ins import IMAGE, Tree, plant, told
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
