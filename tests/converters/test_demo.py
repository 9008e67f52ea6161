"""The demo: everything there is, in one go, on the embedded product."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from converters import FORMATS, read_labels
from converters.demo import Demo, run_demo
from tests.commands import Outcome, defectkit
from toolkit import ToolkitError, load_dataset
from toolkit.dataset.splits import read_split
from toolkit.imaging.images import read_image


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return defectkit("demo", tmp_path_factory.mktemp("demo") / "out", "--json")


def test_it_ends_with_proof_in_every_format(demo: Outcome) -> None:
    assert (demo.status, demo.err) == (0, "")
    told = demo.json()
    assert (told["passed"], told["min_iou"]) == (True, 1.0)
    labels = Path(told["labels"])
    assert sorted(path.name for path in labels.iterdir()) == sorted(FORMATS)
    for kind in FORMATS:
        assert read_labels(labels / kind).kind == kind


def test_its_parts_fit_together(demo: Outcome) -> None:
    told = demo.json()
    dataset = load_dataset(told["dataset"])
    split = read_split(Path(told["split"]), dataset)
    assert set(split) == {sample.key for sample in dataset}
    assert {sample.key: sample.split for sample in read_labels(Path(told["labels"]) / "coco").samples} == split


def test_its_overlay_can_be_looked_at(demo: Outcome) -> None:
    height, width, channels = read_image(Path(demo.json()["overlay"])).shape
    assert (min(height, width) > 256, channels) == (True, 3)


def test_it_leaves_alone_what_is_not_its_own(demo: Outcome, tmp_path: Path) -> None:
    home = Path(demo.json()["labels"]).parent
    again = defectkit("demo", home)
    assert (again.status, len(again.errors)) == (2, 1)
    assert "--overwrite" in again.err
    with pytest.raises(ToolkitError, match="is not empty; choose another folder, or add overwrite=True"):
        run_demo(home)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ToolkitError, match="is not empty; choose another folder"):
        run_demo(tmp_path, overwrite=True)
    with pytest.raises(ToolkitError, match="is a file"):
        run_demo(tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_its_last_line_is_the_next_command(demo: Outcome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = demo.json()
    places = [Path(told[name]) for name in ("dataset", "split", "labels", "overlay")]
    monkeypatch.setattr("converters.demo.run_demo", lambda *_, **__: Demo(*places, {}, 1.0, passed=True))
    monkeypatch.chdir(tmp_path)
    word, command = defectkit("demo", "anywhere").out.splitlines()[-1].split(maxsplit=1)
    assert word == "next"
    program, *words = shlex.split(command)
    assert (program, words) == ("defectkit", ["view", str(places[2] / "coco")])
    assert defectkit(*words, "--limit", "1").status == 0
    assert (tmp_path / "coco-gallery/index.html").is_file()
