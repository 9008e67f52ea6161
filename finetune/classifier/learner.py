"""The baseline classifier: a torchvision backbone, trained whole or in part, or frozen under a linear probe."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from converters.sources import SourceLike
from finetune.classification.backbones import Backbone, build_backbone
from finetune.classification.inference import (
    Predictions,
    TrainValSplit,
    check_classes,
    choose_train_val,
    classify_image,
    image_batches,
    predict_examples,
    probability_columns,
    unlabelled_examples,
)
from finetune.classification.outcomes import ACCURACY
from finetune.classification.plots import draw_confusion
from finetune.classifier.config import ClassifierConfig
from finetune.classifier.gradcam import class_activation
from finetune.classifier.linear_probe import fit_probe
from finetune.classifier.module import ClassifierModule
from finetune.classifier.plots import ActivationMap, draw_activations, overlay_activation
from finetune.engine.checkpoints import load_weights
from finetune.engine.datasets import ImageDataset, read_rgb, repeatable_loader
from finetune.engine.devices import device_name, pick_device, seed_all
from finetune.engine.distributed import is_leader
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
from finetune.engine.trainer import fit
from finetune.engine.transforms import eval_transform, train_transform
from toolkit.aliases import Progress
from toolkit.files.parallel import ordered_map
from toolkit.files.publish import write_whole
from toolkit.imaging.images import encode_png

__all__ = ["LEARNER", "evaluate", "predict", "train"]

NAME = "classifier"
_MOST_ACTIVATIONS = 12  # images on the sheet of what it looked at
_LEAST_SHOWN = 224  # px; smaller images are enlarged in pictures


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
    examples = check_inputs(_open(data, config), config)
    chosen = choose_train_val(examples, config.hold_out, config.seed)
    device = pick_device(config.device)
    seed_all(config.seed)
    backbone = build_backbone(config.backbone, config.weights, len(examples.classes), image_size=config.image_size)
    module = ClassifierModule(backbone, config)
    tested = "test" if examples.subset("test") else "val" if examples.subset("val") else "train"
    facts = _facts(examples, chosen, backbone, config, tested)
    facts["digests"] = examples.digests
    run = start_run(out, NAME, config, subsets=examples.subsets, data=data, resume=resume, **facts)
    if run.finished:
        return run
    if config.mode == "linear-probe":
        fit_probe(backbone, chosen.train, examples.classes, config, device)
        torch.save({"state_dict": module.state_dict()}, run.checkpoints / "best.ckpt")
    else:
        _fit(module, chosen, examples, run, config, progress)
    predictions = predict_examples(module.to(device), examples.examples, examples.classes, config, device)
    run.write_predictions(predictions.rows())
    if config.plots and is_leader():
        _draw(run, module, predictions.only(tested), config, device)
    seconds = run.logged_seconds() if config.mode == "finetune" else time.monotonic() - started
    run.write_metrics(_metrics(predictions, tested), seconds=seconds)
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
    source, chosen = evaluated_examples(run, data, lambda place: _open(place, config), layout=config.layout)
    check_classes(chosen, classes, source.root)
    predictions = predict_examples(module, chosen, classes, config, device)
    return {**predictions.metrics(), "images": len(chosen)}


def predict(run: Run, images: Sequence[Path], out: Path, spread: Spread = ordered_map) -> list[Row]:
    """Classify image files, and draw what the classifier looked at.

    Args:
        run: what `train` made.
        images: the files.
        out: folder for the pictures.
        spread: the ordered map that the images go through, in shares.

    Returns:
        A row for each image: file, predicted, probability, a probability of each class, and the picture's name.

    Raises:
        ToolkitError: the run is at fault, or an image cannot be read.
    """
    size = read_config(run, ClassifierConfig).batch_size
    return [
        one.row for one in predict_shares(partial(_predict_share, run), files_to_predict(images), size, out, spread)
    ]


def _predict_share(run: Run, share: Sequence[ImageFile]) -> list[PredictedFile]:
    with kept_model(_trained_run, run) as (module, classes, config, device):
        examples = unlabelled_examples([one.path for one in share], classes)
        predictions = predict_examples(module, examples, classes, config, device)
        maps = _activation_maps(module, predictions, config, device)
    found = []
    for one, look, chances in zip(share, maps, predictions.probabilities, strict=True):
        name = f"{one.number:05d}_{one.path.stem}.png"
        picture = encode_png(np.ascontiguousarray(overlay_activation(look.image, look.attention)[:, :, ::-1]))
        row: Row = {"file": one.file, "predicted": look.predicted, "probability": round(look.probability, 6)}
        row |= {**probability_columns(classes, chances), "picture": name}
        found.append(PredictedFile(row, ((name, picture),)))
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
    return lambda path: classify_image(module, path, classes, config, device)


def _open(data: Path, config: ClassifierConfig) -> ImageRecords:
    return open_examples(data, config.split, config.layout, config.categories, config.on_problem)


LEARNER = Learner(ClassifierConfig, train, evaluate, predict, load_predictor, _open, ACCURACY)


def _facts(
    examples: ImageRecords, chosen: TrainValSplit, backbone: Backbone, config: ClassifierConfig, tested: str
) -> dict[str, Any]:
    """What environment.json says of a run."""
    told = training_facts(
        weights=config.weights,
        weights_sha256=backbone.weights_sha256,
        device=device_name(pick_device(config.device)),
        best_chosen_on=chosen.how if config.mode == "finetune" else "nothing: it has no epochs",
        metrics_of=tested,
        notes=examples.notes,
    )
    return {"classes": list(examples.classes), **told}


def _fit(
    module: ClassifierModule,
    chosen: TrainValSplit,
    examples: ImageRecords,
    run: Run,
    config: ClassifierConfig,
    progress: Progress | None,
) -> None:
    """Train, and leave the module with the weights of the best epoch."""
    train_set = ImageDataset(
        chosen.train, examples.classes, config.image_size, train_transform(config), seed=config.seed
    )
    batches = repeatable_loader(
        train_set, batch_size=config.batch_size, shuffle=True, seed=config.seed, workers=config.workers
    )
    val = None
    if chosen.val:
        val_set = ImageDataset(chosen.val, examples.classes, config.image_size, eval_transform(config))
        val = repeatable_loader(val_set, batch_size=config.batch_size, shuffle=False, workers=config.workers)
    found = fit(module, batches, val, run, config, monitor="val_loss", mode="min", progress=progress)
    load_weights(module, found.best)


def _trained(run: Run, config: ClassifierConfig) -> tuple[ClassifierModule, torch.device]:
    """The classifier of a run, ready for use."""
    classes, device = run.facts(ClassFacts).classes, pick_device(config.device)
    backbone = build_backbone(config.backbone, "none", len(classes), image_size=config.image_size)
    module = ClassifierModule(backbone, config)
    load_weights(module, run.best_checkpoint)
    return module.to(device).eval(), device


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
    write_whole(run.plots / "confusion.png", draw_confusion(tested.confusion(), tested.classes))
    # Its mistakes first: they are what one wants to see.
    wrong = tested.labels != tested.predicted
    order = sorted(range(len(wrong)), key=lambda index: (not wrong[index], tested.examples[index].key))[
        :_MOST_ACTIVATIONS
    ]
    shown = Predictions([tested.examples[i] for i in order], tested.classes, tested.probabilities[order])
    if order:
        write_whole(run.plots / "gradcam.png", draw_activations(list(_activation_maps(module, shown, config, device))))


def _activation_maps(
    module: ClassifierModule, predictions: Predictions, config: ClassifierConfig, device: torch.device
) -> list[ActivationMap]:
    """What the classifier looked at in each image."""
    attention: dict[int, npt.NDArray[np.float32]] = {}
    for places, images in image_batches(predictions.examples, config):
        classes = torch.from_numpy(predictions.predicted[places]).to(device)
        maps = class_activation(module.model, config.backbone, images.to(device), classes)
        attention |= dict(zip(places, maps, strict=True))
    return [
        ActivationMap(
            read_rgb(example.image, max(config.image_size, _LEAST_SHOWN)),
            attention[index],
            example.label,
            predictions.classes[predictions.predicted[index]],
            float(predictions.probabilities[index].max()),
        )
        for index, example in enumerate(predictions.examples)
    ]
