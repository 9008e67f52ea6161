"""What corners of boxes are, decided for a whole tree: pixels from 1, the last one included, or edges from 0.

The devkit counts pixels from 1 (VOC2007 development kit, "the top-left pixel in the image has coordinates (1,1)");
datumaro, Label Studio and LabelMe write edges. One file cannot tell: where boxes touch the border of their images does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from converters.formats.base import VocBoxes
from converters.formats.voc.annotation import Corners
from toolkit.errors import ToolkitError

__all__ = ["Evidence", "as_box", "form_note"]

_FEW = 20  # boxes that begin at 1 for each one that begins at 0, or has fractions, where the latter are slips
_SEVERAL = 3
_FLAGS = "--voc-boxes inclusive1 (pixels from 1) or --voc-boxes edges0 (edges from 0)"


def as_box(corners: Corners, form: VocBoxes) -> Corners:
    """Corners as they stand as a half-open box (x0, y0, x1, y1) in pixels; x1 is not above x0 where it covers none."""
    x0, y0, x1, y1 = corners
    return (x0 - 1, y0 - 1, x1, y1) if form == "inclusive1" else corners


@dataclass
class Evidence:
    """What the corners of a tree tell: how many sides lie at 0, at 1, at the last pixel from 0 on, and at the size."""

    boxes: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("part", "zero", "one", "last", "full"), 0))

    def add(self, corners: Corners, size: tuple[int, int] | None) -> None:
        """Take in a box; `size` is the width and height of its image, None where nothing tells."""
        x0, y0, x1, y1 = corners
        self.boxes += 1
        self._count("part", any(side != int(side) for side in corners))
        self._count("zero", x0 == 0 or y0 == 0)
        self._count("one", x0 == 1 or y0 == 1)
        if size is not None:
            self._count("last", x1 == size[0] - 1 or y1 == size[1] - 1)
            self._count("full", x1 == size[0] or y1 == size[1])

    def _count(self, name: str, holds: bool) -> None:
        self.counts[name] += holds

    def decide(self, root: Path) -> tuple[VocBoxes, str]:
        """What the corners are, and why.

        Raises:
            ToolkitError: nothing tells, or what tells contradicts itself.
        """
        zero, one, last, full = (self.counts[name] for name in ("zero", "one", "last", "full"))
        if self.counts["part"] and not zero and full and one >= _FEW * self.counts["part"]:
            what = f"{self.counts['part']} of its {self.boxes} boxes have fractions"
            raise self._unclear(
                root, f"{what}, none begins at 0, {one} begin at 1 and {full} end at their image's size"
            )
        if self.counts["part"]:
            return "edges0", f"{self.counts['part']} of {self.boxes} have fractions"
        if zero and full and one >= _FEW * zero:
            raise self._unclear(root, f"{zero} of its boxes begin at 0 and {one} at 1")
        if zero and not full and last >= _SEVERAL:
            what = f"{zero} of its boxes begin at 0, {last} end at the last pixel counted from 0 and none beyond it"
            raise self._unclear(root, f"{what}: that is neither pixels from 1 nor edges")
        if zero:
            return "edges0", f"{zero} of {self.boxes} begin at 0"
        if one and full:
            return (
                "inclusive1",
                f"none of {self.boxes} begins at 0, {one} begin at 1 and {full} end at their image's size",
            )
        raise self._unclear(root, f"its {self.boxes} boxes may be read in both ways, and no side of theirs tells")

    def _unclear(self, root: Path, what: str) -> ToolkitError:
        return ToolkitError(root, f"{what}: what are corners of boxes?", f"say it with {_FLAGS}")


def form_note(form: VocBoxes, why: Iterable[str]) -> str:
    """What to say of how corners were read."""
    told = {"inclusive1": "pixels from 1, the last one included", "edges0": "edges from 0"}[form]
    return "; ".join([f"corners of boxes are read as {told} ({form})", *why])
