"""The learners that find places of given classes, what opens their runs, and what has them see photos in tiles."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from finetune.engine.runs import Run
from toolkit.errors import ToolkitError
from toolkit.geometry.tiles import Tiles

if TYPE_CHECKING:
    from finetune.detection.predictor import TrainedDetector

__all__ = ["DETECTORS", "check_detector", "open_detector", "with_tiles"]

DETECTORS = ("yolo", "yolo-world")
"""Names of the learners."""

_OTHERS = {
    "classifier": "it cuts tiles by its setting tiles.side",
    "longtail": "it cuts tiles by its setting tiles.side",
    "patchcore": "its threshold is that of good images as they were trained on",
    "vae": "its threshold is that of good images as they were trained on",
}


def check_detector(run: Run) -> None:
    """Refuse a run of another learner.

    Raises:
        ToolkitError: it is none of a detector.
    """
    if run.learner not in DETECTORS:
        known = " or ".join(DETECTORS)
        raise ToolkitError(run.root, f"is a run of {run.learner}, not of {known}", "name a run of a detector")


def open_detector(run: Run) -> TrainedDetector:
    """The detector of a run, with the weights of its best epoch.

    Raises:
        ToolkitError: the run is none of a detector, did not go to its end, or its files are damaged.
    """
    check_detector(run)
    if run.learner == "yolo":
        from finetune.yolo.predictor import load_detector as load_yolo

        return load_yolo(run)
    from finetune.yolo_world.predictor import load_detector as load_words

    return load_words(run)


def with_tiles(run: Run, tiles: int | Tiles | None, overlap: float | None) -> Run:
    """A run that looks at photos in tiles, and puts together what it finds there.

    Args:
        run: of yolo or yolo-world.
        tiles: their side in pixels of the photo, or this and what they share; None changes nothing.
        overlap: share of a side that neighbours have in common at least; None for that of `tiles`, or .2.

    Raises:
        ToolkitError: the run is of another learner, or the numbers mean nothing.
    """
    if tiles is None and overlap is None:
        return run
    told = run.tiles if tiles is None else Tiles(tiles) if isinstance(tiles, int) else tiles
    if told is None:
        problem = "says how tiles are cut, and there are to be none"
        raise ToolkitError("--overlap", problem, "add --tiles SIDE")
    if run.learner not in DETECTORS:
        why = f": {_OTHERS[run.learner]}" if run.learner in _OTHERS else ""
        remedy = f"leave it out, or use a run of {' or '.join(DETECTORS)}"
        raise ToolkitError("--tiles", f"{run.root} is a run of {run.learner}{why}", remedy)
    if told.background is not None:
        raise ToolkitError(
            "--tiles-background", "is of trees of tiles; a photo is seen in all of its tiles", "leave it out"
        )
    told = told if overlap is None else replace(told, overlap=overlap)
    told.check()
    return replace(run, tiles=told)
