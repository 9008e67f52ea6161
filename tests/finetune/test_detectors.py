"""Which runs look at tiles, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.detectors import with_tiles
from finetune.engine.runs import Run
from toolkit.errors import ToolkitError
from toolkit.geometry.tiles import Tiles

DETECTOR = Run(Path("run"), "yolo-world")


def test_tiles_of_a_detector() -> None:
    assert with_tiles(DETECTOR, None, None) is DETECTOR
    assert with_tiles(DETECTOR, 64, None).tiles == Tiles(64, 0.2)
    assert with_tiles(DETECTOR, Tiles(64, 0.5), None).tiles == Tiles(64, 0.5)
    assert with_tiles(with_tiles(DETECTOR, 64, None), None, 0.0).tiles == Tiles(64, 0.0)


@pytest.mark.parametrize(
    ("learner", "tiles", "overlap", "said"),
    [
        ("yolo", None, 0.2, r"overlap: says how tiles are cut, and there are to be none; add tiles=SIDE"),
        ("yolo", 8, None, "tiles: 8 is no side of a tile; give 32 to 32768 pixels"),
        ("yolo", 64, 2.0, "overlap: 2 is no share of a tile"),
        (
            "yolo",
            Tiles(64, background=1),
            None,
            "is of trees of tiles; a photo is seen in all of its tiles; leave it out",
        ),
        ("patchcore", 64, None, "tiles: run is a run of patchcore: its threshold is that of good images"),
        (
            "classifier",
            64,
            None,
            "it cuts tiles by its setting tiles.side; leave it out, or use a run of yolo or",
        ),
        ("sam", 64, None, "tiles: run is a run of sam; leave it out, or use a run of yolo or yolo-world"),
    ],
)
def test_what_is_refused(learner: str, tiles: int | Tiles | None, overlap: float | None, said: str) -> None:
    with pytest.raises(ToolkitError) as caught:
        with_tiles(Run(Path("run"), learner), tiles, overlap)
    assert said in str(caught.value)
