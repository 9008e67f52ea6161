"""The open-vocabulary detector: YOLO-World, or YOLOE with masks, fine-tuned on phrases for the defect classes."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from converters.sources import Source, SourceLike
from finetune.engine.devices import device_name, memory_full, own_determinism, pick_device
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
)
from finetune.engine.splits import ImageRecords, evaluated_examples, open_examples
from finetune.metrics.detection import Detections, average_precision, coco_results, coco_truth
from finetune.yolo_world.config import NAME, YoloWorldConfig
from finetune.yolo_world.data import DetectionData, check_kind, labelled_images, open_detection_data, write_tree
from finetune.yolo_world.outcomes import MAP50
from finetune.yolo_world.plots import draw_detections
from finetune.yolo_world.predictor import Detector, load_detector, load_predictor
from finetune.yolo_world.prompts import TextEmbeddings, encode_phrases, write_table
from finetune.yolo_world.runtime import ModelSource, find_model, read_ultralytics
from toolkit.aliases import Progress
from toolkit.dataset.keys import file_name
from toolkit.errors import ToolkitError
from toolkit.files.parallel import ordered_map
from toolkit.files.publish import write_json, write_whole

__all__ = [
    "LEARNER",
    "Detector",
    "YoloWorldConfig",
    "evaluate",
    "export_prompts",
    "load_detector",
    "predict",
    "train",
]

_LOWEST = 0.001  # score from which on detections count for mAP
_MOST_DRAWN = 24


@holds_run
def train(
    data: Path, config: YoloWorldConfig, out: Path, resume: bool = False, progress: Progress | None = None
) -> Run:
    """Train a detector on phrases, and test it.

    Args:
        data: dataset root, category folder or label tree with boxes or masks.
        config: settings.
        out: the run directory.
        resume: go on with a run that was interrupted.
        progress: called with (epochs done, epochs).

    Raises:
        ToolkitError: data, split, phrases, text features, model or device are at fault, or training fails.
    """
    found = open_detection_data(data, config)
    found = replace(found, examples=check_inputs(found.examples, config))
    source = find_model(config.model, config.weights)
    check_kind(found, config.model, masks=source.masks)
    table, used = text_features(found, config, source)
    from finetune.yolo_world.trainer import make_trainer, trainer_settings

    trainer_settings(Run(out, NAME), config, source, out)  # which refuses devices that are not there
    facts = _facts(found, config, source, table) | {"encoder_used": used}
    subsets, digests = found.examples.subsets, found.examples.digests
    run = start_run(out, NAME, config, subsets=subsets, digests=digests, data=data, resume=resume, **facts)
    if run.finished:
        return run
    tree = _prepared(found, run, config, table, source)
    began = time.monotonic()
    if not _trained(run, config):
        with _explained(run, config), own_determinism():
            going_on = (run.checkpoints / "last.pt").is_file()
            validate = bool(found.examples.subset("val"))
            trainer = make_trainer(
                run, config, source, table, tree, validate=validate, resume=going_on, progress=progress
            )
            trainer.train()
    _report(run, found, config, time.monotonic() - began)
    return run


def evaluate(run: Run, data: SourceLike | None = None) -> Row:
    """Test a detector.

    Args:
        run: what `train` made.
        data: None for the data that it was trained on; images are chosen as by `evaluated_examples`.

    Returns:
        As metrics.json.

    Raises:
        ToolkitError: the run or the data are at fault, or the data has classes that the run does not know.
    """
    config, detector = read_config(run, YoloWorldConfig), load_detector(run)
    source, tested = evaluated_examples(run, data, lambda place: _open(place, config), layout=config.layout)
    chosen = {example.key: example.subset for example in tested}
    truth, results = _measured(detector, source, chosen, config)[:2]
    return figures(truth, results, masks=detector.masks)


def predict(
    run: Run, images: Sequence[Path], out: Path, spread: Spread = ordered_map, words: Sequence[str] | None = None
) -> list[Row]:
    """Look for defects in image files: overlays/*.png, detections.json, and a row for each image.

    Args:
        run: what `train` made.
        images: the files.
        out: folder to write into.
        spread: the ordered map that the images go through, in shares.
        words: other things to look for; None for the classes that it was trained on.

    Returns:
        Rows of file, detections, best_score, labels and overlay.

    Raises:
        ToolkitError: the run is at fault, an image cannot be read, or the words have no features.
    """
    size = share_size(read_config(run, YoloWorldConfig))
    told = list(predict_shares(partial(_predict_share, run, words), files_to_predict(images), size, out, spread))
    write_json(out / "detections.json", [found for one in told for found in one.found])
    return [one.row for one in told]


def _predict_share(run: Run, words: Sequence[str] | None, share: Sequence[ImageFile]) -> list[PredictedFile]:
    confidence = read_config(run, YoloWorldConfig).confidence
    with kept_model(load_detector, run) as detector:
        labels = tuple(words) if words is not None else detector.classes
        detected = list(detector.detect([one.path for one in share], words=words, confidence=confidence))
    told = []
    for one, found in zip(share, detected, strict=True):
        overlay = f"overlays/{file_name(one.key)}.png"
        row: Row = {
            "file": one.file,
            "detections": len(found),
            "best_score": float(found.scores.max()) if len(found) else 0.0,
            "labels": ", ".join(sorted(set(found.labels))),
            "overlay": overlay,
        }
        listed = tuple(
            {"file": one.file, "label": label, "score": float(score), "box": box.tolist()}
            for label, score, box in zip(found.labels, found.scores, found.boxes, strict=True)
        )
        told.append(PredictedFile(row, ((overlay, draw_detections(found, labels)),), found=listed))
    return told


def _open(data: Path, config: YoloWorldConfig) -> ImageRecords:
    return open_examples(data, config.split, config.layout, config.categories, config.on_problem)


LEARNER = Learner(YoloWorldConfig, train, evaluate, predict, load_predictor, _open, MAP50)


def export_prompts(data: Path, config: YoloWorldConfig, file: Path) -> dict[str, str]:
    """Write the text features of the classes of some data, for a machine without the text encoder.

    Args:
        data: as for `train`.
        config: settings, of which phrases, template, classes, prompts, encoder and model are used.
        file: the table.

    Returns:
        Class -> phrase.

    Raises:
        ToolkitError: as `train`.
    """
    if file.is_dir():
        raise ToolkitError(file, "is a folder", "name a file, for instance prompts.pt")
    found = open_detection_data(data, config)
    wanted = _encoder(config, find_model(config.model, "none").encoder)
    write_table(
        encode_phrases(list(found.phrases.values()), config.prompts, encoder=wanted[0], weights=wanted[1]), file
    )
    return found.phrases


def text_features(found: DetectionData, config: YoloWorldConfig, source: ModelSource) -> tuple[TextEmbeddings, str]:
    """Features of all phrases, and the encoder that made them as "model=weights".

    Raises:
        ToolkitError: they cannot be had, or are of another encoder than the weights of the model.
    """
    encoder, weights = _encoder(config, source.encoder)
    table = encode_phrases(list(found.phrases.values()), config.prompts, encoder=encoder, weights=weights)
    if not source.random and not _agree(table.encoder, source.encoder):
        raise ToolkitError(
            config.prompts if config.prompts != "clip" else f"encoder {encoder}",
            f"has features of {table.encoder}, but the model was trained with {source.encoder}",
            "use those features, or --set weights=none to begin with random weights",
        )
    return table, f"{encoder}={weights}"


def _encoder(config: YoloWorldConfig, made_for: str) -> tuple[str, str]:
    model, _, weights = made_for.partition("/")
    if "/" not in made_for:
        model, weights = "ViT-B-32-quickgelu", "openai"  # "hash", or an encoder that open_clip does not have
    encoder = model if config.encoder == "auto" else config.encoder
    chosen = weights if config.encoder_weights == "auto" else config.encoder_weights
    return encoder, chosen


def _agree(ours: str, theirs: str) -> bool:
    """Whether two encoders are the same as far as can be told: of a file only its hash is known."""
    if ours == theirs:
        return True
    (model, _, weights), (other, _, their_weights) = ours.partition("/"), theirs.partition("/")
    of_file = any(len(one) == 12 and not set(one) - set("0123456789abcdef") for one in (weights, their_weights))
    return model == other and of_file


def _facts(found: DetectionData, config: YoloWorldConfig, source: ModelSource, table: TextEmbeddings) -> dict[str, Any]:
    """What environment.json says of a run."""
    told = training_facts(
        weights="none" if source.random else config.weights,
        weights_sha256=source.sha256,
        device=device_name(pick_device(config.device)),
        best_chosen_on="the val subset" if found.examples.subset("val") else "nothing: the last epoch",
        metrics_of=found.tested[0],
        notes=[*found.examples.notes, *_notes(found, config, source, table)],
    )
    return {**told, "encoder": table.encoder, "phrases": found.phrases, "masks": source.masks}


def _notes(found: DetectionData, config: YoloWorldConfig, source: ModelSource, table: TextEmbeddings) -> list[str]:
    notes = []
    where = found.tested[0]
    if where != "test":
        seen = "the very images it was trained on" if where == "train" else "images that chose the best epoch"
        notes.append(f"there are no test images: the figures are of {where}, {seen}")
    if not found.examples.subset("val"):
        notes.append("there are no val images: the last epoch is taken for the best")
    if not source.random and config.freeze == "none":
        notes.append(
            "fine-tuning all of it makes the detector nearly closed-set: it forgets words that it was not trained on; "
            "freeze=backbone or freeze=neck keeps more of them"
        )
    if not source.random and table.encoder != source.encoder:
        notes.append(f"features of {table.encoder}: it cannot be told whether they are those of {source.encoder}")
    return notes


def _prepared(
    found: DetectionData, run: Run, config: YoloWorldConfig, table: TextEmbeddings, source: ModelSource
) -> Path:
    """Tree and table of a run; a run whose data turns out to be at fault goes away again."""
    fresh = not (run.root / "data").exists() and not (run.checkpoints / "last.pt").exists()
    try:
        tree = write_tree(found, run, config, masks=source.masks)
    except ToolkitError:
        if fresh:
            shutil.rmtree(run.root, ignore_errors=True)
        raise
    write_table(table, run.root / "prompts.pt")
    return tree


def _trained(run: Run, config: YoloWorldConfig) -> bool:
    """Whether all epochs are done: ultralytics strips the last checkpoint then, and will not go on with it."""
    last = run.checkpoints / "last.pt"
    if not last.is_file():
        return False
    epoch = int(read_ultralytics(last)[1].get("epoch", -1))
    return epoch == -1 or epoch + 1 >= config.epochs


@contextmanager
def _explained(run: Run, config: YoloWorldConfig) -> Iterator[None]:
    """Turn what a user can do something about into an error that says what."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise memory_full(run, config) from error
    except subprocess.CalledProcessError as error:
        remedy = "its error stands above; --resume goes on, --set devices=1 trains in this process"
        raise ToolkitError(run.root, f"training on {config.devices} GPUs failed", remedy) from error
    except RuntimeError as error:
        if "NaN" not in str(error):
            raise
        raise ToolkitError(run.root, "the loss is not a number", "lower lr (--set lr=...)") from error
    except OSError as error:
        if error.strerror is None:  # ultralytics' own, which says what it cannot load
            told = " ".join(str(error).split())[:160]
            raise ToolkitError(
                run.root / "data", f"cannot be read ({told})", "begin anew with another --out"
            ) from error
        remedy = "free space; then --resume goes on"
        raise ToolkitError(error.filename or run.root, f"cannot be written ({error.strerror})", remedy) from error


def _measured(
    detector: Detector, source: Source, chosen: Mapping[str, str], config: YoloWorldConfig
) -> tuple[dict[str, Any], list[dict[str, Any]], list[Detections]]:
    """Truth and results of some images, and the first of what was found."""
    labelled = list(labelled_images(source, chosen, config, detector.classes))
    truth = coco_truth(labelled, detector.classes)
    paths = [image.path for image in labelled if image.path is not None]
    results: list[dict[str, Any]] = []
    shown: list[Detections] = []
    for image, found in zip(labelled, detector.detect(paths, confidence=_LOWEST), strict=True):
        named = replace(found, key=image.key)
        results += coco_results([named], truth)
        if len(shown) < _MOST_DRAWN:
            shown.append(named)
    return truth, results, shown


def figures(truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], *, masks: bool) -> dict[str, Any]:
    """The figures of metrics.json: mAP of boxes, of masks where there are some, and of each class."""
    boxes = average_precision(truth, results)
    told: dict[str, Any] = {"map50": boxes.map50, "map50_95": boxes.map50_95}
    if masks:
        planes = average_precision(truth, results, "segm")
        told |= {"mask_map50": planes.map50, "mask_map50_95": planes.map50_95}
    told |= {"images": len(truth["images"]), "instances": len(truth["annotations"])}
    for name, (wide, half) in boxes.per_class.items():
        told |= {f"map50_{name}": half, f"map50_95_{name}": wide}
    return told


def _report(run: Run, found: DetectionData, config: YoloWorldConfig, seconds: float) -> None:
    """Predictions, pictures, figures and the exported model of the images that are tested."""
    detector = load_detector(run)
    truth, results, shown = _measured(detector, found.source, found.tested[1], config)
    write_json(run.root / "truth.json", truth)
    write_json(run.root / "predictions.json", results)
    for one in shown:
        drawn = draw_detections(one.above(config.confidence), detector.classes)
        write_whole(run.plots / "overlays" / f"{file_name(one.key)}.png", drawn)
    rows = run.log_rows()
    notes = [*run.environment().get("notes", []), *_about_zero(rows)]
    run.note(notes=list(dict.fromkeys(notes)))
    if config.export == "onnx":
        from finetune.yolo_world.export import export_onnx

        run.note(onnx=export_onnx(run, run.root / "model.onnx"))
    run.write_metrics(figures(truth, results, masks=detector.masks), seconds=max(seconds, run.logged_seconds()))


def _about_zero(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """What to think of a validation mAP that stays 0 while the loss falls.

    In training a batch is normalised by its own mean and variance, in validation by running averages, of which each
    step renews 3 % (ultralytics' BatchNorm momentum): after n steps (0.97)^n of the random start is left, in every
    layer. Weights that were trained bring theirs along.
    """
    figures = [float(row["map50"]) for row in rows if row.get("map50")]
    zeros = next((place for place, value in enumerate(figures) if value > 0), len(figures))
    if zeros < 2:
        return []
    losses = [float(row.get("train_loss") or "nan") for row in (rows[0], rows[-1])]
    fall = f"the train loss went from {losses[0]:.2f} to {losses[1]:.2f}"
    why = (
        "validation uses running averages (BatchNorm), which from random weights need some hundred steps to follow; "
        "more epochs, a smaller batch_size or trained weights give them"
    )
    when = f"is 0 after {zeros} epochs" if zeros == len(figures) else f"was 0 for the first {zeros} epochs"
    return [f"validation mAP {when} while {fall}: {why}"]
