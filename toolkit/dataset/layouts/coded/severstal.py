"""The layout of Severstal's steel defects: run lengths in a table.

    train.csv           ImageId,ClassId,EncodedPixels, a row for each class that an image shows; or, as it once was,
                        ImageId_ClassId,EncodedPixels with a row for each class, empty where it is not shown
    train_images/*.jpg  images without a row are good
    test_images/*.jpg   nobody labelled them

Run lengths are "start length ...", from 1, column by column.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from toolkit.dataset.dataset import Dataset
from toolkit.dataset.layouts.files import list_files
from toolkit.dataset.layouts.layout import Layout
from toolkit.dataset.layouts.records import read_lines, read_table
from toolkit.dataset.samples import MaskFile, Sample, class_of_image
from toolkit.errors import Problem

__all__ = ["LAYOUT"]

_TABLE, _LABELLED, _UNLABELLED = "train.csv", "train_images", "test_images"
_LONG = ("ImageId", "ClassId", "EncodedPixels")
_WIDE = ("ImageId_ClassId", "EncodedPixels")


@dataclass(eq=False)
class _Rows:
    """What the table says: image name -> class -> run lengths, and what is wrong with it."""

    runs: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    named: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def _detect(root: Path) -> bool:
    """Whether a folder has the table and the images, and the table is one of run lengths."""
    if not (root / _TABLE).is_file() or not (root / _LABELLED).is_dir():
        return False
    try:
        with (root / _TABLE).open(encoding="utf-8-sig") as file:
            header = [name.strip() for name in file.readline().split(",")]
    except (OSError, UnicodeDecodeError):
        return False
    return set(header) >= set(_LONG) or set(header) >= set(_WIDE)


def _index(root: Path) -> Dataset:
    """Samples of both folders.

    Raises:
        ToolkitError: the table cannot be read.
    """
    files = list_files(root)
    rows = _read(root / _TABLE)
    category = root.resolve().name
    samples: list[Sample] = []
    problems = [*files.problems, *rows.problems]
    seen: dict[str, str] = {}
    for path in files.images:
        folder, _, name = path.rpartition("/")
        if folder not in (_LABELLED, _UNLABELLED):
            continue  # whoever asked for an index says what has no place in it
        key = f"{'train' if folder == _LABELLED else 'test'}/{PurePosixPath(name).stem}"
        if seen.setdefault(key, name) != name:
            problems.append(Problem(str(root / path), f"has the same name as {seen[key]}", "rename one of the two"))
        elif folder == _UNLABELLED:
            samples.append(Sample(key, root / path, (), category, "", "test", kind="unlabelled"))
        else:
            samples.append(_labelled(key, root, path, category, rows.runs.get(name, {})))
    problems += _without_image(root, rows.named, files.images)
    if not any(rows.runs.values()):
        problems.append(Problem(str(root / _TABLE), "marks nothing in any image", "give the whole table"))
    unlabelled = sum(sample.kind == "unlabelled" for sample in samples)
    notes = [f"images without a row in {_TABLE} are taken for good"]
    if unlabelled:
        notes.append(f"{unlabelled} image(s) carry no label: they are never called good, and never written")
    return Dataset(samples, root=root, layout="severstal", layout_problems=problems, notes=notes)


def _labelled(key: str, root: Path, path: str, category: str, runs: Mapping[str, str]) -> Sample:
    """An image of the training set, good if nothing is marked in it."""
    masks = tuple(MaskFile(root / _TABLE, label=label, runs=text) for label, text in sorted(runs.items()))
    return Sample(key, root / path, masks, category, class_of_image(runs), "train")


def _read(table: Path) -> _Rows:
    rows = _Rows()
    header = [name.strip() for name in next(iter(read_lines(table)), "").split(",")]
    wide = "ImageId_ClassId" in header
    for line, row in read_table(table, _WIDE if wide else _LONG):
        image, _, number = row["ImageId_ClassId"].rpartition("_") if wide else (row["ImageId"], "", row["ClassId"])
        if not image or not (number.isascii() and number.isdigit()):
            what = f"line {line} names no image and class ({', '.join(list(row.values())[:-1])})"
            rows.problems.append(Problem(str(table), what, "correct the line"))
            continue
        rows.named.add(image)
        label = f"class_{int(number)}"
        if label in rows.runs[image]:
            what = f"line {line} names {image} and {label} for the second time"
            rows.problems.append(Problem(str(table), what, "keep one of the lines"))
        elif row["EncodedPixels"]:
            rows.runs[image][label] = row["EncodedPixels"]
    return rows


def _without_image(root: Path, named: set[str], images: Sequence[str]) -> Iterator[Problem]:
    there = {path.removeprefix(f"{_LABELLED}/") for path in images if path.startswith(f"{_LABELLED}/")}
    for name in sorted(named - there):
        remedy = "put the image there, or take its lines out of the table"
        yield Problem(str(root / _TABLE), f"names {name}, which is not in {_LABELLED}/", remedy)


LAYOUT = Layout(
    name="severstal",
    shown="train.csv with run lengths beside train_images/*.jpg",
    detect=_detect,
    index=_index,
    parts=frozenset({_LABELLED, _UNLABELLED}),
)
