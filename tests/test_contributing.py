"""What CONTRIBUTING promises: a format, or a layout, is one file and one line, and everything works on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.formats.registry import FORMATS
from tests.commands import defectkit, picture, save, stain
from toolkit.dataset.layouts import LAYOUTS


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset in the toy layout, with the toy format registered: a line each."""
    monkeypatch.setitem(FORMATS, "toy-voc", "tests.toy_format")
    monkeypatch.setitem(LAYOUTS, "toy", "tests.toy_layout")
    root = tmp_path / "data"
    (root / "stains").mkdir(parents=True)
    for place, name in enumerate(f"{kind}_{number:03}" for kind in ("dent", "good", "rust") for number in range(4)):
        save(root / "photos" / f"{name}.png", picture(place))
        if not name.startswith("good"):
            save(root / "stains" / f"{name}.png", np.where(stain(place % 4) > 0, 90, 0).astype(np.uint8))
    return root


def convert(data: Path, out: Path) -> Path:
    options = ("--strategy", "stratified", "--val", "0", "--test", "0.5", "--json")
    told = defectkit("convert", data, out, "--to", "toy-voc,coco", *options).json()
    assert told["formats"]["toy-voc"]["fidelity"]["exact"] == 8
    return out


def test_the_layout_is_described(data: Path) -> None:
    told = defectkit("describe", data, "--json").json()
    assert (told["layout"], told["images"], told["defect_classes"]) == ("toy", 12, 2)
    assert told["problems"] == []


def test_the_format_is_converted_verified_viewed_and_described(data: Path, tmp_path: Path) -> None:
    out = convert(data, tmp_path / "out")
    checked = defectkit("verify", out, "--json")
    assert checked.status == 0
    assert {tree["format"]: (tree["exact"], tree["failures"]) for tree in checked.json()["trees"]} == {
        "coco": (8, []),
        "toy-voc": (8, []),
    }
    assert defectkit("view", out / "toy-voc", "--out", tmp_path / "gallery").status == 0
    told = defectkit("describe", out / "toy-voc", "--json").json()
    assert (told["layout"], told["images"], told["instances"]) == ("toy-voc", 12, 16)
    again = defectkit("convert", out / "toy-voc", tmp_path / "again", "--to", "yolo-detect").status
    assert again == 0


def test_damage_to_the_format_is_found(data: Path, tmp_path: Path) -> None:
    out = convert(data, tmp_path / "out")
    file = next(path for path in sorted(out.glob("toy-voc/Annotations/*/*.xml")) if b"xmin" in path.read_bytes())
    text = file.read_text()
    start = text.index("<xmin>") + 6
    moved = int(text[start : text.index("<", start)]) + 1
    file.write_text(f"{text[:start]}{moved}{text[text.index('<', start) :]}")
    checked = defectkit("verify", out / "toy-voc", "--json")
    assert checked.status == 1
    assert any("where the source has" in line for line in checked.json()["trees"][0]["failures"])
    assert any("labels_sha256" in line for line in checked.json()["trees"][0]["failures"])


@pytest.mark.parametrize("source", ["layout", "format"])
def test_a_learner_takes_them(data: Path, tmp_path: Path, source: str) -> None:
    pytest.importorskip("torch", reason='needs torch: pip install "defectkit[train]"')
    root = data if source == "layout" else convert(data, tmp_path / "out") / "toy-voc"
    settings = {
        "backbone": "squeezenet1_1",
        "weights": "none",
        "image_size": 32,
        "epochs": 1,
        "device": "cpu",
        "plots": "false",
        "split.strategy": "stratified",
        "split.test": 0.5,
    }
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    done = defectkit("train", "classifier", root, "--out", tmp_path / "run", *words)
    assert done.status == 0, done.err
    assert (tmp_path / "run/metrics.json").is_file()
