"""An archive of any kind becomes the same dataset root."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from tests.commands import make_dataset, save, snapshot, stain
from tests.packing import files_of, link, pack, pack_tar
from toolkit.errors import ToolkitError
from toolkit.files.staging import STAGING
from toolkit.intake.archives import Limits
from toolkit.intake.preparing import RECORD, find_faults, prepare

DOCUMENTS = {"license.txt": b"CC\n", "readme.txt": b"cite\n", "part/license.txt": b"CC part\n"}
KINDS = ["data.tar.xz", "data.tar.gz", "data.tar.bz2", "data.tar", "data.zip", "data"]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = make_dataset(make_dataset(tmp_path_factory.mktemp("sound"), "part"), "plate")
    return {**files_of(root), **DOCUMENTS}


def tree(out: Path) -> dict[str, bytes]:
    return {name: data for name, data in files_of(out).items() if not name.startswith(".")}


def under(prefix: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {prefix + name: data for name, data in files.items()}


@pytest.mark.parametrize("prefix", ["", "mvtec_anomaly_detection/", "home/me/data/"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bytes_from_every_kind(kind: str, prefix: str, files: dict[str, bytes], tmp_path: Path) -> None:
    report = prepare(pack(tmp_path / kind, under(prefix, files)), tmp_path / "out")
    assert tree(tmp_path / "out") == files
    assert (report.products, len(report.dataset), report.problems) == (("part", "plate"), 18, ())
    assert report.kind == ("folder" if kind == "data" else kind.removeprefix("data."))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        RECORD,
        "license.txt",
        "part",
        "plate",
        "readme.txt",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_products_asked_for(kind: str, files: dict[str, bytes], tmp_path: Path) -> None:
    report = prepare(pack(tmp_path / kind, under("x/", files)), tmp_path / "out", categories=["plate", "plate"])
    assert report.products == ("plate",)
    expected = {name: data for name, data in files.items() if not name.startswith("part/")}
    assert tree(tmp_path / "out") == expected


@pytest.mark.parametrize("name", ["part.tar.xz", "part.zip", "part"])
def test_a_product_without_its_folder_is_named_after_the_archive(
    name: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    inside = {path[5:]: data for path, data in files.items() if path.startswith("part/")}
    prepare(pack(tmp_path / name, inside), tmp_path / "out")
    assert tree(tmp_path / "out") == under("part/", inside)


def test_a_single_product_is_added_to_a_root(files: dict[str, bytes], tmp_path: Path) -> None:
    for product in ("part", "plate"):
        own = {name: data for name, data in files.items() if name.startswith(product)}
        prepare(pack(tmp_path / f"{product}.tar.xz", own), tmp_path / "out", overwrite=True)
    assert tree(tmp_path / "out") == {name: data for name, data in files.items() if "/" in name}


def test_what_other_programs_leave_in_archives_is_left_out(files: dict[str, bytes], tmp_path: Path) -> None:
    junk = {
        "__MACOSX/part/test/good/._000.png": b"x",
        "part/.DS_Store": b"x",
        "part/test/good/Thumbs.db": b"x",
        ".git/part/test/good/1.png": b"x",
    }
    report = prepare(pack(tmp_path / "data.zip", {**files, **junk}), tmp_path / "out")
    shown = ".git/part/test/good/1.png, __MACOSX/part/test/good/._000.png, part/.DS_Store, part/test/good/Thumbs.db"
    note = f"passed over 4 hidden files, or what an operating system left: {shown}"
    assert (tree(tmp_path / "out"), report.notes) == (files, (note,))


def test_what_is_no_part_of_it_is_named(files: dict[str, bytes], tmp_path: Path) -> None:
    more = {"paper.pdf": b"x", "part/notes.csv": b"x", "web/train/images/1.png": b"x", "part/train/1.png": b"x"}
    report = prepare(pack(tmp_path / "data.tar", {**files, **more}), tmp_path / "out")
    assert tree(tmp_path / "out") == files
    assert report.notes == (
        "left out web: it has no good images and no ground_truth",
        "left out 3 files that are no part of it: paper.pdf, part/notes.csv, part/train/1.png",
    )


def test_only_documents_that_belong_to_it_are_kept(files: dict[str, bytes], tmp_path: Path) -> None:
    more = {"deep/er/license.txt": b"x", "else/part/license.txt": b"x", "README-long": bytes((1 << 20) + 1)}
    report = prepare(pack(tmp_path / "data.tar", {**files, **more}), tmp_path / "out")
    assert (tree(tmp_path / "out"), report.notes) == (files, ("left out 1 file that is no part of it: README-long",))
    inside = {path[5:]: data for path, data in files.items() if path.startswith("part/")}
    prepare(pack(tmp_path / "part.tar", {**inside, "docs/license.txt": b"x"}), tmp_path / "single")
    assert tree(tmp_path / "single") == under("part/", inside)


def test_documents_are_few(files: dict[str, bytes], tmp_path: Path) -> None:
    more = {f"license{number:03}": b"x" for number in range(300)}
    report = prepare(pack(tmp_path / "data.tar", {**files, **more}), tmp_path / "out")
    assert len([name for name in tree(tmp_path / "out") if name.startswith("license")]) == 200 - 2
    assert "left out 103 files that are no part of it: license197" in report.notes[0]


def test_a_folder_is_taken_over_and_left_as_it_is(files: dict[str, bytes], tmp_path: Path) -> None:
    source = pack(tmp_path / "data", files)
    (source / "part/test/good/000.png").chmod(0o400)
    before = {path: (path.stat().st_mode, path.stat().st_mtime_ns, path.stat().st_ino) for path in source.rglob("*")}
    report = prepare(source, tmp_path / "out")
    after = {path: (path.stat().st_mode, path.stat().st_mtime_ns, path.stat().st_ino) for path in source.rglob("*")}
    assert before == after
    assert (tmp_path / "out/part/test/good/000.png").samefile(source / "part/test/good/000.png")
    assert report.notes == (f"the files are hard links to those in {source}: one changed in place changes in both",)


def test_a_folder_on_another_file_system_is_copied(files: dict[str, bytes], tmp_path: Path) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    source, out = pack(tmp_path / "data", files), shared / f"defectkit-test-{os.getpid()}"
    try:
        report = prepare(source, out)
        assert tree(out) == files
        assert report.notes == (f"the files are copies: {source} is on another file system",)
    finally:
        import shutil

        shutil.rmtree(out, ignore_errors=True)


@pytest.mark.parametrize("place", ["data", "data/out", "."])
def test_a_folder_and_its_destination_lie_apart(place: str, files: dict[str, bytes], tmp_path: Path) -> None:
    source = pack(tmp_path / "data", files)
    before = snapshot(tmp_path)
    with pytest.raises(ToolkitError, match="choose an output folder apart from it"):
        prepare(source, tmp_path / place)
    assert snapshot(tmp_path) == before


def test_permissions_are_plain(files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "data.tar"
    with tarfile.open(pack(path, files)) as archive:
        infos = archive.getmembers()
        contents = [archive.extractfile(info) for info in infos]
        with tarfile.open(tmp_path / "odd.tar", "w") as odd:
            for info, content in zip(infos, contents, strict=True):
                info.mode, info.uid, info.uname = 0o6777, 12345, "nobody"
                odd.addfile(info, content)
    prepare(tmp_path / "odd.tar", tmp_path / "out")
    (tmp_path / "plain").touch()
    made = [path for path in (tmp_path / "out" / "part").rglob("*") if path.is_file()]
    assert {(path.stat().st_mode, path.stat().st_uid) for path in made} == {
        ((tmp_path / "plain").stat().st_mode, os.getuid())
    }


def test_links_inside_an_archive_become_files(files: dict[str, bytes], tmp_path: Path) -> None:
    image = files["part/test/dent/000.png"]
    extra = [
        link("part/train/good/7.png", "8.png"),  # a link to a link that comes later
        link("part/train/good/8.png", "../../test/dent/000.png"),
        link("part/train/good/9.png", "part/test/dent/000.png", tarfile.LNKTYPE),
    ]
    prepare(pack_tar(tmp_path / "data.tar", files, extra), tmp_path / "out")
    added = {f"part/train/good/{number}.png": image for number in (7, 8, 9)}
    assert tree(tmp_path / "out") == {**files, **added}
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))
    far = link("part/train/good/9.png", "plate/test/dent/000.png", tarfile.LNKTYPE)
    archive = pack_tar(tmp_path / "far.tar", files, [far])
    with pytest.raises(ToolkitError, match=r"is a link to 'plate/test/dent/000\.png', which is no file"):
        prepare(archive, tmp_path / "far", categories=["part"])


def test_a_product_is_replaced_only_where_it_was_unpacked(files: dict[str, bytes], tmp_path: Path) -> None:
    out, archive = tmp_path / "out", pack(tmp_path / "data.tar", files)
    make_dataset(out, "plate")
    before = snapshot(out)
    with pytest.raises(ToolkitError, match="is not empty; choose another folder, or add overwrite=True"):
        prepare(archive, out)
    with pytest.raises(ToolkitError, match=f"{out}/plate: was not unpacked by defectkit; move it away"):
        prepare(archive, out, overwrite=True)
    assert snapshot(out) == before
    prepare(archive, out, overwrite=True, categories=["part"])
    (out / "part" / "test" / "good" / "extra.png").write_bytes(b"x")
    with pytest.raises(ToolkitError, match=f"{out}/part: exists already; add overwrite=True"):
        prepare(pack(tmp_path / "other.tar", {**files, "x": b"x"}), out, resume=True, categories=["part"])
    prepare(archive, out, overwrite=True, categories=["part"])
    assert not (out / "part/test/good/extra.png").exists()
    assert not (out / STAGING).exists()


def test_a_readme_of_the_user_is_kept(files: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "readme.txt").write_bytes(b"mine")
    for _ in range(2):
        prepare(pack(tmp_path / "data.tar", files), out, overwrite=True)
        assert (out / "readme.txt").read_bytes() == b"mine"
        assert (out / "license.txt").read_bytes() == b"CC\n"
    prepare(pack(tmp_path / "newer.tar", {**files, "license.txt": b"CC 2\n"}), out, overwrite=True)
    assert ((out / "readme.txt").read_bytes(), (out / "license.txt").read_bytes()) == (b"mine", b"CC 2\n")


def test_a_limit_on_bytes_is_for_archives_and_for_what_is_wanted(files: dict[str, bytes], tmp_path: Path) -> None:
    plate = sum(len(data) for name, data in files.items() if not name.startswith("part/"))
    for kind in ("data.tar.gz", "data.zip"):
        archive = pack(tmp_path / kind, files)
        enough = Limits(max_bytes=plate + len(DOCUMENTS["part/license.txt"]))
        for wanted, limits in (((), enough), (("plate",), Limits(max_bytes=enough.max_bytes - 1))):
            with pytest.raises(ToolkitError, match=f"unpacks to more than {limits.max_bytes:,} bytes"):
                prepare(archive, tmp_path / "out", limits=limits, categories=wanted)
        prepare(archive, tmp_path / f"{kind}.out", limits=enough, categories=["plate"])
    prepare(pack(tmp_path / "data", files), tmp_path / "out", limits=Limits(max_bytes=1))


def test_every_fault_of_the_files_is_found(files: dict[str, bytes], tmp_path: Path) -> None:
    blank = save(tmp_path / "blank.png", stain(0) * 0).read_bytes()
    faulty = {**files, "part/ground_truth/dent/000_mask.png": blank, "plate/train/good/000.png": b"x"}
    report = prepare(pack(tmp_path / "data.zip", faulty), tmp_path / "out")
    seen: list[tuple[int, int]] = []
    found = find_faults(report.dataset, lambda *numbers: seen.append(numbers))
    assert [problem.file for problem in found] == [
        f"{tmp_path}/out/part/ground_truth/dent/000_mask.png",
        f"{tmp_path}/out/plate/train/good/000.png",
    ]
    assert found == report.dataset.problems
    assert seen == [(number, 18) for number in range(1, 19)]


def test_a_part_of_the_real_dataset_agrees_with_what_was_published(mvtec_root: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "screw.tar", "w") as archive:
        archive.add(mvtec_root / "screw", "screw")
    report = prepare(tmp_path / "screw.tar", tmp_path / "out")
    assert (report.differences, report.problems, report.notes) == ({"screw": []}, (), ())
    assert tree(tmp_path / "out") == under("screw/", files_of(mvtec_root / "screw"))
