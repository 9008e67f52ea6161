"""Label trees that version 0.1.0 wrote are read as before; what a newer version writes is refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from converters import FORMATS, read_labels, verify
from tests.commands import ROOT, defectkit

OLD = ROOT / "tests/old/0.1.0"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy, so that nothing is written into what is never made anew."""
    return Path(shutil.copytree(OLD, tmp_path / "old"))


def test_there_is_a_tree_of_each_format_of_its_time() -> None:
    kinds = [json.loads(path.read_text())["format"] for path in sorted(OLD.glob("trees/*/manifest.json"))]
    assert len(kinds) == 8
    assert set(kinds) <= set(FORMATS)


def test_they_pass_against_their_source(old: Path) -> None:
    report = verify(old / "trees")
    assert report, report.failures
    assert report.notes == ()
    assert {tree.kind: tree.exact for tree in report.trees if tree.kind != "yolo-classify"} == dict.fromkeys(
        ["coco", "masks", "panoptic", "semantic", "yolo-detect", "yolo-obb", "yolo-segment"], 6
    )


@pytest.mark.parametrize("kind", [path.name for path in sorted((OLD / "trees").iterdir())])
def test_they_are_converted_described_and_viewed(kind: str, old: Path, tmp_path: Path) -> None:
    tree = old / "trees" / kind
    counts = json.loads((tree / "manifest.json").read_text())["subsets"].values()
    defects = sum(subset["images"] - subset["background"] for subset in counts)
    images = sum(subset["images"] for subset in counts)
    # Without images, masks have no trace of the good ones.
    assert len(read_labels(tree)) == (defects if kind == "masks" else images)
    assert defectkit("describe", tree, "--json").status == 0
    assert defectkit("view", tree, "--out", tmp_path / "gallery").status == 0
    again = defectkit("convert", tree, tmp_path / "out", "--to", kind, "--images", "none", "--json")
    assert again.status == 0, again.err
    assert again.json()["formats"][kind]["schema"] == 2


def test_what_a_newer_version_wrote_is_refused_by_name(old: Path) -> None:
    tree = old / "trees/coco"
    manifest = json.loads((tree / "manifest.json").read_text())
    (tree / "manifest.json").write_text(json.dumps({**manifest, "schema": 3, "version": "9.0.0"}))
    problem = f"error: {tree / 'manifest.json'}: has schema 3, which this version cannot read; use defectkit 9.0.0\n"
    for command in (["verify", tree], ["describe", tree], ["convert", tree, old / "out", "--to", "masks"]):
        outcome = defectkit(*command)
        assert (outcome.status, outcome.err) == (2, problem)
