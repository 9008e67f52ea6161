"""Files that a layout does not read, or that say two things, are named: nothing is left out in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toolkit.dataset.layouts.stand_ins import IMAGE, Tree, facts, plant, told
from toolkit.dataset.layouts import load_dataset
from toolkit.errors import ToolkitError

FOLDERS: Tree = {"images/a.png": IMAGE, "masks/a.png": 255}
MVTEC: Tree = {"nut/train/good/a.png": IMAGE, "nut/test/cut/b.png": IMAGE, "nut/ground_truth/cut/b_mask.png": 255}
UNREAD = "of a kind that is not read"


@pytest.mark.parametrize("tree", [FOLDERS, MVTEC])
@pytest.mark.parametrize("ending", ["pgm", "PPM", "gif", "jp2", "avif", "jfif", "jpe", "heic", "dng", "exr", "tga"])
def test_pictures_of_other_kinds_are_named(tmp_path: Path, tree: Tree, ending: str) -> None:
    folder = next(iter(tree)).rpartition("/")[0]
    dataset = load_dataset(plant(tmp_path, {**tree, f"{folder}/c.{ending}": b"P5", f"{folder}/Thumbs.db": b""}))
    assert [line for line in told(dataset) if UNREAD in line] == [
        f"{tmp_path}: 1 picture file(s) {UNREAD}: {folder}/c.{ending}"
    ]


def test_pictures_of_other_kinds_are_named_where_the_layout_is(tmp_path: Path) -> None:
    root = plant(tmp_path, {**MVTEC, "nut/train/good/c.pgm": b"P5", "nut/train/good/.d.pgm": b""})
    assert [UNREAD in line for line in told(load_dataset(root, "mvtec"))] == [True]
    with pytest.raises(ToolkitError, match=r"2 picture file\(s\) of a kind"):
        load_dataset(plant(tmp_path / "b", {"OK/a.pgm": b"P5", "NG/b.pgm": b"P5"}))


@pytest.mark.parametrize(
    ("tree", "image", "masks"),
    [
        ({**FOLDERS, "labels/a.png": 255}, "images/a.png", "labels/a.png and masks/a.png"),
        ({**FOLDERS, "masks/a_mask.png": 255}, "images/a.png", "masks/a.png and masks/a_mask.png"),
        ({**FOLDERS, "masks/a.bmp": 255}, "images/a.png", "masks/a.bmp and masks/a.png"),
        ({"a.jpg": IMAGE, "a_mask.png": 255, "a_gt.png": 0}, "a.jpg", "a_gt.png and a_mask.png"),
        (
            {**MVTEC, "nut/ground_truth/cut/b.png": 255},
            "nut/test/cut/b.png",
            "ROOT/nut/ground_truth/cut/b.png and ROOT/nut/ground_truth/cut/b_mask.png",
        ),
        (
            {**MVTEC, "nut/ground_truth/cut/b/1.png": 255},
            "nut/test/cut/b.png",
            "ROOT/nut/ground_truth/cut/b_mask.png and ROOT/nut/ground_truth/cut/b/1.png",
        ),
    ],
)  # fmt: skip
def test_masks_in_two_places_contradict_each_other(tmp_path: Path, tree: Tree, image: str, masks: str) -> None:
    root = plant(tmp_path, tree)
    for values in (None, "nonzero") if "nut" not in image else (None,):
        problems = load_dataset(root, values=values).layout_problems
        shown = masks.replace("ROOT", str(root))
        assert [(one.file, one.problem) for one in problems] == [
            (str(root / image), f"finds two masks in different places: {shown}")
        ]


def test_masks_in_two_places_are_one_where_a_user_says_so(tmp_path: Path) -> None:
    root = plant(tmp_path, {**FOLDERS, "labels/a.png": 255})
    layout = {"images": "images/{name}.png", "mask": ["masks/{name}.png", "labels/{name}.png"]}
    dataset = load_dataset(root, layout)
    assert told(dataset) == []
    assert len(dataset[0].masks) == 2
    assert "1 image(s) have several masks: what any of them marks is marked" in dataset.notes


def test_several_masks_in_a_folder_of_their_own_are_one(tmp_path: Path) -> None:
    tree: Tree = {name: content for name, content in MVTEC.items() if "_mask" not in name}
    root = plant(tmp_path, {**tree, **{f"nut/ground_truth/cut/b/{n}.png": 255 for n in range(2)}})
    assert len(next(one for one in load_dataset(root) if one.masks).masks) == 2


def test_a_problem_of_every_image_is_told(tmp_path: Path) -> None:
    root = plant(tmp_path, {"images/a.png": IMAGE, "images/a.jpg": IMAGE, "masks/a.png": 255})
    dataset = load_dataset(root, image="images/{name}.{ext}", mask="masks/{name}.png")
    assert told(dataset) == ["masks/a.png: one mask for 2 images: images/a.jpg and images/a.png"]


def test_an_image_is_not_good_for_want_of_a_folder_of_masks(tmp_path: Path) -> None:
    labels: Tree = {"Class1/Test/Label/1_label.PNG": 255}
    root = plant(
        tmp_path, {"Class1/Train/0.PNG": IMAGE, "Class1/Test/1.PNG": IMAGE, "Class1/Test/2.PNG": IMAGE, **labels}
    )
    for folder in (root, root / "Class1"):
        dataset = load_dataset(folder)
        assert set(facts(dataset)) == {"Class1/test/1", "Class1/test/2"}
        assert [line.partition(", ")[0] for line in told(dataset)] == [
            f"{'Class1/' if folder == root else ''}Train/Label: no such folder"
        ]
        assert "1 image(s) have no mask and are taken for good, as the layout dagm says" in dataset.notes
