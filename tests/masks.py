"""Shapes that masks take, and shapes that break tracers: by hand in `SHAPES`, at random from `masks()`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

__all__ = ["SHAPES", "masks", "picture"]

Bools = npt.NDArray[np.bool_]


def picture(*rows: str) -> Bools:
    """The mask that is drawn with "#" in rows of equal length."""
    return np.array([[letter == "#" for letter in row] for row in rows])


def disk(size: int, radius: float, x: float | None = None, y: float | None = None) -> Bools:
    """The pixels of a (size, size) mask whose centres lie within `radius` of x, y (or of the middle)."""
    rows, columns = np.mgrid[:size, :size]
    middle = (size - 1) / 2
    return np.asarray(np.hypot(columns - (middle if x is None else x), rows - (middle if y is None else y)) <= radius)


def nested(size: int, radii: tuple[float, ...]) -> Bools:
    """Rings in rings: every second gap between the radii is filled, the outermost first."""
    mask = np.zeros((size, size), np.bool_)
    for radius in radii:
        mask ^= disk(size, radius)
    return mask


def spiral(size: int) -> Bools:
    """A line of one pixel that winds inwards and never touches itself."""
    mask = np.zeros((size, size), np.bool_)
    x, y, dx, dy = 0, 0, 1, 0
    mask[0, 0] = True
    for side in [size - 1] + [length for length in range(size - 1, 1, -2) for _ in range(2)]:
        for _ in range(side):
            x, y = x + dx, y + dy
            mask[y, x] = True
        dx, dy = -dy, dx
    return mask


def swiss_cheese() -> Bools:
    """A blob with 23 holes: of one pixel, touching at corners, one below another, and large."""
    mask = disk(41, 19.6)
    for number in range(20):
        x, y = 8 + number % 5 * 6, 8 + number // 5 * 7
        mask[y : y + 1 + number % 3, x : x + 1 + number // 3 % 3] = False
    mask[3, 20] = mask[37, 20] = mask[20, 2] = False
    return mask


def comb(teeth: int, length: int) -> Bools:
    """Teeth of one pixel on a back of one pixel, with gaps of one pixel."""
    mask = np.zeros((length + 1, 2 * teeth - 1), np.bool_)
    mask[0] = True
    mask[:, ::2] = True
    return mask


def border_contact() -> Bools:
    """Parts on every side of the frame, and in two of its corners."""
    mask = np.zeros((19, 23), np.bool_)
    mask[0, 4:9] = mask[-1, 12:17] = mask[5:8, 0] = mask[9:14, -1] = True
    mask[:3, -3:] = mask[-3:, :3] = True
    mask[8:11, 8:14] = True
    return mask


def _frozen(mask: Bools) -> Bools:
    mask.flags.writeable = False
    return mask


_EMPTY_BORDERS = np.pad(disk(9, 4.2), ((7, 0), (0, 5)))

SHAPES: dict[str, Bools] = {
    name: _frozen(mask)
    for name, mask in {
        "disk": disk(31, 13.3),
        "ring": nested(31, (13.3, 7.1)),
        "nested rings": nested(49, (23.2, 19.4, 15.1, 10.6, 6.3, 2.1)),
        "diagonal line falling": np.eye(17, dtype=np.bool_),
        "diagonal line rising": np.eye(17, dtype=np.bool_)[::-1].copy(),
        "one pixel": picture(".....", "...#.", "....."),
        "two diagonal pixels falling": picture("....", ".#..", "..#.", "...."),
        "two diagonal pixels rising": picture("....", "..#.", ".#..", "...."),
        "checkerboard": np.indices((12, 13)).sum(axis=0) % 2 == 0,
        "blob with 23 holes": swiss_cheese(),
        "full frame": np.ones((11, 15), np.bool_),
        "border contact": border_contact(),
        "spiral": spiral(21),
        "plus": picture("..#..", "..#..", "#####", "..#..", "..#.."),
        "cross": picture("#...#", ".#.#.", "..#..", ".#.#.", "#...#"),
        "comb": comb(9, 8),
        "row": picture("......", ".####.", "......"),
        "column": picture("...", ".#.", ".#.", ".#.", "..."),
        "diamond ring": picture("..#..", ".#.#.", "#...#", ".#.#.", "..#.."),
        "holes that touch at a corner": picture("#####", "#.###", "##.##", "###.#", "#####"),
        "part in a hole": picture("#####", "#...#", "#.#.#", "#...#", "#####"),
        "part in a hole, touching its ring": picture("#####", "#...#", "#..##", "#.#.#", "#####"),
        "empty border rows and columns": _EMPTY_BORDERS,
    }.items()
}
"""Name -> bool (H, W), read-only."""


def _noise(height: int, width: int, density: int) -> st.SearchStrategy[Bools]:
    """Pixels by the throw of a coin: `density` eighths of 2 (two coins both), 4 (one) or 6 (either of two)."""
    count = -(-height * width // 8)
    coins = st.binary(min_size=count, max_size=count).map(
        lambda data: np.unpackbits(np.frombuffer(data, np.uint8))[: height * width].reshape(height, width) > 0
    )
    if density == 4:
        return coins
    return st.tuples(coins, coins).map(lambda pair: pair[0] & pair[1] if density == 2 else pair[0] | pair[1])


@st.composite
def _blob(draw: st.DrawFn) -> Bools:
    """Disks put on and taken off again."""
    size = draw(st.integers(6, 40))
    place, radius = st.integers(-2, size + 2), st.integers(0, size)
    mask = np.zeros((size, size), np.bool_)
    for on, x, y, width in draw(st.lists(st.tuples(st.booleans(), place, place, radius), min_size=1, max_size=8)):
        spot = disk(size, width / 3, x, y)
        mask = mask | spot if on else mask & ~spot
    return mask


@st.composite
def _lines(draw: st.DrawFn) -> Bools:
    """Lines of one pixel in any of the eight directions, which cross, touch and run out of the frame."""
    size = draw(st.integers(3, 24))
    mask = np.zeros((size, size), np.bool_)
    step, place = st.integers(-1, 1), st.integers(0, size - 1)
    for x, y, dx, dy, length in draw(st.lists(st.tuples(place, place, step, step, place), min_size=1, max_size=6)):
        along = np.arange(length + 1)
        xs, ys = x + dx * along, y + dy * along
        inside = (xs >= 0) & (xs < size) & (ys >= 0) & (ys < size)
        mask[ys[inside], xs[inside]] = True
    return mask


def _nested_rings() -> st.SearchStrategy[Bools]:
    radii = st.lists(st.integers(0, 18), min_size=1, max_size=7, unique=True)
    return radii.map(lambda found: nested(37, tuple(radius + 0.3 for radius in found)))


def _checkerboard() -> st.SearchStrategy[Bools]:
    side, square = st.integers(1, 14), st.integers(1, 3)
    return st.tuples(side, side, square).map(lambda s: (np.indices(s[:2]) // s[2]).sum(axis=0) % 2 == 0)


@st.composite
def masks(draw: st.DrawFn) -> Bools:
    """Bool (H, W) with at least one True pixel, up to about 46 x 46, often with empty rows or contact at a border."""
    side = st.integers(1, 18)
    noise = st.tuples(side, side, st.sampled_from((2, 4, 6))).flatmap(lambda size: _noise(*size))
    by_hand = st.sampled_from(list(SHAPES.values()))
    mask = draw(st.one_of(noise, _blob(), _lines(), _nested_rings(), _checkerboard(), by_hand))
    if draw(st.booleans()):
        border = st.integers(0, 3)
        mask = np.pad(mask, draw(st.tuples(st.tuples(border, border), st.tuples(border, border))))
    if draw(st.booleans()):
        mask = ~mask
    if draw(st.booleans()):
        mask = mask.T
    mask = np.ascontiguousarray(mask)
    if not mask.any():
        mask = mask.copy()
        mask[draw(st.integers(0, mask.shape[0] - 1)), draw(st.integers(0, mask.shape[1] - 1))] = True
    return mask
