"""Every way out that a message names exists: in the command that prints it, or in one that the message names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from toolkit.cli import app
from toolkit.cli.remedies import fit_remedy, options_of

HERE = Path(__file__).resolve().parent.parent
OPTIONS = options_of(typer.main.get_command(app))
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
QUOTED = re.compile(r"'defectkit ([a-z]+)[^']*'|\(defectkit ([a-z]+) [^)]*\)")


def texts() -> Iterator[tuple[str, str]]:
    """(file, text) of every text in the packages that names a flag; what is filled in is an X."""
    for package in ("toolkit", "converters", "finetune"):
        for path in sorted((HERE / package).rglob("*.py")):
            if "cli" in path.parts or path.name == "flags.py":
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
            for node in ast.walk(tree):
                text = ""
                if isinstance(node, ast.JoinedStr):
                    text = "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs | inside:
                    text = node.value
                if FLAG.search(text):
                    yield path.relative_to(HERE).as_posix(), text


@pytest.fixture(scope="module")
def every_text() -> list[tuple[str, str]]:
    return sorted(set(texts()))


def test_every_flag_is_one_of_some_command(every_text: list[tuple[str, str]]) -> None:
    assert len(every_text) > 50
    known = {"--set", "--help"}.union(*OPTIONS.values())
    for file, text in every_text:
        for flag in FLAG.findall(text):
            assert flag in known, (file, text)
        for quoted in QUOTED.finditer(text):
            name = quoted[1] or quoted[2]
            assert name in OPTIONS, (file, text)
            assert set(FLAG.findall(quoted[0])) <= OPTIONS[name], (file, text)


@pytest.mark.parametrize("command", OPTIONS)
def test_a_command_names_ways_out_that_it_has(command: str, every_text: list[tuple[str, str]]) -> None:
    for file, text in every_text:
        fitted = fit_remedy(text, command, OPTIONS)
        foreign = set(FLAG.findall(QUOTED.sub("", fitted))) - OPTIONS[command]
        named = re.search(r"\('defectkit ([a-z]+)' has that\)", fitted)
        if foreign:
            assert named is not None, (file, fitted)
            assert foreign <= OPTIONS[named[1]], (file, fitted)


@pytest.mark.parametrize(
    ("remedy", "command", "fitted"),
    [
        ("replace the file, or leave the sample out with --on-problem skip", "view", "replace the file"),
        (
            "replace the file, or leave the sample out with --on-problem skip",
            "convert",
            "replace the file, or leave the sample out with --on-problem skip",
        ),
        ("use --to coco", "view", "use --to coco ('defectkit convert' has that)"),
        ("train it with --resume", "compare", "train it with --resume ('defectkit train' has that)"),
        ("see 'defectkit layouts --guess photos'", "view", "see 'defectkit layouts --guess photos'"),
    ],
)
def test_what_a_command_cannot_do_it_does_not_advise(remedy: str, command: str, fitted: str) -> None:
    assert fit_remedy(remedy, command, OPTIONS) == fitted
