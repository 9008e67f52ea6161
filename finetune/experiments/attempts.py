"""Several runs from one YAML file, compared honestly: on the split that was asked for, and on stratified folds.

OUT/fixed/NAME                    a run on the split of the settings
OUT/seeds/NAME/seedS              such runs with other seeds, where there are no folds
OUT/folds/NAME/seedS-foldF        runs on folds of the same images
OUT/splits/seedS-foldF.csv        those folds
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from converters.sources import open_source
from finetune.engine.config import LearnerConfig
from finetune.engine.learner import Evidence, Figure, Learner
from finetune.engine.remarks.memory import memory_told
from finetune.engine.remarks.telling import tell
from finetune.engine.runs import open_run, read_config, read_metrics
from finetune.engine.splits import SplitConfig, open_examples
from finetune.experiments.attempts_file import Attempt, Attempts, split_of
from finetune.learners import find_learner
from toolkit.aliases import Progress
from toolkit.dataset.samples import GOOD, Sample
from toolkit.dataset.splits import load_split, split_dataset, write_split
from toolkit.errors import ToolkitError

__all__ = [
    "Outcome",
    "Planned",
    "check_comparable",
    "figure_of",
    "plan_attempts",
    "read_outcomes",
    "run_attempts",
]


@dataclass(frozen=True)
class Planned:
    """A run to be made.

    Attributes:
        attempt: name of the attempt.
        seed: None where it is that of the settings.
        fold: None on the fixed split.
        config: its settings.
        out: its folder.
        learner: name of its learner.
    """

    attempt: str
    seed: int | None
    fold: int | None
    config: LearnerConfig
    out: Path
    learner: str = "classifier"

    @property
    def told(self) -> str:
        """Which run it is, in words."""
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"{self.attempt}{seed}" + ("" if self.fold is None else f", fold {self.fold}")


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        planned: the run.
        evidence: what its figure is made of, image by image.
        seconds: of training.
        epochs: that were trained.
    """

    planned: Planned
    evidence: Evidence
    seconds: float
    epochs: int


def plan_attempts(attempts: Attempts, out: Path) -> list[Planned]:
    """The runs that the attempts need, those on the fixed split first. Writes the folds to OUT/splits.

    Raises:
        ToolkitError: the data cannot be split so.
    """
    if not attempts.folds:
        return [_repeated(attempt, seed, out) for seed in attempts.seeds or [None] for attempt in attempts.attempts]
    planned = [
        Planned(one.name, None, None, _for_attempts(one.config, out), out / "fixed" / one.name, one.learner)
        for one in attempts.attempts
    ]
    files = dict(_write_folds(attempts, out.resolve()))
    for (seed, fold), split in files.items():
        for attempt in attempts.attempts:
            config = _for_attempts(attempt.config, out, split={"file": split}, seed=seed)
            place = out / "folds" / attempt.name / f"seed{seed}-fold{fold}"
            planned.append(Planned(attempt.name, seed, fold, config, place, attempt.learner))
    return planned


def _repeated(attempt: Attempt, seed: int | None, out: Path) -> Planned:
    """A run on the fixed split, with a seed or that of its settings."""
    if seed is None:
        place, config = out / "fixed" / attempt.name, _for_attempts(attempt.config, out)
    else:
        place, config = out / "seeds" / attempt.name / f"seed{seed}", _for_attempts(attempt.config, out, seed=seed)
    return Planned(attempt.name, seed, None, config, place, attempt.learner)


def _for_attempts(config: LearnerConfig, out: Path, **changed: object) -> LearnerConfig:
    """Settings of a run among many: of those that are repeated nobody looks at plots, and all share embeddings."""
    fields = type(config).model_fields
    if "split" in changed and "plots" in fields:
        changed["plots"] = False
    if getattr(config, "cache", None) == "auto":
        changed["cache"] = str(out.resolve() / "cache")
    return config.model_validate({**config.model_dump(), **changed}) if changed else config


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
    learners = {one.learner: find_learner(one.learner) for one in attempts.attempts}
    check_comparable(attempts, learners)
    planned = plan_attempts(attempts, out)
    there = {one.out for one in planned if _is_made(one, learners[one.learner], attempts.data)}
    for done, one in enumerate(planned):
        if progress is not None:
            progress(done, len(planned))
        if one.out not in there:
            tell("progress", f"run {done + 1} of {len(planned)}: {one.told}")
            going_on = one.out.is_dir() and any(one.out.iterdir())
            with memory_told(one.out, one.config.less_memory):
                learners[one.learner].train(attempts.data, one.config, one.out, going_on, None)
            gc.collect()  # models are parts of circles, of which the next run would hold several
    if progress is not None:
        progress(len(planned), len(planned))
    return read_outcomes(planned)


def check_comparable(attempts: Attempts, learners: Mapping[str, Learner]) -> None:
    """Refuse, before anything is trained, attempts that cannot be compared.

    Raises:
        ToolkitError: their figures are not the same, they are tested on other images, or there is nothing to test on.
    """
    base = attempts.attempts[0]
    figure = learners[base.learner].figure
    tested: dict[str, str] | None = None
    for one in attempts.attempts:
        place, learner = f"{attempts.file}: {one.name}", learners[one.learner]
        if figure is None or learner.figure is None or learner.open is None:
            raise ToolkitError(place, f"{one.learner} has no figure that is compared", "compare runs by hand")
        if learner.figure.name != figure.name:
            problem = (
                f"{one.learner} is judged by {learner.figure.title}, and {base.name} ({base.learner}) by {figure.title}"
            )
            raise ToolkitError(place, problem, "put attempts with one figure into a file")
        if tested is not None and one.learner == base.learner:
            continue
        found = {image.key: image.label for image in learner.open(attempts.data, one.config).subset("test")}
        if tested is not None and tested != found:
            raise ToolkitError(place, f"is tested on other images than {base.name}", "put the split into 'settings'")
        tested = found
    _check_tested(attempts.data, set((tested or {}).values()), figure)


def figure_of(attempts: Attempts) -> tuple[str, str]:
    """What attempts are compared by: as in metrics.json, and in words.

    Raises:
        ToolkitError: their learner has no such figure.
    """
    figure = find_learner(attempts.learner).figure
    if figure is None:
        raise ToolkitError(attempts.file, f"{attempts.learner} has no figure that is compared", "compare runs by hand")
    return figure.name, figure.title


def _check_tested(data: Path, labels: set[str], figure: Figure | None) -> None:
    """Refuse test images that a figure cannot be made of."""
    lacks = "" if labels else "images"
    if figure is not None and figure.needs != "images" and labels <= {GOOD}:
        lacks = "images with defects"
    elif figure is not None and figure.needs == "good images and defects" and GOOD not in labels:
        lacks = "good images"
    if lacks:
        remedy = "attempts are compared on them: use another split (--set split.strategy=stratified), or add some"
        raise ToolkitError(data, f"has no {lacks} in the test subset", remedy)


def read_outcomes(planned: Sequence[Planned]) -> list[Outcome]:
    """What came of runs.

    Raises:
        ToolkitError: a run is missing or was not finished.
    """
    outcomes = []
    for one in planned:
        run = open_run(one.out)
        figure = find_learner(one.learner).figure
        if figure is None:
            raise ToolkitError(one.out, f"{one.learner} has no figure that is compared", "compare runs by hand")
        seconds = float(read_metrics(run)["seconds"] or 0)
        outcomes.append(Outcome(one, figure.read(run), seconds, len(run.log_rows())))
    return outcomes


def _is_made(one: Planned, learner: Learner, data: Path) -> bool:
    """Whether a run went to its end.

    Raises:
        ToolkitError: what stands there is another run.
    """
    if not one.out.is_dir() or not any(one.out.iterdir()):
        return False
    run = open_run(one.out, one.learner)
    made = read_config(run, learner.config)
    asked = one.config if one.config.depth != "auto" else one.config.model_copy(update={"depth": made.depth})
    if _comparable(made) != _comparable(asked):
        raise ToolkitError(one.out, "was made with other settings", "remove it, or choose another --out")
    if run.environment().get("data") != str(data.resolve()).encode(errors="backslashreplace").decode():
        raise ToolkitError(one.out, "was made from other data", "remove it, or choose another --out")
    return run.finished


def _comparable(config: LearnerConfig) -> dict[str, object]:
    """Settings, less the folder that a split file is in: OUT may be moved."""
    settings = config.model_dump(mode="json")
    settings.pop("cache", None)  # where embeddings are kept changes no figure
    split = settings.get("split")
    if isinstance(split, dict) and split.get("file"):
        settings["split"] = {**split, "file": Path(split["file"]).name}
    return settings


def _check_out(out: Path) -> None:
    if out.is_file():
        raise ToolkitError(out, "is no folder", "choose another folder with --out")
    known = {"fixed", "folds", "seeds", "splits"}
    if out.is_dir() and any(out.iterdir()) and not any((out / name).is_dir() for name in known):
        raise ToolkitError(out, "holds something else than attempts", "choose another folder with --out")


def _group(split: SplitConfig | None) -> str | None:
    """What belongs together by the settings, or by the file that the split stands in."""
    if split is None or split.file is None:
        return None if split is None else split.group
    told = load_split(split.file).settings.get("group")
    return None if told is None else str(told)


def _write_folds(attempts: Attempts, out: Path) -> Iterator[tuple[tuple[int, int], Path]]:
    """Stratified folds over the images of the baseline's split: each image is tested once for each seed."""
    config = attempts.attempts[0].config
    split = split_of(config)
    examples = open_examples(attempts.data, split, config.layout, config.categories, config.on_problem)
    group, source = _group(split), examples.source or open_source(attempts.data)
    every: Sequence[Sample] = source.dataset
    used = [sample for sample in every if sample.key in examples.subsets]
    for seed in attempts.seeds:
        for fold in range(attempts.folds):
            drawn = split_dataset(used, "kfold", folds=attempts.folds, fold=fold, val=0.0, seed=seed, group=group)
            subsets = {sample.key: drawn.get(sample.key, "none") for sample in every}
            path = out / "splits" / f"seed{seed}-fold{fold}.csv"
            write_split(subsets, path)
            yield (seed, fold), path
