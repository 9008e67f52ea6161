"""The built-in descriptions: each dataset is found without being told where it can be, and nothing is left over."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.toolkit.dataset.layouts.stand_ins import IMAGE, Tree, facts, plant, told
from tests.toolkit.dataset.layouts.trees import STAND_INS, VISA_SPLIT, StandIn
from toolkit.dataset.inspection import read_sample
from toolkit.dataset.layouts import load_dataset
from toolkit.errors import ToolkitError

DATA = os.environ.get("DEFECT_DATA")

each = pytest.mark.parametrize("stand_in", STAND_INS.values(), ids=STAND_INS.keys())


def grow(home: Path, stand_in: StandIn) -> Path:
    return plant(home / stand_in.root, stand_in.tree)


def damaged(home: Path, name: str, change: Tree, gone: str = "") -> Path:
    """A stand-in with other files in it, and one less."""
    root = plant(grow(home, STAND_INS[name]), change)
    if gone:
        (root / gone).unlink()
    return root


@each
def test_a_dataset_is_found_by_itself_and_read_whole(tmp_path: Path, stand_in: StandIn) -> None:
    dataset = load_dataset(grow(tmp_path, stand_in))
    assert (dataset.layout, facts(dataset), dataset.problems) == (stand_in.layout, stand_in.facts, ())
    assert set(stand_in.notes) <= set(dataset.notes)


@pytest.mark.parametrize("name", [name for name, one in STAND_INS.items() if one.layout != "photos"])
def test_it_is_found_one_level_down(tmp_path: Path, name: str) -> None:
    stand_in = STAND_INS[name]
    dataset = load_dataset(grow(tmp_path, stand_in).parent)
    assert (dataset.layout, facts(dataset), told(dataset)) == (stand_in.layout, stand_in.facts, [])


@pytest.mark.parametrize("name", [name for name, one in STAND_INS.items() if one.product])
def test_a_product_alone_gives_the_same(tmp_path: Path, name: str) -> None:
    stand_in = STAND_INS[name]
    dataset = load_dataset(grow(tmp_path, stand_in) / stand_in.product)
    wanted = {key: value for key, value in stand_in.facts.items() if key.startswith(f"{stand_in.product}/")}
    assert (facts(dataset), told(dataset)) == (wanted, [])


@pytest.mark.parametrize(
    ("name", "change", "gone", "problem"),
    [
        (
            "LOCO",
            {"breakfast_box/ground_truth/logical_anomalies/000/001.png": 200},
            "",
            "breakfast_box/ground_truth/logical_anomalies/000/001.png: holds values that no class has: 200",
        ),
        (
            "AD 2",
            {"can/test_public/other/000.png": IMAGE},
            "can/test_public/bad/000_regular.png",
            "can/test_public/ground_truth/bad/000_regular_mask.png: a mask without an image",
        ),
        (
            "Eyecandies",
            {},
            "Confetto/test_public/data/00_mask.png",
            "Confetto/test_public/data/00_image_0.png: an image without a mask",
        ),
        (
            "VisA",
            {},
            "pcb1/Data/Masks/Anomaly/001.png",
            "split_csv/1cls.csv: line 5 names the mask pcb1/Data/Masks/Anomaly/001.png, which is not there",
        ),
        (
            "VisA without its splits",
            {},
            "pcb1/Data/Masks/Anomaly/001.png",
            "pcb1/image_anno.csv: line 3 names the mask pcb1/Data/Masks/Anomaly/001.png, which is not there",
        ),
        (
            "VisA",
            {},
            "pcb1/Data/Images/Normal/0001.JPG",
            "split_csv/1cls.csv: line 3 names pcb1/Data/Images/Normal/0001.JPG, which is not there",
        ),
        (
            "VisA",
            {"pcb1/Data/Images/Normal/0002.JPG": IMAGE},
            "",
            "split_csv/1cls.csv: gives no subset to 1 image(s): pcb1/Data/Images/Normal/0002.JPG",
        ),
        (
            "VisA",
            {"split_csv/1cls.csv": VISA_SPLIT + "pcb1,test,normal,pcb1/Data/Images/Normal/0000.JPG,\n"},
            "",
            "split_csv/1cls.csv: line 8 puts pcb1/Data/Images/Normal/0000.JPG into test, a line before into train",
        ),
        (
            "VisA",
            {"split_csv/1cls.csv": VISA_SPLIT.replace("pcb1,train", "pcb1,training2")},
            "",
            "split_csv/1cls.csv: calls a subset 'training2'",
        ),
        (
            "DAGM",
            {},
            "Class1/Train/Label/0577_label.PNG",
            "Class1/Train/Label/Labels.txt: line 3 names the mask 0577_label.PNG, which is not there",
        ),
        ("DAGM", {}, "Class1/Test/0577.PNG", "Class1/Test/Label/Labels.txt: line 3 names 0577.PNG, which is not there"),
        ("3D-AD", {"bagel/test/good/gt/000.png": 255}, "", "bagel/test/good/gt/000.png: the mask of a good image"),
        ("KolektorSDD2", {}, "test/20000.png", "test/20000_GT.png: a mask without an image"),
        ("Magnetic Tile", {"MT_Free/Imgs/exp1_num_2.png": 140}, "", "MT_Free/Imgs/exp1_num_2.png: the mask of a good"),
        ("masks beside images", {"c_mask.png": 255}, "", "c_mask.png"),
        ("masks beside images", {"a.png": IMAGE}, "", "a_mask.png"),
        ("mmsegmentation", {}, "ann_dir/train/a.png", "img_dir/train/a.jpg: an image without a mask"),
        ("Roboflow masks", {"train/a_jpg.rf.01_mask.png": 3}, "", "train/a_jpg.rf.01_mask.png: holds values that no"),
        ("images and masks", {"images/c/d.png": IMAGE}, "", "images/c/d.png"),
    ],
)  # fmt: skip
def test_what_is_lost_or_contradicts_is_named(tmp_path: Path, name: str, change: Tree, gone: str, problem: str) -> None:
    root = damaged(tmp_path, name, change, gone)
    try:
        found = told(load_dataset(root))
    except ToolkitError as error:
        found = [str(error).replace(f"{root}/", "")]
    assert any(problem in line for line in found), found


def test_grey_values_below_128_are_no_magnetic_tile_defect(tmp_path: Path) -> None:
    root = damaged(tmp_path, "Magnetic Tile", {"MT_Blowhole/Imgs/exp1_num_1.png": 127})
    assert [problem.problem for problem in load_dataset(root).problems] == ["the mask of a defect image is all zero"]


@pytest.mark.parametrize("greys", [(0, 255), (0, 255, 85)])
def test_kolektors_palette_masks_count_by_what_is_not_black(tmp_path: Path, greys: tuple[int, ...]) -> None:
    root = grow(tmp_path, STAND_INS["KolektorSDD"])
    indices = np.zeros((4, 6), np.uint8)
    indices[1, 1 : len(greys)] = range(1, len(greys))
    mask = Image.fromarray(indices, "P")
    mask.putpalette([grey for grey in greys for _ in range(3)])
    mask.save(root / "kos01/Part0_label.bmp")
    dataset = load_dataset(root)
    assert dataset[0].labels == ("defect",)
    np.testing.assert_array_equal(read_sample(dataset[0]).masks["defect"].pixels() > 0, indices > 0)


def test_ids_of_a_product_that_visa_does_not_know_are_numbers(tmp_path: Path) -> None:
    tree = {
        name.replace("pcb1", "pcb9"): content for name, content in STAND_INS["VisA without its splits"].tree.items()
    }
    tree.pop("pcb9/image_anno.csv")
    assert load_dataset(plant(tmp_path, tree)).classes() == ["class_1", "class_3", "class_5"]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (None, "cannot be read"),
        ("name,value\ndent,1\n", "has no column 'Class'"),
        ("x" * 5000, r"has no column 'Class' \(it has: x{40}\)|has no column 'Pixel Value' \(it has: x{40}\)"),
        ("Pixel Value, Class\none, dent\n", "does not name the values in masks"),
        ("Pixel Value, Class\n1, dent\n1, scratch\n", "names the value 1 twice, dent and scratch"),
    ],
)
def test_a_table_of_values_that_says_nothing_is_refused(tmp_path: Path, table: str | None, problem: str) -> None:
    root = grow(tmp_path, STAND_INS["Roboflow masks"])
    (root / "train/_classes.csv").unlink() if table is None else (root / "train/_classes.csv").write_text(table)
    with pytest.raises(ToolkitError, match=problem):
        load_dataset(root, layout="roboflow-masks")


@pytest.mark.skipif(DATA is None, reason="DEFECT_DATA names no folder of real data")
@pytest.mark.parametrize(
    ("folder", "layout", "counts"),
    [
        ("kolektorsdd", "kolektorsdd", {("good", "train"): 14, ("masks", "train"): 2}),
        ("neu_seg", "neu-seg", {("masks", "train"): 20, ("masks", "test"): 10}),
        (
            "mpdd_pairs",
            "images-masks",
            {
                ("good", "train"): 3,
                ("masks", "train"): 2,
                ("good", "val"): 2,
                ("good", "test"): 2,
                ("masks", "test"): 1,
            },
        ),
    ],
)
def test_real_files_are_read(folder: str, layout: str, counts: dict[tuple[str, str], int]) -> None:
    dataset = load_dataset(Path(str(DATA), folder))
    assert (dataset.layout, dataset.problems) == (layout, ())
    assert Counter((sample.kind, sample.split) for sample in dataset) == counts
