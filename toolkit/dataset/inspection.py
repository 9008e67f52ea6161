"""Looking at one sample's files: what is in them, or what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toolkit.dataset.samples import Sample
from toolkit.errors import Problem, ToolkitError
from toolkit.imaging.images import ImageHeader, Mask, read_header, read_mask

__all__ = ["Inspected", "inspect_sample", "read_sample"]


@dataclass(frozen=True, eq=False)
class Inspected:
    """A sample's size and mask, read and checked.

    Attributes:
        header: the image's size in pixels and its channels.
        mask: the union of its masks; None for a good sample.
    """

    header: ImageHeader
    mask: Mask | None


def read_sample(sample: Sample, threshold: int | None = None) -> Inspected | tuple[Problem, ...]:
    """Read an image's header and its masks, or say everything that is wrong with them.

    Args:
        sample: which files to read.
        threshold: as in `read_mask`.
    """
    problems: list[Problem] = []
    header: ImageHeader | None = None
    union: Mask | None = None
    try:
        header = read_header(sample.image)
    except ToolkitError as error:
        problems += error.problems
    for path in sample.masks:
        try:
            mask = read_mask(path, threshold)
        except ToolkitError as error:
            problems += error.problems
            continue
        if header is not None and (mask.width, mask.height) != (header.width, header.height):
            problems.append(_sizes_differ(sample, path, mask, header))
        elif not problems:
            union = mask if union is None else Mask.of(union.pixels() | mask.pixels(), mask.width, mask.height)
    if problems or header is None:
        return tuple(problems)
    if union is not None and not union.crop.size:
        remedy = "move the image to test/good, or mark its defect"
        return (Problem(str(sample.masks[0]), "the mask of a defect image is all zero", remedy),)
    return Inspected(header, union)


def _sizes_differ(sample: Sample, path: Path, mask: Mask, header: ImageHeader) -> Problem:
    return Problem(
        str(path),
        f"is {mask.width} x {mask.height} pixels, its image {sample.image} is {header.width} x {header.height}",
        "make the two the same size",
    )


def inspect_sample(sample: Sample, threshold: int | None = None) -> tuple[Problem, ...]:
    """Every fault of one sample's files; none if they are sound."""
    found = read_sample(sample, threshold)
    return found if isinstance(found, tuple) else ()
