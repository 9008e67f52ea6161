"""File, folder and class names that break lists, tables, hashes and pages: nothing is lost, and all is proven."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

from converters import convert, read_labels, verify, view
from tests.commands import save
from tests.fuzz.check import Check
from tests.fuzz.judge import Judge, Save
from tests.fuzz.making.trees import FORMATS, picture, stain
from toolkit import Dataset, load_dataset, read_split, split_dataset, write_split

_PIECES = (
    *(
        "\n",
        "\r",
        "\t",
        "\x0b",
        "\x1b[2J",
        "\x7f",
        "\u2028",
        "\u202e",
        "\x85",
        " ",
        ".",
        "..",
        "#",
        "%",
        "%20",
        "&",
        "?",
    ),
    *(
        "'",
        '"',
        "`",
        ",",
        ";",
        ":",
        "|",
        "\\",
        "*",
        "=",
        "-",
        "--",
        "~",
        "$HOME",
        "{name}",
        "{}",
        "[0]",
        "<b>",
        "__",
        "é",
    ),
    *(
        "e\u0301",
        "ß",
        "İ",
        "日本",
        "🙂",
        "\udcff",
        "\udc80x",
        "CON",
        "nul.txt",
        "a",
        "A",
        "0",
        "00",
        "1e5",
        "true",
        "null",
    ),
    *("good", "test", "train", "labels", "images", "masks", "_mask", ".png", ".txt", "manifest", "x" * 120),
)
_BACK = tuple(name for name in FORMATS if name != "yolo-classify")


def _name(rng: random.Random) -> str:
    name = "".join(rng.choice(_PIECES) for _ in range(rng.randint(1, 3)))[:200]
    return name if name.strip(".") else f"{name}a"


def attempt(home: Path, judge: Judge, rng: random.Random) -> None:
    root, out = home / "data", home / "out"
    for folder in (root, out):
        shutil.rmtree(folder, ignore_errors=True)
    made = _plant(rng, root)

    def keep(where: Path) -> None:
        shutil.copytree(root, where, dirs_exist_ok=True)

    loaded = judge.run(lambda: load_dataset(root), "load_dataset", keep)
    if loaded.status != "ok":
        return
    formats = rng.sample(FORMATS, 2)
    images = rng.choice(("copy", "hardlink", "symlink", "none"))
    done = judge.run(lambda: convert(loaded.value, out, formats, images=images), f"convert: {formats} {images}", keep)
    if done.status != "ok":
        if out.exists() and any(out.iterdir()):
            judge.find("an error leaves something behind", f"{sorted(out.iterdir())}", keep)
        return
    told = judge.run(lambda: verify(out), f"verify: {formats} {images}", keep)
    if told.status == "ok" and not told.value.passed:
        judge.find(f"convert succeeds, verify fails: {formats[0]}", f"{formats} {told.value.failures[:2]}", keep)
    for name in (name for name in formats if name in _BACK):
        _read_back(judge, out / name, made, keep)
    if rng.random() < 0.3:
        _split(judge, home, loaded.value, keep)
    if rng.random() < 0.1:
        shutil.rmtree(home / "gallery", ignore_errors=True)
        judge.run(lambda: view(out / formats[0], home / "gallery"), f"view: {formats[0]}", keep)


def _plant(rng: random.Random, root: Path) -> Counter[str]:
    """A dataset in MVTec layout with odd names; images of each class in it."""
    made: Counter[str] = Counter()
    hidden = {"."}  # what begins so is passed over, as docs/layouts.md says
    product = root / (_name(rng) if rng.random() < 0.3 else "part")
    save(product / "train/good/000.png", picture(0))
    number = 0
    for defect in {_name(rng) if rng.random() < 0.7 else "scratch" for _ in range(2)}:
        for stem in {_name(rng) if rng.random() < 0.7 else str(place) for place in range(2)}:
            number += 1
            image = product / "test" / defect / f"{stem}.png"
            try:
                save(image, picture(number))
                if defect != "good":
                    save(product / "ground_truth" / defect / f"{stem}_mask.png", stain(number))
            except OSError:  # a name that this file system does not take
                image.unlink(missing_ok=True)
                continue
            made[defect] += defect != "good" and not hidden.intersection((product.name[0], defect[0], stem[0]))
    return +made


def _read_back(judge: Judge, tree: Path, made: Counter[str], keep: Save) -> None:
    """Each class is on as many images as it was."""

    def count() -> Counter[str]:
        return Counter(one.label for image in read_labels(tree) for one in image.instances)

    found = judge.run(count, f"read_labels: {tree.name}", keep)
    if found.status == "ok" and found.value != made:
        judge.find(f"classes are not read back: {tree.name}", f"{dict(found.value)} of {dict(made)}", keep)


def _split(judge: Judge, home: Path, dataset: Dataset, keep: Save) -> None:
    """A split is read as it was written."""
    path = home / "split.csv"
    drawn = judge.run(lambda: split_dataset(dataset, "stratified"), "split_dataset", keep)
    if drawn.status != "ok":
        return
    judge.run(lambda: write_split(drawn.value, path), "write_split", keep)
    read = judge.run(lambda: read_split(path, dataset), "read_split", keep)
    if read.status != "ok" or dict(read.value) != dict(drawn.value):
        judge.find("a split is not read back", f"{read.value}", keep)


CHECK = Check(count=1500, prepare=lambda home: home, attempt=attempt)
