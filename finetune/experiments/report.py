"""What attempts came to, as a table and a plot: Markdown that a report can take, PNG, and the figures as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from matplotlib.axes import Axes

from finetune.experiments.analysis import SIGNIFICANT, Analysis, AttemptAnalysis, Effect, Score
from finetune.experiments.attempts_file import Attempts
from toolkit.files.publish import write_json, write_whole
from toolkit.plotting.figures import BLUE, FAINT, INK, as_png, fitted, new_figure, own_style
from toolkit.plotting.markdown import markdown_table, markdown_text

__all__ = ["attempts_json", "attempts_markdown", "attempts_rows", "write_report"]

_ALWAYS = ("epochs", "lr", "optimizer")
"""Settings that the table shows whether they differ or not."""

_COLOURS = {"better": "#009E73", "worse": "#D55E00"}


def write_report(attempts: Attempts, judgement: Analysis, out: Path) -> list[Path]:
    """Write OUT/summary.md, OUT/attempts.png and OUT/attempts.json.

    Returns:
        The three.
    """
    files = [out / "summary.md", out / "attempts.png", out / "attempts.json"]
    write_whole(files[1], draw_attempts(judgement))
    write_json(files[2], attempts_json(judgement))
    write_whole(files[0], attempts_markdown(attempts, judgement).encode(errors="backslashreplace"))
    return files


def attempts_json(judgement: Analysis) -> dict[str, object]:
    """The figures as one JSON object; what is no number is null."""
    return {
        "figure": judgement.figure,
        "attempts": [_attempt_json(one, judgement.figure) for one in judgement.attempts],
        "effects": [_finite(asdict(effect)) for effect in judgement.effects],
        "best": judgement.best,
        "best_if_all_alike": judgement.luck,
        "conclusion": judgement.conclusion,
    }


def attempts_rows(attempts: Attempts, judgement: Analysis) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table, as plain text."""
    shown = _columns(judgement)
    with_folds = judgement.attempts[0].folds is not None
    header = ["attempt", *shown, "seconds", "fixed split"]
    header += ["folds"] if with_folds else []
    header += ["over seeds"] if with_folds or _seeds(judgement) > 1 else []
    header += ["points", "p (Holm)", "verdict"]
    rows = []
    for one, attempt in zip(judgement.attempts, attempts.attempts, strict=True):
        settings = attempt.config.model_dump(mode="json")
        row = [one.name, *(_setting(one, settings, name) for name in shown), f"{one.seconds:.1f}", _interval(one.fixed)]
        row += [_interval(one.folds)] if one.folds is not None else []
        row += [f"± {100 * one.main.spread:.1f}"] if "over seeds" in header else []
        rows.append([*row, *_against(one.main)])
    return header, rows


def attempts_markdown(attempts: Attempts, judgement: Analysis) -> str:
    """A summary that a report can take."""
    header, rows = attempts_rows(attempts, judgement)
    first = judgement.attempts[0]
    parts = [
        f"# Attempts with the {markdown_text(attempts.learner)}",
        markdown_text(judgement.conclusion),
        _protocol(attempts, first, judgement),
    ]
    parts += [markdown_table(header, rows, 1), f"![{_capital(judgement.title)} of the attempts](attempts.png)"]
    if judgement.effects:
        parts += [
            "## What the settings did",
            _EFFECTS.format(judgement.title),
            markdown_table(*_effect_rows(judgement.effects), 2),
        ]
    parts.append(_remarks(judgement))
    return "\n\n".join(parts) + "\n"


def draw_attempts(judgement: Analysis) -> bytes:
    """The figure of each attempt with its 95 % interval, as PNG."""
    attempts = judgement.attempts
    with_folds = attempts[0].folds is not None
    with own_style():
        figure = new_figure(1.25 + 0.42 * max(len(attempts), 2))
        axes = figure.add_subplot()
        axes.axvline(100 * attempts[0].main.value, color=FAINT, linewidth=0.8, linestyle="--")
        for row, one in enumerate(attempts):
            if one.folds is not None:
                _draw_score(axes, row - 0.13, one.folds, _COLOURS.get(one.folds.verdict, BLUE), filled=True)
            _draw_score(axes, row + 0.13 * with_folds, one.fixed, FAINT if with_folds else BLUE, filled=not with_folds)
            told = one.main.verdict
            axes.annotate(told, (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=7.5, color=INK)
        axes.set_yticks(range(len(attempts)), [fitted(one.name, 34) for one in attempts])
        axes.set_ylim(len(attempts) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlim(0, 100)
        axes.grid(axis="x", color="#dddddd", linewidth=0.5)
        axes.set_axisbelow(True)
        axes.set_xlabel(f"{judgement.title}, %, with 95 % interval")
        images = attempts[0].main.images
        told = f"Filled: folds ({images} images, {_counted(attempts[0].main.seeds, 'seed')}). Open: the fixed split"
        axes.set_title(told if with_folds else f"On {images} test images", color=FAINT, fontsize=7.5)
        return as_png(figure)


def _draw_score(axes: Axes, height: float, score: Score, colour: str, *, filled: bool) -> None:
    axes.plot([100 * score.low, 100 * score.high], [height, height], color=colour, linewidth=1.4, solid_capstyle="butt")
    face = colour if filled else "white"
    axes.plot([100 * score.value], [height], "o", color=face, markeredgecolor=colour, markersize=5.5, clip_on=False)


_EFFECTS = (
    "Main effects: the change of {} with each setting, the others held, by least squares over the attempts "
    "and without interactions. The interval is over the images."
)


def _capital(text: str) -> str:
    return text.capitalize() if text.islower() else text


def _seeds(judgement: Analysis) -> int:
    return judgement.attempts[0].main.seeds


def _protocol(attempts: Attempts, first: AttemptAnalysis, judgement: Analysis) -> str:
    images = first.fixed.images
    times = "once" if first.fixed.seeds == 1 else f"with {first.fixed.seeds} seeds"
    told = f"Each attempt was trained {times} on the fixed split and tested on its {images} images"
    if first.folds is not None:
        told += (
            f", and {attempts.folds} x {len(attempts.seeds)} times on stratified {attempts.folds}-fold splits of the "
            f"same {first.folds.images} images with {_counted(len(attempts.seeds), 'seed')}, so that each image was "
            "tested once for each seed"
        )
    if not judgement.exact:
        return f"{told}. The figure is {judgement.title}; of several runs of an attempt it is the mean."
    one = 100 / images if images else 0.0
    return f"{told}. One image of the fixed split's test set is worth {one:.2f} points."


def _remarks(judgement: Analysis) -> str:
    first = judgement.attempts[0]
    how = "are 95 % Wilson intervals", "The paired test is exact (McNemar's with one seed)"
    if not judgement.exact:
        how = "hold 95 % of 2,000 draws of the images", "The paired test is on the same draws for all attempts"
    told = [
        f"Points and verdict are against the baseline. Intervals {how[0]} with the images as the sample; repetitions "
        f"with other seeds are no new images. {how[1]}, adjusted for the number of comparisons by Holm's method; below "
        f"{SIGNIFICANT:g} counts as a difference.",
    ]
    if first.folds is not None and first.folds.images:
        told.append(
            "It is made on the folds. Their tests share training images, so that they are less independent than the "
            "test takes them to be."
        )
    told.append(
        "The best attempt is picked by the figures shown here, so its own figure is optimistic: confirm it on images "
        "that no attempt has seen."
    )
    return " ".join(told)


def _columns(judgement: Analysis) -> list[str]:
    changed = [name for name in judgement.attempts[0].changes if name != "epochs"]
    return [*_ALWAYS, *(name for name in changed if name not in _ALWAYS)]


def _setting(one: AttemptAnalysis, settings: Mapping[str, object], name: str) -> str:
    if name == "epochs":
        return str(one.epochs)
    value = one.changes.get(name, settings.get(name, ""))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _interval(score: Score) -> str:
    return f"{100 * score.value:.1f} % ({100 * score.low:.0f}–{100 * score.high:.0f})"


def _against(score: Score) -> list[str]:
    if score.p_adjusted is None:
        return ["", "", "baseline"]
    p = f"{score.p_adjusted:.3f}" if score.p_adjusted >= 0.001 else "< 0.001"
    return [f"{100 * score.difference:+.1f}", p, score.verdict]


def _effect_rows(effects: Sequence[Effect]) -> tuple[list[str], list[list[str]]]:
    rows = []
    for effect in effects:
        change = f"{_value(effect.base)} → {_value(effect.level)}"
        if effect.difference is None:
            rows.append([effect.factor, change, "", "cannot be told: other settings changed with it"])
            continue
        certain = effect.low > 0 or effect.high < 0
        shown = f"{100 * effect.difference:+.1f} ({100 * effect.low:+.1f} to {100 * effect.high:+.1f})"
        told = ("raises" if effect.difference > 0 else "lowers") if certain else "not distinguishable from none"
        rows.append([effect.factor, change, shown, told])
    return ["setting", "change", "points", "effect"], rows


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _attempt_json(one: AttemptAnalysis, figure: str) -> dict[str, object]:
    scores = {}
    for name, score in _named(one).items():
        told = asdict(score)
        scores[name] = _finite({figure: told.pop("value"), **told, "verdict": score.verdict})
    return {
        "name": one.name,
        "changes": dict(one.changes),
        "epochs": one.epochs,
        "seconds": one.seconds,
        **scores,
    }


def _named(one: AttemptAnalysis) -> dict[str, Score]:
    return {"fixed": one.fixed} | ({"folds": one.folds} if one.folds is not None else {})


def _finite(values: Mapping[str, object]) -> dict[str, object]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }
