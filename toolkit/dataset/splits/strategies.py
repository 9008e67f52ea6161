"""Splitting a dataset, anew or on from an older split."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from toolkit.dataset.samples import Sample
from toolkit.dataset.splits.drawing import draw_folds, draw_shares, draw_uniform
from toolkit.dataset.splits.groups import notes_on_draw, populate
from toolkit.dataset.splits.model import NONE, STRATEGIES, SUBSETS, Population, Split, is_named, stratum_of
from toolkit.dataset.splits.remedies import TooFewError, uniform_error
from toolkit.errors import ToolkitError

__all__ = ["OF_STRATEGY", "split_dataset"]

_DRAWN = {"group", "leave_out", "seed"}
OF_STRATEGY: dict[str, set[str]] = {
    "native": set(),
    "stratified": {"val", "test", *_DRAWN},
    "uniform": {"per_class", "test_per_class", *_DRAWN},
    "kfold": {"folds", "fold", "val", *_DRAWN},
}
"""Strategy -> the settings that it has."""


@dataclass(frozen=True)
class _Asked:
    """The settings of `split_dataset` that are given; None for the others."""

    val: float | None = None
    test: float | None = None
    per_class: int | None = None
    test_per_class: int | None = None
    folds: int | None = None
    fold: int | None = None
    seed: int | None = None
    group: str | None = None
    leave_out: tuple[str, ...] | None = None

    def or_else(self, other: _Asked) -> _Asked:
        """These settings, and where one is not given that of another."""
        missing = {one.name: getattr(other, one.name) for one in fields(self) if getattr(self, one.name) is None}
        return replace(self, **missing)


def split_dataset(
    dataset: Sequence[Sample],
    strategy: str | None = None,
    *,
    val: float | None = None,
    test: float | None = None,
    per_class: int | None = None,
    test_per_class: int | None = None,
    folds: int | None = None,
    fold: int | None = None,
    seed: int | None = None,
    group: str | None = None,
    leave_out: str | Sequence[str] = (),
    extend: Mapping[str, str] | None = None,
) -> Split:
    """Assign samples to subsets. Those without a label belong to none.

    Images with identical bytes, those of one `Sample.group` of a category and those that `group` names share a subset.

    Args:
        dataset: the samples.
        strategy: "native" keeps the dataset's own folders; "stratified" draws the shares `val` and `test` from every
            class of every category; "uniform" draws `per_class` samples of every class, good included, of which
            `test_per_class` are test, and leaves the others out; "kfold" makes fold number `fold` of `folds` the test
            subset, and the share `val` of the rest the validation subset. "native" by default.
        val, test: shares in [0, 1), together below 1; 0.1 and 0.2 unless given ("kfold": val 0).
        per_class, test_per_class: numbers of samples; 10 and 2 unless given.
        folds, fold: number of folds, 5 unless given, and the one to test on, from 0.
        seed: of the random draw; 0 unless given.
        group: a pattern over keys, for instance "{part}_*": images in whose keys {part} is the same belong together.
            "near-duplicates" looks for copies of a photo that were changed a little.
        leave_out: classes that get no subset, as "rare", or "screw/rare" for that of one category.
        extend: an older split. What it lists keeps its subset; the rest is drawn so that the whole comes as near as it
            can to what is asked. Settings that are not given are those of the older split.

    Raises:
        ToolkitError: a number out of range, a class too small for what is asked, an unknown class, a pattern that fits
            no key, or an older split of other images.
    """
    names = (leave_out,) if isinstance(leave_out, str) else tuple(leave_out)
    asked = _Asked(val, test, per_class, test_per_class, folds, fold, seed, group, names or None)
    if isinstance(extend, Split):
        asked, strategy = _as_before(asked, strategy, extend)
    strategy = strategy or "native"
    if strategy not in STRATEGIES:
        raise ToolkitError("--strategy", f"{strategy!r} is unknown", f"use one of {', '.join(STRATEGIES)}")
    labelled = [sample for sample in dataset if sample.kind != "unlabelled"]
    notes = _counted(len(dataset) - len(labelled), "{} image(s) without a label are in no subset")
    if dataset and not labelled:
        raise ToolkitError(dataset[0].image, "no image of the dataset has a label", "label some of them")
    if strategy == "native":
        return _native(labelled, asked, extend, notes)
    return _drawn(labelled, strategy, asked, extend, notes)


def _as_before(asked: _Asked, strategy: str | None, older: Split) -> tuple[_Asked, str]:
    """What was asked, and for the rest what the older split was made with, if by the same strategy."""
    if strategy is None and older.strategy not in STRATEGIES:
        raise ToolkitError("--extend", "the older split does not say how it was made", "add --strategy stratified")
    if strategy not in (None, older.strategy):
        return asked, str(strategy)
    before: dict[str, object] = {}
    if older.strategy == "stratified":
        before = {"val": 0.0, "test": 0.0}  # a file does not tell of a share of 0
    for name in OF_STRATEGY[older.strategy] & older.settings.keys():
        value = older.settings[name]
        try:
            before[name] = _READ.get(name, str)(str(value))
        except ValueError as error:
            problem = f"the older split was made with {name}={value}, which is no number"
            raise ToolkitError("--extend", problem, f"correct its first line, or add {_flag(name)}") from error
    names = older.settings.get("left_out")
    if isinstance(names, tuple):
        before["leave_out"] = names
    return asked.or_else(replace(_Asked(), **before)), older.strategy  # type: ignore[arg-type]


_READ: dict[str, Callable[[str], float]] = {
    **dict.fromkeys(("val", "test"), float),
    **dict.fromkeys(("per_class", "test_per_class", "folds", "fold", "seed"), int),
}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _native(dataset: Sequence[Sample], asked: _Asked, extend: Mapping[str, str] | None, notes: Sequence[str]) -> Split:
    """The dataset's own subsets, or an older split's where that has one."""
    for name in ("group", "leave_out"):
        if getattr(asked, name) is not None:
            raise ToolkitError(_flag(name), "does not go with --strategy native", "use --strategy stratified")
    kept, none, older = _older(dataset, extend)
    fresh = [sample for sample in dataset if sample.key not in kept and sample.key not in none]
    unknown = next((s for s in fresh if s.split not in SUBSETS), None)
    if unknown is not None:
        raise ToolkitError(unknown.image, f"belongs to no subset ({unknown.split!r})", "use another --strategy")
    subsets = {sample.key: sample.split for sample in fresh} | kept
    settings = {} if extend is None else {"extends": len(kept)}
    return Split(subsets, strategy="native", settings=settings, notes=[*notes, *older], left_out=none)


def _drawn(
    dataset: Sequence[Sample], strategy: str, asked: _Asked, extend: Mapping[str, str] | None, notes: Sequence[str]
) -> Split:
    """A split by one of the strategies that draw."""
    seed = asked.seed or 0
    if seed < 0:
        raise ToolkitError("--seed", f"{seed} is too small", "use 0 or more")
    numbers = _checked(strategy, asked)
    classes = _classes(dataset, asked.leave_out or ())
    kept, none, older = _older(dataset, extend)
    among = [s for s in dataset if s.key in kept or not (s.key in none or is_named(stratum_of(s), classes))]
    if dataset and not among:
        raise ToolkitError("--leave-out", "leaves no image to draw", "leave out fewer classes")
    population, found = populate(among, asked.group, seed, kept)
    settings: dict[str, object] = {"seed": seed, **numbers}
    settings |= {} if asked.group is None else {"group": asked.group}
    settings |= {} if not classes else {"left_out": classes}
    settings |= {} if extend is None else {"extends": len(kept)}
    made = Split(_draw(population, strategy, numbers), strategy=strategy, settings=settings, left_out=none)
    left = _counted(len(dataset) - len(among), "{} image(s) are left out as asked")
    made.notes = (*notes, *left, *older, *notes_on_draw(among, population, made), *found)
    return made


def _checked(strategy: str, asked: _Asked) -> dict[str, float]:
    """The numbers that a strategy draws by.

    Raises:
        ToolkitError: they make no split.
    """
    if strategy == "stratified":
        shares = {"val": 0.1 if asked.val is None else asked.val, "test": 0.2 if asked.test is None else asked.test}
        _check_shares(shares)
        return {name: share for name, share in shares.items() if share > 0}
    if strategy == "uniform":
        per_class = 10 if asked.per_class is None else asked.per_class
        test_per_class = 2 if asked.test_per_class is None else asked.test_per_class
        if not 0 <= test_per_class < per_class:
            raise ToolkitError(
                f"--per-class {per_class} --test-per-class {test_per_class}",
                "leaves nothing to train on",
                "ask for fewer test images than images per class",
            )
        return {"per_class": per_class, "test_per_class": test_per_class}
    folds, fold, val = 5 if asked.folds is None else asked.folds, asked.fold or 0, asked.val or 0.0
    if folds < 2 or not 0 <= fold < folds:
        remedy = "use at least 2 folds and a fold from 0 to folds - 1"
        raise ToolkitError(f"--folds {folds} --fold {fold}", "no such fold", remedy)
    _check_shares({"val": val})
    return {"folds": folds, "fold": fold, "val": val}


def _check_shares(shares: Mapping[str, float]) -> None:
    if any(not 0 <= share < 1 for share in shares.values()) or sum(shares.values()) >= 1:
        asked = ", ".join(f"--{name} {share:g}" for name, share in shares.items())
        raise ToolkitError(asked, "the shares do not add up", "each from 0 to 1, together below 1: the rest is train")


def _draw(population: Population, strategy: str, numbers: Mapping[str, float]) -> dict[str, str]:
    if strategy == "stratified":
        return draw_shares(population, numbers)
    if strategy == "kfold":
        return draw_folds(population, int(numbers["folds"]), int(numbers["fold"]), numbers["val"])
    per_class, test_per_class = int(numbers["per_class"]), int(numbers["test_per_class"])
    try:
        return draw_uniform(population, per_class, test_per_class)
    except TooFewError as error:
        raise uniform_error(error, population, (per_class, test_per_class), draw_uniform) from error


def _classes(dataset: Sequence[Sample], names: Sequence[str]) -> tuple[str, ...]:
    """The classes that are named, sorted; several may stand in one text with commas between them.

    Raises:
        ToolkitError: there is no such class.
    """
    strata = sorted({stratum_of(sample) for sample in dataset})
    found: set[str] = set()
    for text in names:
        whole = any(is_named(stratum, [text]) for stratum in strata)
        for name in [text] if whole else [part.strip() for part in text.split(",")]:
            if not any(is_named(stratum, [name]) for stratum in strata):
                known = ", ".join(sorted({label for _, label in strata}))
                raise ToolkitError(
                    f"--leave-out {shlex.quote(text)}", f"there is no class {name!r}", f"it has: {known}"
                )
            found.add(name)
    return tuple(sorted(found))


def _older(dataset: Sequence[Sample], extend: Mapping[str, str] | None) -> tuple[dict[str, str], list[str], list[str]]:
    """What stands of an older split: keys with their subsets, keys that it leaves out, and notes.

    Raises:
        ToolkitError: it has no image of the dataset, or a subset of another name.
    """
    if extend is None:
        return {}, [], []
    keys = {sample.key for sample in dataset}
    subsets = {**extend, **dict.fromkeys(getattr(extend, "left_out", ()), NONE)}
    strange = next((key for key, subset in sorted(subsets.items()) if subset not in (*SUBSETS, NONE)), None)
    if strange is not None:
        remedy = f"use {', '.join(SUBSETS)} or {NONE}"
        raise ToolkitError("--extend", f"unknown subset {subsets[strange]!r} of {strange!r}", remedy)
    if keys.isdisjoint(subsets):
        problem = f"none of the {len(subsets)} keys of the older split is in the dataset"
        raise ToolkitError("--extend", problem, "name an older split of this dataset")
    kept = {key: subset for key, subset in subsets.items() if key in keys and subset != NONE}
    none = sorted(key for key, subset in subsets.items() if key in keys and subset == NONE)
    gone = len(subsets) - len(kept) - len(none)
    notes = [f"{len(kept)} image(s) keep the subset of the older split"]
    notes += _counted(gone, "{} image(s) of the older split are no longer in the dataset, or without a label")
    return kept, none, notes


def _counted(number: int, text: str) -> list[str]:
    """A note about so many images, if there are any."""
    return [text.format(number)] if number else []
