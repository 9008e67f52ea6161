"""`defectkit prepare`: what it prints, what it leaves, and how it stands up to archives that nobody should unpack."""

from __future__ import annotations

import gzip
import re
import signal
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.commands import Outcome, defectkit, make_dataset, save, shell, snapshot, stain
from tests.packing import DATE, edited, files_of, link, pack, pack_tar, pack_zip, special
from tests.processes import run
from toolkit.files.staging import STAGING

Files = Mapping[str, bytes]
IMAGE = "part/test/dent/evil.png"
PLAIN = "part/test/good/000.png"


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Two products, and what MVTec puts beside them."""
    root = make_dataset(make_dataset(tmp_path_factory.mktemp("sound"), "part"), "plate")
    return {**files_of(root), "license.txt": b"CC\n", "part/license.txt": b"CC part\n", "part/readme.txt": b"cite\n"}


# What is wrong -> what makes it, and what is said about it. Each comes after a sound dataset.
TARS: dict[str, tuple[Callable[[Path, Files], object], str]] = {
    name: (lambda path, files, extra=extra: pack_tar(path, files, [extra]), message)
    for name, (extra, message) in {
        "absolute": (special("/tmp/evil.png"), r"'/tmp/evil.png' has an absolute name"),
        "up": (special("../evil.png"), r"'../evil.png' leads out of the archive"),
        "up in the middle": (special("part/../../evil.png"), r"leads out of the archive"),
        "up at the end": (special("part/.."), r"leads out of the archive"),
        "up as a folder": (special("../evil", tarfile.DIRTYPE), r"leads out of the archive"),
        "drive": (special("C:/evil.png"), r"'C:/evil.png' has an absolute name"),
        "backslash": (special("..\\evil.png"), r"has a backslash in its name"),
        "line break": (special("part/test/good/a\nb.png"), r"'part/test/good/a\\nb.png' has control characters"),
        "NUL": (special("part/test/good/ä\0b.png"), r"has control characters"),
        "no UTF-8": (special("part/test/good/\udcff.png"), r"has a name that is not UTF-8"),
        "no name": (special("./"), r"'./' has no name"),
        "too deep": (special("a/" * 100 + "evil.png"), r"lies more than 64 folders deep"),
        "symlink, absolute": (link(IMAGE, "/etc/passwd"), r"is a link out of the archive, to '/etc/passwd'"),
        "symlink, up": (link(IMAGE, "../../../../secret"), r"is a link out of the archive, to '../../../../secret'"),
        "symlink, up and down": (link(IMAGE, "x/../../../../../secret"), r"is a link out of the archive"),
        "symlink to nothing": (link(IMAGE, "none.png"), r"is a link to 'part/test/dent/none.png', which is no file"),
        "symlink to itself": (link(IMAGE, "evil.png"), r"which is no file that is unpacked"),
        "symlink to a folder": (link(IMAGE, "."), r"which is no file that is unpacked"),
        "hard link, absolute": (link(IMAGE, "/etc/passwd", tarfile.LNKTYPE), r"is a link out of the archive"),
        "hard link, up": (link(IMAGE, "../secret", tarfile.LNKTYPE), r"is a link out of the archive"),
        "pipe": (special(IMAGE, tarfile.FIFOTYPE), r"is a device, a pipe or the like"),
        "character device": (special(IMAGE, tarfile.CHRTYPE), r"is a device, a pipe or the like"),
        "block device": (special(IMAGE, tarfile.BLKTYPE), r"is a device, a pipe or the like"),
        "unknown type": (special(IMAGE, b"Z"), r"is a device, a pipe or the like"),
        "twice": (special(PLAIN, data=b"other"), rf"'{PLAIN}' stands in it twice"),
        "twice, written otherwise": (special(f"./part//{PLAIN[5:]}", data=b"x"), r"stands in it twice"),
        "case": (special("part/test/Good/000.png"), r"'part/test/Good' has the name of 'part/test/good' but for"),
        "a file below a file": (special(f"{PLAIN}/evil.png"), r"is a file and a folder"),
        "a file that is a folder": (special("part/test"), r"'part/test' is a file and a folder"),
    }.items()
}


def _through_a_link(path: Path, files: Files) -> None:
    pack_tar(path, files, [link("part/test/away", "good"), special("part/test/away/evil.png", data=b"x")])


def _accents(path: Path, files: Files) -> None:
    pack_tar(path, files, [special(f"part/test/good/{name}.png") for name in ("s\u00e4ge", "sa\u0308ge")])


def _sparse(path: Path, files: Files) -> None:
    info, _ = special("part/test/good/hole.png")
    info.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 50)}
    pack_tar(path, files, [(info, b"")])


def _long_header(path: Path, files: Files) -> None:
    info, _ = special("part/test/good/long.png")
    info.pax_headers = {"comment": "x" * (6 << 20)}
    pack_tar(path, files, [(info, b"")])


def _many_headers(path: Path, files: Files) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1
    pack_tar(path, files)
    data = path.read_bytes().rstrip(b"\0")
    data += (
        b"\0" * (-len(data) % tarfile.BLOCKSIZE) + (header.tobuf(tarfile.GNU_FORMAT) + b"x".ljust(512, b"\0")) * 3000
    )
    path.write_bytes(data + b"\0" * 10240)


def _cut(compression: str, keep: Callable[[int], int]) -> Callable[[Path, Files], object]:
    def make(path: Path, files: Files) -> None:
        pack_tar(path, files, compression=compression)
        data = path.read_bytes()
        path.write_bytes(data[: keep(len(data))])

    return make


def _without_end(path: Path, files: Files) -> None:
    pack_tar(path, files)
    data = path.read_bytes().rstrip(b"\0")
    path.write_bytes(data + b"\0" * (-len(data) % tarfile.BLOCKSIZE))


def _bad_header(path: Path, files: Files) -> None:
    pack_tar(path, files)
    data = bytearray(path.read_bytes())
    data[data.find(b"plate/test/good/001.png")] = ord("q")
    path.write_bytes(data)


def _flipped(compression: str) -> Callable[[Path, Files], object]:
    def make(path: Path, files: Files) -> None:
        pack_tar(path, files, compression=compression)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)

    return make


TARS |= {
    "through a link": (_through_a_link, r"'part/test/away' is a file and a folder"),
    "accents": (_accents, r"has the name of 'part/test/good/s\u00e4ge.png' but for"),
    "sparse": (_sparse, r"is a sparse file"),
    "a header of megabytes": (_long_header, r"has a header of more than 4 MB"),
    "thousands of headers": (_many_headers, r"is damaged \("),
    "cut short": (_cut("", lambda size: size // 2), r"is damaged \("),
    "cut short, xz": (_cut("xz", lambda size: size // 2), r"is damaged \(cut short\)"),
    "cut short, gz": (_cut("gz", lambda size: size - 1), r"is damaged \(cut short\)"),
    "cut short, bz2": (_cut("bz2", lambda size: size - 30), r"is damaged \(cut short\)"),
    "its end is missing": (_without_end, r"is damaged \(cut short\)"),
    "a bad header": (_bad_header, r"is damaged \(a bad header\)"),
    "flipped, xz": (_flipped("xz"), r"is damaged \("),
    "flipped, gz": (_flipped("gz"), r"is damaged \("),
    "flipped, bz2": (_flipped("bz2"), r"is damaged \("),
}


def _zip_info(name: str, mode: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x", DATE)
    info.filename = name  # the constructor would cut it at a NUL
    info.external_attr = mode << 16
    return info


def _zip_with(name: str, mode: int = 0, data: bytes = b"x") -> Callable[[Path, Files], object]:
    return lambda path, files: pack_zip(path, files, [(_zip_info(name, mode), data)])


def _zip_edited(local: tuple[int, str, int] | None, central: tuple[int, str, int]) -> Callable[[Path, Files], object]:
    return lambda path, files: edited(pack_zip(path, files), PLAIN, local=local, central=central)


def _bad_crc(path: Path, files: Files) -> None:
    data = pack_zip(path, files).read_bytes()
    path.write_bytes(data.replace(files[PLAIN], files[PLAIN][:-1] + b"?"))


def _cut_zip(path: Path, files: Files) -> None:
    data = pack_zip(path, files).read_bytes()
    path.write_bytes(data[: len(data) // 2])


ZIPS: dict[str, tuple[Callable[[Path, Files], object], str]] = {
    "absolute": (_zip_with("/tmp/evil.png"), r"'/tmp/evil.png' has an absolute name"),
    "up": (_zip_with("../evil.png"), r"leads out of the archive"),
    "drive": (_zip_with("c:evil.png"), r"has an absolute name"),
    "backslash": (_zip_with("..\\evil.png"), r"has a backslash in its name"),
    "NUL": (_zip_with("part/test/good/a.png\0/../../evil"), r"has control characters in its name"),
    "symlink": (_zip_with(IMAGE, 0o120777, b"/etc/passwd"), r"is a link out of the archive, to '/etc/passwd'"),
    "pipe": (_zip_with(IMAGE, 0o010644), r"is a device, a pipe or the like"),
    "device": (_zip_with(IMAGE, 0o020644), r"is a device, a pipe or the like"),
    "twice": (_zip_with(PLAIN.upper()), r"but for the case or the code"),
    "encrypted": (_zip_edited((6, "H", 1), (8, "H", 1)), rf"'{PLAIN}' is encrypted; unpack it with its password"),
    "unknown compression": (_zip_edited((8, "H", 97), (10, "H", 97)), r"is compressed in a way that is not read here"),
    "a later version": (_zip_edited(None, (6, "H", 99)), r"is damaged \(zip file version 9.9"),
    "longer than it says": (_zip_edited((22, "I", 9), (24, "I", 9)), rf"'{PLAIN}' is damaged \(Bad CRC"),
    "shorter than it says": (_zip_edited(None, (24, "I", 99999)), rf"'{PLAIN}' is not of the 99999 bytes"),
    "another name": (_zip_edited((30, "B", 0x71), (24, "I", 9)), r"is damaged \("),
    "bad checksum": (_bad_crc, rf"'{PLAIN}' is damaged \(Bad CRC"),
    "cut short": (_cut_zip, r"is damaged \("),
}


def _write(data: bytes) -> Callable[[Path, Files], object]:
    return lambda path, files: path.write_bytes(data)


def _gzipped_text(path: Path, files: Files) -> None:
    pack_tar(path, {}, compression="gz")

    path.write_bytes(gzip.compress(b"no tar " * 1000))


OTHERS: dict[str, tuple[Callable[[Path, Files], object], str]] = {
    "no archive": (_write(b"hello " * 500), r"is not an archive; name a tar"),
    "a short file": (_write(b"hello"), r"is not an archive"),
    "an empty file": (_write(b""), r"is empty \(0 bytes\); get the archive again"),
    "a web page": (_write(b"\n<!DOCTYPE html><html>"), r"is a web page, not an archive"),
    "zstd": (_write(b"\x28\xb5\x2f\xfd" + b"x" * 600), r"is compressed with zstd"),
    "7z": (_write(b"7z\xbc\xaf\x27\x1c" + b"x" * 600), r"is a 7z archive"),
    "RAR": (_write(b"Rar!\x1a\x07" + b"x" * 600), r"is a RAR archive"),
    "no tar in it": (_gzipped_text, r"is compressed, but there is no tar archive in it"),
    "nothing there": (lambda path, files: None, r"cannot be read \(No such file or directory\)"),
    "an empty tar": (lambda path, files: pack_tar(path, {}), r"holds no files"),
    "an empty zip": (lambda path, files: pack_zip(path, {}), r"holds no files"),
    "an empty folder": (lambda path, files: path.mkdir(), r"holds no files"),
    "no dataset": (
        lambda path, files: pack_tar(path, {"a/train/images/1.jpg": b"x", "a/data.yaml": b"x"}),
        r"holds no dataset in MVTec layout .*; it holds: a, a/data.yaml$",
    ),
    "no images": (lambda path, files: pack_zip(path, {"a/train/good/1.txt": b"x"}), r"holds no dataset in MVTec"),
    "archives": (
        lambda path, files: pack_zip(path, {"x/screw.tar.xz": b"x", "x/bottle.zip": b"x"}),
        r"holds no dataset but archives: x/bottle.zip, x/screw.tar.xz; unpack it",
    ),
    "two datasets": (
        lambda path, files: pack_tar(path, {f"{a}/part/test/good/0.png": b"x" for a in "ab"}),
        r"holds datasets in several places: a, b;",
    ),
}

HOSTILE = {
    **{f"tar: {name}": row for name, row in TARS.items()},
    **{f"zip: {name}": row for name, row in ZIPS.items()},
    **{f"other: {name}": row for name, row in OTHERS.items()},
}


@pytest.mark.parametrize(("make", "message"), HOSTILE.values(), ids=HOSTILE)
def test_an_archive_at_fault_leaves_nothing_and_says_why(
    make: Callable[[Path, Files], object], message: str, files: Files, tmp_path: Path
) -> None:
    archive = tmp_path / "in" / "evil"
    archive.parent.mkdir()
    make(archive, files)
    before = snapshot(tmp_path)
    outcome = defectkit("prepare", archive, tmp_path / "new" / "out")
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert outcome.err.startswith(f"error: {archive}: ")
    assert re.search(message, outcome.err.rstrip("\n"))
    assert re.search(r"; \w", outcome.err)  # a way out
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["tar: symlink, up", "zip: bad checksum", "other: an empty tar"])
def test_a_folder_that_was_there_stays_as_it_was(name: str, files: Files, tmp_path: Path) -> None:
    HOSTILE[name][0](tmp_path / "evil", files)
    out = tmp_path / "out"
    (out / "mine").mkdir(parents=True)
    (out / "mine" / "notes.txt").write_text("keep")
    before = snapshot(out)
    assert defectkit("prepare", tmp_path / "evil", out, "--overwrite").status == 2
    assert snapshot(out) == before


@pytest.mark.parametrize("kind", ["data.tar.xz", "data.zip"])
def test_a_limit_on_what_is_unpacked(kind: str, files: Files, tmp_path: Path) -> None:
    archive = pack(tmp_path / kind, files)
    outcome = defectkit("prepare", archive, tmp_path / "out", "--max-size", "2kB")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == (
        f"error: {archive}: unpacks to more than 2,000 bytes; if you trust it, raise --max-size; or name a --category\n"
    )
    assert not (tmp_path / "out").exists()
    assert defectkit("prepare", archive, tmp_path / "out", "--max-size", "0.1 MB").status == 0


@pytest.mark.parametrize("size", ["0", "none", "-5", "12XB", ""])
def test_a_size_that_is_none(size: str, files: Files, tmp_path: Path) -> None:
    outcome = defectkit("prepare", pack(tmp_path / "data.zip", files), tmp_path / "out", f"--max-size={size}")
    assert outcome.err == f"error: --max-size: {size!r} is no size; write it as 20GB or 500MB\n"


def test_the_table_and_the_notes(files: Files, tmp_path: Path) -> None:
    archive = pack(tmp_path / "data.tar.xz", {**files, "screw/train/good/0.png": files[PLAIN], "x/y.bin": b"?"})
    outcome = defectkit("prepare", archive, tmp_path / "out")
    lines = outcome.out.splitlines()
    rows = [line.split() for line in lines[lines.index(next(line for line in lines if "──" in line)) + 1 :] if line]
    assert outcome.status == 0
    assert rows == [
        ["part", "2", "2", "5", "2", "-"],
        ["plate", "2", "2", "5", "2", "-"],
        ["screw", "1", "0", "0", "0", "no"],
    ]
    assert "note: left out 1 file that is no part of it: x/y.bin\n" in outcome.err
    assert "note: screw differs from the published MVTec AD: " in outcome.err


def test_one_json_object(files: Files, tmp_path: Path) -> None:
    archive = pack(tmp_path / "data.zip", {**files, "screw/train/good/0.png": files[PLAIN]})
    outcome = defectkit("prepare", archive, tmp_path / "out", "--category", "part", "--category", "screw", "--json")
    told = outcome.json()
    assert (outcome.status, outcome.err) == (0, "")
    assert (told["root"], told["archive"], told["kind"]) == (str(tmp_path / "out"), str(archive), "zip")
    part = {"train_good": 2, "test_good": 2, "test_defect": 5, "defects": {"dent": 2, "scratch": 3}}
    assert told["products"] == {
        "part": part,
        "screw": {"train_good": 1, "test_good": 0, "test_defect": 0, "defects": {}},
    }
    assert not told["published"]["screw"]["agrees"]
    assert "train/good: 1 images, published 320" in told["published"]["screw"]["differences"]
    assert (told["problems"], sorted(told)) == (
        [],
        ["archive", "kind", "notes", "problems", "products", "published", "root", "seconds"],
    )


def test_an_unknown_product(files: Files, tmp_path: Path) -> None:
    for kind in ("data.tar.gz", "data.zip", "data"):
        archive = pack(tmp_path / kind, files)
        outcome = defectkit("prepare", archive, tmp_path / "out", "--category", "part", "--category", "screw")
        assert (outcome.status, outcome.err) == (
            2,
            f"error: {archive}: has no category 'screw'; it has: part, plate\n",
        )
        assert not (tmp_path / "out").exists()


def test_faults_in_names_are_notes_and_those_in_files_are_looked_for_on_demand(files: Files, tmp_path: Path) -> None:
    faulty = {name: data for name, data in files.items() if name != "part/ground_truth/dent/000_mask.png"}
    faulty["part/ground_truth/dent/001_mask.png"] = save(tmp_path / "zero.png", stain(0) * 0).read_bytes()
    faulty[PLAIN] = files[PLAIN][:-20]
    archive = pack(tmp_path / "data.zip", faulty)
    plain = defectkit("prepare", archive, tmp_path / "plain")
    assert plain.status == 0
    assert [line for line in plain.err.splitlines() if "problem" in line] == [
        f"note: problem: {tmp_path}/plain/part/test/dent/000.png: a defect image without a mask; "
        f"put its mask at {tmp_path}/plain/part/ground_truth/dent/000_mask.png"
    ]
    checked = defectkit("prepare", archive, tmp_path / "checked", "--check")
    assert checked.status == 1
    assert [line.split(": ")[:2] for line in checked.err.splitlines()] == [
        ["failed", f"{tmp_path}/checked/part/{name}"]
        for name in ("test/dent/000.png", "ground_truth/dent/001_mask.png", "test/good/000.png")
    ]
    told = defectkit("prepare", archive, tmp_path / "json", "--check", "--json")
    assert (told.status, len(told.json()["problems"])) == (1, 3)
    assert defectkit("prepare", archive, tmp_path / "sound", "--check", "--category", "plate").status == 0


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["data.zip"], "data.zip: there is no folder to unpack it into; defectkit prepare ARCHIVE DEST"),
        (
            ["https://example.org/data.zip", "out"],
            "https://example.org/data.zip: is an address, not a file; download the file (MVTec offers its dataset at "
            "https://www.mvtec.com/company/research/datasets/mvtec-ad), and name it",
        ),
    ],
)
def test_usage(words: list[str], error: str) -> None:
    assert defectkit("prepare", *words) == (2, "", f"error: {error}\n")


# Dies when a number of files have been moved into the staging folder.
DRIVER = """
import os, signal, sys
import toolkit.intake.preparing as prepare
from toolkit.cli import main

count, limit, number, *words = sys.argv[1:]
replace, publish, calls = os.replace, prepare.publish_folder, []

def strike(call, *args):
    calls.append(args)
    if len(calls) > int(count):
        signal.raise_signal(int(number))
    return call(*args)

class Counted:
    replace = staticmethod(lambda *args: strike(replace, *args))
    def __getattr__(self, name):
        return getattr(os, name)

if limit == "publish":
    prepare.publish_folder = lambda *args: strike(publish, *args)
elif limit == "replace":
    prepare.os = Counted()
else:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it, and its children then do too
sys.argv = ["defectkit", "prepare", *words]
main()
"""


def drive(count: int, limit: str, number: signal.Signals, *words: Path | str) -> Outcome:
    return run(DRIVER, str(count), limit, str(int(number)), *words)


def tree(out: Path) -> dict[str, bytes | None]:
    """The dataset, without the record of what was unpacked."""
    return {name: data for name, data in snapshot(out).items() if not name.startswith(".")}


KINDS = ["data.tar.xz", "data.zip", "data"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_an_interrupted_run_has_unpacked_is_not_unpacked_again(
    kind: str, number: signal.Signals, files: Files, tmp_path: Path
) -> None:
    archive, out = pack(tmp_path / kind, files), tmp_path / "out"
    stopped = drive(12, "replace", number, archive, out)
    assert stopped.status == (-number if number == signal.SIGKILL else 130)
    if number == signal.SIGINT:
        assert stopped.err == "interrupted: the same command with --resume goes on from the last file\n"
    assert [path.name for path in out.iterdir()] == [STAGING]
    staged = {path.relative_to(out / STAGING / "tree"): path.stat() for path in (out / STAGING / "tree").rglob("*.png")}
    assert len(staged) == 12
    assert defectkit("prepare", archive, out, "--resume").status == 0
    for name, status in staged.items():
        now = (out / name).stat()
        assert (now.st_ino, now.st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
    assert defectkit("prepare", archive, tmp_path / "undisturbed").status == 0
    assert tree(out) == tree(tmp_path / "undisturbed")
    assert not (out / STAGING).exists()


def test_a_file_that_was_cut_off_is_unpacked_again(files: Files, tmp_path: Path) -> None:
    archive, out = pack(tmp_path / "data.zip", files), tmp_path / "out"
    drive(12, "replace", signal.SIGKILL, archive, out)
    (out / STAGING / "tree" / "part/ground_truth/dent/000_mask.png").write_bytes(b"half")
    (out / STAGING / "partial").write_bytes(b"half")
    assert defectkit("prepare", archive, out, "--resume").status == 0
    assert tree(out)["part/ground_truth/dent/000_mask.png"] == files["part/ground_truth/dent/000_mask.png"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_without_resume_begins_anew(kind: str, files: Files, tmp_path: Path) -> None:
    archive, out = pack(tmp_path / kind, files), tmp_path / "out"
    drive(5, "replace", signal.SIGKILL, archive, out)
    (out / STAGING / "tree" / "stranger").mkdir()
    outcome = defectkit("prepare", archive, out, "--category", "plate")
    assert outcome.status == 0
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == ["license.txt", "plate"]


def test_work_on_another_archive_or_other_products_is_not_resumed(files: Files, tmp_path: Path) -> None:
    archive, out = pack(tmp_path / "data.zip", files), tmp_path / "out"
    other = pack(tmp_path / "other.zip", {**files, "part/train/good/9.png": b"x"})
    drive(5, "replace", signal.SIGKILL, archive, out)
    before = snapshot(out)
    for words in ([other], [archive, "--category", "part"]):
        outcome = defectkit("prepare", words[0], out, "--resume", *words[1:])
        assert (outcome.status, outcome.errors) == (
            2,
            [
                f"error: {out}: was begun with another archive or other products; "
                "name the same archive and products, or use --overwrite to begin anew"
            ],
        )
        assert snapshot(out) == before
    assert defectkit("prepare", other, out, "--resume", "--overwrite").status == 0
    assert "part/train/good/9.png" in tree(out)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_dies_while_it_publishes_is_resumed(kind: str, files: Files, tmp_path: Path) -> None:
    archive, out = pack(tmp_path / kind, files), tmp_path / "out"
    assert drive(1, "publish", signal.SIGKILL, archive, out).status == -signal.SIGKILL
    assert (out / "part").is_dir()
    assert not (out / "plate").exists()
    assert defectkit("prepare", archive, out).errors == [
        f"error: {out}: is not empty; choose another folder, or add --overwrite (or --resume)"
    ]
    outcome = defectkit("prepare", archive, out, "--resume", "--json")
    assert (outcome.status, list(outcome.json()["products"])) == (0, ["part", "plate"])
    assert defectkit("prepare", archive, tmp_path / "undisturbed").status == 0
    assert tree(out) == tree(tmp_path / "undisturbed")
    assert not (out / STAGING).exists()


def test_a_run_that_dies_before_the_licence_is_in_place_is_resumed(files: Files, tmp_path: Path) -> None:
    archive, out = pack(tmp_path / "data.zip", files), tmp_path / "out"
    images = sum(name.endswith(".png") for name in files)
    assert drive(images, "replace", signal.SIGKILL, archive, out).status == -signal.SIGKILL
    assert (out / "plate").is_dir()
    assert not (out / "license.txt").exists()
    assert defectkit("prepare", archive, out, "--resume").status == 0
    assert {name: data for name, data in tree(out).items() if data is not None} == files
    assert not (out / STAGING).exists()


def test_a_run_whose_rest_is_gone_is_not_taken_for_finished(files: Files, tmp_path: Path) -> None:
    archive, out = pack(tmp_path / "data.zip", files), tmp_path / "out"
    drive(1, "publish", signal.SIGKILL, archive, out)
    other = pack(tmp_path / "other.zip", {name.replace("part", "more"): data for name, data in files.items()})
    assert defectkit("prepare", other, out, "--overwrite", "--category", "more").status == 0
    assert defectkit("prepare", archive, out, "--resume").errors == [
        f"error: {out}/part: exists already; add --overwrite to replace it, or leave its --category out"
    ]
    assert defectkit("prepare", archive, out, "--resume", "--overwrite").status == 0
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["more", "part", "plate"]


def test_a_failure_after_a_kill_leaves_nothing_either(files: Files, tmp_path: Path) -> None:
    archive, out = pack(tmp_path / "data.zip", files), tmp_path / "out"
    drive(5, "replace", signal.SIGKILL, archive, out)
    assert out.is_dir()
    assert defectkit("prepare", pack(tmp_path / "data.tar", {"x": b"x"}), out).status == 2
    assert not out.exists()


def test_what_is_finished_is_not_done_again(files: Files, tmp_path: Path) -> None:
    archive, out = pack(tmp_path / "data.tar.xz", files), tmp_path / "out"
    first = defectkit("prepare", archive, out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = defectkit("prepare", archive, out, "--resume")
    tables = [told.out.partition(" product ")[2] for told in (first, again)]  # what precedes them tells the seconds
    assert (again.status, tables[1]) == (0, tables[0])
    assert "plate" in tables[0]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == times


@pytest.mark.parametrize("kind", ["data.tar.xz", "data.zip"])
def test_a_full_disk(kind: str, files: Files, tmp_path: Path) -> None:
    archive, out = pack(tmp_path / kind, files), tmp_path / "new" / "out"
    outcome = drive(0, "400", signal.SIGKILL, archive, out)
    assert outcome.status == 2
    assert re.fullmatch(
        r"error: .*: cannot be written \(File too large\); free space, or choose another folder\n", outcome.err
    )
    assert not out.parent.exists()


def test_a_folder_that_cannot_be_written(files: Files, tmp_path: Path) -> None:
    archive = pack(tmp_path / "data.zip", files)
    (tmp_path / "file").touch()
    outcome = defectkit("prepare", archive, tmp_path / "file" / "out")
    assert (outcome.status, len(outcome.errors)) == (2, 1)
    assert defectkit("prepare", archive, tmp_path / "file").errors == [
        f"error: {tmp_path}/file: is a file; name a folder to write into"
    ]


def test_progress_is_silent_without_a_terminal(files: Files, tmp_path: Path) -> None:
    outcome = shell("prepare", pack(tmp_path / "data.zip", files), tmp_path / "out")
    assert (outcome.status, outcome.err) == (0, "")


def test_a_name_that_is_markup_or_odd(files: Files, tmp_path: Path) -> None:
    name = "[bold]<b>ä: 'x'\""
    named = {path.replace("part/", f"{name}/"): data for path, data in files.items()}
    outcome = defectkit("prepare", pack(tmp_path / "data.tar.xz", named), tmp_path / "out", "--json")
    assert list(outcome.json()["products"]) == [name, "plate"]
    assert name in defectkit("prepare", tmp_path / "data.tar.xz", tmp_path / "table").out
