"""What is read stays as it is: no command leaves anything in a dataset or a label tree, not even for a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import defectkit, make_dataset, times

COMMANDS = {
    "describe": ("describe", "ROOT", "--out", "OUT/card", "--near-duplicates"),
    "split": ("split", "ROOT", "OUT/split.csv", "--strategy", "uniform", "--per-class", "2", "--test-per-class", "1"),
    "convert": ("convert", "ROOT", "OUT/labels", "--to", "coco,yolo-segment"),
    "verify": ("verify", "ROOT"),
    "verify with a source": ("verify", "LABELS", "--against", "ROOT"),
    "view": ("view", "ROOT", "--out", "OUT/gallery", "--sheet", "OUT/sheet.png"),
    "diff": ("diff", "ROOT", "LABELS"),
}


@pytest.fixture(scope="module", params=["data", "labels/coco", "labels/yolo-segment", "labels/semantic"])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    assert defectkit("convert", make_dataset(home / "data"), home / "labels", "--to", "coco,yolo-segment,semantic").out
    return home / request.param


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_written_into_what_is_read(root: Path, tmp_path: Path, command: str) -> None:
    if command == "verify" and root.name == "data":
        pytest.skip("verify reads labels")
    labels = root.parents[0 if root.name == "data" else 1] / "labels/coco"
    places = {"ROOT": str(root), "LABELS": str(labels), "OUT": str(tmp_path)}
    words = [places.get(word, word) for word in COMMANDS[command]]
    before = times(root)
    told = defectkit(*(word.replace("OUT/", f"{tmp_path}/") for word in words))
    assert (told.status, told.errors) == (0, [])
    assert times(root) == before
