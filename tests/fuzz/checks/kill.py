"""SIGKILL, SIGTERM and SIGINT at any touch of the file system: what is left, and what the next run makes of it."""

from __future__ import annotations

import json
import random
import shutil
import signal
import zipfile
from dataclasses import dataclass
from pathlib import Path

import converters.writing.conversion as conversion
from converters.formats.registry import find_format
from tests.commands import snapshot
from tests.fuzz.check import Check
from tests.fuzz.judge import Judge
from tests.fuzz.making.trees import FORMATS, copy_tree, make_dataset
from tests.fuzz.striking import Ended, defectkit

_SIGNALS = (*[signal.SIGKILL] * 3, signal.SIGTERM, signal.SIGINT)
_INTERRUPTED = 130
_STAGED = (".old", ".spool", ".tmp")
_RECORDS = ("manifest.json", ".defectkit-prepared.json")  # they tell the time


@dataclass(frozen=True)
class _World:
    """What runs that nobody disturbs give.

    Attributes:
        older: trees of other settings, to be overwritten; `hashes` has the labels of both.
        touches: command -> how often it touches the file system.
    """

    home: Path
    data: Path
    archive: Path
    older: Path
    hashes: dict[str, set[str]]
    images: int
    prepared: dict[str, bytes | None]
    viewed: dict[str, bytes | None]
    touches: dict[str, int]


def _files(folder: Path) -> dict[str, bytes | None]:
    return {name: data for name, data in snapshot(folder).items() if Path(name).name not in _RECORDS}


def _labels(out: Path) -> dict[str, str]:
    return {path.parent.name: json.loads(path.read_bytes())["labels_sha256"] for path in out.glob("*/manifest.json")}


def _convert_words(data: Path, out: Path, *more: str) -> tuple[str | Path, ...]:
    return ("convert", data, out, "--to", ",".join(FORMATS), *more)


def prepare(home: Path) -> _World:
    conversion._CHECKPOINT_SECONDS = 0.0  # so that short runs are resumed from checkpoints
    data = make_dataset(home / "data")
    archive = home / "data.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(data.rglob("*.png")):
            packed.write(path, path.relative_to(data))
    convert = _sound(home, *_convert_words(data, home / "whole", "--workers", "1"))
    _sound(home, *_convert_words(data, home / "older", "--workers", "1", "--segmentation", "rle", "--min-iou", "0.8"))
    unpack = _sound(home, "prepare", archive, home / "unpacked")
    view = _sound(home, "view", home / "whole/coco", "--out", home / "gallery")
    whole, older = _labels(home / "whole"), _labels(home / "older")
    return _World(
        home=home,
        data=data,
        archive=archive,
        older=home / "older",
        hashes={name: {whole[name], older[name]} for name in FORMATS},
        images=len(list((home / "whole/coco/images").rglob("*.png"))),
        prepared=_files(home / "unpacked"),
        viewed=_files(home / "gallery"),
        touches={"convert": convert.touches, "prepare": unpack.touches, "view": view.touches},
    )


def _sound(home: Path, *words: str | Path) -> Ended:
    ended = defectkit(home, *words)
    assert ended.status == 0, ended.err
    return ended


class _Turn:
    """One command that is struck, and the next."""

    def __init__(self, world: _World, judge: Judge, rng: random.Random) -> None:
        self.world, self.judge, self.rng = world, judge, rng
        self.number = rng.choice(_SIGNALS)
        self.place = world.home / "out"
        shutil.rmtree(self.place, ignore_errors=True)
        self.at = 0

    def find(self, kind: str, detail: str = "") -> None:
        self.judge.find(kind, f"{self.number.name} at touch {self.at}: {detail}"[-600:])

    def strike(self, command: str, *words: str | Path) -> Ended:
        self.at = self.rng.randint(1, self.world.touches[command])
        ended: Ended = self.judge.run(
            lambda: defectkit(self.world.home, *words, number=self.number, at=self.at), f"{command} struck"
        ).value
        self.judge.outcomes[f"{self.number.name} of {command}" if ended.status else "not reached"] += 1
        if "Traceback" in ended.err:
            self.find(f"{command}: a traceback after {self.number.name}", ended.err)
        if self.number == signal.SIGINT and ended.status not in (0, _INTERRUPTED):
            self.find(f"{command}: exit status {ended.status} after Ctrl-C", ended.err)
        if self.number == signal.SIGINT and ended.status == _INTERRUPTED and "interrupted" not in ended.err:
            self.find(f"{command}: nothing is said after Ctrl-C", ended.err)
        return ended

    def next(self, *words: str | Path) -> Ended:
        ended: Ended = self.judge.run(lambda: defectkit(self.world.home, *words), "the next run").value
        return ended

    def finished(self, out: Path) -> list[str]:
        """Names of format folders in which anything stands; those that look finished must be."""
        names = []
        for path in sorted(path for path in out.iterdir() if not path.name.startswith(".")) if out.exists() else []:
            names.append(path.name)
            if not (path / "manifest.json").is_file():
                self.find("a format folder without a manifest", str(path.name))
                continue
            told = json.loads((path / "manifest.json").read_bytes())["labels_sha256"]
            if told != find_format(path.name).labels_sha256(path):
                self.find("a folder that looks finished has other labels than its manifest says", path.name)
            if told not in self.world.hashes[path.name]:
                self.find("a finished folder differs from an undisturbed run", path.name)
        return names


def attempt(world: _World, judge: Judge, rng: random.Random) -> None:
    turn = _Turn(world, judge, rng)
    {"convert": _convert, "prepare": _prepare, "view": _view}[rng.choice(("convert",) * 4 + ("prepare", "view"))](turn)


def _convert(turn: _Turn) -> None:
    world, rng, out = turn.world, turn.rng, turn.place
    overwrite = rng.random() < 0.3
    if overwrite:
        copy_tree(world.older, out)
    images = rng.choice(("hardlink", "none", "copy", "symlink"))
    words = _convert_words(world.data, out, "--images", images, "--workers", rng.choice("12"))
    ended = turn.strike("convert", *words, *(["--overwrite"] if overwrite else []))
    left = turn.finished(out)
    if overwrite and len(left) != len(FORMATS):
        turn.find("a kill during --overwrite leaves a format out", f"{left}")
    flags = rng.choice((["--resume"], ["--resume"], [], ["--overwrite"]))
    if overwrite:
        flags = list(dict.fromkeys([*flags, "--overwrite"]))
    done = turn.next(*words, *flags)
    if not flags and left:
        if done.status != 2:
            turn.find("a second run over finished folders does not refuse", f"exit {done.status} {done.err}")
        done = turn.next(*words, "--resume")
    if done.status:
        turn.find(f"the next run fails: {' '.join(flags)}", f"after exit {ended.status}: {done.status} {done.err}")
        return
    _check_whole(turn, out, images)


def _check_whole(turn: _Turn, out: Path, images: str) -> None:
    names = turn.finished(out)
    if sorted(names) != sorted(FORMATS):
        turn.find("the next run leaves formats out", f"{names}")
    staged = [
        path.name for path in out.rglob("*") if path.suffix in _STAGED or (path.parent == out and path.name[0] == ".")
    ]
    if staged:
        turn.find("the next run leaves unfinished work", f"{staged}")
    found = len(list((out / "coco/images").rglob("*.png"))) if images != "none" else turn.world.images
    if found != turn.world.images:
        turn.find("images are missing after the next run", f"{images}: {found} of {turn.world.images}")
    if images != "none" and turn.rng.random() < 0.3:
        checked = turn.next("verify", out)
        if checked.status:
            turn.find("verify fails after the next run", checked.err)


def _prepare(turn: _Turn) -> None:
    world, dest = turn.world, turn.place
    ended = turn.strike("prepare", "prepare", world.archive, dest)
    for product in (path for path in dest.iterdir() if not path.name.startswith(".")) if dest.exists() else ():
        wanted = {name for name in world.prepared if name.split("/")[0] == product.name}
        if {f"{product.name}/{name}" for name in _files(product)} | {product.name} != wanted:
            turn.find("prepare: a product that looks finished is not", product.name)
    done = turn.next("prepare", world.archive, dest, *(["--resume"] if turn.rng.random() < 0.7 else []))
    if done.status == 2 and "not empty" in done.err:
        done = turn.next("prepare", world.archive, dest, "--overwrite")
    if done.status or _files(dest) != world.prepared:
        turn.find("prepare: the next run fails or differs", f"after {ended.status}: {done.status} {done.err}")


def _view(turn: _Turn) -> None:
    world, gallery = turn.world, turn.place / "gallery"
    turn.place.mkdir()
    ended = turn.strike("view", "view", world.home / "whole/coco", "--out", gallery)
    if gallery.exists() and _files(gallery) != world.viewed:
        turn.find("view: a gallery that looks finished is not")
    flags = ["--resume"] if gallery.exists() or turn.rng.random() < 0.6 else []
    done = turn.next("view", world.home / "whole/coco", "--out", gallery, *flags)
    if done.status or _files(gallery) != world.viewed:
        turn.find("view: the next run fails or differs", f"after {ended.status}: {done.status} {done.err}")
    left = sorted(path.name for path in turn.place.iterdir())
    if left != ["gallery"]:
        turn.find("view: unfinished work is left", f"{left}")


CHECK = Check(count=150, prepare=prepare, attempt=attempt)
