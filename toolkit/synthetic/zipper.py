"""A procedural zipper: woven tape, two interlocking rows of teeth, pose, lighting and camera noise.

Lengths are fractions of the image's side, so that the same zipper can be drawn at any size. `across` runs from left to
right over the product with 0 at its centre line, `along` runs down it; both bend and turn with the pose.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = [
    "GAP_GREY",
    "PITCH",
    "ROOT",
    "TABLE_GREY",
    "TAPE_EDGE",
    "Floats",
    "Zipper",
    "draw_zipper",
    "expose",
    "make_zipper",
    "smooth_noise",
    "teeth_distance",
]

Floats = npt.NDArray[np.floating]
"""float32 all through; the wider type is what type checkers make of float32 times a Python number."""

PITCH = 1 / 16
"""Distance between neighbouring teeth of a row; the two rows are half a pitch apart."""
ROOT = 0.066
"""Where a tooth's axis ends in the tape, measured from the centre line."""
TIP = -0.019
"""Where a tooth's axis ends beyond the centre line: negative, since the rows interlock."""
HEAD_RADIUS, BODY_RADIUS = 0.0145, 0.0122
CORD = 0.098
"""Centre of the stitched cord that holds a row of teeth."""
TAPE_EDGE = 0.425
"""Half the width of the tape; beyond it lies the table."""
TABLE_GREY, GAP_GREY = 0.80, 0.13


@dataclass(frozen=True, eq=False)
class Zipper:
    """One product in one pose under one light; everything that a defect must not change.

    Attributes:
        size: side of the square image in pixels.
        across, along: product coordinates of each pixel centre, float32 of shape (size, size), in image sides.
        yarn: width of a yarn in image sides.
        phase: shift of the teeth along the product, in image sides.
        tint: relative brightness of yarns and teeth, float32 of shape (512,), around 1.
        wobble: how far each tooth sits from its place, float32 of shape (512,), in pitches.
        cloth: slow variation of the tape's grey, float32 of shape (size, size), around 1.
        light: illumination, float32 of shape (size, size), around 1.
        noise: what the camera adds, float32 of shape (size, size), in grey levels.
    """

    size: int
    across: Floats
    along: Floats
    yarn: float
    phase: float
    tint: Floats
    wobble: Floats
    cloth: Floats
    light: Floats
    noise: Floats


def smooth_noise(rng: np.random.Generator, size: int, cells: int) -> Floats:
    """Smooth noise of unit variance per cell, float32 of shape (size, size), with features of size / cells pixels."""
    grid = rng.standard_normal((cells, cells), dtype=np.float32)
    return np.asarray(cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def make_zipper(rng: np.random.Generator, size: int) -> Zipper:
    """A zipper of `size` x `size` pixels in a random pose: turned by up to 1.5 degrees, shifted and slightly bent."""
    x = ((np.arange(size, dtype=np.float32) + 0.5) / size)[None, :]
    y = ((np.arange(size, dtype=np.float32) + 0.5) / size)[:, None]
    turn = np.float32(np.deg2rad(rng.uniform(-1.5, 1.5)))
    shift = np.float32(0.5 + rng.uniform(-0.012, 0.012))
    bend = np.float32(rng.uniform(-0.006, 0.006))
    across = (x - shift) * np.cos(turn) + (y - 0.5) * np.sin(turn) + bend * np.cos(np.float32(np.pi) * (y - 0.5))
    along = (y - 0.5) * np.cos(turn) - (x - shift) * np.sin(turn) + np.float32(0.5)
    corner = rng.uniform(-0.10, 0.10, 2).astype(np.float32)
    light = 1.0 + corner[0] * (x - 0.5) + corner[1] * (y - 0.5) - np.float32(0.34) * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
    return Zipper(
        size=size,
        across=across.astype(np.float32),
        along=along.astype(np.float32),
        # Finer yarns than three pixels would alias into stripes that no camera shows.
        yarn=max(1 / 84, 3.2 / size),
        phase=float(rng.uniform(0, PITCH)),
        tint=(1 + 0.08 * rng.standard_normal(512)).clip(0.8, 1.2).astype(np.float32),
        wobble=(0.018 * rng.standard_normal(512)).clip(-0.04, 0.04).astype(np.float32),
        cloth=1 + np.float32(0.035) * smooth_noise(rng, size, 10),
        light=light * np.float32(rng.uniform(0.95, 1.03)),
        noise=np.float32(2.1) * rng.standard_normal((size, size), dtype=np.float32),
    )


def expose(zipper: Zipper, grey: Floats) -> npt.NDArray[np.uint8]:
    """The 8-bit picture of `grey` (0 black to 1 white) under the zipper's light, with its camera noise."""
    levels = np.rint(255 * grey * zipper.light + zipper.noise)
    return np.asarray(levels.clip(0, 255), dtype=np.uint8)


def draw_zipper(
    zipper: Zipper, *, parting: Floats | None = None, slide: Floats | None = None, teeth: bool = True
) -> Floats:
    """Grey of the product before light and noise, float32 of shape (size, size), 0 black to 1 white.

    Args:
        zipper: what to draw.
        parting: how far each half of the product is pushed outwards at each pixel, in image sides; None for nowhere.
        slide: how far up the product each pixel is pushed, in image sides; None for nowhere.
        teeth: False leaves the teeth out and shows the bare tape and the gap between its halves.
    """
    along = zipper.along if slide is None else zipper.along + slide
    left = zipper.across if parting is None else zipper.across + parting
    right = zipper.across if parting is None else zipper.across - parting
    across = zipper.across if parting is None else np.where(zipper.across < 0, left.clip(None, 0), right.clip(0))
    grey = _draw_tape(zipper, across, along)
    if teeth:
        # No tooth and no visible shadow of one lies outside these columns, however the product is turned.
        columns = np.s_[:, int(0.31 * zipper.size) : int(0.69 * zipper.size) + 1]
        grey[columns] = _draw_teeth(zipper, grey[columns], left[columns], right[columns], along[columns])
    return grey


def teeth_distance(zipper: Zipper, side: int, across: Floats, along: Floats) -> tuple[Floats, Floats, Floats]:
    """How far each pixel is from the nearest tooth of one row.

    Args:
        zipper: whose teeth.
        side: -1 for the left row, +1 for the right one.
        across, along: product coordinates, float32 of shape (size, size).

    Returns:
        Signed distance to the tooth's outline (negative inside, in image sides), position over its width (-1 to 1
        inside) and the tooth's number along the row, each float32 of shape (size, size).
    """
    inward = side * across
    offset = zipper.phase + (0.5 * PITCH if side > 0 else 0.0)
    place = (along - np.float32(offset)) * np.float32(1 / PITCH)
    number = np.rint(place)
    sideways = (place - number - _lookup(zipper.wobble, number, side)) * np.float32(PITCH)
    axis = inward - inward.clip(TIP, ROOT)
    head = ((0.022 - inward) / np.float32(0.03)).clip(0, 1)
    radius = np.float32(BODY_RADIUS) + np.float32(HEAD_RADIUS - BODY_RADIUS) * head
    return np.hypot(axis, sideways) - radius, sideways / radius, number


def _lookup(table: Floats, number: Floats, side: int) -> Floats:
    """Entry of `table` for each tooth or yarn; the rows read different parts of it."""
    return np.asarray(table[(number.astype(np.int32) + (128 if side < 0 else 320)) & 511], dtype=np.float32)


def _over(under: Floats, paint: Floats | np.floating, inside: Floats) -> Floats:
    """`paint` over `under` where `inside` (signed distance in pixels, positive inside) says so, with a soft edge."""
    cover = (inside + np.float32(0.5)).clip(0, 1)
    return np.asarray(under + cover * (paint - under), dtype=np.float32)


def _weave(zipper: Zipper, s: Floats, t: Floats) -> Floats:
    """A 2/2 twill: warp yarns run along the product, weft yarns across it, each rounded by its own shading."""
    u, v = s * np.float32(1 / zipper.yarn), t * np.float32(1 / zipper.yarn)
    i, j = np.floor(u), np.floor(v)
    warp_on_top = ((i + j).astype(np.int32) & 3) < 2
    warp = (0.235 + 0.115 * np.cos(np.float32(np.pi) * (u - i - 0.5))) * _lookup(zipper.tint, i, 1)
    weft = (0.185 + 0.085 * np.cos(np.float32(np.pi) * (v - j - 0.5))) * _lookup(zipper.tint, j, -1)
    return np.asarray(np.where(warp_on_top, warp, weft) * zipper.cloth, dtype=np.float32)


def _draw_tape(zipper: Zipper, s: Floats, t: Floats) -> Floats:
    """Both halves of the tape with cord and bound edge, the gap between them and the table beside them."""
    grey = _weave(zipper, s, t)
    distance_in = np.abs(s)
    cord = np.abs(distance_in - np.float32(CORD)) / np.float32(0.014)
    stitch = np.cos((4 * np.pi / PITCH) * (t - zipper.phase) + 2.6 * np.sign(s) * (distance_in - CORD) / 0.014)
    rope = (0.38 + 0.13 * stitch) * np.sqrt((1 - 0.8 * cord**2).clip(0.05))
    grey = _over(grey, rope, (1 - cord) * 0.014 * zipper.size)
    grey = _selvedge(zipper, grey, distance_in, t)
    return _over(grey, np.float32(GAP_GREY), (0.017 - distance_in) * zipper.size)


def _selvedge(zipper: Zipper, grey: Floats, distance_in: Floats, t: Floats) -> Floats:
    """The tape's bound edge, the table beyond it and the soft shadow that the tape throws on the table."""
    band = np.abs(distance_in - np.float32(TAPE_EDGE - 0.013)) / np.float32(0.013)
    ribs = np.cos(np.float32(np.pi) * t / np.float32(zipper.yarn)) ** 2
    grey = _over(grey, (0.25 + 0.11 * ribs) * np.sqrt((1 - 0.7 * band**2).clip(0.05)), (1 - band) * 0.013 * zipper.size)
    beyond = distance_in - np.float32(TAPE_EDGE)
    table = np.float32(TABLE_GREY) * (1 - 0.55 * np.exp(-beyond.clip(0) / np.float32(0.011)))
    return _over(grey, table, beyond * zipper.size)


def _draw_teeth(zipper: Zipper, grey: Floats, left: Floats, right: Floats, along: Floats) -> Floats:
    """Both rows of metal teeth, lit from above, with the shadow that they throw on what lies under them.

    `left` and `right` are the product coordinate `across` as each row sees it; all arrays share one shape.
    """
    rows = [(side, *teeth_distance(zipper, side, s, along)) for side, s in ((-1, left), (1, right))]
    nearest = np.minimum(rows[0][1], rows[1][1])
    grey = grey * (1 - 0.62 * np.exp(-nearest.clip(0) / np.float32(0.007)))
    for side, distance, sideways, number in rows:
        slope = sideways.clip(-1, 1)
        glint = np.exp(-(((slope + 0.38) / np.float32(0.22)) ** 2))
        body = 0.30 + 0.34 * np.sqrt(1 - slope**2) - 0.13 * slope + 0.26 * glint
        # The sheet metal turns down towards its outline; without this the teeth look like paper.
        rim = (0.55 + 0.45 * (-distance / np.float32(0.006))).clip(0.55, 1)
        shine = 1 + 0.5 * (_lookup(zipper.tint, number, side) - 1)
        grey = _over(grey, body * rim * shine, -distance * zipper.size)
    return grey
