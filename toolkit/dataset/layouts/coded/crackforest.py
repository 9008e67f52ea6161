"""The layout of CrackForest: masks in MATLAB files, which take scipy to read.

image/001.jpg       groundTruth/001.mat     groundTruth.Segmentation: 1 background, 2 crack
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.dataset.dataset import Dataset
from toolkit.dataset.layouts.files import list_files
from toolkit.dataset.layouts.layout import Layout
from toolkit.dataset.samples import GOOD, MaskFile, Sample
from toolkit.errors import Problem, ToolkitError
from toolkit.imaging.images import read_header

__all__ = ["LAYOUT"]

_IMAGES, _MASKS = "image", "groundTruth"
_BACKGROUND, _CRACK = 1, 2
_CLASS = "crack"


def _detect(root: Path) -> bool:
    """Whether a folder has images, and MATLAB files of their masks."""
    return (root / _IMAGES).is_dir() and next((root / _MASKS).glob("*.mat"), None) is not None


def _index(root: Path) -> Dataset:
    """Samples of all images; the masks are read here.

    Raises:
        ToolkitError: scipy is not installed.
    """
    try:
        import scipy.io  # noqa: F401
    except ImportError as error:
        what = "has its masks in MATLAB files, which take scipy to read"
        raise ToolkitError(root, what, "pip install 'defectkit[train]'") from error
    files = list_files(root)
    masks = {PurePosixPath(path).stem: root / path for path in files.others if _is_mask(path)}
    problems = list(files.problems)
    samples: dict[str, Sample] = {}
    named: list[Path] = []
    for path in files.images:
        folder, _, name = path.rpartition("/")
        stem = PurePosixPath(name).stem
        if folder != _IMAGES:
            continue
        if stem in samples:
            problems.append(Problem(str(root / path), "has the same name as another", "rename one of the two"))
            continue
        try:
            samples[stem] = _sample(root / path, masks.get(stem), root.resolve().name)
        except ToolkitError as error:
            problems += error.problems
            named.append(root / path)
    problems += _without_image(masks, {PurePosixPath(path).stem for path in files.images})
    whole = samples.values()
    return Dataset(whole, root=root, layout="crackforest", layout_problems=problems, passed_over=named)


def _is_mask(path: str) -> bool:
    return path.startswith(f"{_MASKS}/") and path.count("/") == 1 and path.lower().endswith(".mat")


def _sample(image: Path, mask: Path | None, category: str) -> Sample:
    """An image with its mask as run lengths.

    Raises:
        ToolkitError: the mask is not there, cannot be read, is of another size, or holds values that are not known.
    """
    if mask is None:
        raise ToolkitError(image, "an image without a mask", f"put its mask at {_MASKS}/{image.stem}.mat")
    segmentation = _segmentation(mask)
    header = read_header(image)
    height, width = segmentation.shape
    if (width, height) != (header.width, header.height):
        what = f"is {width} x {height} pixels, its image {image} is {header.width} x {header.height}"
        raise ToolkitError(mask, what, "make the two the same size")
    strange = sorted(set(np.unique(segmentation).tolist()) - {_BACKGROUND, _CRACK})
    if strange:
        shown = ", ".join(str(value) for value in strange[:5])
        raise ToolkitError(mask, f"holds values other than 1, background, and 2, crack ({shown})", "correct the mask")
    runs = _runs_of(segmentation == _CRACK)
    masks = (MaskFile(mask, label=_CLASS, runs=runs),) if runs else ()
    return Sample(image.stem, image, masks, category, _CLASS if runs else GOOD, "train")


def _segmentation(path: Path) -> npt.NDArray[np.generic]:
    """Values (H, W) of a MATLAB file.

    Raises:
        ToolkitError: it is no such file, or has none.
    """
    from scipy.io import loadmat

    try:
        found: Any = np.asarray(loadmat(path)["groundTruth"]["Segmentation"][0, 0])
    except Exception as error:  # a damaged file can fail in any way
        what = f"cannot be read as a MATLAB file with groundTruth.Segmentation ({type(error).__name__})"
        raise ToolkitError(path, what, "give the file as it was published") from error
    if found.ndim != 2 or not np.issubdtype(found.dtype, np.number):
        raise ToolkitError(path, "its groundTruth.Segmentation is no map of numbers", "give the file as published")
    values: npt.NDArray[np.generic] = found
    return values


def _runs_of(marked: npt.NDArray[np.bool_]) -> str:
    """Run lengths "start length ...", from 1, column by column."""
    flat = np.concatenate([[False], marked.T.ravel(), [False]]).view(np.int8)
    steps = np.diff(flat)
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return " ".join(f"{start + 1} {end - start}" for start, end in zip(starts, ends, strict=True))


def _without_image(masks: dict[str, Path], images: set[str]) -> Iterator[Problem]:
    for stem in sorted(masks.keys() - images):
        remedy = f"put its image at {_IMAGES}/{stem}.jpg, or remove the mask"
        yield Problem(str(masks[stem]), "a mask without an image", remedy)


LAYOUT = Layout(
    name="crackforest",
    shown="image/*.jpg beside groundTruth/*.mat",
    detect=_detect,
    index=_index,
    parts=frozenset({_IMAGES, _MASKS}),
)
