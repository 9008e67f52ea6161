"""Detections drawn on their image: a frame around each, its mask if there is one, its name and score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from finetune.metrics.detection import Detections
from toolkit.geometry.labels import Instance
from toolkit.imaging.images import read_image
from toolkit.plotting.overlays import class_colour

__all__ = ["draw_detections"]

_LEGIBLE = 512  # px; names do not fit into smaller images


def draw_detections(
    found: Detections, classes: Sequence[str], truth: Sequence[Instance] = (), *, depth: int | None = None
) -> bytes:
    """A PNG of the image with what was found, the best on top; small images are enlarged to a whole multiple.

    Args:
        found: the detections.
        classes: all labels; the position of a label gives its colour.
        truth: what is labelled in the image: a white line between black ones runs around each.
        depth: bits of the range by which a deep image is scaled.

    Raises:
        ToolkitError: the image cannot be read.
    """
    import matplotlib
    import supervision as sv

    scale = max(1, _LEGIBLE // max(found.width, found.height))
    scene = np.repeat(np.repeat(read_image(found.path, depth), scale, axis=0), scale, axis=1)
    _outline(scene, truth, scale)
    if len(found):
        order = np.argsort(found.scores, kind="stable")
        numbers = np.array([classes.index(label) for label in found.labels])[order]
        planes = _planes(found, scale)
        masks = None if planes is None else planes[order]
        shown = sv.Detections(xyxy=found.boxes[order] * scale, class_id=numbers, mask=masks)
        names = [f"{found.labels[place]} {found.scores[place]:.2f}" for place in order]
        palette = sv.ColorPalette([sv.Color(*class_colour(number)) for number in range(max(len(classes), 1))])
        size = sv.calculate_optimal_text_scale((scene.shape[1], scene.shape[0])) * 15
        if masks is not None:
            scene = sv.MaskAnnotator(palette, opacity=0.4).annotate(scene, shown)
        scene = sv.BoxAnnotator(palette, thickness=max(1, round(scene.shape[1] / 512))).annotate(scene, shown)
        letters = sv.RichLabelAnnotator(
            palette,
            text_color=sv.Color.BLACK,
            font_path=str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"),
            font_size=max(11, round(size)),
            text_padding=2,
            smart_position=True,
        )
        scene = letters.annotate(scene, shown, labels=names)
    _, packed = cv2.imencode(".png", scene, [cv2.IMWRITE_PNG_COMPRESSION, 4])
    return packed.tobytes()


def _outline(scene: npt.NDArray[np.uint8], truth: Sequence[Instance], scale: int) -> None:
    line = max(1, round(scene.shape[1] / 512))
    for instance in truth:
        x0, y0, _, _ = instance.window
        region = np.pad(instance.region.astype(np.uint8), 1).repeat(scale, axis=0).repeat(scale, axis=1)
        offset = ((x0 - 1) * scale, (y0 - 1) * scale)
        contours, _ = cv2.findContours(region, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for colour, wide in (((0, 0, 0), 3 * line), ((255, 255, 255), line)):
            cv2.drawContours(scene, contours, -1, colour, wide, offset=offset)


def _planes(found: Detections, scale: int) -> npt.NDArray[np.bool_] | None:
    """Masks as bool (N, height, width), enlarged; None where there are none."""
    if found.masks is None:
        return None
    planes = np.zeros((len(found), found.height, found.width), np.bool_)
    for plane, one in zip(planes, found.masks, strict=True):
        plane[:] = one.whole(found.width, found.height)
    return np.repeat(np.repeat(planes, scale, axis=1), scale, axis=2)
