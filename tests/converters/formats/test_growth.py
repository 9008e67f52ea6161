"""Work grows with the number of components, and not with its square or with the size of their image."""

from __future__ import annotations

import cProfile
import pstats
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from converters import FORMATS, convert, read_labels, verify
from converters.viewing.gallery_items import open_views
from tests.converters.support import Bools, label_mask, make_dataset
from toolkit import Dataset
from toolkit.gallery.rendering import render
from toolkit.geometry import instances as geometry

STEP = 63  # more than the boxes that a tile shows
SIDE = 200
TREES = [*FORMATS, "coco of run lengths"]


def specks(count: int) -> Bools:
    """Parts of one to three pixels, which touch nothing."""
    mask = np.zeros((SIDE, SIDE), np.bool_)
    for number in range(count):
        y, x = divmod(number, 40)
        mask[5 * y + 1, 5 * x + 1 : 5 * x + 2 + number % 3] = True
    return mask


def converted(source: Dataset, out: Path, tree: str) -> Path:
    kind = tree.partition(" ")[0]
    convert(source, out, kind, images="symlink", segmentation="rle" if kind != tree else "polygon")
    return out / kind


def calls(task: Callable[[], object]) -> int:
    """How many functions a task calls, those in C included."""
    profile = cProfile.Profile()
    profile.runcall(task)
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """One image of as many specks, of twice and of three times as many."""
    home = tmp_path_factory.mktemp("specks")
    return [make_dataset(home / str(n), {"dent": [specks(n * STEP)]}, good=0) for n in (1, 2, 3)]


@pytest.fixture
def most(sources: list[Dataset]) -> Dataset:
    return sources[-1]


def shown(root: Path) -> object:
    views = open_views(root)
    return [render(item, views.page) for item in views.items]


@pytest.mark.parametrize("tree", TREES)
def test_calls_grow_with_the_number_of_components(sources: list[Dataset], tmp_path: Path, tree: str) -> None:
    """The second difference of what grows evenly is nothing; of n^2 / 2 it is the square of the step."""
    roots = [converted(source, tmp_path / str(place), tree) for place, source in enumerate(sources)]
    tasks: dict[str, list[Callable[[], object]]] = {
        "convert": [partial(converted, source, tmp_path / "again" / str(n), tree) for n, source in enumerate(sources)],
        "verify": [partial(verify, root) for root in roots],
        "read": [partial(list, read_labels(root)) for root in roots],
        "view": [partial(shown, root) for root in roots],
    }
    assert verify(roots[-1]).passed
    assert shown(roots[-1])  # what is loaded or cached once, is so by now
    bent = {}
    for name, of_each in tasks.items():
        one, two, three = map(calls, of_each)
        bent[name] = three - 2 * two + one
    assert {name: bend for name, bend in bent.items() if abs(bend) > STEP**2 / 3} == {}


@pytest.mark.parametrize("tree", [tree for tree in TREES if tree not in ("yolo-classify", "yolo-detect")])
def test_pixels_that_are_looked_at_do_not_grow_with_the_image(
    most: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: str
) -> None:
    root = converted(most, tmp_path, tree)
    pixels = 0

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(cv2, name)

        def boundingRect(self, mask: Bools) -> Any:  # noqa: N802
            nonlocal pixels
            pixels += mask.size
            return cv2.boundingRect(mask)

    monkeypatch.setattr(geometry, "cv2", Counting())
    (image,) = read_labels(root)
    assert len(image.instances) == 3 * STEP
    assert pixels <= 3 * SIDE * SIDE


@pytest.mark.parametrize("tree", [tree for tree in TREES if tree != "yolo-classify"])
def test_instances_keep_no_raster_of_their_image(most: Dataset, tmp_path: Path, tree: str) -> None:
    (image,) = read_labels(converted(most, tmp_path, tree))
    for instance in image.instances:
        mask = instance.region
        while mask.base is not None and isinstance(mask.base, np.ndarray):
            mask = mask.base
        assert mask.nbytes <= 4 * instance.region.size


def test_small_masks_that_are_alike_share_their_outline() -> None:
    image = label_mask("a", specks(STEP))
    tracemalloc.start()
    try:
        outlines = [instance.outline for instance in image.instances]
        assert len({id(outline) for outline in outlines}) == 3
        assert tracemalloc.get_traced_memory()[0] < 1000 * STEP
    finally:
        tracemalloc.stop()
