"""Which images a classifier told right, and the figure made of that."""

from __future__ import annotations

from typing import Literal

from finetune.engine.learner import Figure
from finetune.engine.runs import Run
from finetune.metrics.evidence import RightOrWrong
from toolkit.errors import ToolkitError
from toolkit.files.typed import Row, read_rows

__all__ = ["ACCURACY", "read_correct"]


class _Predicted(Row):
    """A row of the predictions of a classifier."""

    key: str
    subset: str
    correct: Literal["0", "1"]


def read_correct(run: Run) -> dict[str, bool]:
    """Key -> whether a run's classifier told the image right, of the images that its metrics are of.

    Raises:
        ToolkitError: the run has no such predictions.
    """
    tested, path = str(run.environment().get("metrics_of", "test")), run.root / "predictions.csv"
    if not path.is_file():
        raise ToolkitError(path, "is not there", "name runs of classifiers")
    rows = read_rows(path, _Predicted, "name runs of classifiers; train this one again if it is one")
    return {row.key: row.correct == "1" for row in rows if row.subset == tested}


ACCURACY = Figure("accuracy", "accuracy", lambda run: RightOrWrong(read_correct(run)))
