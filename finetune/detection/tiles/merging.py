"""What was found in the tiles of a photo, as what there is in the photo: each object once. Loads without torch.

Two detections of one class in tiles that overlap, or lie side by side, are views of one object where they agree on the
strip that the tiles share: what they mark there has an intersection of half of the smaller part. A view that goes on
beyond the other tile agrees only with one that ends at that edge, since another object is seen whole; but where both
mark the same in the strip (IoU of .5), they agree anyway.

- A view that an inner edge cuts gives way to one that is whole, in a tile that holds all of it.
- Of views that are whole in several tiles, the surest stays.
- Views that are all cut are united: the box around them, their masks together, the highest score.

What scores less than a quarter of another view changes nothing of it, so that what is found above a score does not
depend on how far below it one looks: `FAINTEST`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from finetune.metrics.detection import Detections
from toolkit.geometry.labels import Instance, Window, paint, window_of

__all__ = ["FAINTEST", "merge_tiles"]

FAINTEST = 0.25
"""Share of a score below which another view of the same object changes nothing."""

_SAME = 0.5  # share of the smaller part, or IoU, from which on two views are of one object
_MARGIN = 0.01  # of a tile's side, and two pixels at least: so near an edge a box ends at it
_LEAST = 2.0

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]


def merge_tiles(found: Sequence[tuple[Window, Detections]], key: str, path: Path, size: tuple[int, int]) -> Detections:
    """Detections in a photo from those in its tiles, best first.

    Args:
        found: of each tile where it lies in the photo, and what was found in it, in its own pixels.
        key, path, size: of the photo; width and height.
    """
    views = _placed(found, size)
    agreeing = _agreements(views)
    scores, alive = views.scores.copy(), np.ones(len(views.scores), np.bool_)
    _give_way(views, agreeing, scores, alive)
    _thin_out(views, scores, alive)
    groups = list(_groups(views, agreeing, scores, alive))
    masks = None
    if views.masks is not None:
        masks = tuple(_united([views.masks[one] for one in group]) for group in groups)
    return Detections(
        key,
        path,
        *size,
        np.array([_around(views.boxes[group]) for group in groups], np.float64).reshape(-1, 4),
        np.array([scores[group[0]] for group in groups], np.float64),
        tuple(views.labels[group[0]] for group in groups),
        masks,
    )


@dataclass(frozen=True, eq=False)
class _Views:
    """All detections in all tiles, in pixels of the photo, tile by tile.

    Attributes:
        boxes: float64 (N, 4).
        scores: float64 (N,).
        labels: class of each.
        masks: of each, where there are any.
        tiles: int (N,), number of the tile of each.
        windows: float64 (N, 4), where that lies.
        margins: float64 (N,), so near an edge of it a box ends there.
        size: of the photo.
    """

    boxes: Floats
    scores: Floats
    labels: tuple[str, ...]
    masks: tuple[Instance, ...] | None
    tiles: npt.NDArray[np.int64]
    windows: Floats
    margins: Floats
    size: tuple[int, int]

    @cached_property
    def cut(self) -> npt.NDArray[np.bool_]:
        """(N, 4): whether a box ends at the left, upper, right or lower edge of its tile, none of the photo's."""
        near = self.margins[:, None]
        inner = np.hstack([self.windows[:, :2] > 0, self.windows[:, 2:] < np.array(self.size)])
        low, high = self.boxes[:, :2] - self.windows[:, :2], self.windows[:, 2:] - self.boxes[:, 2:]
        return np.asarray(inner & (np.hstack([low, high]) <= near), np.bool_)

    @cached_property
    def whole(self) -> npt.NDArray[np.bool_]:
        """(N,): whether no inner edge cuts it."""
        return np.asarray(~self.cut.any(axis=1), np.bool_)

    @cached_property
    def numbers(self) -> npt.NDArray[np.intp]:
        """(N,): of the class of each."""
        known = {label: number for number, label in enumerate(dict.fromkeys(self.labels))}
        return np.array([known[label] for label in self.labels], np.intp)

    def near(self, one: int) -> Numbers:
        """The others of its class, of other tiles, whose boxes meet its own, or nearly do."""
        x0, y0, x1, y1 = self.boxes[one] + np.array([-2, -2, 2, 2]) * self.margins[one]
        left, top, right, bottom = self.sides
        meet = (left <= x1) & (right >= x0) & (top <= y1) & (bottom >= y0)
        return np.flatnonzero(meet & (self.numbers == self.numbers[one]) & (self.tiles != self.tiles[one]))

    @cached_property
    def sides(self) -> Floats:
        """(4, N): the boxes, side by side, since they are compared with each of them."""
        return np.ascontiguousarray(self.boxes.T)

    @cached_property
    def order(self) -> list[int]:
        """The surest first."""
        return _surest(self.scores)


def _placed(found: Sequence[tuple[Window, Detections]], size: tuple[int, int]) -> _Views:
    counts = [len(one) for _, one in found]
    windows = np.array([window for window, _ in found], np.float64).reshape(-1, 4)
    sides = (windows[:, 2:] - windows[:, :2]).max(axis=1, initial=0)
    shifts = np.repeat(windows[:, [0, 1, 0, 1]], counts, axis=0)
    boxes = np.concatenate([np.zeros((0, 4)), *(one.boxes for _, one in found)]) + shifts
    masks = None
    if any(one.masks is not None for _, one in found):
        masks = tuple(_moved(mask, window) for window, one in found for mask in one.masks or ())
    return _Views(
        boxes,
        np.concatenate([np.zeros(0), *(one.scores for _, one in found)]),
        tuple(label for _, one in found for label in one.labels),
        masks,
        np.repeat(np.arange(len(found)), counts),
        np.repeat(windows, counts, axis=0),
        np.repeat(np.maximum(_LEAST, _MARGIN * sides), counts),
        size,
    )


def _moved(one: Instance, window: Window) -> Instance:
    x0, y0, x1, y1 = one.bbox
    return replace(one, bbox=(x0 + window[0], y0 + window[1], x1 + window[0], y1 + window[1]), part=None)


def _agreements(views: _Views) -> list[dict[int, float]]:
    """Of each view the others that are of the same object, and how well they agree (IoU in the shared strip)."""
    found: list[dict[int, float]] = [{} for _ in views.labels]
    for one in range(len(views.labels)):
        others = views.near(one)
        others = others[(others > one) & ~(views.whole[one] & views.whole[others])]  # `_thin_out` tells of whole ones
        if not len(others):
            continue
        near, smaller, iou = _overlaps(views, one, others)
        fits = _goes_on(views, one, near)
        for other, share, alike, possible in zip(near.tolist(), smaller, iou, fits, strict=True):
            if views.masks is not None:
                share, alike = _mask_overlap(views, views.masks, one, other, (float(share), float(alike)))
            if alike >= _SAME or (possible and share >= _SAME):
                found[one][other] = found[other][one] = float(alike)
    return found


def _overlaps(views: _Views, one: int, others: Numbers) -> tuple[Numbers, Floats, Floats]:
    """Of others those that share something with a view, where both tiles see it: share of the smaller part, and IoU.

    Where tiles lie side by side, and share no strip, what ends at their common edge is compared along it.
    """
    both, own, theirs = np.ones(len(others)), np.ones(len(others)), np.ones(len(others))
    for low, high in ((0, 2), (1, 3)):
        start = np.maximum(views.windows[one, low], views.windows[others, low])
        stop = np.minimum(views.windows[one, high], views.windows[others, high])
        mine = np.clip(views.boxes[one, [low, high]][None], start[:, None], stop[:, None])
        other = np.clip(views.boxes[others][:, [low, high]], start[:, None], stop[:, None])
        lengths = [mine[:, 1] - mine[:, 0], other[:, 1] - other[:, 0]]
        common = np.minimum(mine[:, 1], other[:, 1]) - np.maximum(mine[:, 0], other[:, 0])
        before = views.windows[one, high] == views.windows[others, low]
        after = views.windows[one, low] == views.windows[others, high]
        meet = (before & views.cut[one, high] & views.cut[others, low]) | (
            after & views.cut[one, low] & views.cut[others, high]
        )
        side = start == stop
        both *= np.where(side, meet, np.where(stop > start, np.maximum(common, 0), 0))
        own *= np.where(side, 1.0, lengths[0])
        theirs *= np.where(side, 1.0, lengths[1])
    kept = np.flatnonzero(both > 0)
    both, own, theirs = both[kept], own[kept], theirs[kept]
    return others[kept], both / np.minimum(own, theirs), both / (own + theirs - both)


def _goes_on(views: _Views, one: int, others: Numbers) -> npt.NDArray[np.bool_]:
    """Whether each view ends at the edges of its tile beyond which the other one goes on."""

    def ends(boxes: Floats, windows: Floats, margins: Floats, cut: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        beyond = np.hstack([boxes[:, :2] < windows[:, :2] - margins, boxes[:, 2:] > windows[:, 2:] + margins])
        return np.asarray((~beyond | cut).all(axis=1), np.bool_)

    mine, margin = views.boxes[[one]], views.margins[others, None]
    theirs = ends(np.repeat(mine, len(others), axis=0), views.windows[others], margin, views.cut[others])
    own = np.repeat(views.windows[[one]], len(others), axis=0)
    back = ends(views.boxes[others], own, margin, np.repeat(views.cut[[one]], len(others), axis=0))
    return theirs & back


def _mask_overlap(
    views: _Views, masks: Sequence[Instance], one: int, other: int, of_boxes: tuple[float, float]
) -> tuple[float, float]:
    """As of boxes, of the masks in the strip, or along the common edge; of boxes where a mask is empty."""
    if not masks[one].area or not masks[other].area:
        return of_boxes
    x0, y0, x1, y1 = _common(views.windows[one], views.windows[other])
    near = int(views.margins[other])
    beside = (near if x0 == x1 else 0, near if y0 == y1 else 0)
    window = (x0 - beside[0], y0 - beside[1], x1 + beside[0], y1 + beside[1])
    # Along a common edge, whether there is a pixel near it.
    alone = tuple(axis for axis, lacks in ((1, beside[0]), (0, beside[1])) if lacks)
    mine, theirs = (np.asarray(_part(masks[place], window).any(axis=alone)) for place in (one, other))
    both, smaller = int((mine & theirs).sum()), min(int(mine.sum()), int(theirs.sum()))
    return (both / smaller, both / int((mine | theirs).sum())) if both else (0.0, 0.0)


def _common(one: Floats, other: Floats) -> Window:
    x0, y0 = np.maximum(one[:2], other[:2]).astype(int).tolist()
    x1, y1 = np.minimum(one[2:], other[2:]).astype(int).tolist()
    return x0, y0, x1, y1


def _part(one: Instance, window: Window) -> npt.NDArray[np.bool_]:
    """The pixels of an instance in a window."""
    plane = np.zeros((window[3] - window[1], window[2] - window[0]), np.bool_)
    x0, y0, x1, y1 = one.window
    a0, b0, a1, b1 = max(x0, window[0]), max(y0, window[1]), min(x1, window[2]), min(y1, window[3])
    if a0 < a1 and b0 < b1:
        plane[b0 - window[1] : b1 - window[1], a0 - window[0] : a1 - window[0]] = one.region[
            b0 - y0 : b1 - y0, a0 - x0 : a1 - x0
        ]
    return plane


def _give_way(
    views: _Views, agreeing: Sequence[dict[int, float]], scores: Floats, alive: npt.NDArray[np.bool_]
) -> None:
    """Views that an edge cuts go where another tile holds all of it, and what agrees best there is whole."""
    for one in views.order:
        if views.whole[one]:
            continue
        fit = [place for place in agreeing[one] if views.scores[place] >= FAINTEST * views.scores[one]]
        best = {tile: _best(agreeing[one], fit, views, tile) for tile in views.tiles[fit].tolist()}
        seen = [place for place in best.values() if views.whole[place] and _inside(views, one, place)]
        if seen:
            chosen = max(seen, key=lambda place: (views.scores[place], -place))
            scores[chosen] = max(scores[chosen], views.scores[one])
            alive[one] = False


def _inside(views: _Views, one: int, other: int) -> bool:
    """Whether a view lies in the tile of another."""
    margin, window = views.margins[other], views.windows[other]
    low, high = views.boxes[one, :2], views.boxes[one, 2:]
    return bool((low >= window[:2] - margin).all() and (high <= window[2:] + margin).all())


def _thin_out(views: _Views, scores: Floats, alive: npt.NDArray[np.bool_]) -> None:
    """Of views that are whole in several tiles, the surest stays."""
    for one in _surest(scores):
        if not alive[one] or not views.whole[one]:
            continue
        others = views.near(one)
        others = others[alive[others] & views.whole[others]]
        others = others[_iou(views.boxes[one], views.boxes[others]) >= _SAME]
        alive[others] = False


def _iou(box: Floats, others: Floats) -> Floats:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    both = np.clip(high - low, 0, None).prod(axis=1)
    either = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - both
    return np.asarray(both / np.maximum(either, 1e-9), np.float64)


def _groups(
    views: _Views, agreeing: Sequence[dict[int, float]], scores: Floats, alive: npt.NDArray[np.bool_]
) -> Iterator[list[int]]:
    """Views of one object each, the surest first: each belongs to what agrees with it best in a neighbouring tile."""
    free = alive.copy()
    for seed in _surest(scores):
        if not free[seed]:
            continue
        free[seed], group, reached = False, [seed], 0
        allowed = {*np.flatnonzero(free & (scores >= FAINTEST * scores[seed])).tolist(), seed}
        while reached < len(group):
            one, reached = group[reached], reached + 1
            for other in agreeing[one]:
                if other not in allowed or not free[other]:
                    continue
                mine = _best(agreeing[one], allowed, views, int(views.tiles[other]))
                theirs = _best(agreeing[other], allowed, views, int(views.tiles[one]))
                if other == mine or one == theirs:
                    free[other] = False
                    group.append(other)
        yield group


def _best(agreeing: dict[int, float], fit: Sequence[int] | set[int], views: _Views, tile: int) -> int:
    """Of the views that agree with one, the one in a tile that agrees most; -1 where none of those that fit does."""
    there = [place for place in agreeing if place in fit and views.tiles[place] == tile]
    return max(there, key=lambda place: (agreeing[place], views.scores[place], -place), default=-1)


def _surest(scores: Floats) -> list[int]:
    order: list[int] = np.argsort(-scores, kind="stable").tolist()
    return order


def _around(boxes: Floats) -> list[float]:
    return [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]


def _united(masks: Sequence[Instance]) -> Instance:
    """The pixels of all; empty ones count for nothing beside others."""
    held = [one for one in masks if one.area]
    if len(held) < 2:
        return held[0] if held else masks[0]
    window = window_of(held)
    plane = paint(held, [True] * len(held), window, np.bool_)
    return Instance(held[0].label, window, plane, int(np.count_nonzero(plane)))
