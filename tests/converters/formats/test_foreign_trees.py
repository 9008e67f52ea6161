"""Class maps as other tools leave them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from converters import read_labels
from tests.converters.support import save_png

SIZE = (20, 30)  # height, width


def test_class_maps_of_other_tools_are_read(tmp_path: Path) -> None:
    """Several classes in one image; the image's class is then "combined"."""
    ids = np.zeros(SIZE, np.uint8)
    ids[2:5, 2:5], ids[8:12, 8:12] = 1, 2
    save_png(tmp_path / "masks/train/a.png", ids)
    save_png(tmp_path / "images/train/a.png", np.zeros(SIZE, np.uint8))
    (tmp_path / "data.yaml").write_text(
        yaml.safe_dump({"train": "images/train", "masks_dir": "masks", "names": ["background", "dent", "scratch"]})
    )
    tree = read_labels(tmp_path)
    assert [(sample.key, sample.defect) for sample in tree.samples] == [("a", "combined")]
    assert [(i.label, i.bbox) for i in next(iter(tree)).instances] == [
        ("dent", (2, 2, 5, 5)),
        ("scratch", (8, 8, 12, 12)),
    ]
