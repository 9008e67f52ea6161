"""What lies below a root and is not read: images are named in a problem, all else is said in a note."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters import read_labels
from tests.toolkit.dataset.layouts.stand_ins import IMAGE, Tree, plant, told
from toolkit.dataset.layouts import load_dataset
from toolkit.errors import ToolkitError

MVTEC: Tree = {
    "p/train/good/0.png": IMAGE,
    "p/test/dent/0.png": IMAGE,
    "p/ground_truth/dent/0_mask.png": 255,
}
PAIRS: Tree = {"images/a.png": IMAGE, "masks/a.png": 255}
SORTED: Tree = {"OK/a.png": IMAGE, "NG/b.png": IMAGE}
ROOTS = {"mvtec": MVTEC, "pairs": PAIRS, "folders": SORTED}


@pytest.fixture(params=[*ROOTS])
def tree(request: pytest.FixtureRequest) -> Tree:
    return dict(ROOTS[request.param])


def notes(root: Path) -> str:
    return "\n".join(load_dataset(root).notes)


def test_hidden_files_are_counted(tmp_path: Path, tree: Tree) -> None:
    folder = next(iter(tree)).rpartition("/")[0]
    root = plant(tmp_path, {**tree, ".DS_Store": "x", f"{folder}/._0.png": "x", f"{folder}/Thumbs.db": "x"})
    found = f"3 hidden file(s) are passed over, for instance .DS_Store, {folder}/._0.png, {folder}/Thumbs.db"
    assert (found in notes(root), told(load_dataset(root))) == (True, [])


def test_images_in_hidden_folders_are_counted(tmp_path: Path, tree: Tree) -> None:
    root = plant(tmp_path, {**tree, ".old/x/a.png": IMAGE, ".old/b.png": IMAGE, ".git/config": "x"})
    assert "2 folder(s) were not looked into: .git, .old; 2 image file(s) are in them" in notes(root)


def test_other_files_and_empty_folders_are_named(tmp_path: Path, tree: Tree) -> None:
    root = plant(tmp_path, {**tree, "notes.md": "x", "more/x.pdf": "x", "license.txt": "x", "README": "x"})
    (root / "p/none").mkdir(parents=True)
    assert "2 other file(s) are not read: more/x.pdf, notes.md" in notes(root)
    assert "1 folder(s) hold nothing: p/none" in notes(root)


def test_labels_beside_masks_are_said(tmp_path: Path) -> None:
    root = plant(tmp_path, {**PAIRS, "images/a.json": '{"shapes": [], "imagePath": "a.png"}'})
    assert "not read beside the images: 1 .json file that looks like LabelMe (images/a.json)" in notes(root)


def test_nothing_is_said_where_all_is_read(tmp_path: Path, tree: Tree) -> None:
    assert notes(plant(tmp_path, {**tree, "license.txt": "x", "readme.txt": "x"})) == ""


@pytest.mark.parametrize("beside", ["two/q/train/good/0.png", "loose/x.png", "x.png"])
def test_images_beside_a_nested_dataset_are_not_lost(tmp_path: Path, beside: str) -> None:
    root = plant(tmp_path, {**{f"one/{path}": content for path, content in MVTEC.items()}, beside: IMAGE})
    (problem,) = load_dataset(root).layout_problems
    assert (problem.file, beside in problem.problem) == (str(root), True)


def test_what_is_hidden_beside_a_nested_dataset_is_said(tmp_path: Path) -> None:
    for number, tree in enumerate((MVTEC, PAIRS)):
        whole: Tree = {f"one/{path}": content for path, content in tree.items()}
        root = plant(tmp_path / f"{number}", {**whole, ".x/a.png": IMAGE, "._b.png": "x", "one/.c": "x"})
        assert "1 hidden file(s) are passed over, for instance ._b.png" in notes(root)
        assert "1 hidden file(s) are passed over, for instance .c" in notes(root)
        assert "1 folder(s) were not looked into: .x; 1 image file(s) are in them" in notes(root)


VOC = "<annotation><size/><object/></annotation>"
CVAT = "<annotations><version>1.1</version><image id='0'/></annotations>"
FOREIGN = {
    "labels/a.xml": (VOC, "1 .xml file that looks like Pascal VOC (labels/a.xml)"),
    "annotations.xml": (CVAT, "1 .xml file that looks like CVAT for images (annotations.xml)"),
    "x/a.json": ('{"shapes": [], "imagePath": ""}', "1 .json file that looks like LabelMe (x/a.json)"),
    "tasks.json": ('[{"annotations": [{"from_name": ""}]}]', "1 .json file that looks like Label Studio (tasks.json)"),
    "via.json": ('{"a": {"regions": [{"shape_attributes": {}}]}}', "1 .json file that looks like VIA (via.json)"),
    "boxes.csv": ("image,x,y\na.png,1,2\n", "1 .csv file that looks like a table of image,x,y (boxes.csv)"),
    "what.json": ("{}", "1 .json file (what.json)"),
    "bad.json": ("\0\1", "1 .json file (bad.json)"),
}


@pytest.mark.parametrize("images", ["images/{}.png", "OK/{}.png"])
@pytest.mark.parametrize("path", FOREIGN)
def test_a_refusal_says_what_labels_there_are(tmp_path: Path, path: str, images: str) -> None:
    content, shown = FOREIGN[path]
    tree: Tree = {images.format(name): IMAGE for name in "ab"}
    if "OK" in images:
        tree = {**tree, "NG/a.png": IMAGE}
    with pytest.raises(ToolkitError, match="unknown layout") as caught:
        load_dataset(plant(tmp_path, {**tree, path: content}))
    assert f"holds {shown}, which were not read" in str(caught.value)
    assert "no folder of good images" not in str(caught.value)


def test_a_refusal_asks_which_folder_is_good(tmp_path: Path) -> None:
    root = plant(tmp_path, {"Pass/a.png": IMAGE, "Fail/b.png": IMAGE})
    with pytest.raises(ToolkitError) as caught:
        load_dataset(root)
    assert "which folder (Fail, Pass) is good with --layout 'good-bad' --good NAME" in caught.value.with_flags
    assert [one.defect for one in load_dataset(root, "good-bad", good=["Pass"])] == ["Fail", "good"]


def test_what_is_hidden_in_a_label_tree_is_counted(tmp_path: Path) -> None:
    tree: Tree = {
        "images/a.png": IMAGE,
        "labels/a.txt": "0 .5 .5 .5 .5\n",
        "labels/._a.txt": "x",
        "classes.txt": "dent",
    }
    assert "1 hidden file(s) are passed over, for instance labels/._a.txt" in read_labels(plant(tmp_path, tree)).notes
