"""Which images a run has seen, by the bytes of their files: RUN/images.csv."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from finetune.engine.runs import IMAGES, Run
from toolkit.files import typed

__all__ = ["SEEN", "SeenImage", "named", "read_seen"]

SEEN = ("train", "val")
"""Subsets whose images a run was trained on, or chosen by."""

_NAMED = 3  # images in a note


class SeenImage(typed.Row):
    """A row: an image of the data of the training, its subset ("none" if it was left out), label, and hash of its file.

    Runs of before do not say the label, and none does of an image that was left out.
    """

    key: str
    subset: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    label: str = ""


def read_seen(run: Run) -> Mapping[str, SeenImage] | None:
    """Key -> what was done with an image; None of a run that does not say so.

    Raises:
        ToolkitError: the file is damaged.
    """
    path = run.root / IMAGES
    if not path.is_file():
        return None
    return {row.key: row for row in typed.read_rows(path, SeenImage, "train again")}


def named(keys: list[str]) -> str:
    """The first few of some names."""
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more
