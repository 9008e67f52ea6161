"""The file of several attempts: a baseline and its variations.

learner: classifier           # an attempt may name one of its own that has the same figure
data: path/to/zipper          # from the folder of this file
baseline: baseline            # the attempt that the others are compared with
folds: 5                      # 0: no folds; of learners that learn from good images alone there are none
seeds: [0, 1, 2, 3, 4]        # of the folds and of training on them; without folds, of training
settings: {...}               # what all attempts share, as in a run's own config
attempts: {baseline: {...}, other: {...}}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from finetune.engine.config import LearnerConfig, nearest, parse_config
from finetune.engine.splits import SplitConfig
from finetune.learners import find_config
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.files.typed import parse_yaml

__all__ = ["Attempt", "Attempts", "flat_settings", "read_attempts", "split_of"]

_FOLDS, _SEEDS = 5, (0, 1, 2, 3, 4)


class _File(BaseModel):
    """An attempts file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learner: str = "classifier"
    data: Path
    baseline: str | None = None
    folds: int | None = Field(default=None, ge=0)
    seeds: list[int] | None = Field(default=None, min_length=1)
    settings: dict[str, object] = {}
    attempts: dict[str, dict[str, object]] = Field(min_length=1)


@dataclass(frozen=True)
class Attempt:
    """A variation.

    Attributes:
        name: of the attempt.
        config: all its settings.
        changes: those that some attempts differ in, "group.key" -> value.
        learner: name of its learner.
    """

    name: str
    config: LearnerConfig
    changes: Mapping[str, object]
    learner: str = "classifier"


@dataclass(frozen=True)
class Attempts:
    """What an attempts file asks for.

    Attributes:
        file: the file.
        learner: name of the baseline's learner.
        data: the dataset.
        attempts: the baseline first.
        folds: number of folds; 0 for none.
        seeds: of the folds; without folds, of runs on the fixed split, and none for one run with the settings' seed.
    """

    file: Path
    learner: str
    data: Path
    attempts: tuple[Attempt, ...]
    folds: int
    seeds: tuple[int, ...]


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
    baseline = told.baseline or next(iter(told.attempts))
    if baseline not in told.attempts:
        raise ToolkitError(file, f"has no attempt named {baseline!r}", nearest(baseline, list(told.attempts)))
    names = [baseline, *(name for name in told.attempts if name != baseline)]
    find_config(told.learner)
    configs: dict[str, LearnerConfig] = {}
    learners: dict[str, str] = {}
    problems: list[Problem] = []
    for name in names:
        problems += _name_problems(file, name)
        own = dict(told.attempts[name])
        learners[name] = str(own.pop("learner", told.learner))
        given = _merged(_merged(told.settings, own), settings or {})
        try:
            kind = find_config(learners[name])
            configs[name] = parse_config(kind, given, dict.fromkeys(given, f"{file}: {name}"))
        except ToolkitError as error:
            problems += error.problems
        else:
            problems += _config_problems(f"{file}: {name}", configs[name], configs.get(baseline), told.folds)
    if problems:
        raise BadInputError(problems)
    changes = _changes(configs, learners)
    attempts = tuple(Attempt(name, configs[name], changes[name], learners[name]) for name in names)
    place = Path(data) if data is not None else file.parent / told.data
    folds = told.folds if told.folds is not None else 0 if configs[baseline].learns == "good" else _FOLDS
    seeds = told.seeds if told.seeds is not None else _SEEDS if folds else ()
    return Attempts(file, learners[baseline], place, attempts, folds, tuple(dict.fromkeys(seeds)))


def _config_problems(
    place: str, config: LearnerConfig, baseline: LearnerConfig | None, folds: int | None
) -> Iterator[Problem]:
    """What keeps an attempt from being compared, as far as its settings tell."""
    if baseline is not None and config.learns == baseline.learns and split_of(config) != split_of(baseline):
        remedy = "put the split into 'settings': only on the same images can attempts be compared"
        yield Problem(place, "has a split of its own", remedy)
    if getattr(config, "devices", 1) * getattr(config, "nodes", 1) > 1:
        yield Problem(place, "asks for several devices", "leave out devices and nodes")
    if config.learns == "good" and folds:
        remedy = "write folds: 0, and seeds: [0, 1, 2] to repeat it on the fixed split"
        yield Problem(place, "learns from good images alone, and folds would have defects to train on", remedy)
    patient, held = getattr(config, "patience", 0), getattr(config, "hold_out", 0)
    if patient and not held and config.learns != "good" and (_FOLDS if folds is None else folds):
        problem = f"has patience {patient}, and folds have no val images whose figure could stop getting better"
        yield Problem(place, problem, "write patience: 0, or folds: 0")


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


def split_of(config: LearnerConfig) -> SplitConfig | None:
    """Which images are what, by the settings of a learner that has such."""
    split = getattr(config, "split", None)
    return split if isinstance(split, SplitConfig) else None


def _changes(configs: Mapping[str, LearnerConfig], learners: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """For each attempt the settings, of those that all have, that are not the same in all, and the learner likewise."""
    flat = {name: {"learner": learners[name], **dict(flat_settings(config))} for name, config in configs.items()}
    shared = [key for key in next(iter(flat.values())) if all(key in settings for settings in flat.values())]
    differing = [key for key in shared if len({repr(settings[key]) for settings in flat.values()}) > 1]
    return {name: {key: settings[key] for key in differing} for name, settings in flat.items()}


def flat_settings(config: BaseModel, prefix: str = "") -> Iterator[tuple[str, object]]:
    """("group.key", value) of every setting; one that is a mapping with keys of its own is a value as a whole."""
    for name, value in config.model_dump(mode="json").items():
        group = getattr(config, name)
        if isinstance(group, BaseModel):
            yield from flat_settings(group, f"{prefix}{name}.")
        else:
            yield prefix + name, value
