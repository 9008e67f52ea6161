"""Finished runs as files for other programs: ONNX or TorchScript, with all that one needs to use them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from finetune.engine.runs import Run, open_run
from finetune.learners import find_learner
from toolkit import __version__
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError
from toolkit.files.publish import write_json
from toolkit.files.staging import check_free, staging

__all__ = ["ExportReport", "export"]

_ABOUT = "export.json"
_SCHEMA = 1  # of export.json


@dataclass(frozen=True)
class ExportReport:
    """What was exported.

    Attributes:
        out: the folder.
        about: what stands in export.json: files, image_size, input, classes, threshold, result.
    """

    out: Path
    about: JsonObject

    @property
    def files(self) -> list[Path]:
        """The files, in the order in which they are run."""
        return [self.out / one["file"] for one in self.about["files"]]

    @property
    def max_difference(self) -> float:
        """The largest difference from PyTorch, in all outputs of all files."""
        return max(float(one["max_difference"]) for one in self.about["files"])

    def _repr_html_(self) -> str:
        from toolkit.markup import report_html

        rows = [[one["file"], one["bytes"], one["max_difference"]] for one in self.about["files"]]
        return report_html(f"Export {self.out}", self.about["to"], ["file", "bytes", "difference from PyTorch"], rows)


def export(
    run: Run | str | Path, to: str = "onnx", out: str | Path | None = None, *, overwrite: bool = False
) -> ExportReport:
    """Write a run's model as files that run without this program, each proven against PyTorch.

    Args:
        run: a run directory that went to its end.
        to: "onnx" or "torchscript".
        out: a new or empty folder; by default RUN/export/onnx or RUN/export/torchscript.
        overwrite: replace what an earlier export wrote there.

    Raises:
        ToolkitError: the run is at fault or cannot be exported, a package is missing, the file does not answer as
            PyTorch does, or `out` holds something else. Nothing is left behind.
    """
    opened = run if isinstance(run, Run) else open_run(run)
    learner = find_learner(opened.learner)
    from finetune.engine.outputs.exports import ExportKind, write_graph

    kinds = get_args(ExportKind)
    if to not in kinds:
        raise ToolkitError(f"to {to!r}", "is no form of a model", f"use {' or '.join(kinds)}")
    if learner.export is None:
        raise ToolkitError(opened.root, f"is a run of {opened.learner}, which cannot be exported", "use its checkpoint")
    kind: ExportKind = "onnx" if to == "onnx" else "torchscript"
    place = Path(out) if out is not None else opened.root / "export" / kind
    with staging(place) as stage:
        if check_free(place, overwrite=overwrite, remedy="choose another --out, or add --overwrite"):
            _check_ours(place)
        made = learner.export(opened)
        built = stage.begin() / "export"
        built.mkdir()
        files = [write_graph(graph, kind, built, opened.root) for graph in made.graphs]
        about = {"schema": _SCHEMA, "defectkit": __version__, "learner": opened.learner, "to": kind, "files": files}
        write_json(built / _ABOUT, {**made.about, **about})
        stage.publish(built)
    return ExportReport(place, {**made.about, **about})


def _check_ours(place: Path) -> None:
    if not (place / _ABOUT).is_file():
        raise ToolkitError(place, f"was not written by an export (it has no {_ABOUT})", "choose another --out")
