"""The demo: everything there is, in one go, on the embedded product."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters import FORMATS, read_labels
from converters.demo import Demo, run_demo
from toolkit import ToolkitError, load_dataset
from toolkit.dataset.splits import read_split
from toolkit.imaging.images import read_image


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return run_demo(tmp_path_factory.mktemp("demo") / "out")


def test_it_ends_with_proof_in_every_format(demo: Demo) -> None:
    assert (demo.passed, demo.min_iou) == (True, 1.0)
    assert set(demo.manifests) == set(FORMATS)
    for kind in FORMATS:
        assert read_labels(demo.labels / kind).kind == kind


def test_its_parts_fit_together(demo: Demo) -> None:
    dataset = load_dataset(demo.dataset)
    split = read_split(demo.split, dataset)
    assert set(split) == {sample.key for sample in dataset}
    assert {sample.key: sample.split for sample in read_labels(demo.labels / "coco").samples} == split


def test_its_overlay_can_be_looked_at(demo: Demo) -> None:
    height, width, channels = read_image(demo.overlay).shape
    assert (min(height, width) > 256, channels) == (True, 3)


def test_it_leaves_alone_what_is_not_its_own(demo: Demo, tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match="is not empty; choose another folder, or add overwrite=True"):
        run_demo(demo.labels.parent)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ToolkitError, match="is not empty; choose another folder"):
        run_demo(tmp_path, overwrite=True)
    with pytest.raises(ToolkitError, match="is a file"):
        run_demo(tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "mine"
