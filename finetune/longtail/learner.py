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
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from converters.sources import SourceLike
from finetune.classification.backbones import Backbone, build_backbone, feature_map, frozen_parts
from finetune.classification.inference import (
    Predictions,
    TrainValSplit,
    check_classes,
    choose_train_val,
    classify_image,
    predict_examples,
    probability_columns,
    unlabelled_examples,
)
from finetune.classification.outcomes import ACCURACY
from finetune.classification.plots import draw_confusion
from finetune.engine.checkpoints import load_weights
from finetune.engine.devices import device_name, pick_device, seed_all
from finetune.engine.facts import ClassFacts
from finetune.engine.learner import Learner, training_facts
from finetune.engine.prediction import Prediction
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
from finetune.engine.splits import ImageRecords, evaluated_examples, open_examples
from finetune.longtail.config import LongtailConfig
from finetune.longtail.data import Tail, find_tail, make_tail
from finetune.longtail.losses import GROUPS, Group, imbalance_factor
from finetune.longtail.module import LongtailModule, first_stage, fit_longtail
from toolkit.aliases import Progress
from toolkit.errors import ToolkitError
from toolkit.files.parallel import ordered_map
from toolkit.files.publish import write_whole
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
    seed_all(config.seed)
    backbone = build_backbone(config.backbone, config.weights, len(examples.classes), image_size=config.image_size)
    module = LongtailModule(*feature_map(backbone), tail, config, frozen_parts(backbone, config.freeze))
    run = start_run(
        out,
        _NAME,
        config,
        subsets=examples.subsets,
        digests=examples.digests,
        data=data,
        resume=resume,
        **_facts(examples, chosen, tail, backbone, config),
    )
    if not run.finished:
        train_net(module, run, examples, chosen, progress)
    return run


def prepare(data: Path, config: LongtailConfig) -> tuple[ImageRecords, TrainValSplit, Tail]:
    """Split the images, make a tail if the config asks for one, and look whether there is one.

    Raises:
        ToolkitError: there is no tail, a class has no training image, or there is nothing to test on.
    """
    examples = check_inputs(_open(data, config), config)
    chosen = choose_train_val(examples, config.hold_out, config.seed)
    if not examples.subset("test"):
        raise ToolkitError(examples.root, "has no test images in this split", "use another split")
    return examples, chosen, find_tail(examples, chosen.train, branches=config.branches, rule=config.groups)


def train_net(
    module: LongtailModule, run: Run, examples: ImageRecords, chosen: TrainValSplit, progress: Progress | None = None
) -> None:
    """Train a module, measure it on the test images and end the run.

    Args:
        module: net and method.
        run: a new or interrupted run.
        examples: all images.
        chosen: those to train on and to choose the best epoch by.
        progress: called with (epochs done, epochs).

    Raises:
        ToolkitError: as `finetune.engine.trainer.fit`.
    """
    config, classes, tail = module.config, examples.classes, module.tail
    fitted = fit_longtail(module, chosen, classes, run, config, progress)
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
    write_whole(run.plots / "confusion.png", draw_confusion(tested.confusion(), classes))
    run.write_metrics(figures, seconds=run.logged_seconds() + first_stage(run).logged_seconds())


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
    return _metrics(predict_examples(module.to(device), chosen, classes, config, device), module.tail)


def predict(run: Run, images: Sequence[Path], out: Path, spread: Spread = ordered_map) -> list[Row]:
    """Classify image files; nothing is drawn to `out`.

    Args:
        run: what `train` made.
        images: the files.
        out: unused.
        spread: the ordered map that the images go through, in shares.

    Returns:
        A row for each image: file, predicted, the group of that class, probability, and that of each class.

    Raises:
        ToolkitError: the run is at fault, or an image cannot be read.
    """
    size = read_config(run, LongtailConfig).batch_size
    return [
        one.row for one in predict_shares(partial(_predict_share, run), files_to_predict(images), size, out, spread)
    ]


def _predict_share(run: Run, share: Sequence[ImageFile]) -> list[PredictedFile]:
    found = []
    with kept_model(_ready, run) as (module, classes):
        examples = unlabelled_examples([one.path for one in share], classes)
        config = within_share(module.config)
        told = predict_examples(module, examples, classes, config, pick_device(config.device))
    for one, chosen, chances in zip(share, told.predicted, told.probabilities, strict=True):
        row: Row = {"file": one.file, "predicted": classes[chosen], "group": module.tail.groups[chosen]}
        row["probability"] = round(float(chances.max()), 6)
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
    return [figures[f"recall_{label}"] for label in found.classes]


def _open(data: Path, config: LongtailConfig) -> ImageRecords:
    examples = open_examples(data, config.split, config.layout, config.categories, config.on_problem)
    return examples if config.longtail is None else make_tail(examples, config.longtail)


def _facts(
    examples: ImageRecords, chosen: TrainValSplit, tail: Tail, backbone: Backbone, config: LongtailConfig
) -> dict[str, Any]:
    """What environment.json says of a run."""
    told = training_facts(
        weights=config.weights,
        weights_sha256=backbone.weights_sha256,
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
    backbone = build_backbone(config.backbone, "none", len(counts), image_size=config.image_size)
    module = LongtailModule(*feature_map(backbone), tail, config)
    load_weights(module, run.best_checkpoint)
    return module, tuple(told.classes)


def load_predictor(run: Run) -> Callable[[Path], Prediction]:
    """The classifier of a run, ready for one image file after the other.

    Raises:
        ToolkitError: the run is at fault.
    """
    module, classes = _restored(run)
    device = pick_device(module.config.device)
    return partial(classify_image, module.to(device), classes=classes, config=module.config, device=device)


LEARNER = Learner(LongtailConfig, train, evaluate, predict, load_predictor, _open, ACCURACY)
