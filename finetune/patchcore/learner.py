"""PatchCore (arXiv 2106.08265): patches of good images are remembered; what is far from all of them is an anomaly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from converters.formats.registry import check_formats
from converters.sources import SourceLike
from finetune.anomaly.config import Augment
from finetune.anomaly.data import GoodImages, choose_good, has_random_pose, open_good
from finetune.anomaly.detector import score_images
from finetune.anomaly.evaluation import MAP_RESOLUTION, evaluate_detector, report
from finetune.anomaly.exports import export_detector
from finetune.anomaly.outcomes import IMAGE_AUROC
from finetune.anomaly.prediction import predict_anomalies
from finetune.anomaly.thresholds import (
    HOLD_MORE,
    KnownImage,
    check_promise,
    choose_threshold,
    known_scores,
    write_threshold,
)
from finetune.backbones.backbone import Backbone
from finetune.engine.devices import device_name, memory_full, pick_device, seed_all
from finetune.engine.learner import Learner, Scoring, training_facts
from finetune.engine.outputs.exports import Exportable
from finetune.engine.outputs.predictions import PredictedRows
from finetune.engine.remarks.depth import with_depth
from finetune.engine.remarks.inputs import check_inputs
from finetune.engine.runs import Run, holds_run, read_config, start_run
from finetune.engine.shares import Spread
from finetune.engine.splits import ImageRecords
from finetune.patchcore.budget import Budget, plan_budget
from finetune.patchcore.config import PatchcoreConfig
from finetune.patchcore.features import PatchFeatures
from finetune.patchcore.models import PatchCore
from finetune.patchcore.predictor import (
    TrainedPatchcore,
    build_features,
    load_predictor,
    load_trained,
)
from finetune.patchcore.remembering import VIEWS, Memorizer
from toolkit.aliases import Progress
from toolkit.dataset.samples import GOOD
from toolkit.files.parallel import ordered_map

__all__ = ["LEARNER", "PatchcoreConfig", "evaluate", "predict", "train"]

NAME = "patchcore"
_FEW = 50  # images of a product that lies at any angle, below which turned views make up for those that lack
_MORE_IMAGES = "give more good images"


@holds_run
def train(
    data: Path, config: PatchcoreConfig, out: Path, resume: bool = False, progress: Progress | None = None
) -> Run:
    """Remember good images, set the threshold by them, and test.

    Args:
        data: dataset root with one product, category folder or label tree.
        config: settings.
        out: the run directory.
        resume: go on with a run that was interrupted.
        progress: called with (images gone through, images).

    Raises:
        ToolkitError: data, split, weights or device are at fault, there are defects in train or too few good images.
    """
    check_formats(config.formats)
    examples = check_inputs(open_good(data, config), config)
    config = with_depth(config, examples)
    good = choose_good(examples, None if config.cross_fit else config.hold_out, config.seed)
    check_promise(_judging(good, config), config, _MORE_IMAGES if config.cross_fit else HOLD_MORE)
    device = pick_device(config.device)
    seed_all(config.seed)
    features, backbone = build_features(config, config.weights)
    features = features.to(device).to(memory_format=torch.channels_last)
    views = _views(good, config)
    budget = plan_budget(config, len(good.train) * VIEWS[views], features.side, features.dims)
    facts = _facts(examples, good, config, backbone, device, budget, features) | {"augment": views}
    facts |= {"digests": examples.digests, "labels": examples.labels}
    run = start_run(out, NAME, config, subsets=examples.subsets, data=data, resume=resume, **facts)
    if run.finished:
        return run
    memorizer = Memorizer(features, good.train, config, views, budget, device, progress)
    with _explained(run, config):
        memorizer.say_cost(len(examples.subset("test")))
        model = memorizer.remember(run)
        threshold = _threshold(run, memorizer, model, good, examples)
        ready = TrainedPatchcore(model, config, device, threshold, model)
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
    config = read_config(run, PatchcoreConfig)
    return predict_anomalies(load_trained, run, config, images, out, spread, pictures=pictures)


def export(run: Run) -> Exportable:
    """Backbone, bank and blur as one graph.

    Raises:
        ToolkitError: as `load_trained`.
    """
    ready = load_trained(run)
    return export_detector(run, ready, [ready.model])


LEARNER = Learner(
    PatchcoreConfig,
    train,
    evaluate,
    predict,
    load_predictor,
    open_good,
    IMAGE_AUROC,
    Scoring(known_scores),
    export,
)


def _views(good: GoodImages, config: PatchcoreConfig) -> Augment:
    if config.augment.preset != "auto":
        return config.augment.preset
    return "turn" if len(good.train) < _FEW and has_random_pose(good.train, config.seed, depth=config.bits) else "none"


def _ineffective(config: PatchcoreConfig) -> list[str]:
    """A note for each setting that every learner has and this one does nothing with."""
    usual = PatchcoreConfig()
    changed = [name for name in ("epochs", "lr") if getattr(config, name) != getattr(usual, name)]
    return [
        f"{name}={getattr(config, name)} has no effect: patchcore remembers, and trains no weights" for name in changed
    ]


def _judging(good: GoodImages, config: PatchcoreConfig) -> int:
    """Good images that the threshold is chosen by."""
    return len(good.held_out) + len(good.train) * config.cross_fit


def _facts(
    examples: ImageRecords,
    good: GoodImages,
    config: PatchcoreConfig,
    backbone: Backbone,
    device: torch.device,
    budget: Budget,
    features: PatchFeatures,
) -> dict[str, Any]:
    """What environment.json says of a run."""
    told = training_facts(
        weights=config.weights,
        **backbone.weights_facts(),
        device=device_name(device),
        best_chosen_on=good.how if not config.cross_fit else "nothing: there are no epochs",
        metrics_of="test",
        notes=[*examples.notes, *_ineffective(config), budget.told()],
    )
    bank = {"patches": budget.bank, "dims": budget.dims, "megabytes": round(budget.megabytes, 3)}
    return {**told, "map_resolution": MAP_RESOLUTION, "blocks": list(features.blocks), "memory_bank": bank}


def _threshold(run: Run, memorizer: Memorizer, model: PatchCore, good: GoodImages, examples: ImageRecords) -> float:
    """The threshold by good images that are not remembered, or each without itself; defects of val are scored too."""
    config = memorizer.config
    left_out = memorizer.left_out_scores(model) if config.cross_fit else []
    known = [*good.held_out, *(one for one in examples.subset("val") if one.label != GOOD)]
    scores = [one.score for one in score_images(model, known, config, memorizer.device)] if known else []
    told = [KnownImage(one.key, GOOD, score) for one, score in zip(good.train, left_out, strict=False)]
    told += [KnownImage(one.key, one.label, score) for one, score in zip(known, scores, strict=True)]
    chosen = choose_threshold([*left_out, *scores[: len(good.held_out)]], config)
    write_threshold(run, chosen, told, config, "cross-fitted" if config.cross_fit else "held out")
    return chosen.value


@contextmanager
def _explained(run: Run, config: PatchcoreConfig) -> Iterator[None]:
    """A full card is said in a line."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise memory_full(run, config) from error
