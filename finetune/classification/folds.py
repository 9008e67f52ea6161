"""Predictions of every image by a model that never saw it: trained on all folds but the one that the image is in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import ConfigDict

from converters.sources import open_source
from finetune.classification.config import BackboneConfig
from finetune.classification.inference import Predictions
from finetune.engine.facts import Number
from finetune.engine.runs import Run
from finetune.engine.splits import ImageRecord, ImageRecords, SplitConfig
from toolkit.aliases import Progress
from toolkit.dataset.samples import Sample
from toolkit.dataset.splits import load_split, split_dataset, write_split
from toolkit.errors import ToolkitError
from toolkit.files.typed import Row, read_rows

__all__ = ["Folds", "draw_folds", "fold_progress", "predict_out_of_fold"]

Config = TypeVar("Config", bound=BackboneConfig)
Train = Callable[[Path, Config, Path, bool, Progress | None], Run]


@dataclass(frozen=True)
class Folds:
    """Splits of the same images, in each of which another fold is test.

    Attributes:
        subsets: of each split, key -> subset; images that are not used have "none".
    """

    subsets: tuple[Mapping[str, str], ...]


def draw_folds(examples: ImageRecords, config: BackboneConfig) -> Folds:
    """Stratified folds over the images of a split, whatever their subset; where it has val images, so have these.

    Raises:
        ToolkitError: a class has too few images for so many folds.
    """
    number = config.out_of_fold
    if not number:
        return Folds(())
    source = examples.source or open_source(examples.root)
    every: Sequence[Sample] = source.dataset
    used = [sample for sample in every if sample.key in examples.subsets]
    share = len(examples.subset("val")) / len(examples.examples)
    group = config.split.group if config.split.file is None else load_split(config.split.file).settings.get("group")
    found = []
    for fold in range(number):
        try:
            drawn = split_dataset(
                used,
                "kfold",
                folds=number,
                fold=fold,
                val=share,
                seed=config.seed,
                group=None if group is None else str(group),
            )
        except ToolkitError as error:
            raise _too_many(number, error.problems[0].problem) from error
        trained = Counter(one.label for one in examples.examples if drawn.get(one.key) == "train")
        for label in examples.classes:
            if not trained[label]:
                raise _too_many(number, f"a fold holds all images of {label!r}, and none is left to train on")
        found.append({sample.key: drawn.get(sample.key, "none") for sample in every})
    return Folds(tuple(found))


def fold_progress(progress: Progress | None, config: BackboneConfig, part: int) -> Progress | None:
    """Progress of one of the trainings of a run with folds, the first of which is its own, as progress of the whole."""
    if progress is None or not config.out_of_fold:
        return progress
    return lambda done, epochs: progress(part * epochs + done, (1 + config.out_of_fold) * epochs)


def predict_out_of_fold(
    run: Run,
    data: Path,
    examples: ImageRecords,
    config: Config,
    folds: Folds,
    train: Train[Config],
    progress: Progress | None = None,
    **changes: object,
) -> dict[str, float]:
    """Train a model for each fold below RUN/folds, and leave RUN/out_of_fold.csv; trainings that are done are kept.

    Args:
        run: whose folds they are.
        data: what it is trained on.
        examples: its images.
        config: its settings.
        folds: as `draw_folds` makes them.
        train: the learner's own training.
        progress: called with (epochs done, epochs), of all trainings.
        changes: settings that are others for a fold.

    Returns:
        out_of_fold_accuracy with its interval, and so on: figures of all images, each by a model that never saw it.

    Raises:
        ToolkitError: as the learner's training.
    """
    rows: dict[str, dict[str, Number]] = {}
    for fold, subsets in enumerate(folds.subsets):
        file, out = run.root.resolve() / f"folds/fold{fold}.csv", run.root / f"folds/fold{fold}"
        if not Run(out, run.learner).finished:
            write_split(subsets, file)
            own = {"split": SplitConfig(file=file), "out_of_fold": 0, "plots": False, **changes}
            told = fold_progress(progress, config, fold + 1)
            train(data, config.model_copy(update=own), out, out.is_dir(), told)
        for row in read_rows(out / "predictions.csv", _Predicted, f"remove {out}, and train with --resume"):
            if row.subset == "test":
                rows[row.key] = {**row.model_dump(), "fold": fold}
    told_rows = [{**rows[one.key], "subset": one.subset} for one in examples.examples if one.key in rows]
    run.write_predictions(told_rows, name="out_of_fold.csv")
    figures = _predictions(examples, rows).metrics()
    return {f"out_of_fold_{name}": value for name, value in figures.items() if name in _TOLD}


_TOLD = tuple(
    [*("accuracy", "accuracy_low", "accuracy_high", "balanced_accuracy", "good_auroc")]
    + [f"{rate}{end}" for rate in ("false_reject", "escape") for end in ("", "_low", "_high")]
)


class _Predicted(Row):
    """A row of the predictions of a classifier."""

    model_config = ConfigDict(extra="allow")

    key: str
    subset: str
    label: str
    predicted: str


def _predictions(examples: ImageRecords, rows: Mapping[str, Mapping[str, Number]]) -> Predictions:
    known: list[ImageRecord] = [one for one in examples.examples if one.key in rows]
    chances = [[float(rows[one.key][f"p_{name}"] or 0) for name in examples.classes] for one in known]
    return Predictions(known, examples.classes, np.array(chances).reshape(-1, len(examples.classes)))


def _too_many(number: int, problem: str) -> ToolkitError:
    fewer = f"use --set out_of_fold={number - 1} or less, or " if number > 2 else "use "
    return ToolkitError(f"out_of_fold {number}", problem, f"{fewer}--set out_of_fold=0")
