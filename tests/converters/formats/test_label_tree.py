"""Label trees of any format: names of subsets, keys of images."""

from __future__ import annotations

import pytest

from converters.formats.label_tree import assign_keys, subset_of_name


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
