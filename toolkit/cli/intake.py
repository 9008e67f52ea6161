"""Commands that take data in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.options import CategoryOpt, JsonOpt, OverwriteOpt, ResumeOpt
from toolkit.cli.terminal import print_failures, print_json, print_notes, print_table, progress_bar
from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from toolkit.intake.preparing import PrepareReport

__all__ = ["prepare"]

Counts = dict[str, dict[str, Any]]

_KAGGLE = "kaggle:"
_MVTEC = "https://www.mvtec.com/company/research/datasets/mvtec-ad"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SHOWN = 10  # problems in the notes


class Origin(StrEnum):
    """Where archives are downloaded from."""

    kaggle = "kaggle"


_Archive = Annotated[
    str, typer.Argument(metavar="ARCHIVE", help="A tar.xz, zip or other archive, or an unpacked folder.")
]
_Dest = Annotated[
    Path | None, typer.Argument(metavar="DEST", help="Dataset root to make; each product gets a folder in it.")
]
_Origin = Annotated[
    Origin | None,
    typer.Option("--from", help="Download it with kagglehub; ARCHIVE is then OWNER/DATASET, or left out."),
]
_Check = Annotated[bool, typer.Option("--check", help="Read every image and mask; status 1 if one is faulty.")]
_MaxSize = Annotated[str, typer.Option(metavar="SIZE", help="Refuse archives that unpack to more, for instance 500MB.")]


def prepare(
    archive: _Archive,
    dest: _Dest = None,
    category: CategoryOpt = None,
    origin: _Origin = None,
    check: _Check = (False),
    max_size: _MaxSize = "20GB",
    overwrite: OverwriteOpt = False,
    resume: ResumeOpt = False,
    as_json: JsonOpt = False,
) -> None:
    """Unpack a dataset as it is published, safely, and count what is in it."""
    from toolkit.intake.archives import Limits
    from toolkit.intake.preparing import find_faults
    from toolkit.intake.preparing import prepare as run

    limits = Limits(max_bytes=_bytes(max_size))
    source, target, remarks = _source(archive, dest, origin)
    with progress_bar("unpacking, MB") as progress:
        report = run(
            source,
            target,
            categories=category or (),
            limits=limits,
            overwrite=overwrite,
            resume=resume,
            progress=_in_megabytes(progress),
        )
    if check:
        with progress_bar("reading") as progress:
            report = replace(report, problems=(*report.problems, *find_faults(report.dataset, progress)))
    counts = _counts(report)
    if as_json:
        _print_json(report, archive, counts, remarks)
    else:
        _print_text(report, counts, remarks, check)
    if check and report.problems:
        raise typer.Exit(1)


def _print_text(report: PrepareReport, counts: Counts, remarks: list[str], check: bool) -> None:
    rows = [
        [name, of["train_good"], of["test_good"], of["test_defect"], len(of["defects"]), report.agreement(name)]
        for name, of in counts.items()
    ]
    header = ["product", "train good", "test good", "test defect", "kinds", "as published"]
    print_table(f"{report.root} ({report.seconds:.1f} s)", header, rows)
    print_notes([*remarks, *report.notes])
    if check:
        print_failures([str(problem) for problem in report.problems])
    else:
        _note_problems(report)


def _source(archive: str, dest: Path | None, origin: Origin | None) -> tuple[Path, Path, list[str]]:
    """What to prepare and where, with what to know of it; downloaded if that is asked for."""
    from toolkit.intake.kaggle import MVTEC_HANDLE, download_from_kaggle

    if dest is None:
        if origin is None:
            raise ToolkitError(archive, "there is no folder to unpack it into", "defectkit prepare ARCHIVE DEST")
        archive, dest = MVTEC_HANDLE, Path(archive)
    if re.match(r"(https?|ftp)://", archive):
        remedy = f"download the file (MVTec offers its dataset at {_MVTEC}), and name it"
        raise ToolkitError(archive, "is an address, not a file", remedy)
    if origin is None and (not archive.startswith(_KAGGLE) or Path(archive).exists()):
        return Path(archive), dest, []
    handle = archive.removeprefix(_KAGGLE)
    remarks = [f"{_KAGGLE}{handle} is a third party's copy: its files and its licence are as stated there"]
    if handle.startswith(MVTEC_HANDLE):
        remarks = [
            f"{_KAGGLE}{handle} is a third party's copy of MVTec AD, which is under CC BY-NC-SA 4.0 (no commercial "
            f"use); its maker's page is {_MVTEC}"
        ]
    return download_from_kaggle(handle), dest, remarks


def _bytes(text: str) -> int:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)b?\s*", text, re.IGNORECASE)
    size = float(found[1]) * _UNITS[found[2].lower()] if found else 0.0
    if size < 1:
        raise ToolkitError("--max-size", f"{text!r} is no size", "write it as 20GB or 500MB")
    return int(size)


def _in_megabytes(progress: Callable[[int, int], None] | None) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(-(-done // 10**6), -(-total // 10**6))


def _counts(report: PrepareReport) -> Counts:
    """Product -> images in train/good, test/good and the defect folders."""
    from toolkit.dataset.samples import GOOD

    counts: Counts = {
        name: {"train_good": 0, "test_good": 0, "test_defect": 0, "defects": {}} for name in report.products
    }
    for sample in report.dataset:
        of = counts[sample.category]
        if sample.defect == GOOD:
            key = f"{sample.split}_good"
            of[key] = of.get(key, 0) + 1
        else:
            of["test_defect"] += 1
            of["defects"][sample.defect] = of["defects"].get(sample.defect, 0) + 1
    return counts


def _note_problems(report: PrepareReport) -> None:
    problems = report.problems
    more = [f"{len(problems) - _SHOWN} more problems; --json lists all"] if len(problems) > _SHOWN else []
    print_notes([*(f"problem: {problem}" for problem in problems[:_SHOWN]), *more])


def _print_json(report: PrepareReport, archive: str, counts: Counts, remarks: list[str]) -> None:
    print_json(
        {
            "root": str(report.root),
            "archive": archive,
            "kind": report.kind,
            "products": counts,
            "published": {
                name: {"agrees": not lines, "differences": lines} for name, lines in report.differences.items()
            },
            "problems": [{"file": problem.file, "problem": problem.problem} for problem in report.problems],
            "notes": [*remarks, *report.notes],
            "seconds": round(report.seconds, 3),
        }
    )
