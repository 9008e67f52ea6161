"""Photos with an EXIF orientation and their masks: upright where that can be told, and said where it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from converters import convert
from tests.converters.support import save_png
from toolkit import ToolkitError


def photo(root: Path, name: str, orientation: int, mask: tuple[int, int]) -> None:
    """A photo of 30 x 20 stored pixels, and a mask of some size (width, height) with its first row marked."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = root / "images" / f"{name}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(path, exif=exif)
    marked = np.zeros(mask[::-1], np.uint8)
    marked[0] = 255
    save_png(root / "masks" / f"{name}.png", marked)


def test_they_are_refused_where_others_show_another_frame(tmp_path: Path) -> None:
    photo(tmp_path / "data", "a", 3, (30, 20))
    photo(tmp_path / "data", "b", 6, (30, 20))  # upright it is 20 x 30: the mask is of the pixels as stored
    with pytest.raises(
        ToolkitError, match=r"a\.jpg: has an EXIF orientation and a mask that fits both ways, and 1 other"
    ):
        convert(tmp_path / "data", tmp_path / "out", "coco")
    assert not (tmp_path / "out").exists()
