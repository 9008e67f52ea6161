"""The long tail: a classifier for classes of very unequal size, trained in one of six ways that can be compared.

cross-entropy      nothing is done about the tail
class-balanced     all classes are drawn equally often (arXiv 1910.09217)
balanced-softmax   the loss knows how many images each class has (arXiv 2007.10740)
logit-adjustment   so does the prediction, or the loss with a strength of its own (arXiv 2007.07314)
crt                features as they come, then a new classifier on them, drawn class-balanced (arXiv 1910.09217)
reslt              branches for head, medium and tail, summed up (arXiv 2101.10633)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from converters.sources import SourceLike
from finetune.backbones.backbone import Backbone, feature_map, frozen_parts
from finetune.classification.folds import draw_folds, fold_progress, predict_out_of_fold
from finetune.classification.heads import build_network
from finetune.classification.inference import (
    Predictions,
    TrainValSplit,
    check_classes,
    choose_train_val,
    classify_image,
    decision_columns,
    predict_examples,
    probability_columns,
    unlabelled_examples,
)
from finetune.classification.outcomes import ACCURACY
from finetune.classification.plots import draw_result
from finetune.classification.views.exports import export_classifier
from finetune.classification.views.tiles import find_crop_places
from finetune.engine.checkpoints import load_weights
from finetune.engine.devices import device_name, pick_device, seed_all
from finetune.engine.facts import ClassFacts
from finetune.engine.learner import KnownScores, Learner, Scoring, check_patience, training_facts
from finetune.engine.outputs.exports import Exportable
from finetune.engine.outputs.predictions import PredictedRows, keep_predictions
from finetune.engine.prediction import Prediction
from finetune.engine.remarks.depth import with_depth
from finetune.engine.remarks.evaluated import evaluated_examples, trained_examples
from finetune.engine.remarks.inputs import check_inputs
from finetune.engine.runs import Row, Run, holds_run, read_config, start_run
from finetune.engine.shares import (
    ImageFile,
    PredictedFile,
    Spread,
    files_to_predict,
    kept_model,
    predict_shares,
    within_share,
)
from finetune.engine.splits import ImageRecords, open_as_told
from finetune.longtail.config import LongtailConfig
from finetune.longtail.data import Tail, find_tail, make_tail
from finetune.longtail.losses import GROUPS, Group, imbalance_factor
from finetune.longtail.module import LongtailModule, first_stage, fit_longtail
from toolkit.aliases import Progress
from toolkit.errors import ToolkitError
from toolkit.files.parallel import ordered_map
from toolkit.files.typed import Count

__all__ = ["LEARNER", "LongtailConfig", "evaluate", "group_accuracies", "predict", "prepare", "train", "train_net"]

_NAME = "longtail"


@holds_run
def train(data: Path, config: LongtailConfig, out: Path, resume: bool = False, progress: Progress | None = None) -> Run:
    """Train a classifier on a long tail and measure it on the test images.

    Args:
        data: a dataset root, a category folder or a label tree.
        config: method, backbone, split and all numbers.
        out: the run directory.
        resume: go on with a run that was interrupted.
        progress: called with (epochs done, epochs).

    Raises:
        ToolkitError: the data has no tail, a class has no training image, there is nothing to test on, or as
            `build_backbone`, `start_run` and `fit`.
    """
    examples, chosen, tail = prepare(data, config)
    config = with_depth(config, examples)
    folds = draw_folds(examples, config)
    seed_all(config.seed)
    backbone = build_network(config, config.weights, len(examples.classes))
    module = LongtailModule(*feature_map(backbone), tail, config, frozen_parts(backbone, config.freeze))
    run = start_run(
        out,
        _NAME,
        config,
        subsets=examples.subsets,
        digests=examples.digests,
        labels=examples.labels,
        data=data,
        resume=resume,
        **_facts(examples, chosen, tail, backbone, config),
    )
    if not run.finished:
        later = partial(predict_out_of_fold, run, data, examples, config, folds, train, progress, longtail=None)
        own = fold_progress(progress, config, 0)
        train_net(module, run, examples, chosen, own, later if config.out_of_fold else dict)
    return run


def prepare(data: Path, config: LongtailConfig) -> tuple[ImageRecords, TrainValSplit, Tail]:
    """Split the images, make a tail if the config asks for one, and look whether there is one.

    Raises:
        ToolkitError: there is no tail, a class has no training image, or there is nothing to test on.
    """
    examples = check_inputs(_open(data, config), config)
    chosen = choose_train_val(examples, config.hold_out, config.seed)
    check_patience(config, chosen.val)
    if config.tiles.side:  # all labels that crops need, before anything is written
        find_crop_places([*chosen.train, *chosen.val], config.tiles.side, examples.source)
    if not examples.subset("test"):
        raise ToolkitError(examples.root, "has no test images in this split", "use another split")
    return examples, chosen, find_tail(examples, chosen.train, branches=config.branches, rule=config.groups)


def train_net(
    module: LongtailModule,
    run: Run,
    examples: ImageRecords,
    chosen: TrainValSplit,
    progress: Progress | None = None,
    later: Callable[[], Mapping[str, float]] = dict,
) -> None:
    """Train a module, measure it on the test images and end the run.

    Args:
        module: net and method.
        run: a new or interrupted run.
        examples: all images.
        chosen: those to train on and to choose the best epoch by.
        progress: called with (epochs done, epochs).
        later: gives further figures, when all others are there.

    Raises:
        ToolkitError: as `finetune.engine.trainer.fit`.
    """
    config, classes, tail = module.config, examples.classes, module.tail
    fitted = fit_longtail(module, chosen, examples, run, config, progress)
    run.note(val_balanced_accuracy=fitted.score)
    device = pick_device(config.device)
    predictions = predict_examples(module.to(device), examples.examples, classes, config, device)
    run.write_predictions(predictions.rows())
    tested = predictions.only("test")
    figures, counts = _metrics(tested, tail), tested.confusion().sum(axis=1).tolist()
    run.write_predictions(
        (
            {"class": label, "group": group, "train_images": trained, "test_images": count, "recall": recall}
            for label, group, trained, count, recall in zip(
                classes, tail.groups, tail.counts, counts, _recalls(tested), strict=True
            )
        ),
        name="classes.csv",
    )
    run.write_predictions(tested.confusion_rows(), name="confusion.csv")
    if config.plots:
        draw_result(run, tested)
    run.write_metrics({**figures, **later()}, seconds=run.logged_seconds() + first_stage(run).logged_seconds())


def evaluate(run: Run, data: SourceLike | None = None) -> dict[str, float | None]:
    """Measure a run, on one or several processes.

    Args:
        run: what `train` made.
        data: None for the data that it was trained on; images are chosen as by `evaluated_examples`.

    Returns:
        The figures of metrics.json.

    Raises:
        ToolkitError: the run or the data is at fault, or the data has a class that the run does not know.
    """
    module, classes = _restored(run)
    config = module.config
    source, chosen = evaluated_examples(run, data, lambda place: _open(place, config), layout=config.layout)
    check_classes(chosen, classes, source.root)
    device = pick_device(config.device)
    found = predict_examples(module.to(device), chosen, classes, config, device, run.threshold)
    return _metrics(found, module.tail)


def known_scores(run: Run) -> KnownScores:
    """What the val images, or those held out of train, score: they were not trained on.

    Raises:
        ToolkitError: the run or its data are at fault.
    """
    module, classes = _ready(run)
    config = module.config
    val = choose_train_val(trained_examples(run, lambda place: _open(place, config)), config.hold_out, config.seed).val
    return predict_examples(module, val, classes, config, pick_device(config.device)).known_scores


def predict(
    run: Run, images: Sequence[Path], out: Path, spread: Spread = ordered_map, *, pictures: bool = True
) -> PredictedRows:
    """Classify image files; nothing is drawn to `out`.

    Args:
        run: what `train` made.
        images: the files.
        out: folder for predictions.csv.
        spread: the ordered map that the images go through, in shares.
        pictures: unused.

    Returns:
        A row for each image: file, predicted, the group of that class, probability, and that of each class.

    Raises:
        ToolkitError: the run is at fault, or an image cannot be read.
    """
    size = read_config(run, LongtailConfig).batch_size
    return keep_predictions(
        predict_shares(partial(_predict_share, run), files_to_predict(images), size, out, spread), out
    )


def _predict_share(run: Run, share: Sequence[ImageFile]) -> list[PredictedFile]:
    found = []
    with kept_model(_ready, run) as (module, classes):
        examples = unlabelled_examples([one.path for one in share], classes)
        config = within_share(module.config)
        told = predict_examples(module, examples, classes, config, pick_device(config.device), run.threshold)
    for place, (one, chances) in enumerate(zip(share, told.probabilities, strict=True)):
        decided = decision_columns(told, place)
        row: Row = {"file": one.file, "predicted": decided.pop("predicted")}
        row |= {"group": module.tail.groups[told.predicted[place]], **decided}
        found.append(PredictedFile({**row, **probability_columns(classes, chances)}))
    return found


def _ready(run: Run) -> tuple[LongtailModule, tuple[str, ...]]:
    module, classes = _restored(run)
    return module.to(pick_device(module.config.device)), classes


def group_accuracies(recalls: Sequence[float], groups: Sequence[str]) -> dict[str, float | None]:
    """Mean recall of the classes of each group, over classes that have images.

    Args:
        recalls: of each class, in [0, 1], nan where it has no images.
        groups: "head", "medium" or "tail" for each class.

    Returns:
        accuracy_head, accuracy_medium and accuracy_tail; None where no class with images is in the group.
    """
    found: dict[str, float | None] = {}
    for group in GROUPS:
        own = [recall for recall, name in zip(recalls, groups, strict=True) if name == group and not math.isnan(recall)]
        found[f"accuracy_{group}"] = sum(own) / len(own) if own else None
    return found


def _metrics(found: Predictions, tail: Tail) -> dict[str, float | None]:
    return {**found.metrics(), **group_accuracies(_recalls(found), tail.groups), "images": len(found.examples)}


def _recalls(found: Predictions) -> list[float]:
    figures = found.metrics()
    return [figures[f"recall_class_{label}"] for label in found.classes]


def _open(data: Path, config: LongtailConfig) -> ImageRecords:
    examples = open_as_told(data, config)
    return examples if config.longtail is None else make_tail(examples, config.longtail)


def _facts(
    examples: ImageRecords, chosen: TrainValSplit, tail: Tail, backbone: Backbone, config: LongtailConfig
) -> dict[str, Any]:
    """What environment.json says of a run."""
    told = training_facts(
        weights=config.weights,
        **backbone.weights_facts(),
        device=device_name(pick_device(config.device)),
        best_chosen_on=chosen.how,
        metrics_of="test",
        notes=examples.notes,
    )
    return {
        "classes": list(examples.classes),
        "train_images": list(tail.counts),
        "groups": list(tail.groups),
        "imbalance_factor": round(tail.imbalance_factor, 4),
        **told,
    }


class _TailFacts(ClassFacts):
    """Images of each class in training, and what group it is in."""

    train_images: list[Count]
    groups: list[Group]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if not len(self.classes) == len(self.train_images) == len(self.groups):
            raise ValueError("classes, train_images and groups are not of the same length")
        return self


def _restored(run: Run) -> tuple[LongtailModule, tuple[str, ...]]:
    """The trained net of a run, and the names of its classes."""
    config, told = read_config(run, LongtailConfig), run.facts(_TailFacts)
    counts = tuple(told.train_images)
    tail = Tail(counts, tuple(told.groups), imbalance_factor(counts))
    module = LongtailModule(*feature_map(build_network(config, run, len(counts))), tail, config)
    load_weights(module, run.best_checkpoint)
    return module, tuple(told.classes)


def load_predictor(run: Run) -> Callable[[Path], Prediction]:
    """The classifier of a run, ready for one image file after the other.

    Raises:
        ToolkitError: the run is at fault.
    """
    module, classes = _restored(run)
    device = pick_device(module.config.device)
    asked: dict[str, Any] = {"config": module.config, "device": device, "threshold": run.threshold}
    return partial(classify_image, module.to(device), classes=classes, **asked)


def export(run: Run) -> Exportable:
    """The probabilities as a graph.

    Raises:
        ToolkitError: the run is at fault.
    """
    module, classes = _restored(run)
    return export_classifier(run, module.eval(), module.net, classes, module.config)


LEARNER = Learner(
    LongtailConfig,
    train,
    evaluate,
    predict,
    load_predictor,
    _open,
    ACCURACY,
    Scoring(known_scores, 0, 1, negated=True),
    export,
)
