"""Files appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from toolkit.errors import ToolkitError
from toolkit.files.publish import write_json, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_whole_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "split.csv"
    for data in (b"first", b"second"):
        write_whole(path, data)
        assert path.read_bytes() == data
        assert names(path.parent) == ["split.csv"]


@pytest.mark.parametrize("call", ["write_bytes", "replace"])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = tmp_path / "split.csv"
    write_whole(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((Path, "write_bytes") if call == "write_bytes" else (os, "replace")), full)
    with pytest.raises(ToolkitError) as caught:
        write_whole(path, b"new")
    assert str(caught.value) == f"{path}: cannot be written (No space left on device); choose another place"
    assert (names(tmp_path), path.read_bytes()) == (["split.csv"], b"old")


def test_a_file_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ToolkitError, match="cannot be written"):
        write_whole(tmp_path / "file" / "split.csv", b"")


def test_json_is_sorted_and_legible(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": ["größe"]})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "a": [\n    "größe"\n  ],\n  "b": 1\n}\n'
