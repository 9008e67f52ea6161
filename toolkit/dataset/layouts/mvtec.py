"""The layout of MVTec AD, also used by MPDD, AutoVI and many in-house sets.

    CATEGORY/train/good/000.png
    CATEGORY/test/good/000.png          CATEGORY/test/DEFECT/000.png
    CATEGORY/ground_truth/DEFECT/000_mask.png, or 000.png, or a folder 000/ of several masks

A category may lack train/. Further subset folders (val, validation) are read as they stand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.dataset.dataset import Dataset
from toolkit.dataset.layouts.files import is_text
from toolkit.dataset.layouts.layout import Layout
from toolkit.dataset.reference import compare_with_published
from toolkit.dataset.samples import GOOD, MaskFile, Sample, is_good_word, packed_samples
from toolkit.errors import Problem, ToolkitError
from toolkit.imaging.images import is_image
from toolkit.imaging.masks import read_mask

__all__ = ["LAYOUT", "PARTS", "detect", "index", "mask_files"]

_SUBSETS = {"train": "train", "val": "val", "validation": "val", "test": "test"}
_MASKS = "ground_truth"
PARTS = frozenset({*_SUBSETS, _MASKS})
"""Names of the folders in a category."""


@dataclass(eq=False)
class _Findings:
    """What is seen on the way, beside samples."""

    problems: list[Problem] = field(default_factory=list)
    unmasked: dict[str, Problem] = field(default_factory=dict)
    passed_over: list[Path] = field(default_factory=list)
    shared: bool = False  # whether images of one name are in several subsets, and have a mask


def detect(root: Path) -> bool:
    """Whether a folder is one category, or holds categories."""
    return _is_category(root) or any(_is_category(path) for path in _folders(root))


def index(root: Path) -> Dataset:
    """Samples of a category folder, or of all the category folders in a root."""
    single = _is_category(root)
    samples = packed_samples()
    seen = _Findings()
    for folder in [root] if single else [path for path in _folders(root) if _is_category(path)]:
        category = folder.resolve().name if single else folder.name
        before = len(samples)
        samples.extend(_category(folder, category, seen))
        if seen.shared:
            own = samples[before:]
            samples.cut(before)
            samples.extend(_without_shared(own, seen))
            seen.shared = False
    return Dataset(
        samples,
        root=root,
        layout="mvtec",
        layout_problems=seen.problems,
        notes=compare_with_published(samples),
        unmasked=seen.unmasked,
        passed_over=seen.passed_over,
    )


def _is_category(folder: Path) -> bool:
    """A category has a subset folder with class folders in it, or masks beside one."""
    subsets = [folder / name for name in _SUBSETS if (folder / name).is_dir()]
    if (folder / _MASKS).is_dir():
        return True
    # train/images and test/labels are a label tree's; train/good and test/scratch are classes.
    return any(is_good_word(path.name) for subset in subsets for path in _folders(subset))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if is_image(entry.name) and entry.is_file())


def _category(folder: Path, category: str, seen: _Findings) -> Iterator[Sample]:
    masks = mask_files(folder / _MASKS)
    wanted: set[tuple[str, str]] = set()
    for name, split in _SUBSETS.items():
        if (folder / name).is_dir():
            for class_folder in _folders(folder / name):
                yield from _class(class_folder, category, split, masks, wanted, seen)
    for (defect, stem), files in masks.items():
        if is_good_word(defect):
            seen.passed_over += files
            seen.problems += (problem for file in files for problem in _faults_of_good(file))
        elif (defect, stem) not in wanted:
            remedy = f"put its image at {folder / 'test' / defect / stem}.png, or remove the mask"
            seen.problems += [Problem(str(file), "a mask without an image", remedy) for file in files]


def _class(
    folder: Path,
    category: str,
    split: str,
    masks: dict[tuple[str, str], tuple[Path, ...]],
    wanted: set[tuple[str, str]],
    findings: _Findings,
) -> Iterator[Sample]:
    """The images of one class folder, each with its masks."""
    defect = GOOD if is_good_word(folder.name) else folder.name
    seen: dict[str, str] = {}
    for name in _images(folder):
        stem = os.path.splitext(name)[0]
        image = folder / name
        key = f"{category}/{split}/{defect}/{stem}"
        if not key.isascii() and not is_text(key):
            wanted.add((defect, stem))
            findings.problems.append(
                Problem(str(image), "its name is not UTF-8, which labels are written in", "rename it")
            )
            continue
        if stem in seen:
            findings.problems.append(Problem(str(image), f"has the same name as {seen[stem]}", "rename one of the two"))
            continue
        seen[stem] = name
        found: tuple[Path, ...] = ()
        if defect != GOOD:
            found = masks.get((defect, stem), ())
            findings.shared |= bool(found) and (defect, stem) in wanted
            wanted.add((defect, stem))
            if len(found) > 1 and any(path.parent.parent.name != defect for path in found):
                findings.problems.append(_in_two_places(image, found))
                findings.passed_over += (image, *found)
                continue
            if not found:
                place = folder.parent.parent / _MASKS / defect / f"{stem}_mask.png"
                findings.unmasked[key] = Problem(
                    str(image), "a defect image without a mask", f"put its mask at {place}"
                )
        yield Sample(key, image, tuple(map(MaskFile, found)), category, defect, split)


def _in_two_places(image: Path, masks: Sequence[Path]) -> Problem:
    shown = " and ".join(str(path) for path in masks[:3])
    what = f"finds {len(masks)} masks in different places: {shown}".replace("finds 2 ", "finds two ")
    return Problem(str(image), what, "name one with --image and --mask, or take the other out")


def _without_shared(samples: Sequence[Sample], seen: _Findings) -> Iterator[Sample]:
    """The samples that do not share a mask: a name that stands in train and in test has one mask for two images."""
    claims: dict[MaskFile, list[Sample]] = {}
    for sample in samples:
        for mask in sample.masks:
            claims.setdefault(mask, []).append(sample)
    torn: set[str] = set()
    for mask, claimants in claims.items():
        if len(claimants) > 1:
            shown = " and ".join(str(sample.image) for sample in claimants)
            remedy = "rename one of them and its mask, or take the one that has no mask out of the dataset"
            seen.passed_over += (sample.image for sample in claimants)
            seen.problems.append(Problem(str(mask), f"one mask for {len(claimants)} images, {shown}", remedy))
            torn |= {sample.key for sample in claimants}
    return (sample for sample in samples if sample.key not in torn)


def _faults_of_good(path: Path) -> tuple[Problem, ...]:
    """What is wrong with the mask of a good image: it marks something, or cannot be read and may mark anything."""
    try:
        marks = read_mask(path, threshold=1).crop.size > 0
    except ToolkitError as error:
        return error.problems
    remedy = "clear the mask, or move its image to a class of defect"
    return (Problem(str(path), "a mask of a good image marks something", remedy),) if marks else ()


def mask_files(folder: Path) -> dict[tuple[str, str], tuple[Path, ...]]:
    """(defect, image stem) -> mask files."""
    found: dict[tuple[str, str], tuple[Path, ...]] = {}
    if not folder.is_dir():
        return found
    for class_folder in _folders(folder):
        for name in _images(class_folder):
            stem = os.path.splitext(name)[0].removesuffix("_mask")
            key = (class_folder.name, stem)
            found[key] = (*found.get(key, ()), class_folder / name)
        for image_folder in _folders(class_folder):
            names = _images(image_folder)
            if names:
                key = (class_folder.name, image_folder.name)
                found[key] = (*found.get(key, ()), *(image_folder / name for name in names))
    return found


LAYOUT = Layout(
    name="mvtec",
    shown="CATEGORY/test/DEFECT/*.png beside CATEGORY/ground_truth/DEFECT/*_mask.png",
    detect=detect,
    index=index,
    parts=PARTS,
)
