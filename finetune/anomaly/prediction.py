"""Anomalies in image files: maps, overlays and label trees on disk, and a row for each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from finetune.anomaly.config import AnomalyConfig
from finetune.anomaly.detector import Detector, score_images
from finetune.anomaly.evaluation import score_row
from finetune.anomaly.maps import DEFECT, draw_map, label_map, pack_map
from finetune.engine.outputs.predictions import PredictedRows, keep_predictions
from finetune.engine.runs import Run
from finetune.engine.shares import (
    ImageFile,
    PredictedFile,
    Spread,
    files_to_predict,
    kept_model,
    predict_shares,
    share_size,
    within_share,
)
from finetune.engine.splits import ImageRecord
from toolkit.dataset.keys import file_name
from toolkit.dataset.samples import GOOD

__all__ = ["predict_anomalies"]


def predict_anomalies(
    load: Callable[[Run], Detector],
    run: Run,
    config: AnomalyConfig,
    images: Sequence[Path],
    out: Path,
    spread: Spread,
    *,
    pictures: bool = True,
) -> PredictedRows:
    """Look for anomalies in image files: maps/*.npz, overlays/*.png, labels/FORMAT/, and a row for each image.

    Args:
        load: makes the detector of a run: a function of a module, so that it can be sent to other processes.
        run: what its training made.
        config: the settings of the run.
        images: the files.
        out: folder to write into.
        spread: the ordered map that the images go through, in shares.
        pictures: whether overlays are drawn.

    Returns:
        Rows of file, score, threshold, anomalous (0 or 1), instances, and the files of map and, if any, overlay.

    Raises:
        ToolkitError: the run is at fault, or an image cannot be read.
    """
    share = partial(_predict_share, load, run, pictures)
    told = predict_shares(share, files_to_predict(images), share_size(config), out, spread)
    return keep_predictions(told, out, formats=config.formats, classes=[DEFECT])


def _predict_share(
    load: Callable[[Run], Detector], run: Run, pictures: bool, share: Sequence[ImageFile]
) -> list[PredictedFile]:
    with kept_model(load, run) as ready:
        examples = [ImageRecord(one.key, one.path, GOOD, "", "test") for one in share]
        scored = score_images(ready.maps, examples, within_share(ready.config), ready.device)
    found = []
    for one, image in zip(share, scored, strict=True):
        map_file, overlay = f"maps/{file_name(image.key)}.npz", f"overlays/{file_name(image.key)}.png"
        row = {"file": one.file, **score_row(image, ready.threshold), "map": map_file}
        files = [(map_file, pack_map(image, ready.threshold))]
        if pictures:
            row["overlay"] = overlay
            files.append((overlay, draw_map(image, ready.threshold)))
        found.append(PredictedFile(row, tuple(files), label_map(image, ready.threshold)))
    return found
