"""One sample, its files read and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from toolkit.dataset.samples import MaskFile, Sample
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.imaging.images import ImageHeader, read_header
from toolkit.imaging.masks import Mask, fitted, mask_of_runs, read_mask, read_value_masks

__all__ = ["Inspected", "inspect_sample", "read_sample"]


@dataclass(frozen=True, eq=False)
class Inspected:
    """A sample's size and masks, read and checked.

    Attributes:
        header: the image's size in pixels and its channels.
        masks: class -> the union of its masks, in the order in which the classes first come; empty for a good sample.
        turned: whether a mask was made for the pixels as stored, and turned as the image's EXIF orientation says.
    """

    header: ImageHeader
    masks: dict[str, Mask]
    turned: bool = False

    @property
    def fits_both_ways(self) -> bool:
        """Whether its masks fit both the upright picture and the pixels as stored, which are not the same."""
        same = self.header.stored == (self.header.width, self.header.height)
        return bool(self.masks) and self.header.turned and same and not self.turned

    @property
    def looks_inverted(self) -> bool:
        """Whether more than half of it is marked, its corners included: the background may be what is marked."""
        size = self.header.height, self.header.width
        crops = (mask.crop for mask in self.masks.values() if mask.crop.shape == size)
        return any(crop[[0, -1]][:, [0, -1]].all() and np.count_nonzero(crop != 0) * 2 > crop.size for crop in crops)

    def marked(self) -> npt.NDArray[np.bool_]:
        """What is marked, of whatever class: bool (height, width)."""
        whole = np.zeros((self.header.height, self.header.width), np.bool_)
        for mask in self.masks.values():
            whole |= mask.pixels() > 0
        return whole


def read_sample(sample: Sample, threshold: int | None = None) -> Inspected:
    """Read an image's header and its masks.

    Args:
        sample: which files to read.
        threshold: as in `read_mask`, for masks that have none of their own.

    Raises:
        BadInputError: with everything that is wrong with the files.
    """
    problems: list[Problem] = []
    header: ImageHeader | None = None
    masks: dict[str, Mask] = {}
    turned = False
    try:
        header = read_header(sample.image)
    except ToolkitError as error:
        problems += error.problems
    for _, group in groupby(sample.masks, key=lambda file: (file.path, _is_told_by_value(file) or file)):
        files = list(group)
        try:
            found = _read(files, threshold, header)
            fits = [mask if header is None else fitted(mask, header, files[0].path, sample.image) for mask in found]
        except ToolkitError as error:
            problems += error.problems
            continue
        turned |= any(fit is not mask for fit, mask in zip(fits, found, strict=True))
        for file, fit in zip(files, fits if not problems else (), strict=not problems):
            label = file.label or sample.defect
            masks[label] = masks[label].union(fit) if label in masks else fit
    if not problems and masks and not any(mask.crop.size for mask in masks.values()):
        remedy = "move the image to test/good, or mark its defect"
        problems.append(Problem(str(sample.masks[0]), "the mask of a defect image is all zero", remedy))
    if problems or header is None:
        raise BadInputError(problems)
    return Inspected(header, masks, turned)


def _is_told_by_value(file: MaskFile) -> str:
    """How the values of a file are read that marks a class by some of them; "" for other masks."""
    by_value = file.threshold is None and not file.runs and file.reading in ("values", "colours")
    return file.reading if by_value else ""


def _read(files: Sequence[MaskFile], threshold: int | None, header: ImageHeader | None) -> list[Mask]:
    """The masks of one file, which is decoded once however many classes it shows."""
    first = files[0]
    if len(files) > 1 and _is_told_by_value(first):
        return read_value_masks(first.path, [file.values for file in files], first.reading)
    if first.runs:
        size = (header.width, header.height) if header is not None else (0, 0)
        mask = mask_of_runs(first.runs, size, first.path)
    else:
        chosen = threshold if first.threshold is None and not first.reading else first.threshold
        mask = read_mask(first.path, chosen, first.values, first.reading)
    return [mask] * len(files)


def inspect_sample(sample: Sample, threshold: int | None = None) -> tuple[Problem, ...]:
    """Every fault of one sample's files; none if they are sound."""
    try:
        read_sample(sample, threshold)
    except ToolkitError as error:
        return error.problems
    return ()
