"""The eight views of pictures and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toolkit.geometry.dihedral import VIEWS, turned, turned_labels
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance, LabelledImage

PIXELS = np.arange(6 * 9 * 3).reshape(6, 9, 3)


def test_they_are_all_different_and_the_first_is_the_picture_itself() -> None:
    assert np.array_equal(turned(PIXELS, 0), PIXELS)
    assert len({turned(PIXELS, view).tobytes() for view in range(VIEWS)}) == VIEWS
    assert np.array_equal(turned(PIXELS, 1), PIXELS[:, ::-1])
    assert np.array_equal(turned(PIXELS, 4), PIXELS.transpose(1, 0, 2))


@pytest.mark.parametrize("view", range(VIEWS))
def test_labels_turn_with_the_picture(view: int) -> None:
    mask = np.zeros((6, 9), np.bool_)
    mask[1:3, 2:7] = True
    mask[2, 2] = False
    one = crop_to_bbox(mask, "dent")
    assert one is not None
    box = Instance.of_box("dent", (2.5, 1.0, 7.0, 3.25), (9, 6))
    assert box is not None
    image = LabelledImage("a", Path("a.png"), 9, 6, (one, box))
    found = turned_labels(image, view)
    assert (found.height, found.width) == turned(mask, view).shape
    assert np.array_equal(found.instances[0].whole(found.width, found.height), turned(mask, view))
    assert (found.instances[0].area, found.instances[0].label) == (one.area, "dent")
    x0, y0, x1, y1 = found.instances[1].bbox
    assert (found.instances[1].mask, (x1 - x0) * (y1 - y0)) == (None, 4.5 * 2.25)
    assert (found is image) == (view == 0)
