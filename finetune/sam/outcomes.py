"""How well a segmenter does in each image, and the figure made of that."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from finetune.engine.learner import Figure
from finetune.engine.runs import Run
from finetune.metrics.evidence import Means
from toolkit.files.typed import Row, read_rows

__all__ = ["IOU_BOX", "read_overlaps"]


class _Segmented(Row):
    """A row of the predictions of a segmenter, an object."""

    key: str
    iou_box: float


def read_overlaps(run: Run) -> Means:
    """The IoU of the objects in each test image of a run, asked for by their boxes.

    Raises:
        ToolkitError: the run has no such predictions.
    """
    found = defaultdict[str, list[float]](list)
    for row in read_rows(run.root / "predictions.csv", _Segmented, "train again"):
        found[row.key].append(row.iou_box)
    each = list(found.values())
    return Means(tuple(found), np.array([sum(one) for one in each]), np.array([float(len(one)) for one in each]))


IOU_BOX = Figure("iou_box", "IoU of objects asked for by their boxes", read_overlaps, "defects")
