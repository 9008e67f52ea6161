"""What `diff` says of two versions of a dataset, of a label tree, of a split."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from converters import DiffReport, convert, diff, read_labels
from tests.commands import defectkit, make_dataset, picture, save, stain
from toolkit import load_dataset, split_dataset, write_split
from toolkit.errors import BadInputError, ToolkitError


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "before")


@pytest.fixture
def after(before: Path, tmp_path: Path) -> Path:
    shutil.copytree(before, tmp_path / "after")
    return tmp_path / "after"


def mask(root: Path, name: str = "dent/000") -> Path:
    return root / f"part/ground_truth/{name}_mask.png"


def empty_but(report: DiffReport, *names: str) -> bool:
    lists = {
        *("came", "went", "renamed", "moved", "classes_came", "classes_went"),
        *("reclassed", "labels", "pictures"),
    }
    return {name for name in lists if getattr(report, name)} == set(names)


def test_the_same_is_equal(before: Path, after: Path) -> None:
    report = diff(before, after)
    assert report.equal
    assert empty_but(report)
    assert diff(load_dataset(before), before).equal


def test_images_come_and_go(before: Path, after: Path) -> None:
    (after / "part/train/good/000.png").unlink()
    save(after / "part/train/good/100.png", picture(77))
    report = diff(before, after)
    assert (report.went, report.came) == (("part/train/good/000",), ("part/train/good/100",))
    assert empty_but(report, "went", "came")
    assert not report.equal


def test_a_renamed_image_is_told_from_a_new_one(before: Path, after: Path) -> None:
    (after / "part/train/good/000.png").rename(after / "part/test/good/100.png")
    report = diff(before, after)
    assert report.renamed == (("part/train/good/000", "part/test/good/100"),)
    assert report.moved == (("part/test/good/100", "train", "test"),)
    assert empty_but(report, "renamed", "moved")


def test_a_renamed_defect_keeps_its_label_changes(before: Path, after: Path) -> None:
    (after / "part/test/dent/000.png").rename(after / "part/test/dent/100.png")
    mask(after).rename(mask(after, "dent/100"))
    assert empty_but(diff(before, after), "renamed")
    pixels = cv2.imread(str(mask(after, "dent/100")), cv2.IMREAD_UNCHANGED)
    pixels[-1, -1] = 255
    cv2.imwrite(str(mask(after, "dent/100")), pixels)
    report = diff(before, after)
    assert [one.key for one in report.labels] == ["part/test/dent/100"]


def test_another_class_is_named(before: Path, after: Path) -> None:
    (after / "part/test/bump").mkdir()
    (after / "part/ground_truth/bump").mkdir()
    (after / "part/test/dent/000.png").rename(after / "part/test/bump/000.png")
    mask(after).rename(mask(after, "bump/000"))
    report = diff(before, after)
    assert report.classes_came == ("bump",)
    assert report.reclassed == (("part/test/bump/000", "dent", "bump"),)
    (change,) = report.labels
    assert change.iou == 1.0
    assert change.before.keys() == {"dent"}
    assert change.after.keys() == {"bump"}
    assert empty_but(report, "renamed", "classes_came", "reclassed", "labels")


@pytest.mark.parametrize("pixels", [1, 20])
def test_changed_masks_are_measured(before: Path, after: Path, pixels: int) -> None:
    was = cv2.imread(str(mask(before)), cv2.IMREAD_UNCHANGED)
    now = was.copy()
    free = np.argwhere(was == 0)[-pixels:]
    now[tuple(free.T)] = 255
    cv2.imwrite(str(mask(after)), now)
    (change,) = diff(before, after).labels
    size = int((was > 0).sum())
    assert change.key == "part/test/dent/000"
    assert change.iou == pytest.approx(size / (size + pixels))
    assert sum(change.after.values()) >= sum(change.before.values())


def test_other_bytes_of_an_image_are_seen(before: Path, after: Path) -> None:
    save(after / "part/test/dent/001.png", picture(99))
    report = diff(before, after)
    assert report.pictures == ("part/test/dent/001",)
    assert empty_but(report, "pictures")


def test_an_image_of_another_size_has_no_iou(before: Path, after: Path) -> None:
    for path in (after / "part/test/dent/000.png", mask(after)):
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), np.repeat(pixels, 2, axis=0))
    report = diff(before, after)
    assert [one.iou for one in report.labels] == [None]
    assert report.pictures == ("part/test/dent/000",)


@pytest.mark.parametrize("to", ["coco", "yolo-segment", "masks", "semantic"])
def test_a_tree_says_what_its_masks_say(before: Path, tmp_path: Path, to: str) -> None:
    convert(before, tmp_path / "out", to)
    report = diff(before, tmp_path / "out" / to)
    assert not report.labels
    assert not report.reclassed
    assert not report.came + report.went
    assert diff(tmp_path / "out" / to, read_labels(tmp_path / "out" / to)).equal


def test_boxes_are_compared_as_boxes(before: Path, after: Path, tmp_path: Path) -> None:
    convert(before, tmp_path / "one", "yolo-detect", split=split_dataset(load_dataset(before), "stratified", val=0))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert diff(tmp_path / "one", tmp_path / "two").equal
    (label,) = (tmp_path / "two").rglob("part__test__dent__000.txt")
    first, *rest = label.read_text().splitlines()
    number, x, *others = first.split()
    label.write_text("\n".join([" ".join([number, f"{float(x) - 0.05:.6f}", *others]), *rest]) + "\n")
    report = diff(tmp_path / "one", tmp_path / "two")
    assert [one.key for one in report.labels] == ["part/test/dent/000"]
    assert 0 < (report.labels[0].iou or 0) < 1
    assert any("boxes" in note for note in diff(before, tmp_path / "one").notes)


def test_trees_without_images_say_that_these_were_not_compared(before: Path, tmp_path: Path) -> None:
    convert(before, tmp_path / "out", "coco", images="none")
    report = diff(before, tmp_path / "out")
    assert any("were not compared" in note for note in report.notes)
    assert report.equal


def test_splits_are_compared(before: Path, tmp_path: Path) -> None:
    data = load_dataset(before)
    one, two = (split_dataset(data, "stratified", val=0, test=0.4, seed=seed) for seed in (0, 1))
    write_split(one, tmp_path / "one.csv")
    write_split(two, tmp_path / "two.csv")
    report = diff(tmp_path / "one.csv", tmp_path / "two.csv")
    assert report.moved == tuple((key, one[key], two[key]) for key in one if one[key] != two[key])
    assert report.moved
    assert diff(one, tmp_path / "one.csv").equal
    fewer = {key: subset for key, subset in one.items() if "dent" not in key} | {"new": "val"}
    write_split({**fewer, "part/train/good/000": "none"}, tmp_path / "three.csv")
    report = diff(tmp_path / "one.csv", tmp_path / "three.csv")
    assert report.came == ("new",)
    assert report.went == ("part/test/dent/000", "part/test/dent/001")
    assert report.moved == (("part/train/good/000", one["part/train/good/000"], "none"),)


def test_the_command_prints_a_table_or_json_and_tells_by_its_status(before: Path, after: Path) -> None:
    same = defectkit("diff", before, after)
    assert (same.status, same.err) == (0, "")
    assert "nothing differs" in same.out
    for number in range(30, 60):
        save(after / f"part/train/good/{number:03}.png", picture(number))
    outcome = defectkit("diff", before, after)
    assert outcome.status == 1
    assert "images that came: 30" in outcome.out
    assert outcome.out.count("part/train/good/") == 20
    assert "10 more, which --json lists" in outcome.out
    told = defectkit("diff", before, after, "--json")
    assert told.status == 1
    found = told.json()
    assert len(found["came"]) == 30
    assert found["equal"] is False
    assert found["images"] == [9, 39]


REFUSED: dict[str, Callable[[Path, Path], tuple[Path, Path]]] = {
    "nothing there": lambda data, folder: (data, folder / "gone"),
    "no such split": lambda data, folder: (folder / "gone.csv", folder / "gone.csv"),
    "a split and a dataset": lambda data, folder: (data, folder / "split.csv"),
    "a split and nothing": lambda data, folder: (folder / "gone", folder / "split.csv"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_compared_is_refused(before: Path, tmp_path: Path, case: str) -> None:
    write_split(split_dataset(load_dataset(before)), tmp_path / "split.csv")
    one, two = REFUSED[case](before, tmp_path)
    with pytest.raises(ToolkitError):
        diff(one, two)
    outcome = defectkit("diff", one, two)
    assert (outcome.status, outcome.out, len(outcome.errors)) == (2, "", 1)


def test_faulty_files_are_all_named(before: Path, after: Path) -> None:
    for name in ("dent/000", "scratch/001"):
        mask(after, name).write_bytes(b"")
    with pytest.raises(BadInputError) as caught:
        diff(before, after)
    assert len(caught.value.problems) == 2
    (after / "part/ground_truth/scratch/900_mask.png").write_bytes(mask(before).read_bytes())
    with pytest.raises(BadInputError, match="without an image"):
        diff(before, after)


def described(root: Path) -> tuple[Path, dict[str, str]]:
    """A folder that only a description tells, and that description."""
    for number in range(2):
        save(root / f"shots/{number}.png", picture(number))
        save(root / f"truth/{number}.png", stain(number))
    return root, {"images": "shots/{name}.png", "mask": "truth/{name}.png"}


@pytest.mark.parametrize("tree", ["out", "out/coco", "out/coco/annotations/instances_train.json", "foreign"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_layout_is_that_of_the_side_that_is_no_label_tree(tmp_path: Path, tree: str, turned: bool) -> None:
    root, layout = described(tmp_path / "own")
    convert(load_dataset(root, layout), tmp_path / "out", "coco")
    if tree == "foreign":
        shutil.copytree(tmp_path / "out/coco", tmp_path / "foreign")
        (tmp_path / "foreign/manifest.json").unlink()
    sides = [root, tmp_path / tree][:: -1 if turned else 1]
    report = diff(*sides, layout=layout)
    assert (report.images, empty_but(report)) == ((2, 2), True)
    words = ("--image", layout["images"], "--mask", layout["mask"])
    assert defectkit("diff", *sides, *words).status == 0
    with pytest.raises(ToolkitError):
        diff(*sides)


def test_a_layout_of_two_label_trees_is_refused(tmp_path: Path) -> None:
    root, layout = described(tmp_path / "own")
    convert(load_dataset(root, layout), tmp_path / "out", "coco")
    done = defectkit("diff", tmp_path / "out", tmp_path / "out/coco", "--layout", "images-masks")
    assert (done.status, len(done.errors)) == (2, 1)
    assert "--layout: stands beside two label trees" in done.err


def test_a_layout_that_fits_neither_is_an_error(tmp_path: Path) -> None:
    root, layout = described(tmp_path / "own")
    with pytest.raises(ToolkitError, match="has no image that the layout names"):
        diff(root, root, layout={**layout, "images": "none/{name}.png"})
