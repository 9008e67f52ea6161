"""What the values of masks are named: 0 and black may be classes, and no name is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.toolkit.dataset.layouts.stand_ins import IMAGE, Tree, marked, plant
from toolkit.dataset.layouts import load_dataset
from toolkit.errors import ToolkitError
from toolkit.imaging.masks import read_mask

PAIR = {"image": "images/{name}.png", "mask": "masks/{name}.png"}
MASK = marked(1)
MASK[0, 0] = 2
COLOURED = np.stack([marked(0), marked(255), marked(0)], axis=2)


def areas(root: Path, **layout: Any) -> dict[str, int]:
    """Class -> marked pixels of the one image."""
    (sample,) = load_dataset(root, **layout)
    return {
        mask.label: int((read_mask(mask.path, mask.threshold, mask.values, mask.reading).pixels() > 0).sum())
        for mask in sample.masks
    }


@pytest.mark.parametrize(
    ("mask", "values", "expected"),
    [
        (MASK, "0=glue,1=scratch,2=dent", {"glue": 19, "scratch": 4, "dent": 1}),
        (marked(255), "0=glue,255=bg", {"glue": 20}),
        (np.ones((4, 6), np.uint8), "0=glue,1=scratch", {"scratch": 24}),
        (np.zeros((4, 6), np.uint8), "0=glue,1=scratch", {"glue": 24}),
        (MASK, "0=background,1=scratch,2=dent", {"scratch": 4, "dent": 1}),
        (MASK, "0=_background_,1=scratch,2=dent", {"scratch": 4, "dent": 1}),
        (MASK, "0=OK,1=scratch,2=dent", {"scratch": 4, "dent": 1}),
        (COLOURED, "#000000=glue,#00ff00=scratch", {"glue": 20, "scratch": 4}),
        (COLOURED, "#000000=void,#00ff00=scratch", {"scratch": 4}),
        (MASK.astype(np.uint16), "0=glue,1=scratch,2=dent", {"glue": 19, "scratch": 4, "dent": 1}),
    ],
)  # fmt: skip
def test_zero_is_a_class_where_it_is_named_as_one(
    tmp_path: Path, mask: Any, values: str, expected: dict[str, int]
) -> None:
    root = plant(tmp_path, {"images/a.png": IMAGE, "masks/a.png": mask})
    assert areas(root, **PAIR, values=values) == expected


def test_zero_is_a_class_in_a_description_and_in_a_file_of_values(tmp_path: Path) -> None:
    root = plant(tmp_path / "a", {"images/a.png": IMAGE, "masks/a.png": marked(1)})
    pair = {"images": PAIR["image"], "mask": PAIR["mask"]}
    assert areas(root, layout={**pair, "values": {0: "b", 1: "c"}}) == {"b": 20, "c": 4}
    assert areas(root, layout={**pair, "values": "ids", "names": {0: "b"}}) == {"b": 20, "class_1": 4}
    tree: Tree = {
        "train/a.jpg": IMAGE,
        "train/a_mask.png": marked(1),
        "train/_classes.csv": "Pixel Value, Class\n0, scratch\n1, dent\n",
    }
    assert areas(plant(tmp_path / "b", tree)) == {"scratch": 20, "dent": 4}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ("255=a,255=b", "255 is named twice"),
        ("1=a,01=b", "01 is named twice"),
        ("#FF0000=a,#ff0000=b", "#ff0000 is named twice"),
        ("1=a,#ff0000=b", "numbers and colours side by side"),
        ("1=" + "a" * 201, "a class name of more than 200 bytes"),
        ("1=" + "ä" * 101, "a class name of more than 200 bytes"),
    ],
)
def test_values_that_contradict_each_other_are_refused(tmp_path: Path, values: str, problem: str) -> None:
    root = plant(tmp_path, {"images/a.png": IMAGE, "masks/a.png": 255})
    with pytest.raises(ToolkitError, match=problem):
        load_dataset(root, **PAIR, values=values)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"values": {1: "a", "1": "b"}}, "1 is named twice"),
        ({"values": {"x": "a"}}, "'x' is no value of a mask"),
        ({"values": {1: "a" * 201}}, "more than 200 bytes"),
        ({"class": "a" * 201}, "more than 200 bytes"),
        ({"class": "\ud800"}, "is no text"),
        ({"values": "ids", "names": {1: "a" * 201}}, "more than 200 bytes"),
    ],
)
def test_a_description_with_such_values_is_refused(tmp_path: Path, keys: dict[str, Any], problem: str) -> None:
    root = plant(tmp_path, {"images/a.png": IMAGE, "masks/a.png": 255})
    with pytest.raises(ToolkitError, match=problem):
        load_dataset(root, layout={"images": PAIR["image"], "mask": PAIR["mask"], **keys})
