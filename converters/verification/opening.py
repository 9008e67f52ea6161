"""The trees under test: which there are below a folder, and those that another program opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from converters.formats.base import Reading
from converters.formats.label_tree import LabelTree
from converters.formats.registry import FORMATS, find_format, read_manifest
from converters.sources import read_labels, trees_in
from converters.verification.as_seen import as_seen, formats_of
from converters.verification.report import TreeReport
from toolkit.errors import ToolkitError
from toolkit.files.reach import check_links

__all__ = ["TreeUnderTest", "index_trees", "trees_as_seen"]


@dataclass(frozen=True, eq=False)
class TreeUnderTest:
    """A tree under test, and what was found in it so far."""

    tree: LabelTree
    failures: list[str]
    notes: list[str] = field(default_factory=list)


def index_trees(out: Path, reading: Reading) -> tuple[list[TreeUnderTest], list[TreeReport]]:
    """The trees to check, and reports of those that cannot be read."""
    trees, reports = [], []
    check_links(out)
    for folder, kind in _folders(out, reading):
        try:
            told = Reading() if folder.is_dir() and read_manifest(folder) else reading.only(find_format(kind).reads)
            tree = find_format(kind).index(folder, told)
        except ToolkitError as error:
            iou = 0.0 if find_format(kind).holds == "pixels" else None
            reports.append(TreeReport(folder, kind, 0, 0, iou, iou, 0, (), (error.with_flags,)))
        else:
            trees.append(TreeUnderTest(tree, [str(problem) for problem in tree.layout_problems]))
    return trees, reports


def trees_as_seen(trees: Sequence[TreeUnderTest], program: str) -> tuple[list[TreeUnderTest], tuple[str, ...]]:
    """The trees that a program opens, read as it does, and a note of the others."""
    seen, others = [], []
    for one in trees:
        tree = as_seen(one.tree, program)
        if tree is None:
            others.append(one.tree)
        else:
            seen.append(replace(one, tree=tree))
    if not seen:
        known = ", ".join(formats_of(program))
        problem = f"{program} opens no such labels ({', '.join(tree.kind for tree in others)})"
        raise ToolkitError("--as", problem, f"of our formats it opens {known}")
    names = ", ".join(tree.root.name for tree in others)
    return seen, (f"not opened by {program}, and left out: {names}",) if others else ()


def _folders(out: Path, reading: Reading) -> list[tuple[Path, str]]:
    """The trees to check."""
    if out.is_dir() and read_manifest(out) is None:
        found = [(path, manifest["format"]) for path in trees_in(out) if (manifest := read_manifest(path))]
        if found:  # beside them, what has lost its manifest
            known = {path.name for path, _ in found}
            lost = (out / name for name in FORMATS if name not in known and (out / name).is_dir())
            return [*found, *((path, path.name) for path in lost)]
    manifest = read_manifest(out) if out.is_dir() else None
    return [(out, manifest["format"] if manifest else read_labels(out, reading=reading, strict=False).kind)]
