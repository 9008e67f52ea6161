"""Which samples and which faults are seen in a tree of names; no file is opened here, so all of them are empty."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from tests.converters.support import save_png
from toolkit.dataset.dataset import Dataset
from toolkit.dataset.layouts import load_dataset
from toolkit.dataset.samples import MaskFile
from toolkit.dataset.splits import find_duplicates
from toolkit.errors import ToolkitError

CATEGORY = (
    "train/good/000.png",
    "train/good/001.png",
    "test/good/000.png",
    "test/dent/000.png",
    "ground_truth/dent/000_mask.png",
)


def tree(root: Path, names: Iterable[str], under: str = "") -> Path:
    for name in names:
        path = root / under / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def keys(dataset: Dataset) -> list[str]:
    return [sample.key for sample in dataset]


def told(dataset: Dataset) -> list[tuple[str, str]]:
    """Layout problems as (path below the root, what is wrong)."""
    return [(Path(p.file).relative_to(dataset.root).as_posix(), p.problem) for p in dataset.layout_problems]


def test_a_dataset_root_holds_categories(tmp_path: Path) -> None:
    tree(tree(tmp_path, CATEGORY, "screw"), CATEGORY, "bolt")
    tree(tmp_path, ["license.txt", "docs/readme.md", ".cache/test/good/000.png"])
    dataset = load_dataset(tmp_path)
    assert dataset.categories == ["bolt", "screw"]
    assert keys(dataset)[:4] == [
        "bolt/test/dent/000",
        "bolt/test/good/000",
        "bolt/train/good/000",
        "bolt/train/good/001",
    ]
    assert len(dataset) == 8
    assert (dataset.layout, dataset.root, dataset.layout_problems) == ("mvtec", tmp_path, ())


def test_a_sample_says_what_its_place_says(tmp_path: Path) -> None:
    dent, good, *_ = load_dataset(tree(tmp_path, CATEGORY, "screw"))
    home = tmp_path / "screw"
    assert (dent.category, dent.split, dent.defect) == ("screw", "test", "dent")
    assert (dent.image, dent.masks) == (
        home / "test/dent/000.png",
        (MaskFile(home / "ground_truth/dent/000_mask.png"),),
    )
    assert (dent.kind, good.kind) == ("masks", "good")
    assert (good.defect, good.masks) == ("good", ())


@pytest.mark.parametrize("place", ["screw", "mvtec_anomaly_detection/screw", "mvtec ad/screw"])
def test_a_category_or_a_root_one_level_down_is_found(tmp_path: Path, place: str) -> None:
    dataset = load_dataset(tree(tmp_path, CATEGORY, place))
    assert keys(dataset)[0] == "screw/test/dent/000"
    assert keys(load_dataset(tmp_path / place)) == keys(dataset)


@pytest.mark.parametrize("root", [".", "../screw", Path()])
def test_a_category_is_named_by_its_folder_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str | Path
) -> None:
    tree(tmp_path, CATEGORY, "screw")
    monkeypatch.chdir(tmp_path / "screw")
    assert load_dataset(root).categories == ["screw"]


@pytest.mark.parametrize("gone", ["train", "ground_truth", "test/good"])
def test_a_category_may_lack_some_folders(tmp_path: Path, gone: str) -> None:
    names = [name for name in CATEGORY if not name.startswith(gone)]
    dataset = load_dataset(tree(tmp_path, names, "screw"))
    assert len(dataset) == sum(not name.startswith("ground_truth") for name in names)
    assert not dataset.layout_problems
    assert [sample.kind for sample in dataset if sample.key in dataset.unmasked] == ["class"] * (gone == "ground_truth")


@pytest.mark.parametrize(("folder", "split"), [("val", "val"), ("validation", "val"), ("train", "train")])
def test_other_subset_folders_are_read(tmp_path: Path, folder: str, split: str) -> None:
    dataset = load_dataset(tree(tmp_path, [*CATEGORY, f"{folder}/good/900.png"], "screw"))
    assert f"screw/{split}/good/900" in keys(dataset)


@pytest.mark.parametrize(
    "masks",
    [
        ["000_mask.png"],
        ["000.png"],
        ["000_mask.BMP"],
        ["000/000.png", "000/001.png"],
    ],
)
def test_masks_are_found_by_their_names(tmp_path: Path, masks: list[str]) -> None:
    names = [name for name in CATEGORY if not name.startswith("ground_truth")]
    tree(tmp_path, [*names, *(f"ground_truth/dent/{mask}" for mask in masks)], "screw")
    dataset = load_dataset(tmp_path)
    home = tmp_path / "screw/ground_truth/dent"
    assert sorted(mask.path for mask in dataset[0].masks) == sorted(home / mask for mask in masks)
    assert dataset.layout_problems == ()


@pytest.mark.parametrize(
    ("extra", "problems"),
    [
        (["ground_truth/dent/001_mask.png"], [("ground_truth/dent/001_mask.png", "a mask without an image")]),
        (
            ["ground_truth/dent/001/a.png", "ground_truth/dent/001/b.png"],
            [(f"ground_truth/dent/001/{name}.png", "a mask without an image") for name in "ab"],
        ),
        (["ground_truth/scratch/000_mask.png"], [("ground_truth/scratch/000_mask.png", "a mask without an image")]),
        (["test/dent/000.jpg"], [("test/dent/000.png", "has the same name as 000.jpg")]),
        (["train/good/001.JPG"], [("train/good/001.png", "has the same name as 001.JPG")]),
        (["ground_truth/good/000_mask.png"], [("ground_truth/good/000_mask.png", "the file is empty (0 bytes)")]),
        (["test/dent/notes.txt", "test/dent/.hidden.png"], []),
    ],
)
def test_faults_are_seen_in_the_names(tmp_path: Path, extra: list[str], problems: list[tuple[str, str]]) -> None:
    dataset = load_dataset(tree(tmp_path, [*CATEGORY, *extra], "screw") / "screw")
    assert told(dataset) == problems
    assert len(dataset) == 4
    assert all(problem.remedy for problem in dataset.layout_problems)


def test_an_image_without_a_mask_is_a_problem_of_those_who_need_one(tmp_path: Path) -> None:
    dataset = load_dataset(tree(tmp_path, [*CATEGORY, "test/dent/001.png"], "screw") / "screw")
    assert {key: (problem.problem, dataset[1].kind) for key, problem in dataset.unmasked.items()} == {
        "screw/test/dent/001": ("a defect image without a mask", "class")
    }
    assert dataset.unmasked["screw/test/dent/001"] in dataset.problems


@pytest.mark.parametrize(
    "name", ["scratch head", 'the "big" one', "it's", "a: b", "Kratzer größer", "傷", "<script>", "50%", "__x_", "a.b"]
)
def test_names_are_taken_as_they_are(tmp_path: Path, name: str) -> None:
    tree(tmp_path, [f"test/{name}/{name}.png", f"ground_truth/{name}/{name}_mask.png"], name)
    (sample,) = load_dataset(tmp_path)
    assert (sample.key, sample.category, sample.defect) == (f"{name}/test/{name}/{name}", name, name)
    assert sample.masks == (MaskFile(tmp_path / name / "ground_truth" / name / f"{name}_mask.png"),)


def test_images_of_every_ending_and_case_are_found(tmp_path: Path) -> None:
    endings = ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp"]
    names = [f"{number:03}.{end}" for number, end in enumerate([*endings, *map(str.upper, endings)])]
    dataset = load_dataset(tree(tmp_path, (f"train/good/{name}" for name in names), "screw"))
    assert [sample.image.name for sample in dataset] == names


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ([], "the folder is empty"),
        (["images/000.png", "labels/000.txt"], "unknown layout"),
        (["a/000.png", "b/000.png"], "unknown layout"),
        (["screw/test/good/notes.txt"], "holds no images"),
    ],
)
def test_a_root_without_a_dataset_is_refused(tmp_path: Path, names: list[str], problem: str) -> None:
    with pytest.raises(ToolkitError, match=problem) as caught:
        load_dataset(tree(tmp_path, names))
    assert str(tmp_path) in str(caught.value)
    assert caught.value.problems[0].remedy


def test_layouts_that_come_near_are_named_and_the_way_to_describe_ones_own(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=r"images-masks leaves 1 of the images over \(spare/c\.png\)") as caught:
        load_dataset(tree(tmp_path, ["images/a.png", "masks/a.png", "spare/c.png"]))
    assert "--image PATTERN --mask PATTERN" in caught.value.with_flags
    assert f"defectkit layouts --guess {tmp_path}" in str(caught.value)


@pytest.mark.parametrize(("marked", "faults"), [(0, []), (255, ["a mask of a good image marks something"])])
def test_the_mask_of_a_good_image_marks_nothing(tmp_path: Path, marked: int, faults: list[str]) -> None:
    tree(tmp_path, CATEGORY, "screw")
    save_png(tmp_path / "screw/ground_truth/good/000_mask.png", np.full((4, 6), marked, np.uint8))
    assert [problem.problem for problem in load_dataset(tmp_path).layout_problems] == faults


def test_an_image_that_has_no_place_is_named(tmp_path: Path) -> None:
    tree(tmp_path, [*CATEGORY, "spare/1.png", "test/loose.png"], "screw")
    (problem,) = load_dataset(tmp_path).layout_problems
    assert problem.problem == (
        "2 image file(s) have no place in the layout mvtec: screw/spare/1.png, screw/test/loose.png"
    )


def test_one_mask_for_two_images_is_that_of_neither(tmp_path: Path) -> None:
    tree(tmp_path, [*CATEGORY, "train/dent/000.png"], "screw")
    dataset = load_dataset(tmp_path)
    (problem,) = dataset.layout_problems
    assert problem.problem.startswith("one mask for 2 images, ")
    assert not [sample for sample in dataset if sample.defect == "dent"]


@pytest.mark.parametrize("word", ["ok", "OK", "Good", "normal", "defect-free"])
def test_the_good_images_may_be_called_otherwise(tmp_path: Path, word: str) -> None:
    names = [name.replace("/good/", f"/{word}/") for name in CATEGORY]
    dataset = load_dataset(tree(tmp_path, names, "screw"))
    assert {sample.key: sample.kind for sample in dataset if sample.defect == "good"} == {
        sample.key: "good" for sample in dataset if "/good/" in sample.key
    }
    assert not dataset.layout_problems


@pytest.mark.parametrize(("name", "problem"), [("gone", "no such folder"), ("file.zip", "not a folder")])
def test_a_root_that_is_no_folder_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    tree(tmp_path, ["file.zip"])
    with pytest.raises(ToolkitError, match=f"{name}: {problem}; "):
        load_dataset(tmp_path / name)


def test_published_counts_are_compared(tmp_path: Path) -> None:
    (note,) = load_dataset(tree(tree(tmp_path, CATEGORY, "screw"), CATEGORY, "bolt")).notes
    assert note.startswith("screw differs from the published MVTec AD: ")


def test_screw_is_read_as_published(mvtec_root: Path) -> None:
    dataset = load_dataset(mvtec_root / "screw")
    assert len(dataset) == 480
    assert len(dataset.classes("defect")) == 5
    assert (dataset.problems, dataset.notes) == ((), ())


def test_bottle_without_its_training_images_is_read_with_a_note(mvtec_root: Path) -> None:
    root = mvtec_root / "bottle"
    if (root / "train").exists():
        pytest.skip("this copy of bottle has its training images")
    dataset = load_dataset(root)
    assert dataset.problems == ()
    assert [note for note in dataset.notes if note.startswith("bottle differs from the published MVTec AD: ")]
    assert find_duplicates(dataset) == [["bottle/test/good/002", "bottle/test/good/008"]]
