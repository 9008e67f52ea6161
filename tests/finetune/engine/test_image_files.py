"""Which image files are meant, where files, folders or datasets are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finetune.engine.shares import image_files
from tests.converters.support import save_png
from toolkit import ToolkitError, following_links


def test_links_out_of_a_folder_are_followed_when_told(tmp_path: Path) -> None:
    elsewhere = save_png(tmp_path / "elsewhere/a.png", np.zeros((4, 4), np.uint8))
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "b.png").symlink_to(elsewhere)
    assert image_files(folder / "b.png") == [folder / "b.png"]  # who names a link means what it leads to
    with pytest.raises(ToolkitError, match="leads out of it"):
        image_files(folder)
    with following_links():
        assert image_files(folder) == [folder / "b.png"]
