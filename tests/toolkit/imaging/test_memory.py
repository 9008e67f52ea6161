"""Pictures that have a path while they are needed."""

from __future__ import annotations

import pytest

from tests.commands import picture
from toolkit.errors import ToolkitError
from toolkit.imaging.images import ImageHeader, read_header, read_image
from toolkit.imaging.memory import held_image


def test_a_picture_is_read_within_the_block_and_not_behind_it() -> None:
    pixels = picture(0)[:, :, None].repeat(3, axis=2)
    with held_image(pixels) as path, held_image(pixels[:4]) as other:
        assert path != other
        assert read_image(path) is pixels
        assert read_header(other) == ImageHeader(pixels.shape[1], 4, 3)
        assert not path.exists()
    for read in (read_image, read_header):
        with pytest.raises(ToolkitError, match="No such file"):
            read(path)
