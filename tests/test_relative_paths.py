"""Paths that are relative: to the working directory, to a folder above, and the root itself as `.`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import defectkit, make_dataset

KINDS = ("yolo-segment", "yolo-classify", "coco", "semantic", "panoptic", "masks")


@pytest.mark.parametrize("images", ["hardlink", "none"])
def test_a_tree_is_read_from_wherever_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: str) -> None:
    make_dataset(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    outcome = defectkit("convert", "data", "rel", "--to", ",".join(KINDS), "--images", images)
    assert outcome.status == 0, outcome.err
    for kind in KINDS:
        for here, root in ((".", f"rel/{kind}"), ("rel", kind), (f"rel/{kind}", "."), (f"rel/{kind}", f"../{kind}")):
            monkeypatch.chdir(tmp_path / here)
            verified = defectkit("verify", root, "--json")
            (tree,) = verified.json()["trees"]
            assert (verified.status, tree["failures"]) == (0, []), (here, root, verified.err)
            assert defectkit("describe", root, "--json").status == 0


def test_a_dataset_is_read_from_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_dataset(tmp_path / "data")
    hashes = []
    for here, root in ((".", "data/part"), ("data/part", "."), ("data", "part"), ("data/part/test", "../../part")):
        monkeypatch.chdir(tmp_path / here)
        out = tmp_path / f"out{len(hashes)}"
        outcome = defectkit("convert", root, out, "--to", "coco", "--images", "none", "--json")
        assert outcome.status == 0, outcome.err
        assert defectkit("verify", out).status == 0
        hashes.append(outcome.json()["formats"]["coco"]["labels_sha256"])
    assert len(set(hashes)) == 1


def test_boxes_among_polygons_are_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_dataset(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    assert defectkit("convert", "data", "out", "--to", "yolo-segment").status == 0
    label = next(path for path in Path("out").rglob("*.txt") if path.stat().st_size)
    label.write_text(label.read_text() + "0 0.5 0.5 0.2 0.2\n")
    for more in ((), ("--against", "data")):
        assert defectkit("verify", "out/yolo-segment", *more).status == 1
        Path("out/yolo-segment/manifest.json").unlink(missing_ok=True)
