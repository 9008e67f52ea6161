"""Label trees of any format: names of subsets, keys of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters import read_labels, write_labels
from converters.formats.label_tree import assign_keys, subset_of_name
from tests.converters.support import label_mask
from tests.masks import SHAPES
from toolkit import ToolkitError


@pytest.mark.parametrize(
    ("name", "subset"),
    [
        ("train", "train"),
        ("Train2017", "train"),
        ("training", "train"),
        ("train_images", "train"),
        ("images-train", "train"),
        ("trainImages", "train"),
        ("instances_train", "train"),
        ("part_train", "train"),
        ("train_v2", "train"),
        ("valid", "val"),
        ("val", "val"),
        ("validation", "val"),
        ("instances_val2017", "val"),
        ("test", "test"),
        ("testing", "test"),
        ("test2017", "test"),
        ("TEST SET", "test"),
        ("x", None),
        ("", None),
        ("2017", None),
        ("valve", None),
        ("instances_valve", None),
        ("instances_bolt", None),
        ("trains", None),
        ("trainer", None),
        ("testpiece", None),
        ("test piece", None),
        ("instances_test_piece", None),
        ("latest", None),
        ("default", None),
        ("instances_default", None),
        ("_annotations.coco", None),
    ],
)
def test_names_of_subsets(name: str, subset: str | None) -> None:
    assert subset_of_name(name) == subset


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        ([("train", "x/a", ".png"), ("val", "b", ".png")], ["a", "b"]),
        ([("train", "a", ".png"), ("val", "a", ".jpg")], ["train/a", "val/a"]),
        ([("train", "x/a", ".png"), ("train", "y/a", ".png")], ["train/x/a", "train/y/a"]),
        ([("train", "a", ".png"), ("train", "a", ".jpg"), ("train", "b", ".jpg")], ["a.png", "a.jpg", "b"]),
        (
            [("train", "a", ".png"), ("train", "a", ".jpg"), ("train", "b", ".jpg"), ("val", "b", ".jpg")],
            ["train/a.png", "train/a.jpg", "train/b", "val/b"],
        ),
    ],
)
def test_keys_are_as_short_as_tells_images_apart(names: list[tuple[str, str, str]], keys: list[str]) -> None:
    assert assign_keys(names, ours=False) == keys


def test_keys_of_ours_stand_in_their_names() -> None:
    assert assign_keys([("train", "screw__test__good__000", ".png")], ours=True) == ["screw/test/good/000"]


@pytest.mark.parametrize("column", ["name", "subset", "class"])
@pytest.mark.parametrize("value", ["../../secret.png", "/etc/secret.png", "..", ".", "", "a/b.png"])
@pytest.mark.parametrize("form", ["yolo-classify", "yolo-detect"])
def test_tables_name_nothing_outside_of_their_tree(form: str, value: str, column: str, tmp_path: Path) -> None:
    write_labels([label_mask("a", SHAPES["disk"])], tmp_path, [form], classes=["defect"], image_mode="none")
    table = tmp_path / form / ("labels.csv" if form == "yolo-classify" else "images.csv")
    header, row = table.read_text().splitlines()
    if column not in header.split(","):
        pytest.skip("has no such column")
    cells = [value if name == column else cell for name, cell in zip(header.split(","), row.split(","), strict=True)]
    table.write_text(f"{header}\n{','.join(cells)}\n")
    with pytest.raises(ToolkitError, match="should be the name of a file or folder"):
        list(read_labels(tmp_path / form))


@pytest.mark.parametrize("size", ["1000001,2", "40000,40000", "0,5", "1000000000,1000000000"])
def test_sizes_in_tables_are_bounded(size: str, tmp_path: Path) -> None:
    write_labels([label_mask("a", SHAPES["disk"])], tmp_path, ["yolo-segment"], classes=["defect"], image_mode="none")
    table = tmp_path / "yolo-segment/images.csv"
    header, row = table.read_text().splitlines()
    table.write_text(f"{header}\n{row.rsplit(',', 2)[0]},{size}\n")
    with pytest.raises(ToolkitError, match=r"by its labels, and no such image is read|width: should be"):
        list(read_labels(tmp_path / "yolo-segment"))
