"""Images on a plane: which lie together, and what is left out or refused."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from finetune import embed
from finetune.embedding import project
from tests.commands import make_dataset
from toolkit.errors import ToolkitError


def clusters() -> np.ndarray:
    random = np.random.default_rng(0)
    return np.concatenate([random.normal(centre, 0.1, (10, 8)) for centre in (0, 3, 9)])


def test_what_is_alike_lies_together() -> None:
    places = project(clusters())
    assert places.shape == (30, 2)
    assert (places.min(axis=0) == 0).all()
    assert (places.max(axis=0) == 1).all()
    order = np.argsort(places[:, 0]) // 10
    assert order.tolist() in ([0] * 10 + [1] * 10 + [2] * 10, [2] * 10 + [1] * 10 + [0] * 10)
    assert np.array_equal(project(clusters()), places)


@pytest.mark.parametrize("features", [np.ones((1, 4)), np.ones((5, 4)), np.array([[1.0], [2.0]])])
def test_few_images_and_images_without_a_difference(features: np.ndarray) -> None:
    places = project(features)
    assert places.shape == (len(features), 2)
    assert np.isfinite(places).all()


def test_umap_is_taken_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ToolkitError, match="needs the package umap-learn"):
        embed("nowhere", "umap")
    fitted = SimpleNamespace(fit_transform=lambda rows: rows[:, :2] * 5)
    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=lambda **_: fitted))
    assert project(clusters(), "umap").max() == 1


def test_an_image_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    root = make_dataset(tmp_path)
    (root / "part/test/good/000.png").write_bytes(b"no image")
    places = embed(root)
    assert len(places) == 8
    assert "part/test/good/000" not in places
    assert all(0 <= side <= 1 for place in places.values() for side in place)


def test_no_such_map() -> None:
    with pytest.raises(ToolkitError, match="use pca or umap"):
        embed("nowhere", "tsne")  # type: ignore[arg-type]
