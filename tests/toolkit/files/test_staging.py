"""Output folders appear whole or not at all, never where something else stands, and one run writes them at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.errors import ToolkitError
from toolkit.files.locks import LOCK
from toolkit.files.staging import STAGING, check_apart, check_free, publish_folder, staging


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


def work(out: Path, text: str = "new", **more: bool) -> None:
    """A run that writes one file."""
    with staging(out, **more) as stage:
        built = stage.begin() / "built"
        built.mkdir()
        (built / "labels.txt").write_text(text)
        stage.publish(built)


@pytest.mark.parametrize("inside", [False, True])
def test_a_folder_is_published_and_nothing_else_is_left(tmp_path: Path, inside: bool) -> None:
    out = tmp_path / "new" / "out"
    for text in ("old", "new"):
        work(out, text, inside=inside)
        assert (names(out), (out / "labels.txt").read_text()) == (["labels.txt"], text)
        assert names(out.parent) == ["out"]


def test_a_link_leads_to_the_folder_that_is_replaced(out: Path, tmp_path: Path) -> None:
    fill(out, "old.txt")
    (tmp_path / "home").mkdir()
    link = tmp_path / "home" / "link"
    link.symlink_to(out)
    work(link)
    assert (link.is_symlink(), names(out), names(link.parent)) == (True, ["labels.txt"], ["link"])


@pytest.mark.parametrize("why", ["mounted", "stood in", "closed above"])
def test_a_folder_that_cannot_be_renamed_is_filled(out: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    if why == "mounted":
        monkeypatch.setattr(Path, "is_mount", lambda path: path == out)
    elif why == "stood in":
        (out / "below").mkdir()
        monkeypatch.chdir(out / "below")
    else:
        monkeypatch.setattr("os.access", lambda path, mode: path != out.parent)
    fill(out, "old.txt")
    before = out.stat().st_ino
    work(out)
    assert (names(out), names(out.parent), out.stat().st_ino) == (["labels.txt"], ["out"], before)


def fail(out: Path, error: BaseException, **more: bool) -> None:
    """A run that has written a file when something happens."""
    with staging(out, **more) as stage:
        fill(stage.begin(), "half.txt")
        raise error


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("existed", [False, True])
def test_an_error_leaves_what_was_there(tmp_path: Path, inside: bool, existed: bool) -> None:
    out = tmp_path / "new" / "out"
    if existed:
        out.mkdir(parents=True)
    with pytest.raises(ValueError, match="no reason"):
        fail(out, ValueError("no reason"), inside=inside)
    assert (names(out) if existed else names(tmp_path)) == []
    assert out.exists() == existed


@pytest.mark.parametrize("inside", [False, True])
def test_an_error_after_an_interruption_leaves_nothing_of_either(tmp_path: Path, inside: bool) -> None:
    for error in (KeyboardInterrupt(), ValueError("no reason")):
        with pytest.raises(type(error)):
            fail(tmp_path / "out", error, inside=inside, resumable=True)
    assert names(tmp_path) == []


def test_a_refusal_leaves_unfinished_work_to_its_owner(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path / "out", KeyboardInterrupt(), resumable=True)
    with pytest.raises(ToolkitError, match="was begun"), staging(tmp_path / "out"):
        raise ToolkitError("out", "was begun with other files")
    with staging(tmp_path / "out") as stage:
        assert names(stage.folder) == names(stage.begin(anew=False)) == ["half.txt"]
        assert names(stage.begin()) == []


@pytest.mark.parametrize("resumable", [False, True])
def test_ctrl_c_leaves_what_can_be_resumed_and_no_other(tmp_path: Path, resumable: bool) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path / "out", KeyboardInterrupt(), resumable=resumable)
    assert names(tmp_path) == ([".out" + STAGING] if resumable else [])


@pytest.mark.parametrize(("file", "named"), [(f".out{STAGING}/a.png", "out"), ("photos/a.png", "photos/a.png")])
def test_a_fault_of_the_disk_takes_one_line(tmp_path: Path, file: str, named: str) -> None:
    with pytest.raises(ToolkitError) as caught:
        fail(tmp_path / "out", OSError(28, "No space left on device", str(tmp_path / file)))
    problem = f"{tmp_path / named}: cannot be written (No space left on device)"
    assert str(caught.value) == f"{problem}; free space, or choose another folder"


def test_a_lock_is_nothing_that_a_folder_holds(out: Path) -> None:
    fill(out, f".labels{LOCK}", LOCK)
    assert not check_free(out)
    fill(out, "mine.txt")
    assert check_free(out, resume=True)
