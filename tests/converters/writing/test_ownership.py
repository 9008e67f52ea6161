"""Names that another system takes for others: refused where they would be lost, named where they could be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from converters.writing import tree_writer
from converters.writing.ownership import PathOwners
from converters.writing.pipeline import convert, write_labels
from tests.commands import make_dataset
from tests.converters.support import label_mask
from tests.masks import SHAPES
from toolkit.errors import ToolkitError


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("train/a.png", "train/b.png", True),
        ("train/a.png", "test/A.png", True),
        ("train/a.png", "train/A.png", False),
        ("train/A.png", "train/a.png", False),
        ("train/IMG.png", "train/Img.png", False),
        ("train/\u00e4.png", "train/a\u0308.png", False),
        ("train/a\u0308.png", "train/\u00c4.png", False),
    ],
)
def test_names_that_differ_by_little(tmp_path: Path, one: str, other: str, apart: bool) -> None:
    owners = PathOwners(tmp_path, "coco")
    owners.claim(one, "first")
    owners.claim(other, "second")
    assert owners.faults == ({} if apart else {"second": "is taken for first"})


def test_the_two_files_of_an_image_may(tmp_path: Path) -> None:
    owners = PathOwners(tmp_path, "coco")
    for path in ("images/A.png", "labels/A.txt", "images/a.png"):
        owners.claim(path, "key")
    assert owners.faults == {}


def test_a_disk_that_knows_no_capitals_loses_no_image(tmp_path: Path) -> None:
    owners = PathOwners(tmp_path, "coco")
    owners.claim("a.png", "first")
    (tmp_path / "a.png").touch()
    os.link(tmp_path / "a.png", tmp_path / "A.png")  # what such a disk shows
    with pytest.raises(ToolkitError, match="second: and first would be one file in coco: the disk folds their names"):
        owners.claim("A.png", "second")


@pytest.mark.parametrize(("path", "fault"), [("train/CON/1.png", "CON is the"), ("train/a:b.png", "':' in a name")])
def test_windows_would_write_another_file(tmp_path: Path, path: str, fault: str) -> None:
    with pytest.raises(ToolkitError, match=f"key: would be {path} in coco: {fault}.*; rename the image or its class"):
        PathOwners(tmp_path, "coco", windows=True).claim(path, "key")
    owners = PathOwners(tmp_path, "coco", windows=False)
    owners.claim(path, "key")
    assert owners.faults["key"].startswith(fault)


def test_a_conversion_names_what_cannot_be_copied_to_windows(tmp_path: Path) -> None:
    keys = ("part/test/dent/NUL", "part/test/dent/one", "part/test/dent/One", "part/test/dent/two")
    images = [label_mask(key, SHAPES["disk"], "a:b" if key.endswith("two") else "dent") for key in keys]
    write_labels(images, tmp_path / "in", ["coco"], classes=["a:b", "dent"], image_mode="none")
    report = convert(tmp_path / "in/coco", tmp_path / "out", ["coco", "yolo-segment", "yolo-classify"], images="none")
    (told,) = (note for note in report.notes if "Windows" in note)
    assert told.startswith("the files of 2 image(s) cannot be had on Windows under their names: ")
    assert "part/test/dent/one (is taken for part/test/dent/One)" in told
    assert "part/test/dent/two (':' in a name)" in told  # a class is a folder in yolo-classify


def test_sound_names_are_no_cause_for_a_note(tmp_path: Path) -> None:
    report = convert(make_dataset(tmp_path / "data"), tmp_path / "out", ["coco", "masks"])
    assert [note for note in report.notes if "Windows" in note] == []


def test_no_line_end_is_changed_on_the_way_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary, opened, really = 1 << 30, [], os.open
    monkeypatch.setattr(os, "O_BINARY", binary, raising=False)

    def plain(path: str, flags: int, mode: int = 0o777) -> int:
        opened.append(flags & binary)
        return really(path, flags & ~binary, mode)

    monkeypatch.setattr(tree_writer.os, "open", plain)
    convert(make_dataset(tmp_path / "data"), tmp_path / "out", ["yolo-segment"])
    assert opened
    assert opened.count(0) <= 1  # the lock, which is read again by us alone
