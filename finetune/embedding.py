"""Where images lie beside each other: features of a frozen backbone whose weights need no network, on a plane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from converters.sources import LayoutLike, SourceLike, open_source
from toolkit.aliases import Progress
from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    import torch

__all__ = ["Projection", "embed", "project"]

Projection = Literal["pca", "umap"]
"""How many numbers become two: the two directions in which images differ most; or UMAP, which keeps neighbours."""

_BACKBONE = "efficientnet_lite0"
_BATCH = 16
_NEIGHBOURS = 15  # of an image, that UMAP keeps together; its default

Floats = npt.NDArray[np.float64]


def embed(
    data: SourceLike,
    method: Projection = "pca",
    *,
    layout: LayoutLike = None,
    progress: Progress | None = None,
) -> dict[str, tuple[float, float]]:
    """Places of the images of a dataset or label tree on a plane: those that look alike to a network lie together.

    Args:
        data: the images; those that cannot be read are left out.
        method: "pca", which has no chance in it; or "umap", where umap-learn is installed.
        layout: how the data is laid out; found by itself if None.
        progress: called with (images done, images).

    Returns:
        Key -> x, y, each 0 to 1.

    Raises:
        ToolkitError: there is no image that can be read, or no such method.
    """
    if method not in get_args(Projection):
        raise ToolkitError("--map", f"{method!r} is no way to draw a map", f"use {' or '.join(get_args(Projection))}")
    if method == "umap":
        _umap()
    source = open_source(data, layout)
    files = {sample.key: sample.image for sample in source.dataset if sample.image.is_file()}
    keys, features = _features(list(files), list(files.values()), progress)
    if not keys:
        raise ToolkitError(source.root, "has no image that can be read", "convert with --images hardlink")
    return {key: (float(x), float(y)) for key, (x, y) in zip(keys, project(features, method), strict=True)}


def project(features: Floats, method: Projection = "pca") -> Floats:
    """(N, numbers) -> (N, 2), each 0 to 1.

    Args:
        features: of each image.
        method: as for `embed`.
    """
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
    if method == "umap" and len(features) > 3:
        places = _umap()(n_neighbors=min(_NEIGHBOURS, len(features) - 1), random_state=0, n_jobs=1)
        found = np.asarray(places.fit_transform(scaled), np.float64)
    else:
        left, sizes, _ = np.linalg.svd(scaled, full_matrices=False)
        found = np.zeros((len(features), 2))
        most = min(2, left.shape[1])
        found[:, :most] = left[:, :most] * sizes[:most]
        # Which way an axis points is chance: the farthest image lies to the right, and on top.
        farthest = found[np.abs(found).argmax(axis=0), [0, 1]]
        found = _spread(found * np.where(farthest < 0, -1, 1))
    low, high = found.min(axis=0), found.max(axis=0)
    placed: Floats = np.round((found - low) / np.where(high > low, high - low, 1), 4)
    return placed


def _spread(places: Floats) -> Floats:
    """Places of which those far out come nearer (asinh), so that a few odd images do not press the others together."""
    away = places - np.median(places, axis=0)
    usual = np.median(np.abs(away), axis=0)
    found: Floats = np.arcsinh(away / np.where(usual > 0, usual, 1))
    return found


def _umap() -> Any:
    try:
        from umap import UMAP
    except ImportError as error:
        raise ToolkitError("--map umap", "needs the package umap-learn", "pip install umap-learn") from error
    return UMAP


def _features(keys: Sequence[str], files: Sequence[Path], progress: Progress | None) -> tuple[list[str], Floats]:
    """Keys of the images that can be read, and what the backbone makes of each."""
    import torch

    from finetune.backbones.backbone import build_backbone, feature_extractor
    from finetune.classification.inference import evaluating

    extractor = feature_extractor(build_backbone(_BACKBONE, "default", 2))
    known, parts = list[str](), list[Floats]()
    batch = list[tuple[str, torch.Tensor]]()

    def look() -> None:
        if batch:
            with evaluating(extractor):
                parts.append(extractor(torch.stack([view for _, view in batch])).double().numpy())
            known.extend(key for key, _ in batch)
            batch.clear()

    for done, (key, view) in enumerate(_views(keys, files), 1):
        if view is not None:
            batch.append((key, view))
        if len(batch) == _BATCH:
            look()
        if progress is not None:
            progress(done, len(keys))
    look()
    return known, np.concatenate(parts) if parts else np.zeros((0, 1))


def _views(keys: Sequence[str], files: Sequence[Path]) -> Iterator[tuple[str, torch.Tensor | None]]:
    """Each image as the backbone sees it, float32 (3, size, size); None for one that cannot be read."""
    from finetune.classification.inference import image_views
    from finetune.classifier.config import ClassifierConfig
    from finetune.engine.splits import ImageRecord

    examples = [ImageRecord(key, file, "", "", "") for key, file in zip(keys, files, strict=True)]
    views = image_views(examples, ClassifierConfig(backbone=_BACKBONE, mode="linear-probe"))
    for place, key in enumerate(keys):
        try:
            yield key, views[place]["image"]
        except ToolkitError:
            yield key, None
