"""The anomaly detector: a VAE of good images, a threshold from held-out good ones, maps and labels of what differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from converters.formats.registry import check_formats
from converters.sources import SourceLike
from converters.writing.pipeline import write_labels
from finetune.anomaly.maps import DEFECT, ScoredImage, draw_map, good_threshold, label_map, pack_map
from finetune.anomaly.outcomes import IMAGE_AUROC
from finetune.engine.checkpoints import load_weights
from finetune.engine.datasets import ImageDataset, repeatable_loader
from finetune.engine.devices import device_name, pick_device, seed_all
from finetune.engine.learner import Learner, training_facts
from finetune.engine.remarks.inputs import check_inputs
from finetune.engine.runs import Row, Run, holds_run, read_config, start_run
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
from finetune.engine.splits import ImageRecord, ImageRecords, evaluated_examples
from finetune.engine.trainer import fit
from finetune.metrics.anomaly import anomaly_metrics
from finetune.vae.config import Augment, VaeConfig
from finetune.vae.data import (
    GoodImages,
    choose_good,
    has_random_pose,
    open_good_examples,
    train_views,
    truth_masks,
)
from finetune.vae.gabor_vae import GaborVae, Model
from finetune.vae.module import VaeModule
from finetune.vae.predictor import (
    as_good,
    build_model,
    check_score,
    image_loader,
    load_predictor,
    load_trained,
    score_images,
)
from toolkit.aliases import Progress
from toolkit.dataset.keys import file_name
from toolkit.dataset.samples import GOOD
from toolkit.files.parallel import ordered_map
from toolkit.files.publish import write_whole
from toolkit.geometry.labels import LabelledImage

__all__ = ["LEARNER", "VaeConfig", "evaluate", "measure", "predict", "train"]

NAME = "vae"
_MAP_RESOLUTION = "maps at image_size, enlarged bilinearly to each image for pixel figures and labels"
_MOST_DRAWN = 24  # overlays of test images in a run


@holds_run
def train(data: Path, config: VaeConfig, out: Path, resume: bool = False, progress: Progress | None = None) -> Run:
    """Train on good images, set the threshold on held-out ones, and test.

    Args:
        data: dataset root with one product, category folder or label tree.
        config: settings.
        out: the run directory.
        resume: go on with a run that was interrupted.
        progress: called with (epochs done, epochs).

    Raises:
        ToolkitError: data, split, weights or device are at fault, there are defects in train or too few good images,
            or training fails.
    """
    check_formats(_formats(config))
    config.shape.check()
    check_score(config)
    examples = check_inputs(_open(data, config), config)
    good = choose_good(examples, config.hold_out, config.seed)
    device = pick_device(config.device)
    seed_all(config.seed)
    model, digest = build_model(config, config.weights)
    views = config.augment.preset
    if views == "auto":
        views = "turn" if has_random_pose(good.train, config.seed) else "none"
    facts = _facts(examples, good, config, digest, device) | {"augment": views}
    facts["digests"] = examples.digests
    run = start_run(out, NAME, config, subsets=examples.subsets, data=data, resume=resume, **facts)
    if run.finished:
        return run
    model = _fitted(model, good, views, run, config, progress).to(device).eval()
    threshold = good_threshold(
        [one.score for one in score_images(model, good.held_out, config, device)], config.percentile
    )
    run.note(threshold=threshold)
    _report(run, model, examples.subset("test"), config, device, threshold, examples.source or data)
    return run


def evaluate(run: Run, data: SourceLike | None = None) -> dict[str, float | int]:
    """Test an anomaly detector, on one or several processes.

    Args:
        run: what `train` made.
        data: None for the data that it was trained on; images are chosen as by `evaluated_examples`.

    Returns:
        As metrics.json.

    Raises:
        ToolkitError: the run or the data are at fault.
    """
    ready = load_trained(run)
    config = ready.config
    source, chosen = evaluated_examples(run, data, lambda place: _open(place, config), layout=config.layout)
    scored = score_images(ready.model, chosen, ready.config, ready.device)
    return measure(chosen, scored, source, ready.threshold)


def predict(run: Run, images: Sequence[Path], out: Path, spread: Spread = ordered_map) -> list[Row]:
    """Look for anomalies in image files: maps/*.npz, overlays/*.png, labels/FORMAT/, and a row for each image.

    Args:
        run: what `train` made.
        images: the files.
        out: folder to write into.
        spread: the ordered map that the images go through, in shares.

    Returns:
        Rows of file, score, threshold, anomalous (0 or 1), instances, and the files of map and overlay.

    Raises:
        ToolkitError: the run is at fault, or an image cannot be read.
    """
    config = read_config(run, VaeConfig)
    told = predict_shares(partial(_predict_share, run), files_to_predict(images), share_size(config), out, spread)
    rows: list[Row] = []

    def labelled() -> Iterator[LabelledImage]:
        for one in told:
            rows.append(one.row)
            if one.labelled is not None:
                yield one.labelled

    write_labels(labelled(), out / "labels", _formats(config), classes=[DEFECT], image_mode="copy", overwrite=True)
    return rows


def _predict_share(run: Run, share: Sequence[ImageFile]) -> list[PredictedFile]:
    with kept_model(load_trained, run) as ready:
        examples = [ImageRecord(one.key, one.path, GOOD, "", "test") for one in share]
        scored = score_images(ready.model, examples, within_share(ready.config), ready.device)
    found = []
    for one, image in zip(share, scored, strict=True):
        map_file, overlay = f"maps/{file_name(image.key)}.npz", f"overlays/{file_name(image.key)}.png"
        row = {"file": one.file, **_row(image, ready.threshold), "map": map_file, "overlay": overlay}
        files = (map_file, pack_map(image, ready.threshold)), (overlay, draw_map(image, ready.threshold))
        found.append(PredictedFile(row, files, label_map(image, ready.threshold)))
    return found


def _open(data: Path, config: VaeConfig) -> ImageRecords:
    return open_good_examples(data, config.split, config.layout, config.categories, config.on_problem)


LEARNER = Learner(VaeConfig, train, evaluate, predict, load_predictor, _open, IMAGE_AUROC)


def _facts(
    examples: ImageRecords, good: GoodImages, config: VaeConfig, digest: str | None, device: torch.device
) -> dict[str, Any]:
    """What environment.json says of a run."""
    told = training_facts(
        weights=config.weights if config.model == "feature" else "none",
        weights_sha256=digest,
        device=device_name(device),
        best_chosen_on=good.how,
        metrics_of="test",
        notes=examples.notes,
    )
    return {**told, "map_resolution": _MAP_RESOLUTION}


def _fitted(
    model: Model, good: GoodImages, views: Augment, run: Run, config: VaeConfig, progress: Progress | None
) -> Model:
    """The model with the weights of its best epoch."""
    module = VaeModule(model.to(memory_format=torch.channels_last), config)
    batches = repeatable_loader(
        ImageDataset(as_good(good.train), [GOOD], config.image_size, train_views(views), seed=config.seed),
        batch_size=config.batch_size,
        shuffle=True,
        seed=config.seed,
        workers=config.workers,
    )
    if isinstance(model, GaborVae):
        model.calibrate(batch["image"] for batch in batches)  # which also decodes the images, once
    load_weights(module, fit(module, batches, image_loader(good.held_out, config), run, config, progress=progress).best)
    return module.model


def _formats(config: VaeConfig) -> list[str]:
    return [name.strip() for name in config.labels.split(",") if name.strip()]


def _report(
    run: Run,
    model: Model,
    tested: Sequence[ImageRecord],
    config: VaeConfig,
    device: torch.device,
    threshold: float,
    data: SourceLike,
) -> None:
    """Predictions, pictures and figures of the test images."""
    scored = score_images(model, tested, config, device)
    pairs = list(zip(tested, scored, strict=True))
    rows = [
        {"key": one.key, "subset": one.subset, "label": one.label, **_row(image, threshold)} for one, image in pairs
    ]
    run.write_predictions(rows)
    for image in sorted(scored, key=lambda image: -image.score)[:_MOST_DRAWN]:
        write_whole(run.plots / "overlays" / f"{file_name(image.key)}.png", draw_map(image, threshold))
    figures = measure(tested, scored, data, threshold)
    if "pixel_auroc" not in figures:
        note = "no label of a test image is a mask: figures are of whole images, and there are none of pixels"
        run.note(notes=[*run.environment()["notes"], note])
    run.write_metrics(figures, seconds=run.logged_seconds())


def _row(image: ScoredImage, threshold: float) -> Row:
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
    above = np.array([image.score > threshold for image in scored], bool)
    truth = np.array(defective, bool)
    rates = {
        "true_positive_rate": float(above[truth].mean()) if truth.any() else float("nan"),
        "false_positive_rate": float(above[~truth].mean()) if (~truth).any() else float("nan"),
    }
    return {**figures, **rates, "threshold": threshold, "images": len(tested)}
