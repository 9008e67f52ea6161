"""Archives are told by their content and read member by member. Hostile ones: tests/test_prepare_command.py."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packing import DATE, link, pack, pack_tar, pack_zip, special
from toolkit.errors import ToolkitError
from toolkit.intake.archives import Limits, Member, Source, members, recognise

FILES = {"a/b.txt": b"first", "a/ä ö/c: 'd'.png": b"second" * 1000, "e": b""}


def content(member: Member) -> bytes:
    with member.open() as stream:
        return stream.read()


def read(path: Path) -> dict[str, bytes]:
    return {"/".join(member.parts): content(member) for member in members(recognise(path))}


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip"])
def test_a_kind_is_told_by_content_and_not_by_name(kind: str, tmp_path: Path) -> None:
    made = pack(tmp_path / f"data.{kind}", FILES).rename(tmp_path / "data.png")
    assert recognise(made) == Source(made, kind)
    assert read(made) == FILES


def test_a_folder(tmp_path: Path) -> None:
    made = pack(tmp_path / "data", {**FILES, ".git/x": b"hidden"})
    assert (recognise(made).kind, read(made)) == ("folder", FILES)
    assert all(member.path == made.joinpath(*member.parts) for member in members(recognise(made)))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_tar_with_long_names(form: int, tmp_path: Path) -> None:
    name = "/".join(["x" * 50] * 4) if form == tarfile.USTAR_FORMAT else "/".join(["ä" * 100] * 4)
    with tarfile.open(tmp_path / "data", "w", format=form) as archive:
        archive.addfile(*special(f"./{name}")[:1])
    assert read(tmp_path / "data") == {name: b""}


def test_a_zip_that_unpacks_itself_and_one_of_another_method(tmp_path: Path) -> None:
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        data = pack_zip(tmp_path / "data.zip", FILES, method=method).read_bytes()
        (tmp_path / "data.exe").write_bytes(b"MZ" + b"program" * 100 + data)
        assert (recognise(tmp_path / "data.exe").kind, read(tmp_path / "data.exe")) == ("zip", FILES)


def test_several_streams_of_xz_are_one_archive(tmp_path: Path) -> None:
    data = pack_tar(tmp_path / "data.tar", FILES).read_bytes()
    (tmp_path / "data.xz").write_bytes(lzma.compress(data[:1000]) + lzma.compress(data[1000:]))
    assert read(tmp_path / "data.xz") == FILES


@pytest.mark.parametrize("compress", [lzma.compress, gzip.compress, bz2.compress])
def test_the_checksum_at_the_very_end_is_looked_at(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    data = pack_tar(tmp_path / "data.tar", FILES).read_bytes().ljust(1 << 20, b"\0")
    for name, packed in {"whole": compress(data), "cut": compress(data)[:-3]}.items():
        (tmp_path / name).write_bytes(packed)
    assert read(tmp_path / "whole") == FILES
    with pytest.raises(ToolkitError, match="is damaged"):
        read(tmp_path / "cut")


def test_a_link_comes_as_the_name_it_stands_for(tmp_path: Path) -> None:
    extra = [link("a/x/soft", "../b.txt"), link("a/x/hard", "a/b.txt", tarfile.LNKTYPE)]
    info = zipfile.ZipInfo("a/x/soft", DATE)
    info.external_attr = 0o120777 << 16
    for path in (
        pack_tar(tmp_path / "data.tar", {"a/b.txt": b"x"}, extra),
        pack_zip(tmp_path / "data.zip", {"a/b.txt": b"x"}, [(info, b"../b.txt")]),
    ):
        links = [member for member in members(recognise(path)) if member.target is not None]
        assert {member.target for member in links} == {("a", "b.txt")}
        assert {member.parts[-1] for member in links} <= {"soft", "hard"}


def test_folders_may_be_named_before_after_and_twice(tmp_path: Path) -> None:
    folders = [special(name, tarfile.DIRTYPE) for name in ("a", "a/", "./", "a/b", "empty")]
    assert read(pack_tar(tmp_path / "data.tar", {"a/b/c": b"x"}, folders)) == {"a/b/c": b"x"}
    info = zipfile.ZipInfo("a/b", DATE)  # some programs leave the / at the end out
    info.external_attr = 0o040755 << 16
    assert read(pack_zip(tmp_path / "data.zip", {"a/b/c": b"x"}, [(info, b"")])) == {"a/b/c": b"x"}


def test_what_is_not_read_is_passed_over(tmp_path: Path) -> None:
    files = {"large": bytes(6_000_000), **FILES}
    for kind in ("tar", "tar.gz", "zip"):
        source = recognise(pack(tmp_path / f"data.{kind}", files))
        found = [content(member) for member in members(source) if member.parts == ("a", "b.txt")]
        assert found == [b"first"]


@pytest.mark.parametrize("kind", ["data.tar.xz", "data.zip", "data"])
def test_progress_counts_bytes_up_to_the_end(kind: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    for member in members(recognise(pack(tmp_path / kind, FILES)), progress=lambda *numbers: seen.append(numbers)):
        content(member)
    done = [number for number, _ in seen]
    total = (tmp_path / kind).stat().st_size if kind == "data.tar.xz" else sum(map(len, FILES.values()))
    assert (len(seen), done) == (3, sorted(done))
    assert done[-1] == seen[-1][1]
    assert seen[-1][1] == total or kind == "data.zip"


@pytest.mark.parametrize("kind", ["data.tar", "data.zip", "data"])
def test_a_limit_on_members(kind: str, tmp_path: Path) -> None:
    source = recognise(pack(tmp_path / kind, {f"{number}": b"" for number in range(5)}))
    assert len(list(members(source, Limits(members=5)))) == 5
    with pytest.raises(ToolkitError, match="has more than 4 members; do not trust this archive"):
        list(members(source, Limits(members=4)))


@pytest.mark.parametrize("kind", ["data.tar.xz", "data.tar.gz", "data.zip"])
def test_a_limit_on_the_ratio(kind: str, tmp_path: Path) -> None:
    source = recognise(pack(tmp_path / kind, {"zeros": bytes(5_000_000)}))
    assert len(list(members(source, Limits(ratio=100_000, ratio_from=1000)))) == 1
    assert len(list(members(source, Limits(ratio=100, ratio_from=6_000_000)))) == 1
    with pytest.raises(ToolkitError, match="unpacks to more than 100 times its size, as a bomb does"):
        list(members(source, Limits(ratio=100, ratio_from=1000)))


def test_a_bomb_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "data.tar.gz"
    pack_tar(path, {"zeros": bytes(30_000_000)}, compression="gz")
    path.write_bytes(path.read_bytes()[:-5000])  # whoever reads that far sees that the end is missing
    with pytest.raises(ToolkitError, match="as a bomb does"):
        list(members(recognise(path), Limits(ratio=100, ratio_from=1000)))


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
def test_a_bomb_is_refused_by_what_has_come_out(compression: str, tmp_path: Path) -> None:
    path = pack_tar(tmp_path / f"data.tar.{compression}", {"zeros": bytes(12 << 20)}, compression=compression)
    problem = r"as a bomb does \([3-7] MB so far\).* if you trust it, unpack it by hand"
    with pytest.raises(ToolkitError, match=problem):
        list(members(recognise(path), Limits(ratio_from=3 << 20)))
    assert Limits().ratio_from <= 64 << 20


@pytest.mark.parametrize(("kind", "problem"), [("link", "is a link"), ("pipe", "is a device, a pipe or the like")])
def test_what_a_folder_may_not_hold(kind: str, problem: str, tmp_path: Path) -> None:
    folder = pack(tmp_path / "data", FILES)
    if kind == "link":
        (folder / "a" / "x").symlink_to("/etc")
    else:
        os.mkfifo(folder / "a" / "x")
    with pytest.raises(ToolkitError, match=f"{folder}/a/x: {problem}; "):
        list(members(recognise(folder)))
