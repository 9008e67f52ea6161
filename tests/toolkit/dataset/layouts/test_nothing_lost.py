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
