"""Real datasets of other people, read by their own rules and by ours, to every format that can hold them and back.

They stand in the folder that DEFECT_DATA names; without it these tests are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from converters import convert, read_labels, verify
from toolkit import load_dataset
from toolkit.files.digests import file_digest

DATA = Path(os.environ.get("DEFECT_DATA", "nowhere"))
PIXELS = ("yolo-segment", "coco", "semantic", "panoptic", "masks")
FORMATS = (*PIXELS, "yolo-detect", "yolo-obb", "yolo-classify")

Map = npt.NDArray[np.uint8]


def _grey(path: Path) -> Map:
    """As the authors of these datasets read masks."""
    found = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert found is not None
    return np.asarray(found, np.uint8)


def kolektor(image: Path) -> Map:
    return (_grey(image.with_name(f"{image.stem}_label.bmp")) > 0).astype(np.uint8)


def neu(image: Path) -> Map:
    return _grey(Path(str(image.with_suffix(".png")).replace("images", "annotations")))


def pairs(image: Path) -> Map:
    return (_grey(image.parent.parent / "masks" / image.name) > 0).astype(np.uint8)


class Real(NamedTuple):
    """A real sample: its folder, its images, its classes, and how its own reader reads a mask."""

    folder: str
    images: int
    classes: tuple[str, ...]
    read: Callable[[Path], Map]


REAL = (
    Real("kolektorsdd", 16, ("defect",), kolektor),
    Real("neu_seg", 30, ("inclusion", "patches", "scratches"), neu),
    Real("mpdd_pairs", 10, ("defect",), pairs),
)


@pytest.mark.parametrize("real", REAL, ids=[real.folder for real in REAL])
def test_every_pixel_is_what_the_sources_own_reader_reads(real: Real, tmp_path: Path) -> None:
    root = DATA / real.folder
    if not root.is_dir():
        pytest.skip(f"{root} is not there: name the folder of real samples in DEFECT_DATA")
    dataset = load_dataset(root)
    assert (len(dataset), tuple(dataset.classes()), dataset.problems) == (real.images, real.classes, ())
    convert(dataset, tmp_path / "out", FORMATS)
    truth = {sample.key: real.read(sample.image) for sample in dataset}
    by_file = {file_digest(sample.image): sample.key for sample in dataset}
    for kind in PIXELS:
        images = list(read_labels(tmp_path / "out" / kind))
        assert len(images) == real.images
        for image in images:
            assert image.path is not None
            expected = truth[by_file[file_digest(image.path)]]
            if kind == "masks":  # one class for each image
                assert np.array_equal(image.marked(), expected > 0), image.key
            else:
                values = [real.classes.index(one.label) + 1 for one in image.instances]
                assert np.array_equal(image.painted(values, np.uint8), expected), (kind, image.key)
    report = verify(tmp_path / "out")
    assert report.passed, report.failures


@pytest.mark.parametrize("real", REAL, ids=[real.folder for real in REAL])
def test_labels_of_each_format_give_the_same_labels_again(real: Real, tmp_path: Path) -> None:
    root = DATA / real.folder
    if not root.is_dir():
        pytest.skip(f"{root} is not there: name the folder of real samples in DEFECT_DATA")
    first = convert(root, tmp_path / "first", "coco").manifests["coco"]
    for kind in ("yolo-segment", "panoptic", "coco"):
        convert(root, tmp_path / kind, kind)
        again = convert(tmp_path / kind / kind, tmp_path / f"{kind}-again", "coco").manifests["coco"]
        assert again["labels_sha256"] == first["labels_sha256"], kind


def test_several_are_merged_renamed_and_proven(tmp_path: Path) -> None:
    roots = [DATA / name for name in ("neu_seg", "kolektorsdd", "mpdd_pairs", "mvtec_ad/bottle")]
    if not all(root.is_dir() for root in roots):
        pytest.skip(f"{DATA} does not hold them all: name the folder of real samples in DEFECT_DATA")
    convert(roots, tmp_path / "all", PIXELS, images="none")
    rename = {"broken_large": "broken", "broken_small": "broken"}
    convert(roots, tmp_path / "some", PIXELS, images="none", rename=rename, only=["broken"], drop_empty=True)
    for out in ("all", "some"):
        proof = verify(tmp_path / out)
        assert proof.passed, proof.failures
        assert not [note for note in proof.notes if "not in this tree" in note]
    broken = {image.key: [one.label for one in image.instances] for image in read_labels(tmp_path / "some/coco")}
    assert len(broken) == sum(sample.defect.startswith("broken") for sample in load_dataset(roots[-1]))
    assert {label for labels in broken.values() for label in labels} == {"broken"}
