"""Learning curves, scores and ROC: drawn where there is something to draw."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.metrics.curves import draw_curves, draw_scores

PNG = b"\x89PNG"
ROWS = [
    {"epoch": str(epoch), "train_loss": repr(2.0**-epoch), "val_loss": "" if epoch else "nan", "seconds": "1"}
    for epoch in range(8)
]


def test_curves_are_drawn_of_what_was_measured():
    drawn = draw_curves(ROWS)
    assert drawn is not None
    assert drawn.startswith(PNG)
    assert draw_curves([]) is None
    assert draw_curves([{"epoch": "0", "seconds": "1", "val_loss": "nan"}]) is None


@pytest.mark.parametrize(
    ("scores", "truth"),
    [([], []), ([1.0, 2.0], [True, True]), ([1.0, 2.0], [False, False]), ([np.nan, 1], [True, False])],
)
def test_scores_of_one_kind_are_not_drawn(scores, truth):
    assert draw_scores(scores, truth, [False] * len(scores), axis="score") is None
