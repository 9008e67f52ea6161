"""How an anomaly detector ranks images, and the figure made of that."""

from __future__ import annotations

import numpy as np

from finetune.engine.learner import Figure
from finetune.engine.runs import Run
from finetune.metrics.evidence import Ranking
from toolkit.dataset.samples import GOOD
from toolkit.files.typed import Row, read_rows

__all__ = ["IMAGE_AUROC", "read_ranking"]


class _Scored(Row):
    """A row of the predictions of an anomaly detector."""

    key: str
    subset: str
    label: str
    score: float


def read_ranking(run: Run) -> Ranking:
    """The scores of the test images of a run.

    Raises:
        ToolkitError: the run has no such predictions.
    """
    every = read_rows(run.root / "predictions.csv", _Scored, "train again")
    rows = [row for row in every if row.subset == "test"]
    scores, defective = [row.score for row in rows], [row.label != GOOD for row in rows]
    return Ranking(tuple(row.key for row in rows), np.array(scores, np.float64), np.array(defective, np.bool_))


IMAGE_AUROC = Figure("image_auroc", "image AUROC", read_ranking, "good images and defects")
