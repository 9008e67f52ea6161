"""What `verify` found, tree by tree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from converters.verification.comparison import ImageFidelity

__all__ = ["TreeReport", "VerifyReport"]

_NOTHING = "-"


@dataclass(frozen=True)
class TreeReport:
    """What was found in one label tree.

    Attributes:
        tree: its folder.
        kind: its format.
        images: images looked at; `compared` of them show something in the source or in the label.
        min_iou, mean_iou: over images whose pixels were compared; None where there are none, as of boxes and classes.
        exact: compared images without a single wrong pixel, all of whose boxes are right, or whose class is.
        worst: the images with the lowest IoU, if any is below 1.
        failures: what is wrong, one line each.
    """

    tree: Path
    kind: str
    images: int
    compared: int
    min_iou: float | None
    mean_iou: float | None
    exact: int
    worst: tuple[ImageFidelity, ...]
    failures: tuple[str, ...]

    @property
    def cells(self) -> list[object]:
        """Images, exact ones and the lowest IoU as a table shows them; a dash where nothing was compared."""
        exact = f"{self.exact} of {self.compared}" if self.compared else _NOTHING
        return [self.images, exact, _NOTHING if self.min_iou is None else f"{self.min_iou:.4f}"]


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found.

    Attributes:
        trees: one report for each label tree.
        notes: what could not be checked, and why.
    """

    trees: tuple[TreeReport, ...]
    notes: tuple[str, ...] = ()

    @property
    def min_iou(self) -> float | None:
        """The lowest IoU of any image in any tree; None where no pixels were compared."""
        return min((tree.min_iou for tree in self.trees if tree.min_iou is not None), default=None)

    @property
    def failures(self) -> tuple[str, ...]:
        """All that is wrong."""
        return tuple(line for tree in self.trees for line in tree.failures)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.failures

    def __bool__(self) -> bool:
        """Whether nothing is wrong, so that `assert verify("out")` means what it says."""
        return self.passed

    def _repr_html_(self) -> str:
        from toolkit.markup import report_html

        found = "nothing is wrong" if self.passed else f"{len(self.failures)} failures"
        about = found if self.min_iou is None else f"min IoU {self.min_iou:.4f}, {found}"
        rows = [[tree.tree.name, *tree.cells, len(tree.failures)] for tree in self.trees]
        worst = [
            f"{image.key}: IoU {image.iou:.4f}, {image.lost} pixels lost, {image.gained} gained"
            for tree in self.trees
            for image in tree.worst
        ]
        lists = {"Failures": self.failures, "The worst images": worst, "Notes": self.notes}
        return report_html("Verification", about, ["tree", "images", "exact", "min IoU", "failures"], rows, lists=lists)
