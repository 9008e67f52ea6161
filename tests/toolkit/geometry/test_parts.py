"""Parts traced together are what each is by itself."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given

from tests.masks import SHAPES, masks
from toolkit.geometry.contours import centre_rings, edge_rings
from toolkit.geometry.instances import find_instances
from toolkit.geometry.parts import Part, Parts
from toolkit.geometry.tracing import trace
from toolkit.imaging.masks import Mask

Bools = npt.NDArray[np.bool_]


def in_a_frame(mask: Bools) -> Bools:
    """A mask beside itself and inside a ring, so that boxes of parts overlap."""
    both = np.concatenate([mask, np.zeros((mask.shape[0], 1), np.bool_), mask], axis=1)
    framed = np.pad(both, 2)
    framed[[0, -1]], framed[:, [0, -1]] = True, True
    return framed


def check_parts(mask: Bools) -> None:
    parts = Parts(mask)
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    assert len(parts) == count - 1
    for number, (x0, y0, x1, y1) in enumerate(parts.boxes):
        own = parts.mask(number)
        window = labels[y0:y1, x0:x1]
        assert np.array_equal(own, window == window[own][0])
        assert np.count_nonzero(own) == np.count_nonzero(labels == window[own][0]), "the box is too small"
        part, outline = Part(parts, number), trace(own)
        assert [ring.tolist() for ring in part.edge_rings] == [ring.tolist() for ring in edge_rings(outline)]
        assert [ring.tolist() for ring in part.centre_rings] == [ring.tolist() for ring in centre_rings(outline)]


@given(mask=masks())
def test_a_part_has_the_rings_that_it_has_alone(mask: Bools) -> None:
    check_parts(in_a_frame(mask))


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_has_the_rings_that_it_has_alone(name: str) -> None:
    check_parts(SHAPES[name])


def test_parts_are_told_by_their_first_pixels() -> None:
    mask = np.random.default_rng(3).random((60, 80)) < 0.2
    parts = Parts(mask)
    first = [(y, x + int(parts.mask(number)[0].argmax())) for number, (x, y, _, _) in enumerate(parts.boxes)]
    assert first == sorted(first)


def test_instances_of_a_mask_share_one_outline() -> None:
    mask = np.random.default_rng(4).random((40, 40)) < 0.2
    instances = find_instances(Mask.of(mask.astype(np.uint8), 40, 40), "dent").instances
    parts = {id(one.part.parts) for one in instances if one.part is not None}
    assert len(instances) > 20
    assert len(parts) == 1
