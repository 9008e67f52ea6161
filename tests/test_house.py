"""How the packages are built: no circle of imports, and folders, files and functions of a size that one can read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.commands import ROOT

PACKAGES = ("toolkit", "converters", "finetune")
FILES = {
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}
FUZZ = {path.relative_to(ROOT).as_posix(): path for path in sorted((ROOT / "tests/fuzz").rglob("*.py"))}


def imported(name: str) -> set[str]:
    """Modules of ours that a module names in an import, inside functions and for type checkers too.

    A package's own file only says where its names are: what it lists for type checkers is loaded on first use.
    """
    tree, lazy = TREES[name], set[ast.AST]()
    if FILES[name].name == "__init__.py":
        blocks = (node for node in tree.body if isinstance(node, ast.If))
        lazy = {inner for block in blocks for inner in ast.walk(block)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node not in lazy:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {module if module in FILES else str(node.module) for module in inside}
    return (found & set(FILES)) - {name}


def functions() -> Iterator[tuple[str, int]]:
    """Name and lines of every function and method."""
    for name, tree in (TREES | {name: ast.parse(path.read_text()) for name, path in FUZZ.items()}).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}.{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        order = list(TopologicalSorter({name: imported(name) for name in FILES}).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))
    assert order.index("toolkit.errors") < order.index("converters.sources") < order.index("finetune.training")


def test_no_folder_is_a_drawer() -> None:
    counts = {
        folder: len(list(folder.glob("*.py"))) for folder in {path.parent for path in [*FILES.values(), *FUZZ.values()]}
    }
    assert {folder: count for folder, count in counts.items() if count > 15} == {}


def test_no_file_is_long() -> None:
    counts = {name: len(path.read_text().splitlines()) for name, path in (FILES | FUZZ).items()}
    assert {name: count for name, count in counts.items() if count > 400} == {}


def test_few_functions_are_long_and_none_is_very_long() -> None:
    long = {name: lines for name, lines in functions() if lines > 45}
    assert len(long) < 10, long
    assert max(long.values(), default=0) <= 60, long
