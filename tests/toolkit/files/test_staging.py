"""Output folders appear whole or not at all, never where something else stands, and one run writes them at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.errors import ToolkitError
from toolkit.files.staging import STAGING, check_apart, check_free, publish_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("out", "root", "apart"),
    [
        ("out", "data", True),
        ("data2", "data", True),
        ("data/../out", "data", True),
        ("data", "data", False),
        ("data/out", "data", False),
        ("data/screw/train/out", "data", False),
        ("out/../data/x", "data", False),
        (".", "data", False),
        ("data", "data/screw", False),
        ("link", "data", False),
        ("link/out", "data", False),
        ("data/out", "link", False),
    ],
)
def test_output_and_input_lie_apart(tmp_path: Path, out: str, root: str, apart: bool) -> None:
    (tmp_path / "data" / "screw").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data", target_is_directory=True)
    if apart:
        check_apart(tmp_path / out, tmp_path / root)
        return
    with pytest.raises(ToolkitError, match=r"(is|lies inside|holds) the input .*; choose an output folder apart"):
        check_apart(tmp_path / out, tmp_path / root)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def fill(out: Path, *files: str) -> None:
    for name in files:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).touch()


@pytest.mark.parametrize(
    ("files", "overwrite", "resume", "problem"),
    [
        ([], False, False, ""),
        ([f"{STAGING}/coco/labels.json"], False, False, ""),
        (["notes.txt"], False, False, "out: is not empty"),
        (["notes.txt"], True, False, ""),
        (["notes.txt"], False, True, ""),
        (["coco/manifest.json"], False, False, "out: is not empty"),
        (["coco/manifest.json"], True, False, ""),
        (["coco/manifest.json"], False, True, ""),
        (["coco/thesis.tex"], True, False, "out/coco: was not written by defectkit"),
        (["coco/thesis.tex"], False, True, "out/coco: was not written by defectkit"),
        (["other/thesis.tex"], True, False, ""),
    ],
)
def test_only_free_places_are_written_to(
    out: Path, files: list[str], overwrite: bool, resume: bool, problem: str
) -> None:
    fill(out, *files)
    if not problem:
        check_free(out, ["coco", "masks"], overwrite=overwrite, resume=resume)
        return
    with pytest.raises(ToolkitError, match=problem):
        check_free(out, ["coco", "masks"], overwrite=overwrite, resume=resume)


def test_a_folder_that_is_not_there_yet_is_free(tmp_path: Path) -> None:
    check_free(tmp_path / "new" / "out", ["coco"], overwrite=False, resume=False)


@pytest.mark.parametrize(("kind", "problem"), [("file", "is a file"), ("link", "is a link that leads nowhere")])
def test_what_is_no_folder_is_not_written_to(tmp_path: Path, kind: str, problem: str) -> None:
    if kind == "file":
        (tmp_path / "out").touch()
    else:
        (tmp_path / "out").symlink_to(tmp_path / "gone")
    for overwrite in (False, True):
        with pytest.raises(ToolkitError, match=problem):
            check_free(tmp_path / "out", [], overwrite=overwrite, resume=False)


def test_a_finished_folder_takes_the_place_of_an_older_one(out: Path) -> None:
    fill(out, "coco/manifest.json", "coco/old.txt", f"{STAGING}/coco/manifest.json", f"{STAGING}/coco/new.txt")
    publish_folder(out / STAGING / "coco", out / "coco")
    assert names(out / "coco") == ["manifest.json", "new.txt"]
    assert names(out / STAGING) == []
    fill(out, f"{STAGING}/masks/manifest.json")
    publish_folder(out / STAGING / "masks", out / "masks")
    assert names(out) == [STAGING, "coco", "masks"]
