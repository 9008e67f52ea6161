"""A run directory: settings, environment, metrics, predictions, checkpoints, plots; it loads without torch.

RUN/config.yaml        every setting, resolved
RUN/environment.json   schema, learner, data, hash of the split, weights and their hash, versions, device
RUN/images.csv         a row for each image of the data: its subset, the hash of its file, and its label
RUN/log.csv            a row for each epoch
RUN/checkpoints/       last.* and best.*
RUN/predictions.csv    a row for each image
RUN/plots/
RUN/metrics.json       flat; written last, so that a run that has it is a whole one
"""

from __future__ import annotations

import csv
import hashlib
import inspect
import io
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import wraps
from importlib import metadata
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from finetune.engine.config import LearnerConfig, as_begun, dump_config, in_todays_words, parse_config, read_settings
from finetune.engine.distributed import is_leader
from finetune.engine.facts import AnyFacts, Facts, LogRow, Metrics, Number, Owner, Row, plain_figures
from finetune.engine.remarks.telling import listened_to, tell
from toolkit import __version__
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.files.locks import locked
from toolkit.files.publish import write_json, write_whole
from toolkit.files.staging import check_free
from toolkit.files.typed import checked, parse_json, read_json, read_rows
from toolkit.geometry.tiles import Tiles

__all__ = [
    "IMAGES",
    "Number",
    "Row",
    "Run",
    "csv_bytes",
    "file_sha256",
    "holds_run",
    "open_run",
    "read_config",
    "read_metrics",
    "run_lock",
    "split_sha256",
    "start_run",
]

IMAGES = "images.csv"
"""Of a run directory: which images there were, and what became of them."""

_PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "ultralytics", "segment-anything", "numpy")
_SCHEMA = 3  # of run directories; 1, which named none, is that of version 0.1.0. Settings and figures have new names
_OLD_FACTS = {"chosen_by": "best_chosen_on", "held_out": "best_chosen_on", "evaluated_on": "metrics_of"}
_CLASS_FIGURES = ("precision", "recall", "f1", "map50", "map50_95")  # whose names changed with schema 3
_LEFT_OUT = "none"  # the subset of images that are in none, as in a split file
_SAID = ("train_loss", "val_loss", "val_iou", "val_balanced_accuracy", "map50")  # of an epoch, in its line
_REMEDY = "train again"
_HINT = "choose another folder with --out, or add --resume to go on with it"
Config = TypeVar("Config", bound=LearnerConfig)
Training = ParamSpec("Training")


@dataclass(frozen=True)
class Run:
    """A run directory.

    Attributes:
        root: the folder.
        learner: name of the learner, for instance "classifier".
        threshold: of the score of an image, to be used instead of the run's own; None for its own.
        on_problem: whether images at fault are left out where it is evaluated: "skip", or "fail".
        tiles: of a detector: how photos are cut for it; None where it sees them whole.
    """

    root: Path
    learner: str
    threshold: float | None = None
    on_problem: str = "fail"
    tiles: Tiles | None = None

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.root / "checkpoints"

    @property
    def plots(self) -> Path:
        """Folder of the plots."""
        return self.root / "plots"

    @property
    def finished(self) -> bool:
        """Whether the run went to its end."""
        return (self.root / "metrics.json").is_file()

    @property
    def best_checkpoint(self) -> Path:
        """The checkpoint of the best epoch; the last one where none was chosen."""
        best = self.checkpoints / "best.ckpt"
        return best if best.is_file() else self.checkpoints / "last.ckpt"

    def environment(self) -> JsonObject:
        """What stands in environment.json, under the names that it has today.

        Raises:
            ToolkitError: it cannot be read, or is damaged.
        """
        return self.facts(Facts).as_json()

    def facts(self, kind: type[AnyFacts]) -> AnyFacts:
        """What environment.json says that a learner needs.

        Raises:
            ToolkitError: it cannot be read, is damaged, or lacks something.
        """
        path = self.root / "environment.json"
        told = parse_json(path, _REMEDY)
        return checked(kind, _todays_facts(told) if isinstance(told, dict) else told, path, _REMEDY)

    def note(self, **facts: object) -> None:
        """Add facts to environment.json."""
        if is_leader():
            write_json(self.root / "environment.json", {**self.environment(), **facts})

    def write_metrics(self, metrics: Mapping[str, Number], *, seconds: float) -> None:
        """Write metrics.json, with the hash of the split and the time; this ends the run."""
        if not is_leader():
            return
        split = self.environment().get("split_sha256")
        told = {**plain_figures(metrics), "split_sha256": split, "seconds": round(seconds, 3)}
        write_json(self.root / "metrics.json", told)

    def log_rows(self) -> list[dict[str, str]]:
        """The rows of log.csv, one for each epoch; none where it is not there.

        Raises:
            ToolkitError: it cannot be read, or is damaged.
        """
        log = self.root / "log.csv"
        return [row.cells() for row in read_rows(log, LogRow, _REMEDY)] if log.is_file() else []

    def log_epoch(self, row: Mapping[str, str]) -> None:
        """Add the row of an epoch to log.csv. What a resumed run repeats replaces what stood there."""
        rows = [*(old for old in self.log_rows() if int(old["epoch"]) < int(row["epoch"])), row]
        columns = dict.fromkeys(name for one in rows for name in one)
        write_whole(self.root / "log.csv", csv_bytes([{name: one.get(name, "") for name in columns} for one in rows]))
        if listened_to():
            tell("progress", self._epoch_line(row))

    def _epoch_line(self, row: Mapping[str, str]) -> str:
        """What is said of an epoch where no terminal shows a bar."""
        file = self.root / "config.yaml"
        asked = read_settings(file).get("epochs") if file.is_file() else ""
        number = asked or (self.environment().get("epochs", "") if file.is_file() else "")
        total = f" of {number}" if number else ""
        told = [f"{name} {float(row[name]):.4g}" for name in row if name in _SAID and row[name]]
        told.append(f"{float(row['seconds']):.1f} s")
        return f"epoch {int(row['epoch']) + 1}{total}: {', '.join(told)}"

    def logged_seconds(self) -> float:
        """Seconds of all epochs, those before an interruption too."""
        return sum(float(row["seconds"]) for row in self.log_rows())

    def write_predictions(self, rows: Iterable[Mapping[str, Number]], name: str = "predictions.csv") -> None:
        """Write a row for each image; the keys of the first one are the columns."""
        if is_leader():
            write_whole(self.root / name, csv_bytes(list(rows)))


def run_lock(out: Path) -> AbstractContextManager[None]:
    """Keeps other runs out of a run directory. Of several processes that train together, the first holds it for all."""
    return locked(out) if is_leader() else nullcontext()


def holds_run(train: Callable[Training, Run]) -> Callable[Training, Run]:
    """A training that turns away another one into the same run directory, its `out`, from its first line to its last.

    What was decided for a run that it goes on with stays, as `as_begun` says.

    Raises:
        BusyError: another run writes there.
    """
    signature = inspect.signature(train)

    @wraps(train)
    def held(*args: Training.args, **kwargs: Training.kwargs) -> Run:
        told = signature.bind(*args, **kwargs)
        with run_lock(told.arguments["out"]):
            if "config" in told.arguments:
                told.arguments["config"] = as_begun(told.arguments["config"], told.arguments["out"])
            return train(*told.args, **told.kwargs)

    return held


def start_run(
    out: Path,
    learner: str,
    config: LearnerConfig,
    *,
    subsets: Mapping[str, str],
    data: Path,
    resume: bool = False,
    digests: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    **facts: object,
) -> Run:
    """Make a run directory, or take up an unfinished one.

    Args:
        out: the folder.
        learner: name of the learner.
        config: its settings.
        subsets: key -> subset of the images in use.
        data: where they are.
        resume: go on with a run of the same settings and images.
        digests: key -> SHA-256 of the file, of these images and of those of the data that are left out.
        labels: key -> class of these images.
        facts: further members of environment.json, for instance weights_sha256.

    Raises:
        ToolkitError: the folder holds something; or, with `resume`, another run's settings or images.
    """
    run, digest, settings = Run(out, learner), split_sha256(subsets), dump_config(config)
    if not is_leader():
        return run
    if check_free(out, resume=resume, remedy=_HINT):
        _check_same(open_run(out), learner, config, digest)
        return run
    write_whole(out / "config.yaml", settings.encode())
    told = {"images": len(subsets), "split_sha256": digest, **facts}
    if digests:
        known = ((key, subsets.get(key, _LEFT_OUT), (labels or {}).get(key, "")) for key in sorted(digests))
        rows = [{"key": key, "subset": subset, "sha256": digests[key], "label": label} for key, subset, label in known]
        write_whole(out / IMAGES, csv_bytes(rows))
    write_json(out / "environment.json", {**_about(learner, data), **told})
    run.checkpoints.mkdir(exist_ok=True)
    run.plots.mkdir(exist_ok=True)
    return run


def _about(learner: str, data: Path) -> dict[str, object]:
    """What environment.json says of any run."""
    return {
        "schema": _SCHEMA,
        "defectkit": __version__,
        "learner": learner,
        "data": str(data.resolve()).encode(errors="backslashreplace").decode(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": _versions(),
    }


def _check_same(found: Run, learner: str, config: LearnerConfig, digest: str) -> None:
    """Refuse to go on with another run; one of an older version is brought up to date."""
    if found.learner != learner:
        raise ToolkitError(found.root, f"is a run of {found.learner}, not of {learner}", "choose another folder")
    made = read_config(found, type(config))
    if made.depth == "auto":  # it is yet to be decided
        made = made.model_copy(update={"depth": config.depth})
    before, settings = dump_config(made), dump_config(config)
    if before != settings:
        changed = sorted(set(before.splitlines()) ^ set(settings.splitlines()))
        names = ", ".join(dict.fromkeys(line.partition(":")[0].strip() for line in changed))
        raise ToolkitError(
            found.root, f"was begun with other settings ({names})", "repeat them, or choose another --out"
        )
    if found.environment().get("split_sha256") != digest:
        raise ToolkitError(found.root, "was begun with other images or another split", "choose another --out")
    if not found.finished and _is_older(found):
        write_whole(found.root / "config.yaml", settings.encode())
        found.note(schema=_SCHEMA)


def open_run(root: str | Path, learner: str | None = None) -> Run:
    """Open a run directory, of a certain learner if one is named.

    Raises:
        ToolkitError: there is none, it is another learner's, or a newer version made it.
    """
    root = Path(root)
    if not root.is_dir():
        raise ToolkitError(root, "no such run" if not root.exists() else "not a folder", "name a run directory")
    if not (root / "config.yaml").is_file() or not (root / "environment.json").is_file():
        raise ToolkitError(root, "is no run directory (it has no config.yaml)", "name what 'defectkit train' made")
    told = parse_json(root / "environment.json", _REMEDY)
    schema = told.get("schema", 1) if isinstance(told, dict) else 1
    if not isinstance(schema, int) or isinstance(schema, bool) or not 1 <= schema <= _SCHEMA:
        problem = f"was made by a newer version (its schema is {schema!s:.40}, and {_SCHEMA} is the newest known)"
        raise ToolkitError(root, problem, "update defectkit")
    run = Run(root, checked(Owner, told, root / "environment.json", _REMEDY).learner)
    if learner is not None and run.learner != learner:
        raise ToolkitError(root, f"is a run of {run.learner}, not of {learner}", f"name a run of {learner}")
    return run


def read_config(run: Run, kind: type[Config]) -> Config:
    """The settings of a run, those of older versions under the names that they have today.

    A run that names no range of deep images was trained on such as are scaled each by its own.

    Raises:
        ToolkitError: they are not those of such a learner.
    """
    file = run.root / "config.yaml"
    given = read_settings(file)
    if _is_older(run):
        given = in_todays_words(kind, given)
    given.setdefault("depth", "each")
    return parse_config(kind, given, dict.fromkeys(given, str(file)))


def _is_older(run: Run) -> bool:
    return bool(run.environment().get("schema", 1) != _SCHEMA)


def read_metrics(run: Run) -> Row:
    """What stands in metrics.json, under the names that it has today.

    Raises:
        ToolkitError: the run did not go to its end.
    """
    if not run.finished:
        raise ToolkitError(run.root, "has no metrics.json: it did not go to its end", "train it with --resume")
    return _todays_figures(read_json(run.root / "metrics.json", Metrics, _REMEDY).figures(), run.environment())


def split_sha256(subsets: Mapping[str, str]) -> str:
    """SHA-256 over the sorted lines ``key,subset``: two runs with the same hash saw the same images."""
    lines = (f"{key},{subset}\n" for key, subset in sorted(subsets.items()))
    return hashlib.sha256("".join(lines).encode(errors="backslashreplace")).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, for instance of weights.

    Raises:
        ToolkitError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ToolkitError(path, f"cannot be read ({error.strerror or error})", "check the path") from error


def csv_bytes(rows: Sequence[Mapping[str, Number]]) -> bytes:
    """Rows as CSV; the keys of the first one are the columns."""
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue().encode(errors="backslashreplace")


def _todays_facts(told: Mapping[str, Any]) -> JsonObject:
    """environment.json under today's names; learners of version 0.1.0 had different ones for the same things."""
    if "schema" in told:
        return dict(told)
    facts = {_OLD_FACTS.get(name, name): value for name, value in told.items()}
    if "chosen_by" in told:
        facts["best_chosen_on"] = str(told["chosen_by"]).removeprefix("val_iou on ")
    return {"metrics_of": "test", **facts}


def _todays_figures(figures: Row, facts: Mapping[str, Any]) -> Row:
    """metrics.json under today's names: FIGURE_class_NAME was FIGURE_NAME once, and escape 1 - true_positive_rate.

    A class called "95" took `map50_95` then: that figure is the class's, and the one of the whole is lost.
    """
    if facts.get("schema") == _SCHEMA:
        return figures
    classes = facts.get("classes") or facts.get("phrases")
    names = classes if isinstance(classes, list | dict) else ()  # in this order, since the last one of a name stands
    known = {f"{figure}_{name}": f"{figure}_class_{name}" for name in names for figure in _CLASS_FIGURES}
    known["false_positive_rate"] = "false_reject"
    told = {known.get(name, name): value for name, value in figures.items()}
    found = told.pop("true_positive_rate", None)
    return told if "false_reject" not in told else {**told, "escape": 1 - found if isinstance(found, float) else None}


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
