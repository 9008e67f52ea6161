"""Severstal's table of run lengths, in both of its forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.toolkit.dataset.layouts.stand_ins import IMAGE, Tree, facts, plant, told
from toolkit.dataset.inspection import read_sample
from toolkit.dataset.layouts import load_dataset
from toolkit.errors import ToolkitError

LONG = "ImageId,ClassId,EncodedPixels\na.jpg,3,2 3 9 2\nb.jpg,1,1 1\nb.jpg,4,24 1\n"
WIDE = "ImageId_ClassId,EncodedPixels\na.jpg_1,\na.jpg_2,\na.jpg_3,2 3 9 2\nb.jpg_1,1 1\nb.jpg_4,24 1\nc.jpg_1,\n"
IMAGES: Tree = {f"train_images/{name}.jpg": IMAGE for name in "abc"}
EXPECTED = {
    "train/a": (("class_3",), "train", "masks"),
    "train/b": (("class_1", "class_4"), "train", "masks"),
    "train/c": ((), "train", "good"),
}


@pytest.mark.parametrize("table", [LONG, WIDE, "\ufeff" + LONG.replace("\n", "\r\n")])
def test_both_forms_of_the_table_say_the_same(tmp_path: Path, table: str) -> None:
    dataset = load_dataset(plant(tmp_path, {"train.csv": table, **IMAGES}))
    assert (dataset.layout, facts(dataset), told(dataset)) == ("severstal", EXPECTED, [])


def test_run_lengths_count_from_1_down_the_columns(tmp_path: Path) -> None:
    sample = load_dataset(plant(tmp_path, {"train.csv": LONG, **IMAGES}))[0]
    wanted = np.zeros((4, 6), np.uint8)
    wanted[1:4, 0] = 1  # 2, 3 and 4: the first column but for its top
    wanted[0:2, 2] = 1  # 9 and 10: the top of the third
    np.testing.assert_array_equal(read_sample(sample).masks["class_3"].pixels() > 0, wanted > 0)


def test_test_images_are_unlabelled(tmp_path: Path) -> None:
    dataset = load_dataset(plant(tmp_path, {"train.csv": LONG, **IMAGES, "test_images/a.jpg": IMAGE}))
    assert facts(dataset) == {"test/a": ((), "test", "unlabelled"), **EXPECTED}
    assert "1 image(s) carry no label: they are never called good, and never written" in dataset.notes


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (LONG + "z.jpg,1,1 1\n", "train.csv: names z.jpg, which is not in train_images/"),
        (LONG + "a.jpg,3,7 1\n", "train.csv: line 5 names a.jpg and class_3 for the second time"),
        (LONG + "a.jpg,x,7 1\n", "train.csv: line 5 names no image and class (a.jpg, x)"),
        (WIDE + "a.jpg,7 1\n", "train.csv: line 8 names no image and class (a.jpg)"),
        ("ImageId,ClassId,EncodedPixels\n", "train.csv: marks nothing in any image"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(tmp_path: Path, table: str, problem: str) -> None:
    assert told(load_dataset(plant(tmp_path, {"train.csv": table, **IMAGES}))) == [problem]


def test_a_row_that_is_cut_short_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match="line 5 has 2 fields, its header 3"):
        load_dataset(plant(tmp_path, {"train.csv": LONG + "a.jpg,1\n", **IMAGES}))


def test_run_lengths_that_leave_the_image_are_a_problem_of_it(tmp_path: Path) -> None:
    dataset = load_dataset(plant(tmp_path, {"train.csv": LONG + "c.jpg,1,24 2\n", **IMAGES}))
    assert [problem.problem for problem in dataset.problems] == ["has run lengths that leave an image of 6 x 4"]


def test_an_image_elsewhere_is_named(tmp_path: Path) -> None:
    dataset = load_dataset(plant(tmp_path, {"train.csv": LONG, **IMAGES, "more/d.jpg": IMAGE}))
    assert "1 image file(s) have no place in the layout severstal: more/d.jpg" in told(dataset)[0]


@pytest.mark.parametrize("folder", ["train_images", "test_images"])
def test_a_part_of_it_is_no_folder_of_photos(tmp_path: Path, folder: str) -> None:
    plant(tmp_path, {"train.csv": LONG, **IMAGES, "test_images/a.jpg": IMAGE})
    with pytest.raises(ToolkitError, match="is a part of a dataset"):
        load_dataset(tmp_path / folder)


def test_another_table_is_not_its(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match="unknown layout"):
        load_dataset(plant(tmp_path, {"train.csv": "image_id,label\na.jpg,3\n", **IMAGES}))
