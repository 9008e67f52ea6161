"""Commands that learn: train, evaluate, predict, and several runs compared. Torch is loaded inside them alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli.layouts import with_layout
from toolkit.cli.options import (
    CategoryOpt,
    ClusterOpt,
    JsonOpt,
    MaxEscapeOpt,
    MaxFalseRejectOpt,
    OnProblem,
    OnProblemOpt,
    OverwriteOpt,
    PromiseOpt,
    ThresholdOpt,
    with_links,
    with_looking,
)
from toolkit.cli.terminal import (
    print_failures,
    print_json,
    print_json_rows,
    print_notes,
    print_table,
    progress_bar,
    say,
    short_figure,
    told_at_once,
)
from toolkit.errors import ToolkitError

__all__ = ["attempts", "backbones", "compare", "evaluate", "export", "predict", "settings", "train"]

RunArg = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory that 'defectkit train' made.")]
_DETAILS = re.compile(r"_(class|size)_")
_SHOWN = 20  # predictions in the terminal; the file has them all


def _complete_learners(incomplete: str) -> list[str]:
    from finetune.learners import LEARNERS

    return [name for name in LEARNERS if name.startswith(incomplete)]


LearnerArg = Annotated[
    str,
    typer.Argument(
        metavar="LEARNER",
        help="classifier, longtail, vae, patchcore, yolo, yolo-world or sam.",
        autocompletion=_complete_learners,
    ),
]
_Data = Annotated[Path, typer.Argument(metavar="DATA", help="A dataset root, a category folder, or a label tree.")]
_Config = Annotated[Path | None, typer.Option(metavar="FILE.yaml", help="Settings; those left out have defaults.")]
_Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting; defectkit settings LEARNER lists them."),
]
_RunFolder = Annotated[
    Path | None,
    typer.Option(metavar="RUN", help="Run directory; by default runs/LEARNER-N, N the first that is free."),
]
_Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")]
_Lora = Annotated[
    int | None, typer.Option(metavar="R", help="sam: low-rank updates of this rank in the image encoder.")
]
_ExportPrompts = Annotated[
    Path | None,
    typer.Option(metavar="FILE.pt", help="yolo-world: write the text features of DATA's classes, and train nothing."),
]


@with_layout
def train(
    learner: LearnerArg,
    data: _Data,
    config: _Config = None,
    settings: _Settings = None,
    out: _RunFolder = None,
    category: CategoryOpt = None,
    on_problem: OnProblemOpt = OnProblem.fail,
    resume: _Resume = False,
    lora: _Lora = None,
    export_prompts: _ExportPrompts = None,
    as_json: JsonOpt = False,
    layout: Any = None,
) -> None:
    """Train a learner, evaluate it on the test images, and leave a run directory."""
    from finetune.engine.config import load_config
    from finetune.engine.distributed import is_leader
    from finetune.learners import find_config
    from finetune.training import train as run

    kind = find_config(learner)
    if lora is not None and learner != "sam":
        raise ToolkitError("--lora", f"{learner} has no image encoder to update", "use it with sam")
    given = [*(settings or []), *([] if lora is None else [f"lora={lora}"])]
    resolved = load_config(kind, config, given)
    resolved = resolved.model_copy(update=_about_data(layout, category, on_problem))
    if export_prompts is not None:
        _export_prompts(learner, data, resolved, export_prompts, as_json)
        return
    with progress_bar("training") as progress, told_at_once(progress, quiet=as_json) as told:
        made = run(learner, data, out, resolved, resume, progress)
    if not is_leader():
        return
    metrics = made.metrics
    if as_json:
        print_json({"run": str(made.root), "learner": learner, "metrics": metrics, "notes": made.notes})
        return
    _print_metrics(f"{made.root} ({metrics['seconds']:.1f} s)", metrics, str(made.root / "metrics.json"))
    print_notes(note for note in made.notes if note not in told)


def _about_data(layout: Any, categories: list[str] | None, on_problem: OnProblem) -> dict[str, object]:
    """The settings that options on the data stand for; those that are not given stay as they are."""
    told: dict[str, object] = {} if layout is None else {"layout": layout}
    told |= {"categories": tuple(categories)} if categories else {}
    return told | ({} if on_problem is OnProblem.fail else {"on_problem": on_problem.value})


def settings(learner: LearnerArg) -> None:
    """Print all settings of a learner with their defaults and what they mean, as a file for --config."""
    from finetune.engine.settings import settings_yaml
    from finetune.learners import find_config

    say(settings_yaml(find_config(learner)).rstrip())


def backbones(
    timm: Annotated[
        str | None, typer.Option("--timm", metavar="WORD", help="List the models of timm with WORD in their names.")
    ] = None,
    as_json: JsonOpt = False,
) -> None:
    """List the pretrained networks that learners can begin with, and where their weights come from."""
    from finetune.backbones.catalogue import backbone_facts

    if timm is not None:
        _timm_backbones(timm, as_json)
        return
    found = list(backbone_facts().values())
    if as_json:
        print_json({"backbones": [asdict(one) for one in found]})
        return
    header = ["name", "weights from", "licence", "MB", "M parameters", "features", "image_size"]
    rows = [
        [
            one.name,
            one.origin,
            one.licence or "not stated",
            f"{one.megabytes:.1f}",
            f"{one.parameters / 1e6:.1f}",
            one.features,
            one.image_size,
        ]
        for one in found
    ]
    print_table("", header, rows, texts=3)
    say(
        "efficientnet_lite0 needs no network; other weights are fetched once, when a learner first begins with them.\n"
        "image_size is what they were tested with; most take others. --set backbone=timm:NAME takes a model of timm,\n"
        "whose weights come from huggingface.co; 'defectkit backbones --timm WORD' lists some."
    )


def _timm_backbones(word: str, as_json: bool) -> None:
    from finetune.backbones.hub import published_by_timm

    found = published_by_timm(word)
    if as_json:
        print_json({"backbones": [asdict(one) for one in found]})
        return
    rows = [[one.name, one.weights, one.licence or "not stated", one.image_size] for one in found]
    print_table("", ["name", "weights from", "licence", "image_size"], rows, texts=3)


def _export_prompts(learner: str, data: Path, config: Any, file: Path, as_json: bool) -> None:
    if learner != "yolo-world":
        raise ToolkitError("--export-prompts", f"{learner} has no prompts", "use it with yolo-world")
    from finetune.yolo_world.learner import export_prompts

    phrases = export_prompts(data, config, file)
    if as_json:
        print_json({"file": str(file), "phrases": phrases})
    else:
        rows = [[name, told if isinstance(told, str) else "; ".join(told)] for name, told in phrases.items()]
        print_table(str(file), ["class", "phrase"], rows, texts=2)


@with_layout
@with_looking
def evaluate(
    run: RunArg,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="DATA",
            help="Other data than the run was trained on; all of it is test, but for images that were trained on.",
        ),
    ] = None,
    threshold: ThresholdOpt = None,
    max_false_reject: MaxFalseRejectOpt = None,
    max_escape: MaxEscapeOpt = None,
    promise: PromiseOpt = None,
    looking: Any = None,
    on_problem: OnProblemOpt = OnProblem.fail,
    as_json: JsonOpt = False,
    layout: Any = None,
) -> None:
    """Evaluate the best checkpoint of a run, on its own test images or on other data."""
    from finetune.inference import load_run

    opened = load_run(run)
    wanted: dict[str, Any] = {
        "threshold": threshold,
        "max_false_reject": max_false_reject,
        "max_escape": max_escape,
        "promise": promise,
        **looking,
    }
    with told_at_once(None, quiet=True) as notes:
        metrics = opened.evaluate(data, layout=layout, on_problem=on_problem.value, **wanted)
    if as_json:
        print_json({"run": str(run), "learner": opened.learner, "metrics": metrics, "notes": notes})
    else:
        _print_metrics(str(run), metrics, "--json")


@with_links
@with_looking
def predict(
    run: RunArg,
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGES...", help="Image files, folders of them, or a dataset root.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for predictions.csv and what else the learner makes.")
    ],
    words: Annotated[
        str | None, typer.Option(metavar="WORDS", help="yolo-world: other things to look for, commas between them.")
    ] = None,
    threshold: ThresholdOpt = None,
    confidence: Annotated[
        float | None, typer.Option(metavar="X", help="yolo, yolo-world: show detections whose score is higher.")
    ] = None,
    looking: Any = None,
    no_pictures: Annotated[
        bool, typer.Option("--no-pictures", help="Draw nothing: predictions, maps, masks and labels alone.")
    ] = False,
    cluster: ClusterOpt = None,
    as_json: JsonOpt = False,
) -> None:
    """Predict on images that need no labels; exit with 1 where some could not be read."""
    from finetune.inference import predict as run_on

    wanted = None if words is None else [word.strip() for word in words.split(",")]
    asked = _confidence_or(run, confidence, threshold)
    with told_at_once(None, quiet=True):
        given = {"words": wanted, "threshold": asked, "pictures": not no_pictures, "cluster": cluster, **looking}
        rows = run_on(run, images, out, **given)
    if as_json:
        print_json_rows({"run": str(run), "out": str(out)}, "predictions", rows)
    else:
        header = [name for name in rows[0] if rows.problems or name != "problem"]
        print_table(f"{out}", header, [[short_figure(row[name]) for name in header] for row in rows[:_SHOWN]])
        if len(rows) > _SHOWN:
            say(f"and {len(rows) - _SHOWN} more in {out / 'predictions.csv'}")
    if rows.problems:
        print_failures([" ".join(str(problem).split()) for problem in rows.problems], most=len(rows.problems))
        raise typer.Exit(1)


def _confidence_or(run: Path, confidence: float | None, threshold: float | None) -> float | None:
    """The threshold of a prediction; of a detector it may be called confidence."""
    from finetune.detectors import DETECTORS
    from finetune.engine.runs import open_run

    if confidence is None:
        return threshold
    if threshold is not None:
        raise ToolkitError("--confidence", "does not go with --threshold", "give one of them")
    learner = open_run(run).learner
    if learner not in DETECTORS:
        raise ToolkitError("--confidence", f"{run} is a run of {learner}", "use --threshold")
    return confidence


def export(
    run: RunArg,
    to: Annotated[str, typer.Option("--to", metavar="FORM", help="onnx or torchscript.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the files; by default RUN/export/FORM.")
    ] = None,
    overwrite: OverwriteOpt = False,
    as_json: JsonOpt = False,
) -> None:
    """Write a run's model as files that run without this program, each proven against PyTorch."""
    from finetune.exporting import export as write

    made = write(run, to, out, overwrite=overwrite)
    if as_json:
        print_json({"run": str(run), "out": str(made.out), **made.about})
        return
    rows = [[one["file"], f"{one['bytes'] / 2**20:.1f}", f"{one['max_difference']:.1e}"] for one in made.about["files"]]
    print_table(str(made.out), ["file", "MB", "largest difference from PyTorch"], rows)
    say(f"how to use it: {made.out / 'export.json'}")


def _print_metrics(title: str, metrics: Mapping[str, object], rest: str) -> None:
    """The figures of the whole as a table; those of single classes are too many, and `rest` says where they are."""
    told = {name: value for name, value in metrics.items() if name not in ("split_sha256", "seconds")}
    shown = [name for name in told if not _DETAILS.search(name)]
    print_table(title, ["metric", "value"], [[name, _shown(name, told[name])] for name in shown])
    if len(shown) < len(told):
        say(f"{len(told) - len(shown)} more, by class or size: {rest}")


def _shown(name: str, value: object) -> str:
    # A threshold whole, so that it can be given to --threshold.
    return repr(value) if name == "threshold" and value is not None else short_figure(value)


@with_layout
def attempts(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="A baseline and its variations.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the runs; those that stand there are kept.")],
    data: Annotated[Path | None, typer.Option(metavar="DATA", help="Other data than the file names.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting of every attempt; may be repeated."),
    ] = None,
    category: CategoryOpt = None,
    on_problem: OnProblemOpt = OnProblem.fail,
    as_json: JsonOpt = False,
    layout: Any = None,
) -> None:
    """Make the runs of an attempts file that are missing, and compare them: which one is better, and is it chance?"""
    from finetune.engine.config import parse_settings
    from finetune.experiments.analysis import analyse_attempts
    from finetune.experiments.attempts import figure_of, run_attempts
    from finetune.experiments.attempts_file import read_attempts
    from finetune.experiments.report import attempts_json, attempts_rows, write_report
    from toolkit.files.locks import locked

    given = {**parse_settings(settings or []), **_about_data(layout, category, on_problem)}
    told = read_attempts(file, data, given)
    with locked(out), progress_bar("runs") as progress, told_at_once(progress, quiet=as_json):
        outcomes = run_attempts(told, out, progress)
        judgement = analyse_attempts(told.attempts, outcomes, *figure_of(told))
        files = write_report(told, judgement, out)
    if as_json:
        print_json({"out": str(out), **attempts_json(judgement)})
        return
    header, rows = attempts_rows(told, judgement)
    # "not distinguishable", in words that a narrow column need not break
    print_table(str(out), header, [[cell.replace("distinguishable", "told apart") for cell in row] for row in rows])
    say(judgement.conclusion)
    say("\n".join(str(path) for path in files))


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Finished runs; p is against the first.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Also draw one figure of all of them.")] = None,
    as_json: JsonOpt = False,
) -> None:
    """Show runs side by side: settings in which they differ, figures, and whether the difference is chance."""
    from finetune.experiments.comparison import compare_runs, draw_comparison
    from toolkit.files.publish import write_whole

    if out is not None and out.suffix.lower() != ".png":
        raise ToolkitError(out, "is no PNG file", "name a file that ends in .png")
    comparison = compare_runs(runs)
    if out is not None:
        write_whole(out, draw_comparison(comparison))
    if as_json:
        print_json(comparison.as_json())
        return
    header, rows = comparison.table()
    print_table("", header, rows, texts=2)
    print_notes(comparison.notes)
    if out is not None:
        say(str(out))
