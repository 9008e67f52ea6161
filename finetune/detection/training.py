"""How any detector is trained: its tree, ultralytics' trainer in a run directory, and the report at the end."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from finetune.detection.config import DetectorConfig
from finetune.detection.data import DetectionData, check_kind, open_detection_data, write_tree
from finetune.detection.evaluation import MeasuredDetections, cut_detections, measure_detector, run_figures
from finetune.detection.models import ModelSource
from finetune.detection.plots import draw_detections
from finetune.detection.predictor import TrainedDetector
from finetune.detection.remarks import about_zero
from finetune.detection.runtime import read_ultralytics
from finetune.engine.devices import device_name, memory_full, own_determinism, pick_device
from finetune.engine.learner import check_patience, training_facts
from finetune.engine.outputs.exports import Exportable
from finetune.engine.remarks.depth import with_depth
from finetune.engine.remarks.inputs import check_inputs
from finetune.engine.runs import Run, start_run
from finetune.metrics.plots import draw_rates
from toolkit.aliases import Progress
from toolkit.dataset.keys import file_name
from toolkit.errors import ToolkitError
from toolkit.files.publish import write_json, write_whole

if TYPE_CHECKING:
    from finetune.detection.trainer import RunTrainer

Source = TypeVar("Source", bound=ModelSource)
Config = TypeVar("Config", bound=DetectorConfig)

__all__ = ["Plan", "open_for_training", "train_detector"]


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be trained, once all that can be refused was looked at.

    Attributes:
        learner: whose run it is.
        found: the data.
        source: the model.
        trainer: -> the class that trains it, and further attributes of that class.
        load: (run) -> the trained detector.
        export: (run) -> what can be exported of it.
        names: what the classes are called in the tree; None for their own names.
        facts: what environment.json says besides.
        notes: what a user should know besides.
        write: (run) -> None, puts further files into the run.
    """

    learner: str
    found: DetectionData
    source: ModelSource
    trainer: Callable[[], tuple[type[RunTrainer], Mapping[str, object]]]
    load: Callable[[Run], TrainedDetector]
    export: Callable[[Run], Exportable]
    names: Sequence[str] | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    notes: Sequence[str] = ()
    write: Callable[[Run], None] | None = None


def open_for_training(
    data: Path, config: Config, find: Callable[[str, str], Source], boxes: str
) -> tuple[DetectionData, Source, Config]:
    """The data and the model of a training, looked at together, and the settings as they are with these images.

    Args:
        data: dataset root, category folder or label tree with boxes or masks.
        config: settings.
        find: (model, weights) -> where it comes from.
        boxes: a model that learns boxes, to advise.

    Raises:
        ToolkitError: data, split or model are at fault, or do not go together.
    """
    found = open_detection_data(data, config)
    found = replace(found, examples=check_inputs(found.examples, config))
    config = with_depth(config, found.examples)
    check_patience(config, found.examples.subset("val"))
    source = find(config.model, config.weights)
    check_kind(found, config.model, masks=source.masks, boxes=boxes)
    return found, source, config


def train_detector(
    plan: Plan, data: Path, config: DetectorConfig, out: Path, resume: bool, progress: Progress | None
) -> Run:
    """Train a detector, and test it.

    Args:
        plan: what is trained.
        data: what it is trained on, as the user named it.
        config: settings.
        out: the run directory.
        resume: go on with a run that was interrupted.
        progress: called with (epochs done, epochs).

    Raises:
        ToolkitError: settings or device are at fault, or training fails.
    """
    from finetune.detection.trainer import make_trainer, trainer_settings

    found, source = plan.found, plan.source
    trainer_settings(Run(out, plan.learner), config, source, out)  # which refuses what ultralytics would not take
    facts = _facts(plan, config) | {"digests": found.examples.digests, "labels": found.examples.labels}
    run = start_run(out, plan.learner, config, subsets=found.examples.subsets, data=data, resume=resume, **facts)
    if run.finished:
        return run
    tree = _prepared(plan, run, config)
    began = time.monotonic()
    if not _trained(run, config):
        with _explained(run, config), own_determinism():
            base, known = plan.trainer()
            going_on = (run.checkpoints / "last.pt").is_file()
            validate = bool(found.examples.subset("val"))
            trainer = make_trainer(
                base, run, config, source, tree, known, validate=validate, resume=going_on, progress=progress
            )
            trainer.train()
    _report(plan, run, config, time.monotonic() - began)
    return run


def _facts(plan: Plan, config: DetectorConfig) -> dict[str, Any]:
    """What environment.json says of a run."""
    found, source = plan.found, plan.source
    told = training_facts(
        weights="none" if source.random else config.weights,
        weights_sha256=source.sha256,
        device=device_name(pick_device(config.device)),
        best_chosen_on="the val subset" if found.examples.subset("val") else "nothing: the last epoch",
        metrics_of=found.tested[0],
        notes=[*found.examples.notes, *_notes(found), *plan.notes],
    )
    return {**told, **plan.facts, "masks": source.masks}


def _notes(found: DetectionData) -> list[str]:
    notes = []
    where = found.tested[0]
    if where != "test":
        seen = "the very images it was trained on" if where == "train" else "images that chose the best epoch"
        notes.append(f"there are no test images: the figures are of {where}, {seen}")
    if not found.examples.subset("val"):
        notes.append("there are no val images: the last epoch is taken for the best")
    return notes


def _prepared(plan: Plan, run: Run, config: DetectorConfig) -> Path:
    """The tree of a run; a run whose data turns out to be at fault goes away again."""
    fresh = not (run.root / "data").exists() and not (run.checkpoints / "last.pt").exists()
    try:
        tree = write_tree(plan.found, run, config, masks=plan.source.masks, names=plan.names)
    except ToolkitError:
        if fresh:
            shutil.rmtree(run.root, ignore_errors=True)
        raise
    if plan.write is not None:
        plan.write(run)
    return tree


def _trained(run: Run, config: DetectorConfig) -> bool:
    """Whether all epochs are done: ultralytics strips the last checkpoint then, and will not go on with it."""
    last = run.checkpoints / "last.pt"
    if not last.is_file():
        return False
    epoch = int(read_ultralytics(last)[1].get("epoch", -1))
    return epoch == -1 or epoch + 1 >= config.epochs


@contextmanager
def _explained(run: Run, config: DetectorConfig) -> Iterator[None]:
    """Turn what a user can do something about into an error that says what."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise memory_full(run, config) from error
    except subprocess.CalledProcessError as error:
        remedy = "its error stands above; --resume goes on, --set devices=1 trains in this process"
        raise ToolkitError(run.root, f"training on {config.devices} GPUs failed", remedy) from error
    except RuntimeError as error:
        if "froze the entire model" in str(error):
            raise ToolkitError("train.freeze", "leaves nothing that learns", "freeze fewer layers") from error
        if "NaN" not in str(error):
            raise
        raise ToolkitError(run.root, "the loss is not a number", "lower lr (--set lr=...)") from error
    except ValueError as error:
        if not str(error).startswith("final batch=1"):
            raise
        problem = "leaves one image alone in the last batch of an epoch, too small to be normalised"
        raise ToolkitError(f"batch_size {config.batch_size}", problem, "change it, or raise image_size") from error
    except OSError as error:
        if error.strerror is None:  # ultralytics' own, which says what it cannot load
            told = " ".join(str(error).split())[:160]
            raise ToolkitError(
                run.root / "data", f"cannot be read ({told})", "begin anew with another --out"
            ) from error
        remedy = "free space; then --resume goes on"
        raise ToolkitError(error.filename or run.root, f"cannot be written ({error.strerror})", remedy) from error


def _report(plan: Plan, run: Run, config: DetectorConfig, seconds: float) -> None:
    """Predictions, pictures, figures and the exported model of the images that are tested."""
    detector = plan.load(run)
    measured = measure_detector(detector, plan.found.source, plan.found.tested[1], config)
    write_json(run.root / "truth.json", measured.truth)
    write_json(run.root / "predictions.json", measured.results)
    for one, labelled in zip(measured.shown, measured.labelled, strict=True):
        drawn = draw_detections(one.above(config.confidence), detector.classes, labelled, depth=config.bits)
        write_whole(run.plots / "overlays" / f"{file_name(one.key)}.png", drawn)
    _draw_rates(run, measured, config.confidence)
    rows = run.log_rows()
    notes = [*run.environment().get("notes", []), *about_zero(rows), *cut_detections(measured, detector, run)]
    run.note(notes=list(dict.fromkeys(notes)))
    if config.export == "onnx":
        from finetune.detection.export import export_onnx

        run.note(onnx=export_onnx(plan.export(run), run, run.root / "model.onnx"))
    told = run_figures(measured, detector, config.confidence)
    run.write_metrics(told, seconds=max(seconds, run.logged_seconds()))


def _draw_rates(run: Run, found: MeasuredDetections, confidence: float) -> None:
    axis = "best score in the image; higher ones are rejected"
    drawn = draw_rates(list(found.best.values()), list(found.defective.values()), confidence, axis=axis)
    if drawn is not None:
        write_whole(run.plots / "rates.png", drawn)
