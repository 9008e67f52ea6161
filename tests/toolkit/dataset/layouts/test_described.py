"""What a description of one's own makes of a folder, and what it says where the two do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.commands import defectkit
from tests.toolkit.dataset.layouts.stand_ins import IMAGE, Facts, Tree, facts, plant, told
from toolkit.dataset.inspection import read_sample
from toolkit.dataset.layouts import load_dataset
from toolkit.dataset.layouts.published import compare_with_published
from toolkit.dataset.samples import Sample
from toolkit.errors import ToolkitError

BESIDE: dict[str, Any] = {"images": "{name}.png", "mask": "{name}_mask.png"}


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("images: '{name}.png'\nmasks: '{name}_mask.png'\n", 2, "masks: "),
        ("images:\n- '{name}.png'\n- 5\n", 3, "images: "),
        ("about: |\n  a\n  b\nimages: '{name}.png'\ntables:\n- {file: a.csv, image: name, skip: -1}\n", 6, "tables: "),
    ],
)
def test_a_description_that_is_none_is_named_with_its_line(tmp_path: Path, text: str, line: int, key: str) -> None:
    plant(tmp_path / "in", {"a.png": IMAGE})
    (tmp_path / "layout.yaml").write_text(text)
    done = defectkit("describe", tmp_path / "in", "--layout", tmp_path / "layout.yaml")
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert done.err.startswith(f"error: {tmp_path / 'layout.yaml'}:{line}: {key}")


@pytest.mark.parametrize("missing", ["error", "good", "unlabelled"])
def test_a_mask_whose_image_is_lost_is_never_an_image(tmp_path: Path, missing: str) -> None:
    tree: Tree = {"a.png": IMAGE, "a_mask.png": 255, "b_mask.png": 255, "c_mask.png": 255, "c_mask_mask.png": 255}
    dataset = load_dataset(plant(tmp_path, tree), layout={**BESIDE, "missing_mask": missing})
    assert list(facts(dataset)) == ["a", "c_mask"]
    assert told(dataset) == ["b_mask.png: a mask without an image"]


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("good", {"test/b": ((), "test", "good"), "train/a": ((), "train", "good")}),
        ("unlabelled", {"test/b": ((), "test", "unlabelled"), "train/a": ((), "train", "unlabelled")}),
        ({"train": "good"}, {"train/a": ((), "train", "good")}),
        (
            {"train": "good", "test": "unlabelled"},
            {"test/b": ((), "test", "unlabelled"), "train/a": ((), "train", "good")},
        ),
        ("error", {}),
    ],
)  # fmt: skip
def test_what_an_image_without_a_mask_is_can_depend_on_its_subset(
    tmp_path: Path, missing: Any, expected: Facts
) -> None:
    layout = {"images": "{split}/{name}.png", "mask": "masks/{split}/{name}.png", "missing_mask": missing}
    tree: Tree = {"train/a.png": IMAGE, "test/b.png": IMAGE, "val/c.png": IMAGE, "masks/val/c.png": 255}
    dataset = load_dataset(plant(tmp_path, tree), layout=layout)
    assert facts(dataset) == {**expected, "val/c": (("defect",), "val", "masks")}
    assert len(told(dataset)) == 2 - len(expected)


TABLE = {"file": "splits.csv", "image": "path", "split": "part"}


@pytest.mark.parametrize("table", ["path,part\na.png,val\nb.png,test\n", 'path , part\n"a.png", val\n./b.png, test\n'])
def test_a_table_tells_subsets(tmp_path: Path, table: str) -> None:
    tree: Tree = {"a.png": IMAGE, "a_mask.png": 255, "b.png": IMAGE, "b_mask.png": 255, "splits.csv": table}
    dataset = load_dataset(plant(tmp_path, tree), layout={**BESIDE, "tables": [TABLE]})
    assert {sample.key: sample.split for sample in dataset} == {"a": "val", "b": "test"}
    assert told(dataset) == []


def test_a_table_that_is_not_there_is_an_error_unless_it_is_optional(tmp_path: Path) -> None:
    root = plant(tmp_path, {"a.png": IMAGE, "a_mask.png": 255})
    with pytest.raises(ToolkitError, match=r"splits\.csv: cannot be read"):
        load_dataset(root, layout={**BESIDE, "tables": [TABLE]})
    assert load_dataset(root, layout={**BESIDE, "tables": [{**TABLE, "optional": True}]})[0].split == "train"


def test_a_file_of_values_takes_nothing_that_an_image_does_not_tell(tmp_path: Path) -> None:
    values = {"file": "{category}.json", "name": "n", "value": "v"}
    with pytest.raises(ToolkitError, match=r"values\.file has \{category\}, which the image '\{name\}\.png' does not"):
        load_dataset(plant(tmp_path, {"a.png": IMAGE}), layout={**BESIDE, "values": values})


def test_what_is_left_over_is_told_once(tmp_path: Path) -> None:
    tree: Tree = {
        "can/test_public/bad/a.png": IMAGE,
        "can/test_public/ground_truth/bad/a_mask.png": 255,
        "can/strange/b.png": IMAGE,
    }
    dataset = load_dataset(plant(tmp_path, tree))
    assert told(dataset) == [
        f"{tmp_path}: 1 image file(s) are matched by nothing in the layout mvtec-ad2: can/strange/b.png"
    ]


@pytest.mark.parametrize("name", ["severstal", "real-iad", "deeppcb", "elpv", "crackforest", "mvtec-loco"])
def test_a_folder_of_another_layout_than_was_named_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ToolkitError, match="correct the layout, or the path"):
        load_dataset(plant(tmp_path, {"a.png": IMAGE}), layout=name)


def samples(category: str, label: str, split: str, number: int) -> list[Sample]:
    return [Sample(f"{category}/{label}/{split}/{n}", Path("a.png"), (), category, label, split) for n in range(number)]


def test_numbers_that_differ_from_the_published_ones_are_told() -> None:
    right = samples("01", "good", "train", 400) + samples("02", "ko", "test", 1000)
    assert compare_with_published("btad", right) == []
    assert compare_with_published("btad", right[1:]) == [
        "01 differs from the published btad: all: 399 images, published 400"
    ]
    assert compare_with_published("visa-1cls", samples("capsules", "good", "train", 542)) == [
        "capsules differs from the published visa-1cls: test/good: 0 images, published 60; "
        "test/defect: 0 images, published 100"
    ]
    assert compare_with_published("a layout of one's own", right) == []


def test_numbers_of_a_whole_dataset_count_where_all_its_products_are_there() -> None:
    some = [sample for n in range(8) for sample in samples(f"product{n}", "good", "train", 316)]
    assert [line.split(";")[0] for line in compare_with_published("mvtec-ad2", some)] == [
        "the dataset differs from the published mvtec-ad2: val/good: 0 images, published 302"
    ]
    assert compare_with_published("mvtec-ad2", some[316:]) == []


@pytest.mark.parametrize("name", ["good", "OK", "background", "bg", "_background_", "None", "void"])
@pytest.mark.parametrize("value", [7, 255])
def test_a_value_that_is_called_background_marks_nothing(tmp_path: Path, name: str, value: int) -> None:
    tree: Tree = {"a.png": IMAGE, "a_mask.png": value, "b.png": IMAGE, "b_mask.png": 2}
    dataset = load_dataset(plant(tmp_path, tree), layout={**BESIDE, "values": {value: name, 2: "dent"}})
    assert facts(dataset) == {"a": ((), "train", "good"), "b": (("dent",), "train", "masks")}
    assert told(dataset) == []


def test_nor_does_a_colour(tmp_path: Path) -> None:
    both = np.zeros((4, 6, 3), np.uint8)
    both[:2], both[2, 2] = 255, (0, 0, 255)  # blue, green, red
    values = {"#ffffff": "background", "#ff0000": "dent", "#00ff00": "good"}
    dataset = load_dataset(plant(tmp_path, {"a.png": IMAGE, "a_mask.png": both}), layout={**BESIDE, "values": values})
    assert facts(dataset) == {"a": (("dent",), "train", "masks")}


def test_blue_is_a_colour_like_any_other(tmp_path: Path) -> None:
    """Its number is 255, which is to be ignored in maps of classes alone."""
    blue = np.zeros((4, 6, 3), np.uint8)
    blue[:2] = 255, 0, 0
    layout = {**BESIDE, "values": {"#ff0000": "dent"}}
    dataset = load_dataset(plant(tmp_path, {"a.png": IMAGE, "a_mask.png": blue}), layout=layout)
    assert told(dataset) == ["a_mask.png: holds values that no class has: #0000ff"]


@pytest.mark.parametrize("name", ["good", "OK", "Normal"])
def test_what_is_marked_is_never_called_good(tmp_path: Path, name: str) -> None:
    with pytest.raises(ToolkitError, match=f"class: what is marked cannot be called '{name}'"):
        load_dataset(plant(tmp_path, {"a.png": IMAGE, "a_mask.png": 255}), layout={**BESIDE, "class": name})


def test_a_folder_called_good_is_good_whatever_else_means_that(tmp_path: Path) -> None:
    layout = {"images": "{class}/{name}.png", "mask": "masks/{class}/{name}.png", "good": ["fine"]}
    tree: Tree = {"good/a.png": IMAGE, "masks/good/a.png": 255, "fine/b.png": IMAGE, "OK/c.png": IMAGE}
    dataset = load_dataset(plant(tmp_path, {**tree, "masks/OK/c.png": 255}), layout=layout)
    assert told(dataset) == ["masks/good/a.png: the mask of a good image marks something"]
    assert facts(dataset) == {"good/b": ((), "train", "good"), "OK/c": (("OK",), "train", "masks")}


FOLDERS: dict[str, Any] = {"images": "images/{name}.png", "mask": "masks/{class}/{name}.png"}
BY_CLASS: Tree = {
    **{f"images/{name}.png": IMAGE for name in "abcd"},
    "masks/dent/a.png": 255,
    "masks/dent/b.png": 0,
    "masks/dent/c.png": 255,
    "masks/dent/d.png": 0,
    "masks/rust/a.png": 0,
    "masks/rust/b.png": 255,
    "masks/rust/c.png": 255,
}


def test_folders_of_masks_are_classes_where_only_masks_have_them(tmp_path: Path) -> None:
    dataset = load_dataset(plant(tmp_path, BY_CLASS), layout=FOLDERS)
    assert facts(dataset) == {
        "a": (("dent",), "train", "masks"),
        "b": (("rust",), "train", "masks"),
        "c": (("dent", "rust"), "train", "masks"),
        "d": ((), "train", "good"),
    }
    assert (told(dataset), dataset.problems, dataset.notes) == ([], (), ())
    assert {str(path.relative_to(tmp_path)) for path in dataset.passed_over} == {
        "masks/dent/b.png",
        "masks/dent/d.png",
        "masks/rust/a.png",
    }
    found = read_sample(dataset[2])
    assert {label: int(np.count_nonzero(mask.pixels())) for label, mask in found.masks.items()} == {
        "dent": 4,
        "rust": 4,
    }


@pytest.mark.parametrize(
    "mask", ["masks/{class}/{name}.png", "masks/{class:dent|rust}/{name}.png", "masks/*/{name}.png"]
)
def test_a_star_merges_what_a_class_tells_apart(tmp_path: Path, mask: str) -> None:
    dataset = load_dataset(plant(tmp_path, BY_CLASS), layout={**FOLDERS, "mask": mask})
    assert dataset.classes() == (["defect"] if "*" in mask else ["dent", "rust"])


def test_classes_may_stand_in_the_names_of_masks(tmp_path: Path) -> None:
    tree = {name.replace("masks/", ""): content for name, content in BY_CLASS.items() if "images" in name}
    tree |= {"masks/a.dent.png": 255, "masks/a.rust.png": 1, "masks/b.rust.png": 255, "masks/c.png": 255}
    layout = {**FOLDERS, "mask": ["masks/{name}.{class}.png", "masks/{name}.png"], "missing_mask": "good"}
    dataset = load_dataset(plant(tmp_path, tree), layout=layout)
    assert {key: labels for key, (labels, _, _) in facts(dataset).items()} == {
        "a": ("dent", "rust"),
        "b": ("rust",),
        "c": ("defect",),
        "d": (),
    }


def test_a_mask_of_a_class_without_its_image_and_an_image_without_masks_are_named(tmp_path: Path) -> None:
    tree = {**BY_CLASS, "masks/rust/z.png": 255, "images/e.png": IMAGE}
    dataset = load_dataset(plant(tmp_path, tree), layout=FOLDERS)
    named = ["images/e.png: an image without a mask", "masks/rust/z.png: a mask without an image"]
    assert sorted(told(dataset)) == named


@pytest.mark.parametrize("word", ["background", "good", "OK", "_background_"])
def test_a_folder_of_the_background_marks_nothing(tmp_path: Path, word: str) -> None:
    dataset = load_dataset(plant(tmp_path, {**BY_CLASS, f"masks/{word}/a.png": 255}), layout=FOLDERS)
    assert (facts(dataset)["a"][0], told(dataset)) == (("dent",), [])


def test_empty_masks_of_every_class_are_a_problem_where_that_is_said(tmp_path: Path) -> None:
    dataset = load_dataset(plant(tmp_path, BY_CLASS), layout={**FOLDERS, "empty_mask": "error"})
    assert told(dataset) == ["images/d.png: the masks of a defect image are all zero"]


def test_what_masks_are_said_to_mean_holds_for_each_class(tmp_path: Path) -> None:
    tree = {name: 38 if isinstance(content, int) and not content else content for name, content in BY_CLASS.items()}
    dataset = load_dataset(plant(tmp_path, tree), layout={**FOLDERS, "values": ">=100"})
    assert facts(dataset)["a"] == (("dent",), "train", "masks")
    damaged = load_dataset(plant(tmp_path, {"masks/rust/b.png": 38}), layout=FOLDERS)
    assert any("grey values in a mask" in problem.problem for problem in damaged.problems)


@pytest.mark.parametrize("values", ["ids", {1: "dent"}])
def test_classes_of_values_and_of_folders_contradict_each_other(tmp_path: Path, values: Any) -> None:
    with pytest.raises(ToolkitError, match=r"names classes by the values in masks, and by a \{class\} in their names"):
        load_dataset(plant(tmp_path, BY_CLASS), layout={**FOLDERS, "values": values})


def test_a_class_of_some_images_is_not_that_of_masks_of_others(tmp_path: Path) -> None:
    """Images that nobody labelled get no mask of the same name from another folder."""
    layout = {"images": ["test/{class}/{name}.png", "private/{name}.png"], "mask": "truth/{class}/{name}.png"}
    with pytest.raises(ToolkitError, match=r"has \{class\}, which the image 'private/\{name\}\.png' does not bind"):
        load_dataset(plant(tmp_path, {"test/dent/a.png": IMAGE, "private/a.png": IMAGE}), layout=layout)


def test_the_same_is_said_with_flags_and_converted(tmp_path: Path) -> None:
    root = plant(tmp_path / "in", BY_CLASS)
    words = ("--image", FOLDERS["images"], "--mask", FOLDERS["mask"])
    done = defectkit("convert", root, tmp_path / "out", "--to", "coco,semantic", *words)
    assert done.status == 0, done.err
    assert defectkit("verify", tmp_path / "out").status == 0
    assert defectkit("describe", root, *words, "--json").json()["classes"] == {"dent": 2, "good": 1, "rust": 2}


@pytest.mark.parametrize("missing", ["error", "good"])
@pytest.mark.parametrize("image", ["images/{name}.png", "images/{class}/{name}.png"])
def test_masks_that_are_nowhere_are_refused(tmp_path: Path, image: str, missing: str) -> None:
    tree: Tree = {"images/a.png": IMAGE, "images/dent/b.png": IMAGE, "masks/a.png": 255}
    layout = {"images": image, "mask": "mask/{name:.*}_{:[mM]ask}.{ext}", "missing_mask": missing}
    with pytest.raises(ToolkitError, match=r"no file is a mask of the layout: .* would be .*/mask/(a|b)_mask\.png; "):
        load_dataset(plant(tmp_path, tree), layout=layout)


def test_where_a_mask_should_be_is_said_as_a_path(tmp_path: Path) -> None:
    tree: Tree = {"Photos/a.png": IMAGE, "Photos/b.png": IMAGE, "Label_Images/a-seg.bmp": 255}
    (problem,) = load_dataset(plant(tmp_path, tree)).layout_problems
    assert problem.remedy.startswith(f"put its mask at {tmp_path}/Label_Images/b-seg.bmp, or say --without-label good")
    tree = {"Photos/a.png": IMAGE, "Photos/b.png": IMAGE, "masks/a.png": 255}
    (problem,) = load_dataset(
        plant(tmp_path / "two", tree),
        layout={"images": "Photos/{name}.png", "mask": ["masks/{name:.}.png", "m/{name}{:(?=.)}*.{ext}"]},
    ).layout_problems
    assert problem.remedy.startswith(f"put its mask at {tmp_path}/two/masks/b.png, or ")


def test_a_class_is_written_without_its_mask_and_said_so(tmp_path: Path) -> None:
    tree: Tree = {"p/test/dent/a.png": IMAGE, "p/test/dent/b.png": IMAGE, "p/ground_truth/dent/a_mask.png": 255}
    done = defectkit("convert", plant(tmp_path / "in", tree), tmp_path / "out", "--to", "yolo-classify")
    assert "1 defect image(s) have no mask where the layout has one: p/test/dent/b" in done.err
