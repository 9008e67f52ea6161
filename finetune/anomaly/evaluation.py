"""An anomaly detector tested: predictions, pictures and figures of test images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from converters.sources import SourceLike
from finetune.anomaly.config import AnomalyConfig
from finetune.anomaly.data import GoodImages, open_good, truth_masks
from finetune.anomaly.detector import Detector, MapMaker, score_images
from finetune.anomaly.maps import ScoredImage, draw_map, label_map
from finetune.anomaly.thresholds import KnownImage, choose_threshold, promised_figures, write_threshold
from finetune.engine.remarks.evaluated import evaluated_examples
from finetune.engine.runs import Row, Run
from finetune.engine.splits import ImageRecord, ImageRecords
from finetune.metrics.anomaly import anomaly_metrics
from finetune.metrics.curves import draw_curves, draw_scores
from finetune.metrics.plots import draw_rates
from finetune.metrics.rejection import rejection_rates
from toolkit.dataset.keys import file_name
from toolkit.dataset.samples import GOOD
from toolkit.files.publish import write_whole

__all__ = ["MAP_RESOLUTION", "evaluate_detector", "held_out_threshold", "measure", "report", "score_row"]

MAP_RESOLUTION = "maps at image_size, enlarged bilinearly to each image for pixel figures and labels"
_MOST_DRAWN = 24  # overlays of test images in a run


def evaluate_detector(ready: Detector, run: Run, data: SourceLike | None = None) -> dict[str, float | int]:
    """Test an anomaly detector, on one or several processes.

    Args:
        ready: the detector of the run.
        run: what its training made.
        data: None for the data that it was trained on; images are chosen as by `evaluated_examples`.

    Returns:
        As metrics.json.

    Raises:
        ToolkitError: the data are at fault.
    """
    config = ready.config
    source, chosen = evaluated_examples(run, data, lambda place: open_good(place, config), layout=config.layout)
    scored = score_images(ready.maps, chosen, config, ready.device)
    return {**measure(chosen, scored, source, ready.threshold), **promised_figures(run)}


def report(run: Run, ready: Detector, tested: Sequence[ImageRecord], data: SourceLike) -> None:
    """Write predictions, pictures and figures of the test images, which ends a run.

    Raises:
        ToolkitError: an image cannot be read, or an output cannot be written.
    """
    scored = score_images(ready.maps, tested, ready.config, ready.device)
    pairs = list(zip(tested, scored, strict=True))
    rows = [
        {"key": one.key, "subset": one.subset, "label": one.label, **score_row(image, ready.threshold)}
        for one, image in pairs
    ]
    run.write_predictions(rows)
    if ready.config.plots:
        _draw(run, ready, tested, scored, data)
    figures = {**measure(tested, scored, data, ready.threshold), **promised_figures(run)}
    if "pixel_auroc" not in figures:
        note = "no label of a test image is a mask: figures are of whole images, and there are none of pixels"
        run.note(notes=[*run.environment()["notes"], note])
    run.write_metrics(figures, seconds=run.logged_seconds())


def _draw(
    run: Run, ready: Detector, tested: Sequence[ImageRecord], scored: Sequence[ScoredImage], data: SourceLike
) -> None:
    """Overlays of the test images that score highest, with what is labelled in them; scores, and learning curves."""
    masks = truth_masks(data)
    for image in sorted(scored, key=lambda image: -image.score)[:_MOST_DRAWN]:
        drawn = draw_map(image, ready.threshold, masks[image.key]())
        write_whole(run.plots / "overlays" / f"{file_name(image.key)}.png", drawn)
    scores, defective = [image.score for image in scored], [one.label != GOOD for one in tested]
    above = [score > ready.threshold for score in scores]
    pictures = {
        "scores": draw_scores(scores, defective, above, ready.threshold, axis="score of the image"),
        "rates": draw_rates(scores, defective, ready.threshold, axis="score of the image; higher ones are rejected"),
        "curves": draw_curves(run.log_rows()),
    }
    for name, picture in pictures.items():
        if picture is not None:
            write_whole(run.plots / f"{name}.png", picture)


def held_out_threshold(
    run: Run, maps: MapMaker, good: GoodImages, examples: ImageRecords, config: AnomalyConfig, device: torch.device
) -> float:
    """The threshold by the good images that are held out; defects of val are scored too, for one chosen later.

    Raises:
        ToolkitError: the images cannot keep what is asked for, or one cannot be read.
    """
    known = [*good.held_out, *(one for one in examples.subset("val") if one.label != GOOD)]
    scores = [one.score for one in score_images(maps, known, config, device)]
    chosen = choose_threshold(scores[: len(good.held_out)], config)
    told = [KnownImage(one.key, one.label, score) for one, score in zip(known, scores, strict=True)]
    write_threshold(run, chosen, told, config)
    return chosen.value


def score_row(image: ScoredImage, threshold: float) -> Row:
    """What an image scores, and what is labelled in it; by the definition of the score the two agree."""
    found = len(label_map(image, threshold).instances)
    return {
        "score": image.score,
        "threshold": threshold,
        "anomalous": int(image.score > threshold),
        "instances": found,
    }


def measure(
    tested: Sequence[ImageRecord], scored: Sequence[ScoredImage], data: SourceLike, threshold: float
) -> dict[str, float | int]:
    """Figures of test images, and of pixels at the size of each image where the data has masks, else none of pixels."""
    masks = truth_masks(data)
    defective = [example.label != GOOD for example in tested]

    def pixels() -> Iterable[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]]:
        for image in scored:
            mask = masks[image.key]()
            if mask is not None:
                yield image.enlarged(), mask

    telling = [example for example in tested if example.label != GOOD] or tested[:1]
    told = any(masks[example.key]() is not None for example in telling)
    figures = anomaly_metrics([image.score for image in scored], defective, pixels if told else None)
    rates = rejection_rates(defective, [image.score > threshold for image in scored])
    return {**figures, **rates, "threshold": threshold, "images": len(tested)}
