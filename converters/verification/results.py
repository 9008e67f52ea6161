"""What the proof finds, image by image and together."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import NamedTuple

from converters.verification.comparison import ImageFidelity
from converters.verification.photos import Photo, PhotoTally

__all__ = ["WORST", "Checked", "Results"]

WORST = 5
"""Images that are named where something is wrong with many."""


class Checked(NamedTuple):
    """One image of one tree.

    Attributes:
        tree: number of the tree.
        objects: labelled objects in it.
        failures: what is wrong.
        fidelity: of its masks, where any were compared.
        right: whether it is exact; None where there was nothing that could be.
        rectangles: objects that are rectangles made from boxes.
        photo: its image file; None where the tree is to have none.
        pasted: IoU of all tiles of its image, put together; None but for one tile of each image.
    """

    tree: int
    objects: int
    failures: tuple[str, ...]
    fidelity: ImageFidelity | None = None
    right: bool | None = None
    rectangles: int = 0
    photo: Photo | None = None
    pasted: float | None = None


@dataclass(eq=False)
class Results:
    """What was found in the images of a tree, together.

    Attributes:
        images, objects: how many were looked at.
        compared, exact: images that show something, and those of them without a fault.
        rectangles, drawn: objects that are rectangles made from boxes, and images that have some.
        silent: whether nothing was compared and nothing was wrong.
        ious: of the images whose masks were compared, in order.
        worst: the images with the lowest of them, if below 1.
        failures: what is wrong.
        photos: the image files.
        pasted: IoU of the images that tiles were put together to.
    """

    images: int = 0
    objects: int = 0
    compared: int = 0
    exact: int = 0
    rectangles: int = 0
    drawn: int = 0
    silent: bool = True
    ious: array[float] = field(default_factory=lambda: array("d"))
    worst: list[ImageFidelity] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    photos: PhotoTally = field(default_factory=PhotoTally)
    pasted: array[float] = field(default_factory=lambda: array("d"))

    def add(self, one: Checked) -> None:
        """Take what was found in an image."""
        self.images += 1
        self.objects += one.objects
        self.compared += one.right is not None
        self.exact += one.right is True
        self.rectangles += one.rectangles
        self.drawn += one.rectangles > 0
        self.silent &= one.right is None and not one.failures
        self.failures += one.failures
        if one.fidelity is not None:
            self.ious.append(one.fidelity.iou)
            if one.fidelity.iou < 1:
                self.worst = nsmallest(WORST, [*self.worst, one.fidelity])
        if one.pasted is not None:
            self.pasted.append(one.pasted)
        if one.photo is not None:
            self.photos.add(one.photo)
