"""Label maps: their names, and what of the instances shows in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from converters.formats.base import Pixels, image_name
from toolkit.geometry.labels import LabelledImage

__all__ = ["boxes_of_ids", "label_name", "pixels_kept"]


def label_name(image: LabelledImage) -> str:
    """Name of an image's label file: that of the image, as PNG."""
    return image_name(image).rpartition(".")[0] + ".png"


def pixels_kept(
    shown: npt.NDArray[np.generic], image: LabelledImage, values: Sequence[int]
) -> tuple[Pixels | None, int]:
    """How well a map shows the instances, and the pixels of theirs that it gives to another one.

    A map holds one value a pixel: what it can be right about is the instances as painted, the later over the earlier.
    What those hide is counted by itself.
    """
    kept = total = 0
    for instance, value in zip(image.instances, values, strict=True):
        x0, y0, x1, y1 = instance.window
        kept += int(np.count_nonzero((shown[y0:y1, x0:x1] == value) & instance.region))
        total += instance.area
    if not total:
        return None, 0
    if kept == total:
        return Pixels(kept, total), 0
    union = int(np.count_nonzero(shown))
    return Pixels(union, union), total - kept


def boxes_of_ids(ids: npt.NDArray[np.unsignedinteger]) -> dict[int, tuple[int, int, int, int]]:
    """Id -> the box (x0, y0, x1, y1), half-open, of the pixels that have it; 0 is none."""
    if not ids.any():
        return {}
    width = ids.shape[1]
    turns = np.ones(ids.shape, np.bool_)  # a run of one id begins here; none goes on in the next row
    np.not_equal(ids[:, 1:], ids[:, :-1], out=turns[:, 1:])
    starts = np.flatnonzero(turns)
    lengths, here = np.diff(starts, append=ids.size), ids.ravel()[starts]
    order = np.argsort(here, kind="stable")[np.count_nonzero(here == 0) :]
    here, (rows, columns) = here[order], np.divmod(starts[order], width)
    firsts = np.flatnonzero(np.diff(here, prepend=here.dtype.type(0)))
    x0, y0 = (np.minimum.reduceat(along, firsts).tolist() for along in (columns, rows))
    x1, y1 = (np.maximum.reduceat(along, firsts).tolist() for along in (columns + lengths[order], rows + 1))
    return dict(zip(here[firsts].tolist(), zip(x0, y0, x1, y1, strict=True), strict=True))
