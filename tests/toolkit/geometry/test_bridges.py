"""Rings that are joined: the same as by looking at all pairs in each step, in time that a thousand of them allow."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest

from toolkit.geometry.bridges import join_rings

Ring = npt.NDArray[np.int64]


def joined_by_looking_at_all(rings: list[Ring]) -> Ring:
    joined, waiting = rings[0], rings[1:]
    while waiting:
        found = []
        for ring in waiting:
            squared = ((joined[:, None, :].astype(np.int64) - ring[None, :, :]) ** 2).sum(axis=2)
            here, there = divmod(int(squared.argmin()), len(ring))
            found.append((int(squared[here, there]), here, there))
        number = min(range(len(waiting)), key=lambda k: found[k][0])
        _, here, there = found[number]
        ring = waiting.pop(number)
        detour = np.concatenate([np.roll(ring, -there, axis=0), ring[there : there + 1], joined[here : here + 1]])
        joined = np.concatenate([joined[: here + 1], detour, joined[here + 1 :]])
    return joined


def some_rings(seed: int, count: int, side: int) -> list[Ring]:
    """Rings of one to nine vertices, some of which stand twice; on few pixels many are as near as others."""
    random = np.random.default_rng(seed)
    spread = int(random.integers(1, 5))
    return [
        (random.integers(0, side, 2) + random.integers(0, spread + 1, (int(random.integers(1, 10)), 2))).astype(
            np.int64
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("gap", [1 << 40, 4])
@pytest.mark.parametrize("cells", [1 << 20, 7])
def test_the_nearest_vertices_are_joined(monkeypatch: pytest.MonkeyPatch, cells: int, gap: int) -> None:
    monkeypatch.setattr("toolkit.geometry.bridges._CELLS", cells)
    monkeypatch.setattr("toolkit.geometry.bridges._GAP", gap)
    for seed in range(40):
        rings = some_rings(seed, 2 + seed % 23, (6, 20, 300)[seed % 3])
        joined = join_rings(rings)
        assert np.array_equal(joined, joined_by_looking_at_all(rings)), seed


def test_thousands_of_rings_are_joined_in_time() -> None:
    rings = [ring + np.int64(place) for place, ring in enumerate(some_rings(0, 2_000, 900))]
    started = time.process_time()
    assert len(join_rings(rings)) == sum(map(len, rings)) + 2 * (len(rings) - 1)
    assert time.process_time() - started < 10  # looking at all pairs in each step takes half an hour
