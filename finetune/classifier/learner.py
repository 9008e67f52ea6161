"""The baseline classifier: a torchvision backbone, trained whole or in part, or frozen under a linear probe."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from converters.sources import SourceLike
from finetune.backbones.backbone import Backbone
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
from finetune.classification.optimizers import weight_averaging
from finetune.classification.outcomes import ACCURACY
from finetune.classification.plots import draw_result
from finetune.classification.views.datasets import labelled_images
from finetune.classification.views.exports import export_classifier
from finetune.classifier.activations import activation_maps
from finetune.classifier.config import ClassifierConfig
from finetune.classifier.linear_probe import fit_probe
from finetune.classifier.module import ClassifierModule
from finetune.classifier.plots import draw_activations, overlay_activation
from finetune.engine.checkpoints import load_weights
from finetune.engine.datasets import ImageDataset, repeatable_loader
from finetune.engine.devices import device_name, pick_device, reading_processes, seed_all
from finetune.engine.distributed import is_leader
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
from finetune.engine.trainer import fit
from finetune.engine.transforms import eval_transform, train_transform
from toolkit.aliases import Progress
from toolkit.files.parallel import ordered_map
from toolkit.files.publish import write_whole
from toolkit.imaging.images import encode_png

__all__ = ["LEARNER", "evaluate", "predict", "train"]

NAME = "classifier"
_MOST_ACTIVATIONS = 12  # images on the sheet of what it looked at


@holds_run
def train(
    data: Path, config: ClassifierConfig, out: Path, resume: bool = False, progress: Progress | None = None
) -> Run:
    """Train a classifier and test it.

    Args:
        data: dataset root, category folder or label tree.
        config: settings.
        out: the run directory.
        resume: go on with a run that was interrupted.
        progress: called with (epochs done, epochs).

    Raises:
        ToolkitError: data, split, weights or device are at fault, or training fails.
    """
    started = time.monotonic()
    examples = check_inputs(open_as_told(data, config), config)
    config = with_depth(config, examples)
    chosen = choose_train_val(examples, config.hold_out, config.seed)
    if config.mode == "finetune":
        check_patience(config, chosen.val)
    folds, (train_set, val_set) = draw_folds(examples, config), _datasets(chosen, examples, config)
    device = pick_device(config.device)
    seed_all(config.seed)
    backbone = build_network(config, config.weights, len(examples.classes))
    module = ClassifierModule(backbone, config, train_set.labels)
    tested = "test" if examples.subset("test") else "val" if examples.subset("val") else "train"
    facts = _facts(examples, chosen, backbone, config, tested)
    facts |= {"digests": examples.digests, "labels": examples.labels}
    run = start_run(out, NAME, config, subsets=examples.subsets, data=data, resume=resume, **facts)
    if run.finished:
        return run
    if config.mode == "linear-probe":
        fit_probe(backbone, chosen.train, examples.classes, config, device, examples.source)
        torch.save({"state_dict": module.state_dict()}, run.checkpoints / "best.ckpt")
    else:
        _fit(module, train_set, val_set, run, config, fold_progress(progress, config, 0))
    predictions = predict_examples(module.to(device), examples.examples, examples.classes, config, device)
    _write(run, predictions, tested)
    if config.plots and is_leader():
        _draw(run, module, predictions.only(tested), config, device)
    seconds = run.logged_seconds() if config.mode == "finetune" else time.monotonic() - started
    later = predict_out_of_fold(run, data, examples, config, folds, train, progress) if config.out_of_fold else {}
    run.write_metrics({**_metrics(predictions, tested), **later}, seconds=seconds)
    return run


def evaluate(run: Run, data: SourceLike | None = None) -> Row:
    """Test a classifier, on one or several processes.

    Args:
        run: what `train` made.
        data: None for the data that it was trained on; images are chosen as by `evaluated_examples`.

    Returns:
        As metrics.json.

    Raises:
        ToolkitError: the run or the data are at fault, or the data has a class that the classifier does not know.
    """
    config = read_config(run, ClassifierConfig)
    module, device = _trained(run, config)
    classes = run.facts(ClassFacts).classes
    source, chosen = evaluated_examples(run, data, lambda place: open_as_told(place, config), layout=config.layout)
    check_classes(chosen, classes, source.root)
    predictions = predict_examples(module, chosen, classes, config, device, run.threshold)
    return {**predictions.metrics(), "images": len(chosen)}


def known_scores(run: Run) -> KnownScores:
    """What the val images, or those held out of train, score: they were not trained on.

    Raises:
        ToolkitError: the run or its data are at fault.
    """
    module, classes, config, device = _trained_run(run)
    examples = trained_examples(run, lambda place: open_as_told(place, config))
    val = choose_train_val(examples, config.hold_out, config.seed).val
    return predict_examples(module, val, classes, config, device).known_scores


def predict(
    run: Run, images: Sequence[Path], out: Path, spread: Spread = ordered_map, *, pictures: bool = True
) -> PredictedRows:
    """Classify image files, and draw what the classifier looked at.

    Args:
        run: what `train` made.
        images: the files.
        out: folder for the pictures.
        spread: the ordered map that the images go through, in shares.
        pictures: whether it draws any, which takes most of the time.

    Returns:
        A row for each image: file, predicted, probability, a probability of each class, and the picture's name, if any.

    Raises:
        ToolkitError: the run is at fault, or an image cannot be read.
    """
    size = read_config(run, ClassifierConfig).batch_size
    share = partial(_predict_share, run, pictures)
    return keep_predictions(predict_shares(share, files_to_predict(images), size, out, spread), out)


def _predict_share(run: Run, pictures: bool, share: Sequence[ImageFile]) -> list[PredictedFile]:
    with kept_model(_trained_run, run) as (module, classes, config, device):
        examples = unlabelled_examples([one.path for one in share], classes)
        predictions = predict_examples(module, examples, classes, config, device, run.threshold)
        maps = activation_maps(module, predictions, config, device) if pictures else []
    found = []
    for place, (one, chances) in enumerate(zip(share, predictions.probabilities, strict=True)):
        row: Row = {"file": one.file, **decision_columns(predictions, place), **probability_columns(classes, chances)}
        if not pictures:
            found.append(PredictedFile(row))
            continue
        name, look = f"{one.number:05d}_{one.path.stem}.png", maps[place]
        picture = encode_png(np.ascontiguousarray(overlay_activation(look.image, look.attention)[:, :, ::-1]))
        found.append(PredictedFile({**row, "picture": name}, ((name, picture),)))
    return found


def _trained_run(run: Run) -> tuple[ClassifierModule, list[str], ClassifierConfig, torch.device]:
    config = within_share(read_config(run, ClassifierConfig))
    module, device = _trained(run, config)
    return module, run.facts(ClassFacts).classes, config, device


def load_predictor(run: Run) -> Callable[[Path], Prediction]:
    """The classifier of a run, ready for one image file after the other.

    Raises:
        ToolkitError: the run is at fault.
    """
    config, classes = read_config(run, ClassifierConfig), run.facts(ClassFacts).classes
    module, device = _trained(run, config)
    return lambda path: classify_image(module, path, classes, config, device, run.threshold)


def export(run: Run) -> Exportable:
    """The probabilities as a graph.

    Raises:
        ToolkitError: the run is at fault.
    """
    module, classes, config, _ = _trained_run(run)
    model = module.cpu().model
    return export_classifier(run, model, model, classes, config)


LEARNER = Learner(
    ClassifierConfig,
    train,
    evaluate,
    predict,
    load_predictor,
    open_as_told,
    ACCURACY,
    Scoring(known_scores, 0, 1, negated=True),
    export,
)


def _facts(
    examples: ImageRecords, chosen: TrainValSplit, backbone: Backbone, config: ClassifierConfig, tested: str
) -> dict[str, Any]:
    """What environment.json says of a run."""
    told = training_facts(
        weights=config.weights,
        **backbone.weights_facts(),
        device=device_name(pick_device(config.device)),
        best_chosen_on=chosen.how if config.mode == "finetune" else "nothing: it has no epochs",
        metrics_of=tested,
        notes=examples.notes,
    )
    return {"classes": list(examples.classes), **told}


def _datasets(
    chosen: TrainValSplit, examples: ImageRecords, config: ClassifierConfig
) -> tuple[ImageDataset, ImageDataset | None]:
    """What is trained on, and what the best epoch is chosen by."""
    made = partial(labelled_images, classes=examples.classes, config=config, source=examples.source)
    train_set = made(chosen.train, transform=train_transform(config), fixed=config.mode == "linear-probe")
    return train_set, made(chosen.val, transform=eval_transform(config), fixed=True) if chosen.val else None


def _fit(
    module: ClassifierModule,
    train_set: ImageDataset,
    val_set: ImageDataset | None,
    run: Run,
    config: ClassifierConfig,
    progress: Progress | None,
) -> None:
    """Train, and leave the module with the weights of the best epoch."""
    loader = partial(repeatable_loader, batch_size=config.batch_size, workers=reading_processes(config))
    batches = loader(train_set, shuffle=True, seed=config.seed)
    val = None if val_set is None else loader(val_set, shuffle=False)
    averaging = weight_averaging(config.ema)
    load_weights(module, fit(module, batches, val, run, config, progress=progress, callbacks=averaging).best)


def _trained(run: Run, config: ClassifierConfig) -> tuple[ClassifierModule, torch.device]:
    """The classifier of a run, ready for use."""
    classes, device = run.facts(ClassFacts).classes, pick_device(config.device)
    module = ClassifierModule(build_network(config, run, len(classes)), config)
    load_weights(module, run.best_checkpoint)
    return module.to(device).eval(), device


def _write(run: Run, predictions: Predictions, tested: str) -> None:
    run.write_predictions(predictions.rows())
    run.write_predictions(predictions.only(tested).confusion_rows(), name="confusion.csv")


def _metrics(predictions: Predictions, tested: str) -> dict[str, float | int]:
    """The figures of the tested subset, and the accuracy on each of the others."""
    of_tested = predictions.only(tested)
    figures: dict[str, float | int] = {**of_tested.metrics(), "images": len(of_tested.examples)}
    for subset in ("train", "val"):
        others = predictions.only(subset)
        if others.examples:
            figures[f"accuracy_{subset}"] = float((others.labels == others.predicted).mean())
    return figures


def _draw(
    run: Run, module: ClassifierModule, tested: Predictions, config: ClassifierConfig, device: torch.device
) -> None:
    draw_result(run, tested)
    # Its mistakes first: they are what one wants to see.
    wrong = tested.labels != tested.predicted
    order = sorted(range(len(wrong)), key=lambda index: (not wrong[index], tested.examples[index].key))[
        :_MOST_ACTIVATIONS
    ]
    shown = Predictions([tested.examples[i] for i in order], tested.classes, tested.probabilities[order])
    if order:
        write_whole(run.plots / "gradcam.png", draw_activations(activation_maps(module, shown, config, device)))
