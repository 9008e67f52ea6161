"""DeepPCB's boxes, templates and lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toolkit.dataset.layouts.stand_ins import IMAGE, Tree, facts, plant, told
from toolkit.dataset.layouts import load_dataset
from toolkit.dataset.samples import BoxLabel

BOARD = "group00041/00041"
BOXES = f"{BOARD}_not/00041001.txt"
TREE: Tree = {
    f"{BOARD}/00041000_test.jpg": IMAGE,
    f"{BOARD}/00041000_temp.jpg": IMAGE,
    f"{BOARD}_not/00041000.txt": "0 1 3 4 1\n2 0 5 2 6\n",
    f"{BOARD}/00041001_test.jpg": IMAGE,
    f"{BOARD}/00041001_temp.jpg": IMAGE,
    BOXES: "1,1,4,3,3",
}
LISTS: Tree = {
    "trainval.txt": f"{BOARD}/00041000.jpg {BOARD}_not/00041000.txt\n",
    "test.txt": f"{BOARD}/00041001.jpg {BOARD}_not/00041001.txt\n",
}


@pytest.mark.parametrize("place", ["", "DeepPCB/PCBData"])
def test_images_have_boxes_and_templates_are_good(tmp_path: Path, place: str) -> None:
    root = tmp_path / place
    plant(root, {**TREE, **LISTS})
    dataset = load_dataset(root if not place else root.parent)
    assert (dataset.layout, dataset.root, dataset.holds, told(dataset)) == ("deeppcb", root, "boxes", [])
    assert facts(dataset) == {
        "00041/00041000_temp": ((), "train", "good"),
        "00041/00041000_test": (("open", "pin-hole"), "train", "boxes"),
        "00041/00041001_temp": ((), "test", "good"),
        "00041/00041001_test": (("mousebite",), "test", "boxes"),
    }
    assert dataset[1].boxes == (BoxLabel("open", (0, 1, 3, 4)), BoxLabel("pin-hole", (2, 0, 5, 2)))
    assert [sample.group for sample in dataset] == ["00041/00041000"] * 2 + ["00041/00041001"] * 2


def test_a_list_may_name_the_files_as_they_are(tmp_path: Path) -> None:
    lists = {name: str(text).replace(".jpg", "_test.jpg") for name, text in LISTS.items()}
    dataset = load_dataset(plant(tmp_path, {**TREE, **lists}))
    assert ([sample.split for sample in dataset], told(dataset)) == (["train", "train", "test", "test"], [])


def test_without_lists_all_are_one_subset(tmp_path: Path) -> None:
    assert {sample.split for sample in load_dataset(plant(tmp_path, TREE))} == {"train"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({BOXES: "1 1 4 3 7"}, f"{BOXES}: line 1 is no box of a known type ('1 1 4 3 7')"),
        ({BOXES: "4 1 1 3 2"}, f"{BOXES}: line 1 is no box of a known type ('4 1 1 3 2')"),
        ({BOXES: "1 1 4 3"}, f"{BOXES}: line 1 is no box of a known type ('1 1 4 3')"),
        ({BOXES: "\n"}, f"{BOXES}: holds no box, though the image is one with defects"),
        ({f"{BOARD}_not/00041009.txt": "1 1 4 3 1"}, f"{BOARD}_not/00041009.txt: boxes without an image"),
        ({f"{BOARD}/00041007_test.jpg": IMAGE}, f"{BOARD}/00041007_test.jpg: an image without boxes"),
        (
            {"test.txt": f"{BOARD}/00041000.jpg x\n{BOARD}/00041001.jpg x\n"},
            f"test.txt: line 1 names {BOARD}/00041000.jpg, which is in the other list too",
        ),
        (
            {"test.txt": f"{BOARD}/00041001.jpg x\n{BOARD}/00041009.jpg x\n"},
            f"test.txt: line 2 names an image that is not there ({BOARD}/00041009.jpg)",
        ),
        ({"test.txt": ""}, "1 image(s) are in none of trainval.txt, test.txt: 00041/00041001"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: Tree, problem: str) -> None:
    found = told(load_dataset(plant(tmp_path, {**TREE, **LISTS, **change})))
    assert any(line.endswith(problem) for line in found), found
