"""What errors say in Python, where the command line tells of flags."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import typer.main

from tests.commands import ROOT, defectkit, make_dataset
from toolkit.cli import app
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.flags import FLAGS, in_python

SAID = {
    "folder, or add --overwrite (or --resume)": "folder, or add overwrite=True (or resume=True)",
    "train it with --resume": "train it with resume=True",
    "--min-iou: 2 is no IoU": "min_iou: 2 is no IoU",
    "converted with --min-iou 0.5: verify it": "converted with min_iou=0.5: verify it",
    "use --to yolo-classify": 'use formats="yolo-classify"',
    "(--to coco,yolo-segment)": '(formats=["coco", "yolo-segment"])',
    "convert with --images hardlink": 'convert with images="hardlink"',
    "leave the sample out with --on-problem skip": 'leave the sample out with on_problem="skip"',
    "say with --threshold N which count": "say with threshold=N which count",
    "name it with --out RUN": "name it with out=RUN",
    "choose another folder with --out, or": "choose another folder with out, or",
    "set --val or --test to 0": "set val or test to 0",
    "--folds 6 --fold 7: no such fold": "folds=6 fold=7: no such fold",
    "use --strategy stratified or kfold": 'use strategy="stratified" or kfold',
    "use another --strategy": "use another strategy",
    "leave its --category out": "leave its categories out",
    "with --against ROOT": "with against=ROOT",
    "write them as --words 'scratch,dent'": 'write them as words=["scratch", "dent"]',
    "use --set batch_size=8 or a smaller image_size": "use batch_size=8 or a smaller image_size",
    "lower lr (--set lr=...), or use --set precision=32; it": "lower lr (lr=...), or use precision=32; it",
    "use --set split.strategy=native, or": 'use split={"strategy": "native"}, or',
    "--set augment.preset=null": 'augment={"preset": None}',
    "--set weights=FILE.pth, or --set weights=none": 'weights=FILE.pth, or weights="none"',
    "--set lrr=1: unknown key 'lrr'": "lrr=1: unknown key 'lrr'",
    "'defectkit train sam DATA --out RUN', --out RUN": "'defectkit train sam DATA --out RUN', out=RUN",
    "odd--out/--out.png, '--out', --unheard-of": "odd--out/--out.png, '--out', --unheard-of",
}


@pytest.mark.parametrize("text", SAID)
def test_flags_become_arguments(text: str) -> None:
    assert in_python(text) == SAID[text]


def test_errors_speak_python_and_their_problems_keep_the_flags() -> None:
    error = ToolkitError("--min-iou", "2 is no IoU", "leave out --min-iou")
    assert str(error) == "min_iou: 2 is no IoU; leave out min_iou"
    assert error.with_flags == str(error.problems[0]) == "--min-iou: 2 is no IoU; leave out --min-iou"
    several = BadInputError([Problem("a", "is in the way", "add --overwrite"), Problem("b", "is odd")])
    assert str(several) == "a: is in the way; add overwrite=True\nb: is odd"


def test_the_command_line_keeps_its_flags(tmp_path: Path) -> None:
    told = defectkit("convert", make_dataset(tmp_path / "data"), tmp_path / "out", "--to", "coco", "--min-iou", "2")
    assert told.errors == ["error: --min-iou: 2 is no IoU; give a number above 0, up to 1"]
    (line,) = defectkit("train", "vae", ROOT, "--resume").errors
    assert line == "error: --resume: does not say which run to go on with; name it with --out RUN"


def flags_in_texts() -> set[str]:
    """Every flag in a text of the packages, but for those of the command line itself."""
    found: set[str] = set()
    for package in ("toolkit", "converters", "finetune"):
        for path in (ROOT / package).rglob("*.py"):
            if path.is_relative_to(ROOT / "toolkit" / "cli") or path.name == "flags.py":
                continue
            texts = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
            words = (word for text in texts if isinstance(text, str) for word in text.split())
            flags = (word.lstrip("(`").rstrip(",;:.)'`") for word in words)
            found |= {flag.partition("=")[0] for flag in flags if flag[:2] == "--" and flag[2:3].isalpha()}
    return found


def test_every_flag_that_a_text_tells_of_is_known_and_there() -> None:
    commands = typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]
    there = {flag for command in commands for option in command.params for flag in option.opts}
    told = flags_in_texts()
    assert len(told) > 20
    assert told - {"--set"} <= set(FLAGS)
    assert told | set(FLAGS) <= there
