"""Whatever a mask looks like and however its image is cut, YOLO rows pass our proof and keep what they promise."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from converters import convert, verify
from tests.converters.support import Bools, boxes_of, fill_rows, label_rows, make_dataset
from toolkit.geometry.instances import find_instances
from toolkit.imaging.masks import Mask

KINDS = ["yolo-detect", "yolo-segment", "yolo-obb"]
SIZES = [(1, 1), (1, 2), (2, 1), (6, 8), (1, 2549), (2661, 1), (3, 4095), (4097, 2), (257, 131), (1, 20011)]


def ramp(height: int, width: int, thick: int, *, rising: bool = False) -> Bools:
    """A line from corner to corner, `thick` pixels along the shorter side."""
    y, x = np.mgrid[:height, :width]
    place = x * height - y * width if not rising else x * height - (height - 1 - y) * width
    return np.asarray(np.abs(place) < thick * max(height, width))


@st.composite
def touching(draw: st.DrawFn) -> Bools:
    """A shape that fills its image or touches its edges."""
    height, width = draw(st.sampled_from(SIZES) | st.tuples(st.integers(1, 70), st.integers(1, 70)))
    kind = draw(st.sampled_from(["full", "box", "line", "noise"]))
    mask = np.zeros((height, width), np.bool_)
    if kind == "full":
        mask[:] = True
    elif kind == "box":
        y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        away = draw(st.tuples(st.booleans(), st.booleans()))
        mask[slice(y, None) if away[0] else slice(0, y + 1), slice(x, None) if away[1] else slice(0, x + 1)] = True
    elif kind == "line":
        mask = ramp(height, width, draw(st.integers(1, 4)), rising=draw(st.booleans()))
    else:
        share = draw(st.floats(0.02, 0.98)) if height * width < 1500 else 0.002
        mask = np.random.default_rng(draw(st.integers(0, 99))).random((height, width)) < share
    mask[0, 0] |= not mask.any()
    return mask


def contained(corners: np.ndarray, mask: Bools) -> bool:
    """Whether the rectangle through corners (4, 2) holds every corner of every pixel of a mask."""
    y, x = np.nonzero(np.pad(mask, ((0, 1), (0, 1))) | np.pad(mask, ((1, 0), (1, 0))))
    first, second = corners[1] - corners[0], corners[3] - corners[0]
    away = np.stack([x, y], axis=1) - corners[0]
    shares = [away @ side / (side @ side) for side in (first, second)]
    slack = [1e-5 / np.hypot(*side) for side in (first, second)]
    return all(((share >= -s) & (share <= 1 + s)).all() for share, s in zip(shares, slack, strict=True))


def check_promises(tree: Path, kind: str, name: str, mask: Bools) -> None:
    path, (height, width) = tree / f"labels/test/part__test__dent__{name}.txt", mask.shape
    if kind == "yolo-segment":
        assert np.array_equal(fill_rows(path, mask.shape, rounding=False), mask)
        assert np.array_equal(fill_rows(path, mask.shape, rounding=True), mask)
        return
    rows = [np.array(line.split()[1:], np.float64) for line in path.read_text().splitlines()]
    if kind == "yolo-detect":
        size = np.array([width, height])
        found = [np.concatenate([(row[:2] - row[2:] / 2) * size, (row[:2] + row[2:] / 2) * size]) for row in rows]
        assert np.allclose(sorted(map(tuple, np.rint(found))), boxes_of(mask))
        assert np.allclose(found, np.rint(found), atol=0.01)
        return
    parts = find_instances(Mask.of(mask.view(np.uint8), width, height), "dent").instances
    for row, part in zip(rows, parts, strict=True):
        corners = row.reshape(4, 2) * (width, height)
        assert contained(corners, part.whole(width, height))
        sides = np.linalg.norm(corners[1:3] - corners[:2], axis=1)
        x0, y0, x1, y1 = part.window
        assert sides.prod() <= (x1 - x0 + 0.02) * (y1 - y0 + 0.02)
    for _, values in label_rows(path):  # as ultralytics checks rows
        low, high = values.reshape(4, 2).min(axis=0), values.reshape(4, 2).max(axis=0)
        assert ((low + high) / 2 >= -0.01).all()
        assert ((low + high) / 2 <= 1.01).all()
        assert (high - low <= 1.01).all()


def check(masks: list[Bools]) -> None:
    named = {f"{place:03}": mask for place, mask in enumerate(masks)}
    with TemporaryDirectory() as folder:
        home = Path(folder)
        convert(make_dataset(home / "data", {"dent": named}, good=0), home / "out", KINDS, images="symlink")
        report = verify(home / "out")
        assert report.failures == ()
        assert [(tree.exact, tree.compared) for tree in report.trees] == [(len(masks),) * 2] * 3
        for kind in KINDS:
            for name, mask in named.items():
                check_promises(home / "out" / kind, kind, name, mask)


@examples(max_examples=15)
@given(masks=st.lists(touching(), min_size=1, max_size=3))
def test_shapes_that_touch_the_edges(masks: list[Bools]) -> None:
    check(masks)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_shapes_that_fill_the_image(size: tuple[int, int]) -> None:
    height, width = size
    inner = np.zeros(size, np.bool_)
    inner[height // 2 :, width // 3 :] = True
    check([np.ones(size, np.bool_), inner, ramp(*size, 1), ramp(*size, 2, rising=True)])
