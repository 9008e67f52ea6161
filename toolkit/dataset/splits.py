"""Who is train, val and test: seeded, stratified, safe against duplicates, saved as CSV.

Images with identical bytes always share a subset. Each (category, defect) is drawn with a random generator of its own,
so that adding a product leaves the split of the others as it was.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from toolkit.dataset.samples import GOOD, Sample
from toolkit.errors import BadInputError, Problem, ToolkitError

__all__ = ["STRATEGIES", "SUBSETS", "Split", "find_duplicates", "read_split", "split_dataset", "write_split"]

SUBSETS = ("train", "val", "test")
STRATEGIES = ("native", "stratified", "uniform", "kfold")
_LEFT_OUT = "none"  # subset that a hand-written CSV gives to samples that it leaves out


class Split(dict[str, str]):
    """Key -> "train", "val" or "test". Keys of the dataset that are missing here are left out on purpose.

    Attributes:
        strategy: how it was made; "file" if read from a CSV without the first comment.
        settings: the numbers it was made with, for instance {"seed": 0, "val": 0.1}.
        notes: what a user should know of it.
    """

    def __init__(
        self,
        subsets: Mapping[str, str],
        *,
        strategy: str,
        settings: Mapping[str, object] | None = None,
        notes: Iterable[str] = (),
    ) -> None:
        super().__init__(sorted(subsets.items()))
        self.strategy = strategy
        self.settings = dict(settings or {})
        self.notes = tuple(notes)


_Stratum = tuple[str, str]
_Group = tuple[str, ...]  # keys of images with identical bytes, most often one


def split_dataset(
    dataset: Sequence[Sample],
    strategy: str = "native",
    *,
    val: float | None = None,
    test: float | None = None,
    per_class: int = 10,
    test_per_class: int = 2,
    folds: int = 5,
    fold: int = 0,
    seed: int = 0,
) -> Split:
    """Assign samples to subsets.

    Args:
        dataset: the samples.
        strategy: "native" keeps the dataset's own folders; "stratified" draws the shares `val` and `test` from every
            class of every category; "uniform" draws `per_class` samples of every class, good included, of which
            `test_per_class` are test, and leaves the others out; "kfold" makes fold number `fold` of `folds` the test
            subset, and the share `val` of the rest the validation subset.
        val, test: shares in [0, 1), together below 1; 0.1 and 0.2 unless given ("kfold": val 0).
        per_class, test_per_class: numbers of samples.
        folds, fold: number of folds, and the one to test on, from 0.
        seed: of the random draw.

    Raises:
        ToolkitError: a number out of range, or a class too small for what is asked.
    """
    if strategy == "native":
        return _native(dataset)
    if seed < 0:
        raise ToolkitError("--seed", f"{seed} is too small", "use 0 or more")
    if strategy == "stratified":
        shares = {"val": 0.1 if val is None else val, "test": 0.2 if test is None else test}
        _check_shares(shares)
        return _draw_stratified(dataset, {name: share for name, share in shares.items() if share > 0}, seed)
    if strategy == "uniform":
        _check_uniform(per_class, test_per_class)
        return _draw_uniform(dataset, per_class, test_per_class, seed)
    if strategy == "kfold":
        return _kfold(dataset, folds, fold, val or 0.0, seed)
    raise ToolkitError("--strategy", f"{strategy!r} is unknown", f"use one of {', '.join(STRATEGIES)}")


def _native(dataset: Sequence[Sample]) -> Split:
    unknown = next((s for s in dataset if s.split not in SUBSETS), None)
    if unknown is not None:
        raise ToolkitError(unknown.image, f"belongs to no subset ({unknown.split!r})", "use another --strategy")
    return Split({sample.key: sample.split for sample in dataset}, strategy="native")


def _check_shares(shares: Mapping[str, float]) -> None:
    if any(not 0 <= share < 1 for share in shares.values()) or sum(shares.values()) >= 1:
        asked = ", ".join(f"--{name} {share:g}" for name, share in shares.items())
        raise ToolkitError(asked, "the shares do not add up", "each from 0 to 1, together below 1: the rest is train")


def _check_uniform(per_class: int, test_per_class: int) -> None:
    if not 0 <= test_per_class < per_class:
        raise ToolkitError(
            f"--per-class {per_class} --test-per-class {test_per_class}",
            "leaves nothing to train on",
            "ask for fewer test images than images per class",
        )


def _stratified_sizes(name: str, size: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Images of one class for each subset: its share, rounded, and at least one."""
    wanted = {subset: max(1, int(size * share + 0.5)) for subset, share in shares.items()}
    if size < len(wanted) + 1:
        raise ToolkitError(
            name,
            f"has {size} image{'s' * (size != 1)}, too few for {len(wanted) + 1} subsets",
            "set --val or --test to 0, or leave this class out",
        )
    while sum(wanted.values()) >= size:  # tiny classes: rounding up must leave one to train on
        wanted[max(wanted, key=lambda subset: wanted[subset])] -= 1
    return wanted


def _draw_stratified(dataset: Sequence[Sample], shares: dict[str, float], seed: int) -> Split:
    """Draw the shares from every class; what is not drawn is train."""
    strata, groups = _strata(dataset)
    assigned: dict[str, str] = {}
    for stratum, keys in strata.items():
        left = Counter(_stratified_sizes("/".join(stratum), len(keys), shares))
        left.subtract(assigned[key] for key in keys if key in assigned)  # twins that another class has drawn
        for group in _shuffled(stratum, keys, groups, seed, assigned):
            members = len(set(group) & set(keys))
            subset = next((subset for subset in shares if left[subset] >= members), "train")
            assigned |= dict.fromkeys(group, subset)
            left[subset] -= members
    settings = {"seed": seed, **shares}
    return Split(assigned, strategy="stratified", settings=settings, notes=_notes(dataset, groups))


def _draw_uniform(dataset: Sequence[Sample], per_class: int, test_per_class: int, seed: int) -> Split:
    """Draw equally many images from every class; of identical images only the first can be drawn."""
    strata, groups = _strata(dataset)
    assigned: dict[str, str] = {}
    taken: set[_Group] = set()
    for stratum, keys in strata.items():
        distinct = [key for key in keys if groups[key] not in taken and key == min(set(groups[key]) & set(keys))]
        if len(distinct) < per_class:
            name, remedy = "/".join(stratum), f"use --per-class {len(distinct)} or less"
            raise ToolkitError(name, f"has {len(distinct)} distinct images, --per-class asks for {per_class}", remedy)
        chosen = [key for (key,) in _shuffled(stratum, distinct, {key: (key,) for key in distinct}, seed, {})][
            :per_class
        ]
        assigned |= {key: "test" if index < test_per_class else "train" for index, key in enumerate(chosen)}
        taken |= {groups[key] for key in chosen}
    settings = {"seed": seed, "per_class": per_class, "test_per_class": test_per_class}
    return Split(assigned, strategy="uniform", settings=settings, notes=_notes(dataset, groups))


def _kfold(dataset: Sequence[Sample], folds: int, fold: int, val: float, seed: int) -> Split:
    if folds < 2 or not 0 <= fold < folds:
        raise ToolkitError(
            f"--folds {folds} --fold {fold}", "no such fold", "use at least 2 folds and a fold from 0 to folds - 1"
        )
    _check_shares({"val": val})
    strata, groups = _strata(dataset)
    assigned: dict[str, str] = {}
    for number, (stratum, keys) in enumerate(strata.items()):
        if len(keys) < folds:
            raise ToolkitError(
                "/".join(stratum),
                f"has {len(keys)} images, too few for {folds} folds",
                f"use --folds {len(keys)} or less",
            )
        # Counting on from another fold in every class evens out the sizes of the folds.
        rest = []
        for index, group in enumerate(_shuffled(stratum, keys, groups, seed, assigned)):
            held_out = (index + number) % folds == fold
            assigned |= dict.fromkeys(group, "test" if held_out else "train")
            rest += [] if held_out else [group]
        if val > 0:  # at least one, if that leaves one to train on
            for group in rest[: min(max(1, int(len(rest) * val + 0.5)), len(rest) - 1)]:
                assigned |= dict.fromkeys(group, "val")
    settings = {"seed": seed, "folds": folds, "fold": fold, "val": val}
    return Split(assigned, strategy="kfold", settings=settings, notes=_notes(dataset, groups))


def _strata(dataset: Sequence[Sample]) -> tuple[dict[_Stratum, list[str]], dict[str, _Group]]:
    """Keys of each (category, defect), and the group of identical images that each key belongs to."""
    strata: dict[_Stratum, list[str]] = defaultdict(list)
    for sample in sorted(dataset, key=lambda sample: sample.key):
        strata[sample.category, sample.defect].append(sample.key)
    groups: dict[str, _Group] = {sample.key: (sample.key,) for sample in dataset}
    for twins in find_duplicates(dataset):
        groups |= dict.fromkeys(twins, tuple(twins))
    return dict(sorted(strata.items())), groups


def _shuffled(
    stratum: _Stratum, keys: list[str], groups: Mapping[str, _Group], seed: int, assigned: Mapping[str, str]
) -> list[_Group]:
    """The groups of a class that are not yet assigned, in random order."""
    waiting = sorted({groups[key] for key in keys if key not in assigned})
    generator = np.random.default_rng((seed, zlib.crc32("/".join(stratum).encode())))
    return [waiting[index] for index in generator.permutation(len(waiting))]


def _notes(dataset: Sequence[Sample], groups: Mapping[str, _Group]) -> list[str]:
    notes = []
    subsets_of_defects = {sample.split for sample in dataset if sample.defect != GOOD}
    if subsets_of_defects == {"test"}:
        notes.append(
            "defects stand in the test folder only, so its images are drawn into the new subsets; "
            "figures on this split do not compare with those on the dataset's own test set"
        )
    twins = {group for group in groups.values() if len(group) > 1}
    if twins:
        notes.append(f"{len(twins)} set(s) of identical images each share a subset")
    return notes


def find_duplicates(dataset: Sequence[Sample]) -> list[list[str]]:
    """Keys of images with identical bytes: one sorted list for each set of twins, sorted.

    Only files of equal length are read.

    Raises:
        ToolkitError: a file cannot be read.
    """
    by_size: dict[int, list[Sample]] = defaultdict(list)
    for sample in dataset:
        try:
            by_size[sample.image.stat().st_size].append(sample)
        except OSError as error:
            raise ToolkitError(sample.image, f"cannot be read ({error.strerror})", "check the file") from error
    twins: dict[bytes, list[str]] = defaultdict(list)
    for samples in by_size.values():
        if len(samples) > 1:
            seen: dict[tuple[int, int], bytes] = {}  # links to one file need only one look
            for sample in samples:
                status = sample.image.stat()
                place = (status.st_dev, status.st_ino)
                if place not in seen:
                    seen[place] = _digest(sample.image)
                twins[seen[place]].append(sample.key)
    return sorted(sorted(keys) for keys in twins.values() if len(keys) > 1)


def _digest(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        raise ToolkitError(path, f"cannot be read ({error.strerror})", "check the file") from error


def write_split(split: Mapping[str, str], path: str | Path) -> None:
    """Save a split: a comment line, then `key,subset` sorted by key.

    Raises:
        ToolkitError: the file cannot be written.
    """
    from toolkit.files.locks import locked
    from toolkit.files.publish import write_whole

    strategy = split.strategy if isinstance(split, Split) else "file"
    settings = split.settings if isinstance(split, Split) else {}
    told = " ".join(
        f"{name}={value}" for name, value in {"strategy": strategy, **settings, "samples": len(split)}.items()
    )
    rows = [f"# {told}", "key,subset", *(f"{_quote(key)},{split[key]}" for key in sorted(split))]
    with locked(path):
        write_whole(Path(path), ("\n".join(rows) + "\n").encode())


def _quote(key: str) -> str:
    return '"' + key.replace('"', '""') + '"' if any(c in key for c in ',"#\r\n') else key


def read_split(path: str | Path, dataset: Sequence[Sample]) -> Split:
    """Read a split and check it against the dataset.

    A split made with "uniform" leaves samples out on purpose; elsewhere every sample must be listed, those to be left
    out with the subset "none".

    Raises:
        ToolkitError: unknown, missing or doubled keys, or subsets other than train, val, test and none.
    """
    path = Path(path)
    known = {sample.key for sample in dataset}
    cells, told = _read_rows(path)
    rows = [(line, key if key in known else key.strip(), subset) for line, key, subset in cells]
    if known.isdisjoint(key for _, key, _ in rows):
        problem = f"none of its {len(rows)} keys is in the dataset (such as {rows[0][1]!r})"
        raise ToolkitError(path, problem, "name the split of this dataset, or make one with 'defectkit split'")
    problems: list[Problem] = []
    subsets: dict[str, str] = {}
    for line, key, subset in rows:
        place = f"{path}:{line}"
        if key in subsets:
            problems.append(Problem(place, f"the key {key!r} stands twice", "remove one of the two lines"))
        elif key not in known:
            problems.append(Problem(place, f"the key {key!r} is not in the dataset", "remove the line, or correct it"))
        elif subset not in (*SUBSETS, _LEFT_OUT):
            problems.append(Problem(place, f"unknown subset {subset!r}", f"use {', '.join(SUBSETS)} or {_LEFT_OUT}"))
        subsets[key] = subset
    missing = sorted(known - subsets.keys())
    lost = int(told["samples"]) - len(rows) if told.get("samples", "").isdigit() else 0
    if told.get("strategy") == "uniform" and told.get("samples", "").isdigit():
        if lost > 0:
            problems.append(Problem(str(path), f"{lost} of its {told['samples']} lines are missing", "make it again"))
    else:
        remedy = f"add a line for it, with the subset {_LEFT_OUT} to leave it out"
        problems += [Problem(str(path), f"the key {key!r} is missing", remedy) for key in missing]
    if problems:
        raise BadInputError(problems)
    kept = {key: subset for key, subset in subsets.items() if subset != _LEFT_OUT}
    settings = {name: value for name, value in told.items() if name not in ("strategy", "samples")}
    return Split(kept, strategy=told.get("strategy", "file"), settings=settings)


def _read_rows(path: Path) -> tuple[list[tuple[int, str, str]], dict[str, str]]:
    """(line number, key, subset) of each row, and what the first comment says."""
    import csv

    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # names may hold what else ends a line in Unicode
    except OSError as error:
        raise ToolkitError(path, f"cannot be read ({error.strerror})", "make it with 'defectkit split'") from error
    except UnicodeDecodeError as error:
        raise ToolkitError(path, "is no text in UTF-8", "save it as CSV UTF-8") from error
    told: dict[str, str] = {}
    if lines and lines[0].startswith("#"):
        words = lines[0][1:].rstrip(",;").split()  # spreadsheets fill the line with separators
        told = dict(word.split("=", 1) for word in words if "=" in word)
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#") or line.replace(" ", "") == "key,subset":
            continue
        cells = next(csv.reader([line]))
        if len(cells) != 2:
            remedy = "put a comma between the two, not a semicolon" if ";" in line else "correct the line"
            raise ToolkitError(f"{path}:{number}", "is not of the form key,subset", remedy)
        rows.append((number, cells[0], cells[1].strip()))
    if not rows:
        raise ToolkitError(path, "assigns no samples", "make it with 'defectkit split'")
    return rows, told
