"""A layout as a stranger would add it: photos/DEFECT_000.png, and stains/DEFECT_000.png where there is a defect."""

from __future__ import annotations

from pathlib import Path

from toolkit.dataset.dataset import Dataset
from toolkit.dataset.layouts.layout import Layout
from toolkit.dataset.samples import MaskFile, Sample

__all__ = ["LAYOUT"]


def _detect(root: Path) -> bool:
    return (root / "photos").is_dir() and (root / "stains").is_dir()


def _index(root: Path) -> Dataset:
    samples = []
    for image in sorted((root / "photos").glob("*.png")):
        mask, defect = root / "stains" / image.name, image.stem.rpartition("_")[0]
        masks = (MaskFile(mask, threshold=1),) if mask.is_file() else ()
        samples.append(Sample(f"part/test/{defect}/{image.stem}", image, masks, "part", defect, "test"))
    return Dataset(samples, root=root, layout=LAYOUT.name)


LAYOUT = Layout("toy", "photos/*.png beside stains/*.png", _detect, _index)
