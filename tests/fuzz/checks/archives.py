"""Damaged tars and zips through `prepare`: what is not refused is whole, and nothing lands outside or stays behind."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.check import Check
from tests.fuzz.judge import Judge, Outcome, Save
from tests.fuzz.making.archives import FILES, checksummed, tar_bytes, zip_bytes
from tests.fuzz.mutations import mutate
from tests.packing import link
from toolkit.intake import prepare as unpack
from toolkit.intake.guards import Limits

_PACK: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress}
_TARS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
_FIELDS = ((0, 100), (100, 8), (124, 12), (156, 1), (157, 100), (257, 8), (345, 155))  # (place, size) in a header
_VALUES = (
    *(b"../x", b"/abs", b"part/test", b"\xff" * 12, b"7" * 11, b"-1", b"0", b"", b"part/../../y", b"a/" * 40),
    *(b"L", b"K", b"x", b"g", b"S", b"1", b"2", b"3", b"5", b"\x80" + b"\xff" * 11, b"__MACOSX/._0", b"\n", b"C:\\x"),
)
_CHECKED = ("zip", *_PACK)  # kinds that carry checksums of their content


class _World(NamedTuple):
    home: Path
    sound: dict[str, bytes]


class _Damaged(NamedTuple):
    kind: str
    data: bytes
    cut: bool = False
    blind: bool = False  # damaged without regard to what is in it


def prepare(home: Path) -> _World:
    links = (
        link("part/test/scratch/001.png", "part/test/scratch/000.png", tarfile.LNKTYPE),
        link("part/ground_truth/scratch/001_mask.png", "000_mask.png"),
    )
    sound = {name: tar_bytes(FILES, links, format_=number) for name, number in _TARS.items()}
    sound |= {name: pack(sound["ustar"]) for name, pack in _PACK.items()}
    sound["zip"] = zip_bytes(FILES)
    sound["stored zip"] = zip_bytes(FILES, zipfile.ZIP_STORED)
    return _World(home, sound)


def attempt(world: _World, judge: Judge, rng: random.Random) -> None:
    damaged = _damage(world.sound, rng)
    file, outer = world.home / "dataset.bin", world.home / "outer"
    file.write_bytes(damaged.data)
    shutil.rmtree(outer, ignore_errors=True)
    outer.mkdir()

    def save(where: Path) -> None:
        where.with_suffix(".bin").write_bytes(damaged.data)

    done = judge.run(
        lambda: unpack(file, outer / "dest", limits=Limits(max_bytes=10**8)), f"prepare: {damaged.kind}", save
    )
    left = sorted(path.name for path in outer.iterdir())
    if done.status == "refused" and left:
        judge.find("a refusal leaves something behind", f"{left}", save)
    if left not in ([], ["dest"]):
        judge.find("something outside of the target", f"{left}", save)
    if done.status == "ok":
        _check_content(world, judge, damaged, outer / "dest", save)
    _check_cut(world, judge, damaged, done, save)


def _damage(sound: dict[str, bytes], rng: random.Random) -> _Damaged:
    kind = rng.choice(sorted(sound))
    data = sound[kind]
    how = rng.random()
    if how < 0.25:
        return _Damaged(kind, data[: rng.randrange(len(data))], cut=True)
    if how < 0.35 and kind in _PACK:
        return _Damaged(kind, _PACK[kind](mutate(rng, sound[rng.choice(sorted(_TARS))])))
    if how < 0.6 and kind in _TARS:
        return _Damaged(kind, _odd_header(rng, data))
    return _Damaged(kind, mutate(rng, data, 5), blind=True)


def _odd_header(rng: random.Random, data: bytes) -> bytes:
    """A tar with another value in a field of a header, whose checksum fits again."""
    raw = bytearray(data)
    start = rng.choice([place for place in range(0, len(raw), 512) if raw[place + 257 : place + 262] == b"ustar"])
    place, size = rng.choice(_FIELDS)
    value = rng.choice((*_VALUES, rng.randbytes(8)))[:size]
    raw[start + place : start + place + len(value)] = value
    raw[start : start + 512] = checksummed(raw[start : start + 512])
    return bytes(raw)


def _check_content(world: _World, judge: Judge, damaged: _Damaged, dest: Path, save: Save) -> None:
    contents = set(FILES.values())
    for path in dest.rglob("*"):
        if path.is_symlink():
            judge.find("a link was unpacked", str(path.relative_to(dest)), save)
            continue
        checked = damaged.blind and damaged.kind in _CHECKED and path.name != ".defectkit-prepared.json"
        if checked and path.is_file() and path.read_bytes() not in contents:
            judge.find(f"damaged content was unpacked: {damaged.kind}", str(path.relative_to(dest)), save)


def _check_cut(world: _World, judge: Judge, damaged: _Damaged, done: Outcome, save: Save) -> None:
    """An archive without its end is refused; a tar ends with a block of zeros, behind which there is only filling."""
    if done.status != "ok" or not damaged.cut or "zip" in damaged.kind:
        return
    whole = world.sound[damaged.kind]
    needed = -(-len(whole.rstrip(b"\0")) // 512) * 512 + 512
    if damaged.kind in _PACK or len(damaged.data) < needed:
        judge.find(f"a cut archive was unpacked: {damaged.kind}", f"{len(damaged.data)} of {len(whole)} bytes", save)


CHECK = Check(count=3000, prepare=prepare, attempt=attempt, memory=4 << 30)
