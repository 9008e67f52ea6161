"""Runs of any learners side by side: one table, one figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from matplotlib.axes import Axes

from finetune.anomaly.outcomes import IMAGE_AUROC
from finetune.classification.outcomes import read_correct
from finetune.detection.outcomes import MAP50
from finetune.engine.learner import Evidence
from finetune.engine.runs import Number, Run, open_run, read_config, read_metrics
from finetune.experiments.attempts_file import flat_settings
from finetune.experiments.resampling import Paired, pair
from finetune.learners import find_config
from finetune.metrics.significance import mcnemar_exact
from finetune.sam.metrics import IOU_BOX
from toolkit.errors import ToolkitError
from toolkit.plotting.figures import BLUE, FAINT, as_png, fitted, new_figure, own_style

__all__ = ["compare_runs", "draw_comparison"]

_MEASURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "accuracy_head": "accuracy, head",
    "accuracy_medium": "accuracy, medium",
    "accuracy_tail": "accuracy, tail",
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "aupro": "AUPRO",
    "good_auroc": "good AUROC",
    "false_reject": "false reject",
    "escape": "escape",
    "map50": "mAP50",
    "map50_95": "mAP50-95",
    "iou_box": "IoU, box",
    "dice_box": "Dice, box",
}
"""Figures that are compared, in [0, 1], and what they are called."""

_PAIRED = (IMAGE_AUROC, MAP50, IOU_BOX)
"""Figures of which a difference is told from chance by images that are drawn anew."""


@dataclass(frozen=True)
class Compared:
    """A run in a comparison.

    Attributes:
        name: of its folder, with as many of the folders above as tell it from the others.
        learner: its learner.
        settings: those in which the runs differ, "group.key" -> value.
        metrics: what stands in its metrics.json.
        p: of McNemar's exact test against the first run; None for the first, and where the images are not the same.
        paired: of figures that are no share of images told right, "image_auroc" and others, against the first run.
    """

    name: str
    learner: str
    settings: Mapping[str, object]
    metrics: Mapping[str, Number]
    p: float | None
    paired: Mapping[str, Paired] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        runs: in the order given.
        measures: names of the figures that at least one run has.
        notes: what makes figures hard to compare.
    """

    runs: tuple[Compared, ...]
    measures: tuple[str, ...]
    notes: tuple[str, ...]

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows as text: run, learner, settings that differ, figures, p, seconds."""
        settings = list(dict.fromkeys(name for run in self.runs for name in run.settings))
        told = [_MEASURES[name] for name in self.measures]
        with_p = any(run.p is not None for run in self.runs)
        pairs = [name for name in self.measures if any(name in run.paired for run in self.runs)]
        header = ["run", "learner", *settings, *told, *(["p (McNemar)"] if with_p else [])]
        for name in pairs:
            header += [f"{_MEASURES[name]}, difference", "p (bootstrap)"]
        header.append("seconds")
        rows = []
        for run in self.runs:
            row = [run.name, run.learner, *(_shown(run.settings.get(name, "")) for name in settings)]
            row += [_figure(run.metrics, name) for name in self.measures]
            row += ["" if run.p is None else f"{run.p:.3f}"] if with_p else []
            for name in pairs:
                row += _difference(run.paired.get(name))
            rows.append([*row, f"{float(run.metrics.get('seconds') or 0):.1f}"])
        return header, rows

    def as_json(self) -> dict[str, object]:
        """One JSON object."""
        runs = [
            {"run": one.name, "learner": one.learner, "settings": dict(one.settings), "metrics": dict(one.metrics)}
            | ({} if one.p is None else {"p_mcnemar": one.p})
            | ({"paired": {name: asdict(told) for name, told in one.paired.items()}} if one.paired else {})
            for one in self.runs
        ]
        return {"runs": runs, "notes": list(self.notes)}


def compare_runs(roots: Sequence[str | Path]) -> Comparison:
    """Read finished runs, of one learner or several.

    Raises:
        ToolkitError: there are none, one is no run or did not go to its end, or they have no figures to compare.
    """
    if not roots:
        raise ToolkitError("compare", "there are no runs", "name run directories")
    runs = [open_run(root) for root in dict.fromkeys(Path(root) for root in roots)]
    metrics = [read_metrics(run) for run in runs]
    measures = [name for name in _MEASURES if any(_number(one.get(name)) is not None for one in metrics)]
    if not measures:
        raise ToolkitError(runs[0].root, "has no figures to compare", "name runs of learners")
    settings = _differing([_settings(run) for run in runs])
    correct = [_correct(run, figures) for run, figures in zip(runs, metrics, strict=True)]
    known = [_evidence(run, figures) for run, figures in zip(runs, metrics, strict=True)]
    compared = [
        Compared(name, run.learner, own, figures, _p(correct[0], right), _paired(known[0], evidence))
        for name, run, own, figures, right, evidence in zip(
            _names(runs), runs, settings, metrics, correct, known, strict=True
        )
    ]
    compared[0] = replace(compared[0], p=None, paired={})
    return Comparison(tuple(compared), tuple(measures), tuple(_notes(metrics)))


def draw_comparison(comparison: Comparison) -> bytes:
    """A panel for each figure, a row for each run, with 95 % intervals where there are any; as PNG."""
    runs, measures = comparison.runs, comparison.measures
    columns = min(3, len(measures))
    rows = math.ceil(len(measures) / columns)
    with own_style():
        figure = new_figure(rows * (0.85 + 0.26 * max(len(runs), 2)))
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        every = list(grid.flat)
        for axes in every[len(measures) :]:
            axes.set_visible(False)
        for measure, axes in zip(measures, every, strict=False):
            _draw_panel(axes, runs, measure)
        for axes in grid[:, 0]:
            axes.set_yticks(range(len(runs)), [fitted(run.name, 30) for run in runs])
        every[0].set_ylim(len(runs) - 0.5, -0.5)
        figure.suptitle("Each run is 1 seed; lines are 95 % intervals", fontsize=7.5, x=0.01, ha="left", color=FAINT)
        return as_png(figure)


def _draw_panel(axes: Axes, runs: Sequence[Compared], measure: str) -> None:
    for row, run in enumerate(runs):
        value = _number(run.metrics.get(measure))
        if value is None:
            axes.annotate("none", (0.02, row), va="center", color=FAINT, fontsize=7)
            continue
        low, high = (_number(run.metrics.get(f"{measure}_{end}")) for end in ("low", "high"))
        if low is not None and high is not None:
            axes.plot([low, high], [row, row], color=BLUE, linewidth=1.4, solid_capstyle="butt")
        axes.plot([value], [row], "o", color=BLUE, markersize=5.5, clip_on=False)
    axes.set_xlim(-0.02, 1.02)
    axes.set_title(_MEASURES[measure])
    axes.grid(axis="x", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _names(runs: Sequence[Run]) -> list[str]:
    """The shortest ends of the runs' paths that are all different."""
    parts = [run.root.resolve().parts for run in runs]
    for depth in range(1, max(len(one) for one in parts) + 1):
        names = ["/".join(one[-depth:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return names


def _settings(run: Run) -> dict[str, object]:
    return dict(flat_settings(read_config(run, find_config(run.learner))))


def _differing(settings: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Of each run's settings those that all runs have and that are not the same in all."""
    shared = [name for name in settings[0] if all(name in one for one in settings)]
    kept = [name for name in shared if len({repr(one[name]) for one in settings}) > 1]
    return [{name: one[name] for name in kept} for one in settings]


def _correct(run: Run, figures: Mapping[str, Number]) -> dict[str, bool] | None:
    """Which images a classifier told right; None of what is none, and where the predictions were taken away."""
    if "accuracy" not in figures or not (run.root / "predictions.csv").is_file():
        return None
    return read_correct(run)


def _p(first: Mapping[str, bool] | None, other: Mapping[str, bool] | None) -> float | None:
    if not first or not other or first.keys() != other.keys():
        return None
    return mcnemar_exact([first[key] for key in first], [other[key] for key in first])


def _evidence(run: Run, figures: Mapping[str, Number]) -> dict[str, Evidence]:
    """What figures of a run are made of, image by image; nothing of what is not kept, or an older version kept."""
    found = {}
    for one in _PAIRED:
        if one.name in figures:
            with suppress(ToolkitError):
                found[one.name] = one.read(run)
    return found


def _paired(first: Mapping[str, Evidence], other: Mapping[str, Evidence]) -> dict[str, Paired]:
    """What a run has more than the first one, of each figure that both have on the same images."""
    pairs = {name: pair(first[name], evidence) for name, evidence in other.items() if name in first}
    return {name: told for name, told in pairs.items() if told is not None}


def _difference(told: Paired | None) -> list[str]:
    """Cells of a difference with its interval, and its p value."""
    if told is None:
        return ["", ""]
    return [f"{told.difference:+.3f} ({told.low:+.2f} to {told.high:+.2f})", f"{told.p:.3f}"]


def _notes(metrics: Sequence[Mapping[str, Number]]) -> list[str]:
    splits = {one.get("split_sha256") for one in metrics}
    return (
        ["the runs were not made on the same split: their figures are of different images"] if len(splits) > 1 else []
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _figure(metrics: Mapping[str, Number], name: str) -> str:
    value = _number(metrics.get(name))
    if value is None:
        return ""
    low, high = (_number(metrics.get(f"{name}_{end}")) for end in ("low", "high"))
    return f"{value:.3f}" + (f" ({low:.2f} to {high:.2f})" if low is not None and high is not None else "")


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
