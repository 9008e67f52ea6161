"""What can go wrong with a zipper, painted so that the mask is known pixel by pixel.

Each defect is a list of patches. A patch covers a region completely and touches nothing else; the mask of the image is
the union of its regions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np

from toolkit.aliases import BoolArray
from toolkit.synthetic.zipper import (
    GAP_GREY,
    PITCH,
    TABLE_GREY,
    TAPE_EDGE,
    Floats,
    Zipper,
    draw_zipper,
    smooth_noise,
    teeth_distance,
)

__all__ = ["DEFECTS", "Patch"]


@dataclass(frozen=True, eq=False)
class Patch:
    """A region that is painted over: bool and float32 grey (0 to 1), both of shape (size, size)."""

    region: BoolArray
    grey: Floats


def broken_teeth(zipper: Zipper, rng: np.random.Generator, variant: int) -> list[Patch]:
    """One to four neighbouring teeth of a row snapped off, and the chips that fell on the tape."""
    side = int(rng.choice((-1, 1)))
    distance, _, number = teeth_distance(zipper, side, zipper.across, zipper.along)
    other, _, _ = teeth_distance(zipper, -side, zipper.across, zipper.along)
    count = 1 + (variant + 1) % 4
    first = int(rng.integers(2, round(1 / PITCH) - 2 - count))
    snapped = np.full(64, -1.0, dtype=np.float32)
    snapped[first : first + count] = rng.uniform(0.008, 0.052, count)
    jagged = np.float32(0.004) * smooth_noise(rng, zipper.size, 90)
    missing = side * zipper.across < snapped[number.astype(np.int32).clip(0, 63)] + jagged
    # The shadow of a tooth goes with it, as far as the outline's neighbours.
    gone = (distance < 0.003) & missing & (other > 0)
    bare = draw_zipper(zipper, teeth=False) * (1 - 0.55 * np.exp(-other.clip(0) / np.float32(0.007)))
    stub = np.float32(0.12) * np.exp(-((side * zipper.across - 0.03) ** 2) / np.float32(0.0004))
    patches = [Patch(gone, (bare * 0.8 + stub * (distance < -0.004)).astype(np.float32))]
    for _ in range(1 + variant % 3):
        place = (side * rng.uniform(0.13, 0.3), (first + rng.uniform(-1, count + 1)) * PITCH)
        chip = _blob(zipper, rng, place, (rng.uniform(0.006, 0.011), rng.uniform(0.005, 0.008)), ripple=0.25)
        patches.append(Patch(chip < 1, (0.85 - 0.45 * chip).clip(0, 1)))
    return [*patches, _lint(zipper, rng, patches, (side * 0.12, (first + count / 2) * PITCH), spread=0.1)]


def fabric_border(zipper: Zipper, rng: np.random.Generator, variant: int) -> list[Patch]:
    """The tape's edge torn away: a bite that shows the table, and frayed threads that leave the picture."""
    side = int(rng.choice((-1, 1)))
    # Every fourth tear lies where the tape leaves the picture, so that its mask has a corner of the image in it.
    along = (0.0, 1.0)[int(rng.integers(2))] if variant % 4 == 2 else rng.uniform(0.15, 0.85)
    depth, reach = rng.uniform(0.035, 0.075), rng.uniform(0.05, 0.13)
    tear = _blob(zipper, rng, (side * TAPE_EDGE, along), (depth, reach), ripple=0.16)
    on_tape = side * zipper.across < TAPE_EDGE
    bite = (tear < 1) & on_tape
    shade = 1 - 0.5 * np.exp((tear - 1).clip(None, 0) / np.float32(0.12))
    patches = [Patch(bite, np.float32(TABLE_GREY) * shade.astype(np.float32))]
    patches += [_fringe(zipper, rng, side, along, depth, reach)]
    threads = []
    for _ in range(2 + variant % 3):
        start = _locate(zipper, side * (TAPE_EDGE - depth), along + rng.uniform(-0.6, 0.6) * reach)
        heading = (0.0 if side > 0 else np.pi) + rng.uniform(0.3, 0.9) * rng.choice((-1, 1))
        threads.append(_walk(rng, start, heading, 1.2 * zipper.size, step=zipper.size / 24, curl=0.13))
    patches.append(_threads(zipper, rng, threads, (0.22, 0.4), width=1))
    return [*patches, _lint(zipper, rng, patches, (side * (TAPE_EDGE - 0.06), along), spread=0.08)]


def fabric_interior(zipper: Zipper, rng: np.random.Generator, variant: int) -> list[Patch]:
    """Damage inside the tape: a worn ring around sound cloth, a slit, a pulled loop or a patch rubbed bare."""
    place = (float(rng.choice((-1, 1)) * rng.uniform(0.2, 0.32)), float(rng.uniform(0.18, 0.82)))
    patches = (_worn_ring, _slit, _pulled_loops, _rubbed)[variant % 4](zipper, rng, place)
    return [*patches, _lint(zipper, rng, patches, place, spread=0.12)]


def rough(zipper: Zipper, rng: np.random.Generator, variant: int) -> list[Patch]:
    """Fuzz: short fibres standing off the teeth and the cord, over scuffed metal."""
    place = (float(rng.uniform(-0.06, 0.06)), float(rng.uniform(0.2, 0.8)))
    radii = (rng.uniform(0.075, 0.11), rng.uniform(0.06, 0.14))
    field = _blob(zipper, rng, place, radii, ripple=0.2)
    grain = smooth_noise(rng, zipper.size, min(zipper.size, 160))
    scuffed = (grain > 0.75 + 1.5 * field) & (field < 1)
    clean = draw_zipper(zipper)
    patches = [Patch(scuffed, (clean * np.float32(0.62) + np.float32(0.16)) * (1 - 0.25 * (grain > 1.2)))]
    fibres = []
    for _ in range(24 + 8 * (variant % 4)):
        angle, away = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0, 1))
        start = _locate(zipper, place[0] + away * radii[0] * np.cos(angle), place[1] + away * radii[1] * np.sin(angle))
        fibres.append(
            _walk(rng, start, rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.09) * zipper.size, zipper.size / 90, 0.28)
        )
    patches.append(_threads(zipper, rng, fibres, (0.5, 0.85), width=1))
    return [*patches, _lint(zipper, rng, patches, place, spread=0.15)]


def split_teeth(zipper: Zipper, rng: np.random.Generator, variant: int) -> list[Patch]:
    """The rows have come apart over a stretch: the halves bend outwards around a lens-shaped gap."""
    place, length = rng.uniform(0.25, 0.75), rng.uniform(0.14, 0.26)
    opening = rng.uniform(0.022, 0.036) + 0.005 * (variant % 3)
    closeness = (1 - ((zipper.along - np.float32(place)) / np.float32(length)) ** 2).clip(0)
    lens = np.float32(opening) * closeness**1.5
    # The cloth beside the cord takes up the displacement, over a width that must exceed it: cloth does not fold here.
    slack = (1.7 * lens).clip(1e-6)
    reach = 0.114 * closeness ** np.float32(0.4) + slack
    parting = (lens * ((reach - np.abs(zipper.across)) / slack).clip(0, 1)).astype(np.float32)
    moved = parting > max(0.0035, 0.3 / zipper.size)
    patches = [Patch(moved, draw_zipper(zipper, parting=parting))]
    loose = []
    for side in rng.choice((-1, 1), 1 + variant % 2):
        start = _locate(zipper, side * 0.09, place + rng.uniform(-0.3, 0.3) * length)
        diagonal = float(rng.choice((0.8, 2.3, 4.0, 5.4)))
        loose.append(_walk(rng, start, diagonal, rng.uniform(0.08, 0.2) * zipper.size, zipper.size / 40, 0.15))
    patches.append(_threads(zipper, rng, loose, (0.5, 0.7), width=1))
    return [*patches, _lint(zipper, rng, patches, (0.0, place), spread=0.2)]


def squeezed_teeth(zipper: Zipper, rng: np.random.Generator, variant: int) -> list[Patch]:
    """Teeth pressed together and skewed as by pliers, dulled where the tool gripped."""
    place, length = rng.uniform(0.2, 0.8), rng.uniform(0.11, 0.17)
    weight = (1 - _blob(zipper, rng, (0.0, place), (0.125, length), ripple=0.05) ** 2).clip(0)
    chevron = rng.choice((-1, 1)) * rng.uniform(0.16, 0.3) * (np.abs(zipper.across) if variant % 2 else zipper.across)
    # Squared, so that the stretch beside the squeeze stays gentle enough for teeth to remain teeth.
    slide = (0.45 * (zipper.along - np.float32(place)) + chevron) * weight**2
    squeezed = draw_zipper(zipper, slide=slide.astype(np.float32), parting=np.float32(-0.010) * weight**2)
    dull = 1 - 0.30 * np.sqrt(weight)
    patches = [Patch(weight > 0.1, (squeezed * dull).astype(np.float32))]
    return [*patches, _lint(zipper, rng, patches, (0.0, place), spread=0.18)]


def combined(zipper: Zipper, rng: np.random.Generator, variant: int) -> list[Patch]:
    """Two different defects in one picture."""
    first, second = rng.choice(len(_SINGLE), 2, replace=False)
    return [*_SINGLE[first](zipper, rng, variant), *_SINGLE[second](zipper, rng, variant + 1)]


def _worn_ring(zipper: Zipper, rng: np.random.Generator, place: tuple[float, float]) -> list[Patch]:
    """A ring of broken yarns; the cloth that it encloses is sound, so the mask has a hole."""
    radius = rng.uniform(0.06, 0.09)
    field = _blob(zipper, rng, place, (radius, radius * rng.uniform(0.8, 1.3)), ripple=0.08)
    grain = smooth_noise(rng, zipper.size, min(zipper.size, 128))
    ring = (field < 1) & (field > 0.55)
    worn = 0.58 + 0.11 * grain - 0.9 * np.abs(field - 0.78)
    ends = _bristles(zipper, rng, place, radius, 14)
    return [Patch(ring, worn.clip(0.1, 0.9).astype(np.float32)), _threads(zipper, rng, ends, (0.45, 0.7), width=1)]


def _slit(zipper: Zipper, rng: np.random.Generator, place: tuple[float, float]) -> list[Patch]:
    """A cut: dark inside, with a pale lip of frayed yarn and single threads across it."""
    radii = (rng.uniform(0.018, 0.028), rng.uniform(0.08, 0.13))
    field = _blob(zipper, rng, place, radii, ripple=0.12, turn=rng.uniform(-0.7, 0.7))
    grain = smooth_noise(rng, zipper.size, min(zipper.size, 128))
    inside = np.where(field < 0.6, GAP_GREY * 0.6 + 0.02 * grain, 0.5 + 0.08 * grain)
    across = []
    for _ in range(5):
        start = _locate(zipper, place[0] - 0.03, place[1] + rng.uniform(-0.6, 0.6) * radii[1])
        across.append(_walk(rng, start, rng.uniform(-0.9, 0.9), 0.075 * zipper.size, zipper.size / 60, 0.12))
    threads = _threads(zipper, rng, across, (0.45, 0.7), width=1)
    return [Patch(field < 1, np.asarray(inside.clip(0.02, 0.9), dtype=np.float32)), threads]


def _pulled_loops(zipper: Zipper, rng: np.random.Generator, place: tuple[float, float]) -> list[Patch]:
    """Yarns pulled out of the weave: closed loops one pixel wide, and their straight loose ends."""
    loops = []
    for _ in range(3):
        angle = np.linspace(0, 2 * np.pi, 40)
        radius = rng.uniform(0.025, 0.055) * zipper.size
        x, y = _locate(zipper, place[0] + rng.uniform(-0.03, 0.03), place[1] + rng.uniform(-0.05, 0.05))
        sway = radius * (1 + 0.25 * np.cos(2 * angle + rng.uniform(0, 6.3)) + 0.12 * np.cos(3 * angle))
        loops.append(np.stack([x + sway * np.cos(angle), y + rng.uniform(0.6, 1.5) * sway * np.sin(angle)], axis=1))
    ends = _bristles(zipper, rng, place, 0.05, 6)
    width = max(1, round(zipper.size / 256))
    return [_threads(zipper, rng, loops, (0.55, 0.8), width=width), _threads(zipper, rng, ends, (0.45, 0.7), width=1)]


def _rubbed(zipper: Zipper, rng: np.random.Generator, place: tuple[float, float]) -> list[Patch]:
    """Several patches rubbed pale, where the yarns have lost their relief."""
    patches = []
    for _ in range(int(rng.integers(3, 6))):
        at = (place[0] + rng.uniform(-0.08, 0.08), place[1] + rng.uniform(-0.09, 0.09))
        field = _blob(zipper, rng, at, (rng.uniform(0.016, 0.042), rng.uniform(0.016, 0.042)), ripple=0.25)
        grain = smooth_noise(rng, zipper.size, min(zipper.size, 128))
        pale = draw_zipper(zipper) * 0.6 + 0.36 + 0.05 * grain - 0.14 * field
        patches.append(Patch((field < 1) & (grain < 1.6), pale.clip(0, 1).astype(np.float32)))
    return patches


def _fringe(zipper: Zipper, rng: np.random.Generator, side: int, along: float, depth: float, reach: float) -> Patch:
    """Weft ends that stick out of the torn edge into the bite."""
    ends = []
    for _ in range(int(rng.integers(10, 18))):
        at = rng.uniform(-0.85, 0.85)
        root = TAPE_EDGE - depth * np.sqrt(1 - at**2)
        heading = (0.0 if side > 0 else np.pi) + rng.normal(0, 0.25)
        start = _locate(zipper, side * root, along + at * reach)
        ends.append(_walk(rng, start, heading, rng.uniform(0.2, 0.7) * depth * zipper.size, zipper.size / 80, 0.12))
    return _threads(zipper, rng, ends, (0.2, 0.4), width=max(1, round(zipper.size / 256)))


def _bristles(
    zipper: Zipper, rng: np.random.Generator, place: tuple[float, float], radius: float, count: int
) -> list[Floats]:
    """Short threads that point away from `place`, starting `radius` from it."""
    found = []
    for angle in rng.uniform(0, 2 * np.pi, count):
        start = _locate(zipper, place[0] + radius * np.cos(angle), place[1] + radius * np.sin(angle))
        length = rng.uniform(0.015, 0.05) * zipper.size
        found.append(_walk(rng, start, angle + rng.normal(0, 0.35), length, zipper.size / 80, 0.15))
    return found


def _blob(
    zipper: Zipper,
    rng: np.random.Generator,
    place: tuple[float, float],
    radii: tuple[float, float],
    *,
    ripple: float,
    turn: float = 0.0,
) -> Floats:
    """A rippled ellipse around `place` (across, along): 0 at its centre, 1 on its outline, more outside."""
    x, y = zipper.across - np.float32(place[0]), zipper.along - np.float32(place[1])
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    x, y = (x * cos - y * sin) / np.float32(radii[0]), (x * sin + y * cos) / np.float32(radii[1])
    angle = np.arctan2(y, x)
    outline = np.ones_like(angle)
    for waves in (2, 3, 5, 8, 13):
        height, shift = np.float32(ripple * rng.normal(0, 1) / np.sqrt(waves)), np.float32(rng.uniform(0, 6.3))
        outline += height * np.cos(waves * angle + shift)
    return np.asarray(np.hypot(x, y) / outline.clip(0.35), dtype=np.float32)


def _locate(zipper: Zipper, across: float, along: float) -> tuple[int, int]:
    """Column and row of the pixel at a place on the product, or of the nearest one in the picture."""
    row = int(np.clip(along * zipper.size, 0, zipper.size - 1))
    column = int(np.abs(zipper.across[row] - across).argmin())
    return column, row


def _walk(
    rng: np.random.Generator, start: tuple[float, float], heading: float, length: float, step: float, curl: float
) -> Floats:
    """A winding line from `start`: float32 points (n, 2) in pixels, x first, turning by about `curl` radians a step."""
    steps = max(3, round(length / step))
    headings = heading + np.cumsum(rng.normal(0, curl, steps))
    moves = np.stack([np.cos(headings), np.sin(headings)], axis=1) * (length / steps)
    return np.concatenate([[start], start + np.cumsum(moves, axis=0)]).astype(np.float32)


def _threads(
    zipper: Zipper, rng: np.random.Generator, lines: Sequence[Floats], greys: tuple[float, float], *, width: int
) -> Patch:
    """Threads of `width` pixels along `lines`, each of its own grey out of the range `greys`."""
    region = np.zeros((zipper.size, zipper.size), dtype=np.uint8)
    grey = np.zeros((zipper.size, zipper.size), dtype=np.float32)
    for line in lines:
        points = np.rint(line).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(region, [points], False, 255, width, cv2.LINE_8)
        cv2.polylines(grey, [points], False, float(rng.uniform(*greys)), width, cv2.LINE_8)
    return Patch(region > 0, grey)


def _lint(
    zipper: Zipper, rng: np.random.Generator, patches: list[Patch], place: tuple[float, float], *, spread: float
) -> Patch:
    """Specks of one pixel each around `place` that touch neither the patches nor one another."""
    taken = np.logical_or.reduce([patch.region for patch in patches]).astype(np.uint8)
    region = np.zeros((zipper.size, zipper.size), dtype=np.bool_)
    wanted = int(rng.integers(3, 8))
    # More throws than specks, since a small picture has little room beside the defect.
    for across, along in rng.normal(place, spread / 2, (12 * wanted, 2)):
        column, row = _locate(zipper, across, along)
        around = np.s_[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        if region.sum() < wanted and not taken[around].any():
            region[row, column] = taken[row, column] = True
    return Patch(region, np.full(region.shape, rng.uniform(0.75, 0.95), dtype=np.float32))


Defect = Callable[[Zipper, np.random.Generator, int], list[Patch]]

_SINGLE: tuple[Defect, ...] = (broken_teeth, fabric_border, fabric_interior, rough, split_teeth, squeezed_teeth)

DEFECTS: MappingProxyType[str, Defect] = MappingProxyType(
    {defect.__name__: defect for defect in (broken_teeth, combined, *_SINGLE[1:])}
)
"""Painter of each defect type by name, sorted: (zipper, rng, variant) -> patches, painted in that order."""
