"""CrackForest's masks in MATLAB files."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.toolkit.dataset.layouts.stand_ins import IMAGE, facts, marked, plant, told
from toolkit.dataset.inspection import read_sample
from toolkit.dataset.layouts import load_dataset
from toolkit.errors import ToolkitError

CRACK = np.where(marked(1) > 0, 2, 1).astype(np.uint16)


def grow(root: Path, **masks: npt.NDArray[np.uint16]) -> Path:
    scipy_io = pytest.importorskip("scipy.io")
    plant(root, {f"image/{name}.jpg": IMAGE for name in ("a", "b")})
    (root / "groundTruth").mkdir()
    for name, values in {"a": CRACK, "b": np.ones((4, 6), np.uint16), **masks}.items():
        scipy_io.savemat(root / f"groundTruth/{name}.mat", {"groundTruth": {"Segmentation": values, "Boundaries": 0}})
    return root


def test_a_crack_is_where_the_segmentation_is_2(tmp_path: Path) -> None:
    dataset = load_dataset(grow(tmp_path))
    assert (dataset.layout, told(dataset)) == ("crackforest", [])
    assert facts(dataset) == {"a": (("crack",), "train", "masks"), "b": ((), "train", "good")}
    np.testing.assert_array_equal(read_sample(dataset[0]).masks["crack"].pixels() > 0, CRACK == 2)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.where(CRACK == 2, 3, 1), "holds values other than 1, background, and 2, crack (3)"),
        (CRACK.T, "is 4 x 6 pixels, its image"),
    ],
)
def test_a_mask_that_says_something_else_is_named(tmp_path: Path, values: npt.NDArray[np.uint16], problem: str) -> None:
    dataset = load_dataset(grow(tmp_path, a=values.astype(np.uint16)))
    assert [problem in line and "a.mat" in line for line in told(dataset)] == [True]
    assert list(facts(dataset)) == ["b"]


def test_what_has_no_counterpart_is_named(tmp_path: Path) -> None:
    grow(tmp_path, c=CRACK)
    (tmp_path / "groundTruth/b.mat").write_bytes(b"no MATLAB file")
    (tmp_path / "groundTruth/a.mat").unlink()
    found = told(load_dataset(tmp_path))
    assert [line.split(" (")[0] for line in found] == [
        "groundTruth/b.mat: cannot be read as a MATLAB file with groundTruth.Segmentation",
        "groundTruth/c.mat: a mask without an image",
        "image/a.jpg: an image without a mask",
    ]


def test_without_scipy_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(tmp_path)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ToolkitError, match=r"take scipy to read; pip install 'defectkit\[train\]'"):
        load_dataset(tmp_path)
