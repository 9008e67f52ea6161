"""Several runs from one YAML file, compared honestly: on the split that was asked for, and on stratified folds.

    learner: classifier
    data: path/to/zipper          # from the folder of this file
    baseline: baseline            # the attempt that the others are compared with
    folds: 5                      # 0: no folds
    seeds: [0, 1, 2, 3, 4]        # of the folds and of training on them
    settings: {...}               # what all attempts share, as in a run's own config
    attempts: {baseline: {...}, other: {...}}

OUT/fixed/NAME                    a run on the split of the settings
OUT/folds/NAME/seedS-foldF        runs on folds of the same images
OUT/splits/seedS-foldF.csv        those folds
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from converters.sources import open_source
from finetune.engine.config import LearnerConfig, nearest, parse_config
from finetune.engine.learner import Learner
from finetune.engine.runs import Run, open_run, read_config, read_metrics
from finetune.engine.splits import SplitConfig, open_examples
from finetune.learners import find_config, find_learner
from toolkit.aliases import Progress
from toolkit.dataset.samples import Sample
from toolkit.dataset.splits import load_split, split_dataset, write_split
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.files.typed import Row, parse_yaml, read_rows

__all__ = [
    "Attempt",
    "Attempts",
    "Outcome",
    "Planned",
    "flat_settings",
    "plan_attempts",
    "read_attempts",
    "read_correct",
    "read_outcomes",
    "run_attempts",
]


class _File(BaseModel):
    """An attempts file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learner: str = "classifier"
    data: Path
    baseline: str | None = None
    folds: int = Field(default=5, ge=0)
    seeds: list[int] = Field(default=[0, 1, 2, 3, 4], min_length=1)
    settings: dict[str, object] = {}
    attempts: dict[str, dict[str, object]] = Field(min_length=1)


@dataclass(frozen=True)
class Attempt:
    """A variation.

    Attributes:
        name: of the attempt.
        config: all its settings.
        changes: those that some attempts differ in, "group.key" -> value.
    """

    name: str
    config: LearnerConfig
    changes: Mapping[str, object]


@dataclass(frozen=True)
class Attempts:
    """What an attempts file asks for.

    Attributes:
        file: the file.
        learner: name of the learner.
        data: the dataset.
        attempts: the baseline first.
        folds: number of folds; 0 for none.
        seeds: of the folds.
    """

    file: Path
    learner: str
    data: Path
    attempts: tuple[Attempt, ...]
    folds: int
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Planned:
    """A run to be made.

    Attributes:
        attempt: name of the attempt.
        seed, fold: None on the fixed split.
        config: its settings.
        out: its folder.
    """

    attempt: str
    seed: int | None
    fold: int | None
    config: LearnerConfig
    out: Path


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        planned: the run.
        correct: key -> whether the image was told right, of the images that it was tested on.
        seconds: of training.
        epochs: that were trained.
    """

    planned: Planned
    correct: Mapping[str, bool]
    seconds: float
    epochs: int


def read_attempts(
    file: str | Path, data: str | Path | None = None, settings: Mapping[str, object] | None = None
) -> Attempts:
    """Read an attempts file and check all of it.

    Args:
        file: the YAML file.
        data: a dataset to use instead of the one that the file names.
        settings: settings over those of every attempt.

    Raises:
        ToolkitError: the file cannot be read, or what it says does not fit; all faults at once.
    """
    file = Path(file)
    told = _parse(file)
    kind = find_config(told.learner)
    baseline = told.baseline or next(iter(told.attempts))
    if baseline not in told.attempts:
        raise ToolkitError(file, f"has no attempt named {baseline!r}", nearest(baseline, list(told.attempts)))
    names = [baseline, *(name for name in told.attempts if name != baseline)]
    configs: dict[str, LearnerConfig] = {}
    problems: list[Problem] = []
    for name in names:
        problems += _name_problems(file, name)
        given = _merged(_merged(told.settings, told.attempts[name]), settings or {})
        try:
            configs[name] = parse_config(kind, given, dict.fromkeys(given, f"{file}: {name}"))
        except ToolkitError as error:
            problems += error.problems
        else:
            if baseline in configs and _split(configs[name]) != _split(configs[baseline]):
                remedy = "put the split into 'settings': only on the same images can attempts be compared"
                problems.append(Problem(f"{file}: {name}", "has a split of its own", remedy))
            if getattr(configs[name], "devices", 1) * getattr(configs[name], "nodes", 1) > 1:
                problems.append(Problem(f"{file}: {name}", "asks for several devices", "leave out devices and nodes"))
    if problems:
        raise BadInputError(problems)
    changes = _changes(configs)
    attempts = tuple(Attempt(name, configs[name], changes[name]) for name in names)
    place = Path(data) if data is not None else file.parent / told.data
    return Attempts(file, told.learner, place, attempts, told.folds, tuple(dict.fromkeys(told.seeds)))


def plan_attempts(attempts: Attempts, out: Path) -> list[Planned]:
    """The runs that the attempts need, those on the fixed split first. Writes the folds to OUT/splits.

    Raises:
        ToolkitError: the data cannot be split so.
    """
    planned = [
        Planned(attempt.name, None, None, attempt.config, out / "fixed" / attempt.name) for attempt in attempts.attempts
    ]
    if not attempts.folds:
        return planned
    files = dict(_write_folds(attempts, out.resolve()))
    for (seed, fold), split in files.items():
        for attempt in attempts.attempts:
            changed: dict[str, object] = {"split": {"file": split}, "seed": seed}
            if "plots" in type(attempt.config).model_fields:
                changed["plots"] = False  # of many runs nobody looks at
            config = attempt.config.model_validate({**attempt.config.model_dump(), **changed})
            planned.append(
                Planned(attempt.name, seed, fold, config, out / "folds" / attempt.name / f"seed{seed}-fold{fold}")
            )
    return planned


def run_attempts(attempts: Attempts, out: str | Path, progress: Progress | None = None) -> list[Outcome]:
    """Make the runs that are missing, go on with those that were interrupted, and read what came of all of them.

    Args:
        attempts: what to do.
        out: the folder.
        progress: called with (runs done, runs).

    Raises:
        ToolkitError: as the learner's training; or OUT holds runs of other settings.
    """
    out = Path(out)
    _check_out(out)
    learner = find_learner(attempts.learner)
    planned = plan_attempts(attempts, out)
    for done, one in enumerate(planned):
        if progress is not None:
            progress(done, len(planned))
        _make(one, learner, attempts.data)
    if progress is not None:
        progress(len(planned), len(planned))
    return read_outcomes(planned)


def read_outcomes(planned: Sequence[Planned]) -> list[Outcome]:
    """What came of runs.

    Raises:
        ToolkitError: a run is missing or was not finished.
    """
    outcomes = []
    for one in planned:
        run = open_run(one.out)
        seconds = float(read_metrics(run)["seconds"] or 0)
        outcomes.append(Outcome(one, read_correct(run), seconds, len(run.log_rows())))
    return outcomes


def read_correct(run: Run) -> dict[str, bool]:
    """Key -> whether a run's classifier told the image right, of the images that its metrics are of.

    Raises:
        ToolkitError: the run has no such predictions.
    """
    tested, path = str(run.environment().get("metrics_of", "test")), run.root / "predictions.csv"
    if not path.is_file():
        raise ToolkitError(path, "is not there", "name runs of classifiers")
    rows = read_rows(path, _Predicted, "name runs of classifiers; train this one again if it is one")
    return {row.key: row.correct == "1" for row in rows if row.subset == tested}


class _Predicted(Row):
    """A row of the predictions of a classifier."""

    key: str
    subset: str
    correct: Literal["0", "1"]


def _make(one: Planned, learner: Learner, data: Path) -> None:
    """Train one run, or go on with it; one that went to its end is looked at alone."""
    there = one.out.is_dir() and any(one.out.iterdir())
    if there and (run := open_run(one.out)).finished:
        if _comparable(read_config(run, learner.config)) != _comparable(one.config):
            raise ToolkitError(one.out, "was made with other settings", "remove it, or choose another --out")
        if run.environment().get("data") != str(data.resolve()).encode(errors="backslashreplace").decode():
            raise ToolkitError(one.out, "was made from other data", "remove it, or choose another --out")
        return
    learner.train(data, one.config, one.out, there, None)


def _comparable(config: LearnerConfig) -> dict[str, object]:
    """Settings, less the folder that a split file is in: OUT may be moved."""
    settings = config.model_dump(mode="json")
    split = settings.get("split")
    if isinstance(split, dict) and split.get("file"):
        settings["split"] = {**split, "file": Path(split["file"]).name}
    return settings


def _check_out(out: Path) -> None:
    if out.is_file():
        raise ToolkitError(out, "is no folder", "choose another folder with --out")
    known = {"fixed", "folds", "splits"}
    if out.is_dir() and any(out.iterdir()) and not any((out / name).is_dir() for name in known):
        raise ToolkitError(out, "holds something else than attempts", "choose another folder with --out")


def _parse(file: Path) -> _File:
    value = parse_yaml(file, "correct it")
    if not isinstance(value, dict):
        raise ToolkitError(file, "holds no attempts", "write 'attempts:' with a line for each")
    return _parsed(file, value)


def _parsed(file: Path, value: Mapping[str, object]) -> _File:
    from pydantic import ValidationError

    known = list(_File.model_fields)
    problems = [
        Problem(str(file), f"unknown key {name!r}", nearest(str(name), known)) for name in value if name not in known
    ]
    if problems:
        raise BadInputError(problems)
    try:
        return _File.model_validate(value)
    except ValidationError as error:
        raise BadInputError(
            Problem(str(file), f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}", "correct it")
            for fault in error.errors()
        ) from error


def _name_problems(file: Path, name: str) -> list[Problem]:
    """An attempt's name becomes a folder's."""
    if name in (".", "..") or not name.strip() or any(sign in name for sign in '/\\:*?"<>|') or not name.isprintable():
        return [Problem(str(file), f"{name!r} cannot name an attempt", 'leave out / \\ : * ? " < > |')]
    return []


def _merged(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """Settings over settings; groups are merged key by key."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        merged[name] = _merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged


def _split(config: LearnerConfig) -> SplitConfig | None:
    split = getattr(config, "split", None)
    return split if isinstance(split, SplitConfig) else None


def _group(split: SplitConfig | None) -> str | None:
    """What belongs together by the settings, or by the file that the split stands in."""
    if split is None or split.file is None:
        return None if split is None else split.group
    told = load_split(split.file).settings.get("group")
    return None if told is None else str(told)


def _changes(configs: Mapping[str, LearnerConfig]) -> dict[str, dict[str, object]]:
    """For each attempt the settings that are not the same in all."""
    flat = {name: dict(flat_settings(config.model_dump(mode="json"))) for name, config in configs.items()}
    keys = list(dict.fromkeys(key for settings in flat.values() for key in settings))
    differing = [key for key in keys if len({repr(settings.get(key)) for settings in flat.values()}) > 1]
    return {name: {key: settings.get(key) for key in differing} for name, settings in flat.items()}


def flat_settings(settings: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """("group.key", value) of every setting."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from flat_settings(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _write_folds(attempts: Attempts, out: Path) -> Iterator[tuple[tuple[int, int], Path]]:
    """Stratified folds over the images of the baseline's split: each image is tested once for each seed."""
    split = _split(attempts.attempts[0].config)
    examples, group = open_examples(attempts.data, split), _group(split)
    source = examples.source or open_source(attempts.data)
    every: Sequence[Sample] = source.dataset
    used = [sample for sample in every if sample.key in examples.subsets]
    for seed in attempts.seeds:
        for fold in range(attempts.folds):
            drawn = split_dataset(used, "kfold", folds=attempts.folds, fold=fold, val=0.0, seed=seed, group=group)
            subsets = {sample.key: drawn.get(sample.key, "none") for sample in every}
            path = out / "splits" / f"seed{seed}-fold{fold}.csv"
            write_split(subsets, path)
            yield (seed, fold), path
