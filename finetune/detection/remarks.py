"""What to think of a detector's figures: a validation that lags behind the training, detections that were cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from finetune.engine.runs import Run

__all__ = ["about_most", "about_zero"]


def about_most(reached: int, most: int, run: Run, lowest: float | None = None) -> list[str]:
    """What to say where images reached the number of detections that is kept.

    Args:
        reached: how many images did.
        most: the number.
        run: whose they are.
        lowest: what was cut in them scores no more than this.
    """
    if not reached:
        return []
    where = "" if run.tiles is None else " in a tile"
    cut = "" if lowest is None else f", none with a score above {lowest:.3g}"
    return [
        f"{reached} image(s) reached max_detections={most}{where}: what else was found in them is left out{cut}; "
        f"write max_detections: {min(10_000, 3 * most)} in {run.root / 'config.yaml'} to keep more"
    ]


def about_zero(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """What to think of a validation mAP that stays 0 while the loss falls.

    In training a batch is normalised by its own mean and variance, in validation by running averages, of which each
    step renews 3 % (ultralytics' BatchNorm momentum): after n steps (0.97)^n of the random start is left, in every
    layer. Weights that were trained bring theirs along.
    """
    figures = [float(row["map50"]) for row in rows if row.get("map50")]
    zeros = next((place for place, value in enumerate(figures) if value > 0), len(figures))
    if zeros < 2:
        return []
    losses = [float(row.get("train_loss") or "nan") for row in (rows[0], rows[-1])]
    fall = f"the train loss went from {losses[0]:.2f} to {losses[1]:.2f}"
    why = (
        "validation uses running averages (BatchNorm), which from random weights need some hundred steps to follow; "
        "more epochs, a smaller batch_size or trained weights give them"
    )
    when = f"is 0 after {zeros} epochs" if zeros == len(figures) else f"was 0 for the first {zeros} epochs"
    return [f"validation mAP {when} while {fall}: {why}"]
