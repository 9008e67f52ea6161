"""Images get into a tree where there are no hard links, and where nobody may make any."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from converters.writing.pipeline import convert
from tests.commands import make_dataset, snapshot
from toolkit.errors import ToolkitError
from toolkit.files.links import link_or_copy

REFUSALS = ["EXDEV", "EPERM", "EACCES", "EMLINK", "ENOTSUP", "ENOSYS", "EINVAL"]


def refusing(fault: str) -> object:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(getattr(errno, fault), os.strerror(getattr(errno, fault)))

    return refuse


@pytest.mark.parametrize("fault", REFUSALS)
def test_where_there_are_no_hard_links_images_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    (tmp_path / "image.png").write_bytes(b"pixels")
    monkeypatch.setattr(os, "link", refusing(fault))
    assert link_or_copy(tmp_path / "image.png", str(tmp_path / "there.png"), "hardlink") == "copy"
    assert (tmp_path / "there.png").read_bytes() == b"pixels"
    assert not (tmp_path / "there.png").samefile(tmp_path / "image.png")


@pytest.mark.parametrize("fault", ["ENOSPC", "EROFS", "ENAMETOOLONG"])
def test_another_fault_of_the_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setattr(os, "link", refusing(fault))
    with pytest.raises(ToolkitError, match=r"there\.png: cannot be written \(.*\); check the disk"):
        link_or_copy(tmp_path / "image.png", str(tmp_path / "there.png"), "hardlink")


def test_where_nobody_may_make_links_there_is_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "symlink", refusing("EPERM"))
    with pytest.raises(ToolkitError) as raised:
        link_or_copy(tmp_path / "image.png", str(tmp_path / "there.png"), "symlink")
    assert raised.value.problems[0].remedy == "use --images copy, or --images hardlink"


def test_a_conversion_without_hard_links_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_dataset(tmp_path / "data")
    linked = convert(data, tmp_path / "linked", ["coco"])
    monkeypatch.setattr(os, "link", refusing("EPERM"))
    copied = convert(data, tmp_path / "copied", ["coco"])
    assert not [note for note in linked.notes if "hard links" in note]
    assert [note for note in copied.notes if "hard links" in note] == [
        "there are no hard links from the images to the output (two file systems, or one without): copied"
    ]
    assert snapshot(tmp_path / "copied") == snapshot(tmp_path / "linked")
