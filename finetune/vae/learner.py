"""The anomaly detector: a VAE of good images, a threshold from held-out good ones, maps and labels of what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from converters.formats.registry import check_formats
from converters.sources import SourceLike
from finetune.anomaly.config import Augment
from finetune.anomaly.data import GoodImages, choose_good, has_random_pose, open_good, train_views
from finetune.anomaly.detector import as_good, image_loader
from finetune.anomaly.evaluation import MAP_RESOLUTION, evaluate_detector, held_out_threshold, measure, report
from finetune.anomaly.exports import export_detector
from finetune.anomaly.outcomes import IMAGE_AUROC
from finetune.anomaly.prediction import predict_anomalies
from finetune.anomaly.thresholds import check_promise, known_scores
from finetune.engine.checkpoints import load_weights
from finetune.engine.datasets import ImageDataset, repeatable_loader
from finetune.engine.devices import device_name, pick_device, reading_processes, seed_all
from finetune.engine.learner import Learner, Scoring, training_facts
from finetune.engine.outputs.exports import Exportable
from finetune.engine.outputs.predictions import PredictedRows
from finetune.engine.remarks.depth import with_depth
from finetune.engine.remarks.inputs import check_inputs
from finetune.engine.runs import Run, holds_run, read_config, start_run
from finetune.engine.shares import Spread
from finetune.engine.splits import ImageRecords
from finetune.vae.config import VaeConfig
from finetune.vae.gabor_vae import GaborVae, Model
from finetune.vae.predictor import (
    TrainedVae,
    build_model,
    check_score,
    load_predictor,
    load_trained,
    make_maps,
)
from toolkit.aliases import Progress
from toolkit.dataset.samples import GOOD
from toolkit.errors import ToolkitError
from toolkit.files.parallel import ordered_map

__all__ = ["LEARNER", "VaeConfig", "evaluate", "measure", "predict", "train"]

NAME = "vae"


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
    check_formats(config.formats)
    config.shape.check()
    check_score(config)
    examples = check_inputs(open_good(data, config), config)
    config = with_depth(config, examples)
    good = choose_good(examples, config.hold_out, config.seed)
    check_promise(len(good.held_out), config)
    device = pick_device(config.device)
    seed_all(config.seed)
    model, began = build_model(config)
    views = config.augment.preset
    if views == "auto":
        views = "turn" if has_random_pose(good.train, config.seed, depth=config.bits) else "none"
    facts = _facts(examples, good, config, began, device) | {"augment": views}
    facts |= {"digests": examples.digests, "labels": examples.labels}
    run = start_run(out, NAME, config, subsets=examples.subsets, data=data, resume=resume, **facts)
    if run.finished:
        return run
    model = _fitted(model, good, views, run, config, progress).to(device).eval()
    maps = partial(make_maps, model, config)
    threshold = held_out_threshold(run, maps, good, examples, config, device)
    ready = TrainedVae(maps, config, device, threshold, model)
    report(run, ready, examples.subset("test"), examples.source or data)
    return run


def evaluate(run: Run, data: SourceLike | None = None) -> dict[str, float | int]:
    """As `finetune.anomaly.evaluation.evaluate_detector`, of a run of this learner.

    Raises:
        ToolkitError: the run or the data are at fault.
    """
    return evaluate_detector(load_trained(run), run, data)


def predict(
    run: Run, images: Sequence[Path], out: Path, spread: Spread = ordered_map, *, pictures: bool = True
) -> PredictedRows:
    """As `finetune.anomaly.prediction.predict_anomalies`, with a run of this learner.

    Raises:
        ToolkitError: the run is at fault, or an image cannot be read.
    """
    return predict_anomalies(load_trained, run, read_config(run, VaeConfig), images, out, spread, pictures=pictures)


def export(run: Run) -> Exportable:
    """The maps as a graph.

    Raises:
        ToolkitError: as `load_trained`, or the maps need gradients, which a graph does not have.
    """
    ready = load_trained(run)
    score = read_config(run, VaeConfig).score
    if score == "grad":
        remedy = "train one with score=residual"
        raise ToolkitError(run.root, "makes its maps by gradients (score=grad), and graphs have none", remedy)
    return export_detector(run, ready, [ready.model], one_by_one=score == "ssim")


LEARNER = Learner(
    VaeConfig,
    train,
    evaluate,
    predict,
    load_predictor,
    open_good,
    IMAGE_AUROC,
    Scoring(known_scores),
    export,
)


def _facts(
    examples: ImageRecords, good: GoodImages, config: VaeConfig, began: Mapping[str, str | None], device: torch.device
) -> dict[str, Any]:
    """What environment.json says of a run."""
    told = training_facts(
        weights=config.weights if config.model == "feature" else "none",
        **began,
        device=device_name(device),
        best_chosen_on=good.how,
        metrics_of="test",
        notes=examples.notes,
    )
    return {**told, "map_resolution": MAP_RESOLUTION}


def _fitted(
    model: Model, good: GoodImages, views: Augment, run: Run, config: VaeConfig, progress: Progress | None
) -> Model:
    """The model with the weights of its best epoch."""
    from finetune.engine.trainer import fit  # here, since prediction costs no trainer
    from finetune.vae.module import VaeModule

    module = VaeModule(model.to(memory_format=torch.channels_last), config)
    asked: dict[str, Any] = {"seed": config.seed, "depth": config.bits}
    batches = repeatable_loader(
        ImageDataset(as_good(good.train), [GOOD], config.image_size, train_views(views), **asked),
        batch_size=config.batch_size,
        shuffle=True,
        seed=config.seed,
        workers=reading_processes(config),
    )
    if isinstance(model, GaborVae):
        model.calibrate(batch["image"] for batch in batches)  # which also decodes the images, once
    load_weights(module, fit(module, batches, image_loader(good.held_out, config), run, config, progress=progress).best)
    return module.model
