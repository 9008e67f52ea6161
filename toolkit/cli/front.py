"""All commands, and what is said of their errors.

What they need of the floors above is imported inside the commands, so that help comes at once.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit import __version__
from toolkit.cli.autolabel import autolabel
from toolkit.cli.card import describe
from toolkit.cli.datasets import diff, split, synth
from toolkit.cli.doctor import doctor
from toolkit.cli.gallery import review, view
from toolkit.cli.intake import prepare
from toolkit.cli.labels import convert, demo, verify
from toolkit.cli.layouts import layouts
from toolkit.cli.learning import attempts, backbones, compare, evaluate, export, predict, settings, train
from toolkit.cli.remedies import fit_error, options_of
from toolkit.cli.terminal import print_error, print_json_error
from toolkit.errors import ToolkitError

__all__ = ["app", "run"]

app = typer.Typer(
    name="defectkit",
    help="Industrial-defect masks to YOLO, COCO and pixel labels: exact, and proven.",
    rich_markup_mode=None,  # plain help comes twice as fast, and fits a narrow terminal
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_OWN = ("toolkit", "converters", "finetune")  # a module of ours that is missing is a fault of ours


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"defectkit {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error. May stand anywhere.")] = False,
) -> None:
    """Industrial-defect masks to YOLO, COCO and pixel labels: exact, and proven."""


_COMMANDS: tuple[tuple[Callable[..., None], str], ...] = (
    (synth, "defectkit synth data --product part --per-class 20"),
    (prepare, "defectkit prepare mvtec_anomaly_detection.tar.xz mvtec_ad --category screw"),
    (layouts, "defectkit layouts --guess photos > mine.yaml"),
    (describe, "defectkit describe mvtec_ad/screw --split split.csv --out card"),
    (split, "defectkit split mvtec_ad/screw split.csv --strategy stratified --val 0.1 --test 0.2"),
    (diff, "defectkit diff labels-of-may/coco labels-of-june/coco"),
    (convert, "defectkit convert mvtec_ad/screw labels --to coco,yolo-segment --strategy stratified"),
    (verify, "defectkit verify labels"),
    (view, "defectkit view labels/coco --limit 500"),
    (review, "defectkit review coco-gallery decisions.json reviewed --tasks labelme"),
    (train, "defectkit train classifier mvtec_ad/screw --set epochs=50 --out runs/screw"),
    (settings, "defectkit settings vae > vae.yaml"),
    (backbones, "defectkit backbones --timm convnext"),
    (attempts, "defectkit attempts examples/attempts/coursework.yaml --out attempts"),
    (compare, "defectkit compare runs/one runs/other --out compared.png"),
    (evaluate, "defectkit evaluate runs/screw mvtec_ad/screw"),
    (predict, "defectkit predict runs/screw photos/ --out predictions"),
    (export, "defectkit export runs/screw --to onnx"),
    (autolabel, "defectkit autolabel photos/ --detector runs/words --segmenter runs/sam --out labelled"),
    (demo, "defectkit demo demo --overwrite"),
    (doctor, "defectkit doctor --torch"),
)
"""Commands in the order of the help, each with an example of its use."""

for _command, _example in _COMMANDS:
    # \b keeps an example on a line of its own, so that it can be copied.
    app.command(epilog=f"\b\nExample:\n  {_example}")(_command)


@cache
def _built() -> Any:
    """All commands as click has them: made once, since looking at every option of each takes a while."""
    return typer.main.get_command(app)


def run(words: list[str], came: Sequence[int] = ()) -> int:
    """Run a command line; the exit status.

    Args:
        words: all that stands behind the name of the program.
        came: signals, as they come in: an error after one is none of the user's.

    Raises:
        KeyboardInterrupt: as it comes, or in a form that typer gives it.
        Exception: a fault of ours.
    """
    words = [_without_tilde(word) for word in words]
    arguments = [word for word in words if word != "--debug"]
    command = " ".join(["defectkit", *(word for word in arguments[:1] if not word.startswith("-"))])
    try:
        status = _built()(args=arguments or ["--help"], prog_name="defectkit", standalone_mode=False) or 0
        return int(status) if arguments else 2
    except Exception as error:
        if came:
            raise KeyboardInterrupt from error
        if "--debug" in words:
            traceback.print_exception(error)
        explained = _explain(error, command, as_json="--json" in words)
        if explained is None:
            raise
        return explained


def _without_tilde(word: str) -> str:
    """A path below the home folder in full, where the shell leaves that to us: `--split=~/split.csv`."""
    name, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return name + equals + str(Path(value).expanduser()) if value.startswith("~/") else word


def _explain(error: Exception, command: str, *, as_json: bool) -> int | None:
    """Say in a line what the user can do about an error; the exit status, or None for a fault of ours."""
    told = _told(error, command)
    if told is None:
        if isinstance(error, typer.Abort):
            raise KeyboardInterrupt from error
        return None
    told = fit_error(told, command.partition(" ")[2], options_of(_built()))
    print_error(told)
    if as_json:
        print_json_error(told)
    return 2


def _told(error: Exception, command: str) -> ToolkitError | None:
    """What a user can do about an error; None for an interruption or a fault of ours."""
    usage_error = typer.BadParameter.__mro__[1]  # of click, or of the copy that newer versions of typer carry
    if isinstance(error, ToolkitError):
        return error
    if isinstance(error, usage_error):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else command
        problem = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")  # type: ignore[attr-defined]
        return ToolkitError(command, problem, f"see '{command} --help'")
    if isinstance(error, MemoryError):
        problem = "needs more memory than there is"
        return ToolkitError(command, problem, "use fewer --workers, or smaller images (cut them into tiles)")
    if isinstance(error, OSError):
        problem = f"cannot be used ({error.strerror or error})"
        return ToolkitError(error.filename or "standard output", problem, "check the disk and its permissions")
    if isinstance(error, ModuleNotFoundError) and (package := (error.name or "").partition(".")[0]) not in _OWN:
        return ToolkitError(command, f"needs the package {package}", f"pip install 'defectkit[{_extra(package)}]'")
    return None


def _extra(package: str) -> str:
    """The extra of this project that brings a package."""
    return {"ultralytics": "yolo", "open_clip": "yolo", "distributed": "cluster"}.get(package, "train")
