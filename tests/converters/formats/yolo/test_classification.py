"""Classification trees: a folder for each class, and a table that says the same."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from converters import FORMATS, convert, read_labels, write_labels
from converters.formats.base import Reading
from converters.formats.registry import find_format
from converters.sources import open_source
from tests.converters.support import make_dataset, save_png
from tests.masks import SHAPES
from toolkit import Dataset, ToolkitError
from toolkit.dataset.keys import file_name
from toolkit.dataset.splits import Split
from toolkit.geometry.labels import LabelledImage


def test_every_image_lies_in_the_folder_of_its_class(trees: Path, product: Dataset, product_split: Split) -> None:
    expected = {f"{product_split[s.key]}/{s.defect}/{file_name(s.key)}.png" for s in product}
    tree = trees / "yolo-classify"
    assert {path.relative_to(tree).as_posix() for path in tree.rglob("*.png")} == expected


def test_the_table_says_the_same(trees: Path, product: Dataset, product_split: Split) -> None:
    with open(trees / "yolo-classify/labels.csv", encoding="utf-8", newline="") as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert rows == [(f"{file_name(s.key)}.png", product_split[s.key], s.defect, "128", "128") for s in product]


@pytest.mark.parametrize("images", ["none", "copy"])
def test_a_tree_reads_back(product: Dataset, product_split: Split, tmp_path: Path, images: str) -> None:
    convert(product, tmp_path, ["yolo-classify"], split=product_split, images=images)  # type: ignore[arg-type]
    tree = read_labels(tmp_path)
    assert tree.kind == "yolo-classify"
    assert tree.classes() == product.classes()
    assert [(s.key, s.defect, s.split) for s in tree.samples] == [
        (s.key, s.defect, product_split[s.key]) for s in product
    ]


def test_another_tools_tree_of_folders_is_read(product: Dataset, trees: Path, tmp_path: Path) -> None:
    for path in (trees / "yolo-classify").rglob("*.png"):
        target = tmp_path / "foreign" / path.relative_to(trees / "yolo-classify")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_suffix(".PNG").write_bytes(path.read_bytes())
    tree = read_labels(tmp_path / "foreign")
    assert (tree.kind, len(tree), tree.classes()) == ("yolo-classify", len(product), product.classes())
    convert(tree, tmp_path / "again", ["yolo-classify"])
    assert [(s.defect, s.split) for s in read_labels(tmp_path / "again").samples] == [
        (s.defect, s.split) for s in tree.samples
    ]


def test_a_folder_of_classes_can_be_the_input_by_its_path(tmp_path: Path) -> None:
    for place in ("train/dent", "train/rust", "test/dent", "test/rust"):
        save_png(tmp_path / "in" / place / f"{place.replace('/', '-')}.png", np.full((8, 8), 90))
    report = convert(tmp_path / "in", tmp_path / "out", ["yolo-classify"])
    counts = report.manifests["yolo-classify"]["subsets"]
    assert {name: of["images"] for name, of in counts.items()} == {"train": 2, "test": 2}


@pytest.mark.parametrize("kind", [name for name in FORMATS if name != "yolo-classify"])
def test_it_cannot_become_a_format_that_says_where(trees: Path, tmp_path: Path, kind: str) -> None:
    with pytest.raises(ToolkitError, match=r'say nothing of where defects are: no .*; use formats="yolo-classify"'):
        convert(trees / "yolo-classify", tmp_path / "out", [kind])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("label", [".", "..", "a/b", "a\\b"])
def test_a_class_that_cannot_name_a_folder_is_refused(tmp_path: Path, label: str) -> None:
    image = LabelledImage("photo", None, 9, 9, (), "train", label)
    with pytest.raises(ToolkitError, match="cannot be a folder's name"):
        write_labels([image], tmp_path / "out", ["yolo-classify"], classes=[label], image_mode="none")
    assert not (tmp_path / "out").exists()


def test_schemes_name_the_folders(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset", {"scratch": [SHAPES["disk"]]}, good=1)
    found = {}
    for scheme in ("defect", "binary", "category", "category-defect"):
        convert(dataset, tmp_path / scheme, ["yolo-classify"], classes=scheme)
        found[scheme] = {path.parent.name for path in (tmp_path / scheme).rglob("*.png")}
    assert found == {
        "defect": {"good", "scratch"},
        "binary": {"good", "defect"},
        "category": {"part"},
        "category-defect": {"part-good", "part-scratch"},
    }


def test_classification_folders_may_repeat_names(tmp_path: Path) -> None:
    for label in ("good", "dent"):
        save_png(tmp_path / "train" / label / "000.png", np.zeros((8, 8)))
    tree = read_labels(tmp_path)
    assert [(sample.key, sample.defect) for sample in tree.samples] == [
        ("train/dent/000", "dent"),
        ("train/good/000", "good"),
    ]


@pytest.mark.parametrize("good", ["good", "Good", "ok", "OK", "Normal", "no-defect"])
def test_good_images_go_by_several_words(tmp_path: Path, good: str) -> None:
    for subset in ("Train", "VALID"):
        for label in (good, "Scratch"):
            save_png(tmp_path / "parts" / subset / label / f"{subset}-{label}.PNG", np.zeros((8, 8)))
    tree = find_format("yolo-classify").index(tmp_path / "parts", Reading())
    assert tree.classes() == ["Scratch"]
    assert sorted((sample.split, sample.defect) for sample in tree.samples) == [
        ("train", "Scratch"),
        ("train", "good"),
        ("val", "Scratch"),
        ("val", "good"),
    ]


def test_classes_without_good_images_are_recognised_in_either_letter_case(tmp_path: Path) -> None:
    for place in ("Train/dent", "Train/rust", "Valid/dent"):
        save_png(tmp_path / place / f"{place.replace('/', '-')}.png", np.zeros((8, 8)))
    source = open_source(tmp_path)
    assert (source.layout, source.classes()) == ("yolo-classify", ["dent", "rust"])


def test_images_in_no_folder_of_a_class_are_named(tmp_path: Path) -> None:
    for place in ("train/dent/a.png", "train/rust/b.png", "train/c.png", "spare/dent/d.png"):
        save_png(tmp_path / place, np.zeros((8, 8)))
    tree = find_format("yolo-classify").index(tmp_path, Reading())
    assert len(tree) == 2
    assert tree.notes[1:] == (
        f"1 image(s) in {tmp_path}/spare/dent are in no folder of a class: not read",
        f"1 image(s) in {tmp_path}/train are in no folder of a class: not read",
    )


@pytest.mark.parametrize("part", ["masks", "images", "Labels"])
def test_folders_of_images_and_masks_are_no_classes(tmp_path: Path, part: str) -> None:
    for place in ("train/pictures/a.png", f"train/{part}/a.png"):
        save_png(tmp_path / place, np.zeros((8, 8)))
    assert not find_format("yolo-classify").suspect(tmp_path)
