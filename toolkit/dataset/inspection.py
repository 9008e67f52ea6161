"""One sample, its files read and checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toolkit.dataset.samples import MaskFile, Sample
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.imaging.images import ImageHeader, read_header
from toolkit.imaging.masks import Mask, fitted, mask_of_runs, read_mask

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
    for file in sample.masks:
        try:
            mask = _read(file, threshold, header)
            fit = mask if header is None else fitted(mask, header, file.path, sample.image)
        except ToolkitError as error:
            problems += error.problems
            continue
        turned |= fit is not mask
        if not problems:
            label = file.label or sample.defect
            masks[label] = masks[label].union(fit) if label in masks else fit
    if not problems and masks and not any(mask.crop.size for mask in masks.values()):
        remedy = "move the image to test/good, or mark its defect"
        problems.append(Problem(str(sample.masks[0]), "the mask of a defect image is all zero", remedy))
    if problems or header is None:
        raise BadInputError(problems)
    return Inspected(header, masks, turned)


def _read(file: MaskFile, threshold: int | None, header: ImageHeader | None) -> Mask:
    if file.runs:
        size = (header.width, header.height) if header is not None else (0, 0)
        return mask_of_runs(file.runs, size, file.path)
    chosen = threshold if file.threshold is None and not file.reading else file.threshold
    return read_mask(file.path, chosen, file.values, file.reading)


def inspect_sample(sample: Sample, threshold: int | None = None) -> tuple[Problem, ...]:
    """Every fault of one sample's files; none if they are sound."""
    try:
        read_sample(sample, threshold)
    except ToolkitError as error:
        return error.problems
    return ()
