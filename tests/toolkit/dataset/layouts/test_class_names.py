"""A file of class names beside masks: their values are classes by it, or it is asked which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.toolkit.dataset.layouts.stand_ins import IMAGE, Tree, plant
from toolkit.dataset.layouts import load_dataset


def pairs(*values: int, **files: str) -> Tree:
    images: Tree = {f"images/{number}.png": IMAGE for number in range(len(values))}
    masks: Tree = {f"masks/{number}.png": value for number, value in enumerate(values)}
    return {
        **images,
        **masks,
        **{name.replace("__", "/").replace("_txt", ".txt"): text for name, text in files.items()},
    }


def labels(root: Path, **how: Any) -> list[tuple[str, ...]]:
    return [sample.labels for sample in load_dataset(root, **how)]


WITH_BACKGROUND = "background\nscratch\ndent\n"
FOUND = {
    "one value": ((2,), WITH_BACKGROUND, [("dent",)]),
    "the value 1": ((1,), WITH_BACKGROUND, [("scratch",)]),
    "several": ((1, 2, 0), WITH_BACKGROUND, [("scratch",), ("dent",), ()]),
    "from 1": ((1, 2), "scratch\ndent", [("scratch",), ("dent",)]),
    "one class": ((1,), "scratch", [("scratch",)]),
    "numbered": ((7, 3), "3: scratch\n7: dent\n", [("dent",), ("scratch",)]),
    "a table": ((7, 3), "Pixel Value, Class\n0, background\n3, scratch\n7, big dent\n", [("big dent",), ("scratch",)]),
    "binary": ((255, 255), WITH_BACKGROUND, [("defect",), ("defect",)]),
    "a remark": ((2,), "# ids\n" + WITH_BACKGROUND, [("dent",)]),
    "a list of images": ((1,), "0.png\n1.png\n", [("defect",)]),
    "other text": ((1,), "see the file = here, and there\n", [("defect",)]),
}


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("told", [False, True])
def test_names_beside_masks_are_those_of_their_values(tmp_path: Path, name: str, told: bool) -> None:
    values, text, found = FOUND[name]
    root = plant(tmp_path, pairs(*values, classes_txt=text))
    how = {"image": "images/{name}.png", "mask": "masks/{name}.png"} if told else {}
    assert labels(root, **how) == found
    said = any(
        "values in masks are classes as classes.txt names them" in one for one in load_dataset(root, **how).notes
    )
    assert said == (found[0] != ("defect",))


def test_names_may_stand_beside_the_masks_themselves(tmp_path: Path) -> None:
    assert labels(plant(tmp_path, pairs(2, masks__labels_txt=WITH_BACKGROUND))) == [("dent",)]


@pytest.mark.parametrize(
    ("values", "text", "offered"),
    [
        ((1,), "scratch\ndent", "--values '1=dent' or --values '1=scratch,2=dent'"),
        ((3,), "scratch\ndent", "--values '1=NAME,2=NAME', or --values nonzero"),
        ((9,), "1: scratch", "--values nonzero"),
    ],
)
def test_names_that_do_not_tell_are_refused(tmp_path: Path, values: tuple[int], text: str, offered: str) -> None:
    root = plant(tmp_path, pairs(*values, classes_txt=text))
    (problem,) = load_dataset(root).layout_problems
    assert "does not tell which of them" in problem.problem
    assert offered in problem.remedy
    assert labels(root, values="1=rust,3=rust,9=rust") == [("rust",)]


def test_a_single_value_may_be_a_class(tmp_path: Path) -> None:
    (problem,) = load_dataset(plant(tmp_path, pairs(2))).problems
    assert (
        problem.remedy == "say with --values nonzero that 2 marks the defect, or with --values ids that it is a class"
    )
