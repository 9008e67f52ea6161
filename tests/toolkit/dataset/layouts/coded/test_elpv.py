"""ELPV's list of probabilities."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toolkit.dataset.layouts.stand_ins import IMAGE, Tree, facts, plant, told
from toolkit.dataset.layouts import load_dataset

IMAGES: Tree = {f"images/cell000{number}.png": IMAGE for number in range(1, 5)}
LINES = [
    "images/cell0001.png  1.0                 mono",
    "images/cell0002.png  0.0                 poly",
    "images/cell0003.png  0.3333333333333333  mono",
    "images/cell0004.png  0.6666666666666666  mono",
]


@pytest.mark.parametrize("name", ["labels.csv", "labels.txt"])
def test_each_probability_is_a_class_and_each_kind_of_module_a_product(tmp_path: Path, name: str) -> None:
    dataset = load_dataset(plant(tmp_path, {name: "\n".join(LINES), **IMAGES}))
    assert (dataset.layout, dataset.categories, told(dataset)) == ("elpv", ["mono", "poly"], [])
    assert facts(dataset) == {
        "mono/defective/cell0001": (("defective",), "train", "class"),
        "mono/defective_33/cell0003": (("defective_33",), "train", "class"),
        "mono/defective_67/cell0004": (("defective_67",), "train", "class"),
        "poly/good/cell0002": ((), "train", "good"),
    }
    assert dataset.holds == "class"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (LINES[:3], "labels.csv: says nothing usable of 1 image(s): images/cell0004.png"),
        ([*LINES, "images/cell0009.png 1.0 mono"], "labels.csv: line 5 names images/cell0009.png, which is not there"),
        ([*LINES, LINES[0]], "labels.csv: line 5 names images/cell0001.png for the second time"),
        ([*LINES, "cell"], "labels.csv: line 5 is not a path, a probability of 0, 1/3, 2/3 or 1, and a word ('cell')"),
        (
            [*LINES[:3], "images/cell0004.png 0.5 mono"],
            "labels.csv: line 4 is not a path, a probability of 0, 1/3, 2/3 or 1, and a word"
            " ('images/cell0004.png 0.5 mono')",
        ),
    ],
)
def test_what_is_wrong_with_a_list_is_named(tmp_path: Path, lines: list[str], problem: str) -> None:
    assert problem in told(load_dataset(plant(tmp_path, {"labels.csv": "\n".join(lines), **IMAGES})))
