"""Paths of both kinds of system, told on this one."""

from __future__ import annotations

import os
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.files.portable import relative_path, relative_way, windows_fault

NAMES = st.text(st.characters(codec="utf-8", exclude_characters='/\\:\0.<>"|?*'), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("path", "start", "way"),
    [
        (PurePosixPath("/data/screw"), PurePosixPath("/out/labels"), "../../data/screw"),
        (PurePosixPath("/data"), PurePosixPath("/data"), "."),
        (PurePosixPath("/data/Screw"), PurePosixPath("/data/screw"), "../Screw"),
        (PurePosixPath("/a\\b/c"), PurePosixPath("/d"), "../a\\b/c"),
        (PureWindowsPath(r"C:\data\screw"), PureWindowsPath(r"C:\out\labels"), "../../data/screw"),
        (PureWindowsPath(r"C:\Data\screw"), PureWindowsPath(r"c:\data"), "screw"),
        (PureWindowsPath(r"D:\data\screw"), PureWindowsPath(r"C:\out"), "D:/data/screw"),
        (PureWindowsPath(r"\\server\share\data"), PureWindowsPath(r"C:\out"), "//server/share/data"),
        (PureWindowsPath(r"\\server\share\data"), PureWindowsPath(r"\\server\share\out"), "../data"),
        (PureWindowsPath(r"\\?\C:\data" + r"\long" * 60), PureWindowsPath(r"\\?\C:\data"), "/".join(["long"] * 60)),
    ],
)
def test_the_way_from_a_place_to_another(path: PurePath, start: PurePath, way: str) -> None:
    assert relative_way(path, start) == way


@given(st.lists(NAMES, max_size=4), st.lists(NAMES, max_size=4), st.sampled_from([PurePosixPath, PureWindowsPath]))
def test_the_way_leads_there(one: list[str], other: list[str], kind: type[PurePath]) -> None:
    root = "/" if kind is PurePosixPath else "C:/"
    path, start = kind(root, *one), kind(root, *other)
    way = relative_way(path, start)
    assert "\\" not in way
    up = way.split("/").count("..")
    assert kind(*start.parts[: len(start.parts) - up], *way.split("/")[up:]) == path


def test_a_real_way_is_that_of_the_operating_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path, start in (("a/b", "c"), (".", "a/.."), ("../x", "a/b/c"), (str(tmp_path / "a"), ".")):
        assert relative_path(Path(path), Path(start)) == os.path.relpath(path, start)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("images/train/part__test__dent__000.png", ""),
        ("train/console/conifer.png", ""),
        ("train/.hidden/a..b.png", ""),
        ("train/naïve Kratzer/ä.png", ""),
        ("train/com/lpt.png", ""),
        ("train/CON/000.png", "CON is the name of a device"),
        ("train/nul.txt", "nul is the name of a device"),
        ("train/Aux .png", "Aux is the name of a device"),
        ("train/com9.tar.gz", "com9 is the name of a device"),
        ("train/LPT¹", "LPT¹ is the name of a device"),
        ("train/a:b.png", "':' in a name"),
        ("train/what?/a.png", "'?' in a name"),
        ("a\\b.png", "'\\\\' in a name"),
        ("a\nb.png", "the sign '\\n' in a name"),
        ("train/dent./a.png", "a name ends with a dot"),
        ("train/dent /a.png", "a name ends with a space"),
        ("train/" + "a" * 236, "242 letters, more than Windows has room for"),
        ("train/" + "a" * 234, ""),
    ],
)
def test_what_windows_cannot_have(path: str, fault: str) -> None:
    assert windows_fault(path) == fault


@given(st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=8))
def test_a_name_that_python_calls_reserved_on_windows_is_at_fault(name: str) -> None:
    if PureWindowsPath(f"{name}.png").is_reserved():
        assert windows_fault(f"train/{name}.png")
