"""The embedded product from end to end: made, split, converted to every format, verified, drawn."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters.formats.registry import FORMATS
from converters.sources import read_labels
from converters.verification.verify import verify
from converters.writing.pipeline import convert
from toolkit.aliases import JsonObject
from toolkit.dataset.layouts import load_dataset
from toolkit.dataset.splits import split_dataset, write_split
from toolkit.files.locks import locked
from toolkit.files.publish import write_whole
from toolkit.files.staging import check_free, contents
from toolkit.imaging.images import encode_png
from toolkit.plotting.overlays import overlay_sheet
from toolkit.synthetic.product import PRODUCT_DEFECTS, write_product

__all__ = ["Demo", "run_demo"]

_PARTS = ("dataset", "labels", "split.csv", "overlay.png")


@dataclass(frozen=True)
class Demo:
    """What the demo made, and whether the labels passed verification."""

    dataset: Path
    split: Path
    labels: Path
    overlay: Path
    manifests: dict[str, JsonObject]
    min_iou: float | None
    passed: bool


def run_demo(out: Path, *, overwrite: bool = False, progress: Callable[[int, int], None] | None = None) -> Demo:
    """Run the demo in a folder.

    Args:
        out: new or empty folder.
        overwrite: whether an earlier demo there is removed first.
        progress: called with (done, total) by each stage in turn.

    Raises:
        ToolkitError: the folder holds something else.
    """
    with locked(out):
        strange = out.is_dir() and any(path.name not in _PARTS for path in contents(out))
        remedy = "choose another folder" if strange else "choose another folder, or add --overwrite"
        check_free(out, overwrite=overwrite and not strange, remedy=remedy)
        return _run(out, progress)


def _run(out: Path, progress: Callable[[int, int], None] | None) -> Demo:
    dataset_root, labels, split_file, overlay = (out / name for name in _PARTS)
    for folder in (dataset_root, labels):
        if folder.exists():
            shutil.rmtree(folder)
    write_product(dataset_root, progress=progress)
    dataset = load_dataset(dataset_root)
    chosen = split_dataset(dataset, "stratified", val=0.1, test=0.2, seed=0)
    write_split(chosen, split_file)
    report = convert(dataset, labels, FORMATS, split=chosen, progress=progress)
    proof = verify(labels, dataset, progress=progress)
    write_whole(overlay, encode_png(_sheet(labels / "coco")))
    return Demo(dataset_root, split_file, labels, overlay, report.manifests, proof.min_iou, proof.passed)


def _sheet(tree: Path) -> Any:
    """The first two images of every kind of defect, as labelled on disk: uint8 (H, W, 3), BGR."""
    labels = read_labels(tree)
    chosen = []
    for name in PRODUCT_DEFECTS:
        entries = [entry for entry in labels.records if entry.sample.key.split("/")[2] == name]
        chosen += [entry.labelled() for entry in entries[:2]]
    good = [entry for entry in labels.records if entry.sample.key.split("/")[1:3] == ["test", "good"]]
    chosen += [entry.labelled() for entry in good[:2]]
    return overlay_sheet(chosen, classes=labels.names)
