"""The open-vocabulary detector: YOLO-World, or YOLOE with masks, fine-tuned on phrases for the defect classes."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from converters.sources import SourceLike
from finetune.engine.devices import device_name, memory_full, own_determinism, pick_device
from finetune.engine.learner import KnownScores, Learner, Scoring, check_patience, training_facts
from finetune.engine.outputs.exports import Exportable
from finetune.engine.outputs.predictions import PredictedRows, keep_predictions
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
    share_size,
)
from finetune.engine.splits import open_as_told
from finetune.metrics.plots import draw_rates
from finetune.yolo_world.config import NAME, YoloWorldConfig
from finetune.yolo_world.data import DetectionData, check_kind, open_detection_data, write_tree
from finetune.yolo_world.evaluation import (
    LOWEST_SCORE,
    MeasuredDetections,
    measure_detector,
    run_figures,
)
from finetune.yolo_world.outcomes import MAP50
from finetune.yolo_world.plots import draw_detections
from finetune.yolo_world.predictor import Detector, load_detector, load_predictor
from finetune.yolo_world.prompts import TextEmbeddings, encode_phrases, write_table
from finetune.yolo_world.remarks import about_zero
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
    config = with_depth(config, found.examples)
    check_patience(config, found.examples.subset("val"))
    source = find_model(config.model, config.weights)
    check_kind(found, config.model, masks=source.masks)
    table, used = text_features(found, config, source)
    from finetune.yolo_world.trainer import make_trainer, trainer_settings

    trainer_settings(Run(out, NAME), config, source, out)  # which refuses devices that are not there
    facts = _facts(found, config, source, table) | {"encoder_used": used}
    facts |= {"digests": found.examples.digests, "labels": found.examples.labels}
    run = start_run(out, NAME, config, subsets=found.examples.subsets, data=data, resume=resume, **facts)
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
    opened = partial(open_as_told, config=config)
    source, tested = evaluated_examples(run, data, opened, layout=config.layout, masked=True)
    chosen = {example.key: example.subset for example in tested}
    confidence = config.confidence if run.threshold is None else run.threshold
    return run_figures(measure_detector(detector, source, chosen, config), detector, confidence)


def known_scores(run: Run) -> KnownScores:
    """The best scores in the val images, which were not trained on.

    Raises:
        ToolkitError: the run or its data are at fault.
    """
    config = read_config(run, YoloWorldConfig)
    examples = trained_examples(run, lambda place: open_as_told(place, config))
    val = {one.key: one.subset for one in examples.subset("val")}
    if not val or examples.source is None:
        return KnownScores([], [])
    found = measure_detector(load_detector(run), examples.source, val, config)
    scores = {kind: [found.best[key] for key, bad in found.defective.items() if bad == kind] for kind in (False, True)}
    return KnownScores(scores[False], scores[True])


def predict(
    run: Run,
    images: Sequence[Path],
    out: Path,
    spread: Spread = ordered_map,
    words: Sequence[str] | None = None,
    *,
    pictures: bool = True,
) -> PredictedRows:
    """Look for defects in image files: overlays/*.png, detections.json, and a row for each image.

    Args:
        run: what `train` made.
        images: the files.
        out: folder to write into.
        spread: the ordered map that the images go through, in shares.
        words: other things to look for; None for the classes that it was trained on.
        pictures: whether overlays are drawn.

    Returns:
        Rows of file, detections, best_score, labels and, if any, overlay; with a threshold of the run's also that, and
        whether the image is rejected by it (0 or 1).

    Raises:
        ToolkitError: the run is at fault, an image cannot be read, or the words have no features.
    """
    size = share_size(read_config(run, YoloWorldConfig))
    share = partial(_predict_share, run, words, pictures)
    told = predict_shares(share, files_to_predict(images), size, out, spread)
    return keep_predictions(told, out, listed="detections.json")


def _predict_share(
    run: Run, words: Sequence[str] | None, pictures: bool, share: Sequence[ImageFile]
) -> list[PredictedFile]:
    config = read_config(run, YoloWorldConfig)
    confidence = config.confidence if run.threshold is None else run.threshold
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
            **({} if run.threshold is None else {"threshold": run.threshold, "rejected": int(len(found) > 0)}),
        }
        listed = tuple(
            {"file": one.file, "label": label, "score": float(score), "box": box.tolist()}
            for label, score, box in zip(found.labels, found.scores, found.boxes, strict=True)
        )
        drawn = ((overlay, draw_detections(found, labels, depth=config.bits)),) if pictures else ()
        told.append(PredictedFile({**row, "overlay": overlay} if pictures else row, drawn, found=listed))
    return told


def export(run: Run) -> Exportable:
    """As `finetune.yolo_world.export.export_detector`.

    Raises:
        ToolkitError: the run is at fault.
    """
    from finetune.yolo_world.export import export_detector

    return export_detector(run)


LEARNER = Learner(
    YoloWorldConfig,
    train,
    evaluate,
    predict,
    load_predictor,
    open_as_told,
    MAP50,
    Scoring(known_scores, LOWEST_SCORE, 1),
    export,
)


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


def _report(run: Run, found: DetectionData, config: YoloWorldConfig, seconds: float) -> None:
    """Predictions, pictures, figures and the exported model of the images that are tested."""
    detector = load_detector(run)
    measured = measure_detector(detector, found.source, found.tested[1], config)
    write_json(run.root / "truth.json", measured.truth)
    write_json(run.root / "predictions.json", measured.results)
    for one, labelled in zip(measured.shown, measured.labelled, strict=True):
        drawn = draw_detections(one.above(config.confidence), detector.classes, labelled, depth=config.bits)
        write_whole(run.plots / "overlays" / f"{file_name(one.key)}.png", drawn)
    _draw_rates(run, measured, config.confidence)
    rows = run.log_rows()
    notes = [*run.environment().get("notes", []), *about_zero(rows)]
    run.note(notes=list(dict.fromkeys(notes)))
    if config.export == "onnx":
        from finetune.yolo_world.export import export_onnx

        run.note(onnx=export_onnx(run, run.root / "model.onnx"))
    told = run_figures(measured, detector, config.confidence)
    run.write_metrics(told, seconds=max(seconds, run.logged_seconds()))


def _draw_rates(run: Run, found: MeasuredDetections, confidence: float) -> None:
    axis = "best score in the image; higher ones are rejected"
    drawn = draw_rates(list(found.best.values()), list(found.defective.values()), confidence, axis=axis)
    if drawn is not None:
        write_whole(run.plots / "rates.png", drawn)
