"""What a network sees of a whole image."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.classification.config import BackboneConfig
from finetune.classification.views.framing import filled_part, frame, image_reader, input_size
from finetune.engine.datasets import read_rgb
from tests.commands import picture, save


@pytest.mark.parametrize(
    ("aspect", "size"), [(1, (224, 224)), (4, (128, 448)), (0.25, (448, 128)), (2.5, (128, 352)), (16, (64, 896))]
)
def test_the_area_stays_about_the_same(aspect, size):
    assert input_size(BackboneConfig(aspect=aspect)) == size


@pytest.mark.parametrize("shape", [(10, 40), (40, 10), (30, 30), (1, 200), (7, 5)])
def test_a_letterbox_keeps_proportions_and_fills_the_rest_with_grey(shape):
    image = np.full((*shape, 3), 255, np.uint8)
    image[:, :, 0] = 0  # blue, so that colours cannot be swapped
    framed = frame(image, (32, 64), letterbox=True)
    x0, y0, x1, y1 = filled_part(shape, (32, 64))
    assert framed.shape == (32, 64, 3)
    assert (framed[y0:y1, x0:x1] == [255, 255, 0]).all()
    beside = np.ones((32, 64), np.bool_)
    beside[y0:y1, x0:x1] = False
    assert (framed[beside] == 127).all()
    assert x1 - x0 == 64 or y1 - y0 == 32
    ratio = (x1 - x0) / (y1 - y0) * shape[0] / shape[1]
    assert ratio == pytest.approx(1, abs=0.15) or min(x1 - x0, y1 - y0) == 1


@pytest.mark.parametrize("side", [16, 90])
def test_squashed_it_is_as_the_engine_reads_it(tmp_path, side):
    path = save(tmp_path / "a.png", picture(0))
    assert image_reader(BackboneConfig(image_size=side)) is None
    from toolkit.imaging.images import read_image

    assert np.array_equal(frame(read_image(path), (side, side)), read_rgb(path, side))


def test_a_file_is_read_at_the_size_that_the_network_sees(tmp_path):
    path = save(tmp_path / "a.png", picture(0))
    read = image_reader(BackboneConfig(image_size=64, aspect=4, resize="letterbox"))
    assert read is not None
    assert read(path).shape == (32, 128, 3)
