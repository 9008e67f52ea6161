"""A trained model as a file that runs without this program: ONNX or TorchScript, proven against PyTorch.

OUT/NAME.onnx or NAME.pt   the model's graphs: one, or those of its parts
OUT/export.json            what goes in and comes out, how images are prepared, classes, threshold, and the proof
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from finetune.engine.runs import Run, file_sha256
from finetune.engine.shares import image_files
from toolkit.aliases import JsonObject
from toolkit.errors import ToolkitError

__all__ = [
    "ExportKind",
    "Exportable",
    "Graph",
    "Port",
    "deep_input",
    "example_photos",
    "noise",
    "onnx_opset",
    "prepared",
    "write_graph",
]

ExportKind = Literal["onnx", "torchscript"]
ENDINGS: Mapping[str, str] = {"onnx": ".onnx", "torchscript": ".pt"}
_TOLERANCE = 1e-4  # largest difference, of values up to 1, and of the largest value where it is more
_OPSET = 17  # of ONNX; every runtime of the last years has it
Arrays = Sequence[npt.NDArray[Any]]


@dataclass(frozen=True)
class Port:
    """What goes into a graph or comes out of it.

    Attributes:
        name: of the tensor.
        shape: its axes; a name stands for one of any length.
        meaning: in words.
    """

    name: str
    shape: tuple[int | str, ...]
    meaning: str

    @property
    def free(self) -> dict[int, str]:
        """Axes of any length."""
        return {axis: size for axis, size in enumerate(self.shape) if isinstance(size, str)}


@dataclass(frozen=True, eq=False)
class Graph:
    """A part of a model that becomes a file.

    Attributes:
        name: of the file, without its ending.
        module: in evaluation mode, on the CPU.
        examples: inputs that it is proven with; with those of the first one it is traced. Where axes are of any length,
            their lengths should differ.
        inputs, outputs: in the order of the module's own.
        write: (kind, file) -> None, what makes the file instead of tracing.
        scaled: what brings outputs, whose units differ, to values up to about 1 before they are compared.
    """

    name: str
    module: nn.Module
    examples: tuple[tuple[torch.Tensor, ...], ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    write: Callable[[ExportKind, Path], None] | None = None
    scaled: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] = np.asarray


@dataclass(frozen=True, eq=False)
class Exportable:
    """A model that can be exported.

    Attributes:
        graphs: its parts, in the order in which they are run.
        about: what export.json says besides: image_size, input, classes, threshold, result.
    """

    graphs: tuple[Graph, ...]
    about: JsonObject = field(default_factory=dict)


def write_graph(graph: Graph, kind: ExportKind, folder: Path, of: Path) -> JsonObject:
    """Write a graph, run the file, and compare it with PyTorch.

    Args:
        graph: the graph.
        kind: of the file.
        folder: where to put it.
        of: the run, or whatever a user should be told that an error is of.

    Returns:
        What export.json says of the file; max_difference is in parts of the largest value where that is above 1.

    Raises:
        ToolkitError: a package is missing, the model cannot be exported, or the file answers otherwise than PyTorch.
    """
    file = folder / f"{graph.name}{ENDINGS[kind]}"
    if kind == "onnx":
        _check_packages()
    with _plain_torch(), torch.no_grad():
        try:
            _write(graph, kind, file)
            difference = _compared(graph, kind, file)
        except ToolkitError:
            raise
        except Exception as error:  # torch, onnx and the packages of models have no error in common
            told = (str(error).strip().splitlines() or [type(error).__name__])[-1][:160]
            raise ToolkitError(of, f"cannot be exported to {kind} ({told})", _other(kind)) from error
    if not difference < _TOLERANCE:
        problem = f"answers differently from PyTorch once it is exported to {kind} (by {difference:.2g})"
        raise ToolkitError(of, problem, _other(kind))
    return {
        "file": file.name,
        "sha256": file_sha256(file),
        "bytes": file.stat().st_size,
        "inputs": [_told(port, value) for port, value in zip(graph.inputs, graph.examples[0], strict=True)],
        "outputs": [_told(port, None) for port in graph.outputs],
        "examples": len(graph.examples),
        "max_difference": difference,
        **({"opset": onnx_opset(file)} if kind == "onnx" else {}),
    }


def _write(graph: Graph, kind: ExportKind, file: Path) -> None:
    if graph.write is not None:
        graph.write(kind, file)
    elif kind == "onnx":
        _write_onnx(graph, file)
    else:
        torch.jit.trace(graph.module, graph.examples[0], check_trace=False).save(str(file))


@contextmanager
def _plain_torch() -> Iterator[None]:
    """Keep torch from warning about its exporters, from printing what it fails at, and from operators of its own."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings(), _closed_stdout():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def _closed_stdout() -> Iterator[None]:
    """Keep off stdout what is printed past Python: of an export that fails, the exporter prints the whole graph."""
    try:
        kept = os.dup(1)
    except OSError:  # there is none
        yield
        return
    with suppress(AttributeError, OSError, ValueError):
        sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def onnx_opset(file: Path) -> int:
    """The version of ONNX's operators that a file asks for."""
    import onnx

    return int(onnx.load(str(file), load_external_data=False).opset_import[0].version)


def _other(kind: ExportKind) -> str:
    return f"export it to {'torchscript' if kind == 'onnx' else 'onnx'}"


def _check_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ModuleNotFoundError as error:
        raise ToolkitError("onnx", f"needs the package {error.name}", "pip install onnx onnxruntime") from error


def _write_onnx(graph: Graph, file: Path) -> None:
    ports = (*graph.inputs, *graph.outputs)
    torch.onnx.export(
        graph.module,
        graph.examples[0],
        str(file),
        dynamo=False,  # the other exporter needs one more package
        opset_version=_OPSET,
        input_names=[port.name for port in graph.inputs],
        output_names=[port.name for port in graph.outputs],
        dynamic_axes={port.name: port.free for port in ports if port.free},
    )


def _compared(graph: Graph, kind: ExportKind, file: Path) -> float:
    """The largest difference from PyTorch, of values up to 1, and in parts of the largest one where that is more."""
    run = _onnx_runner(graph, file) if kind == "onnx" else _script_runner(file)
    difference = 0.0
    for example in graph.examples:
        for wanted, found in zip(_arrays(graph.module(*example)), run(example), strict=False):  # one may give more
            if wanted.shape != found.shape or not np.isfinite(found).all():
                return float("inf")
            expected, told = (graph.scaled(value.astype(np.float64)) for value in (wanted, found))
            off = float(np.abs(expected - told).max(initial=0))
            difference = max(difference, off / max(1.0, float(np.abs(expected).max(initial=0))))
    return difference


def _onnx_runner(graph: Graph, file: Path) -> Callable[[tuple[torch.Tensor, ...]], Arrays]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    known = {port.name for port in graph.inputs}
    if not set(names) <= known:  # a writer of its own has names of its own
        return lambda example: session.run(None, dict(zip(names, _arrays(example), strict=True)))
    order = [port.name for port in graph.inputs]

    def run(example: tuple[torch.Tensor, ...]) -> Arrays:
        given = dict(zip(order, _arrays(example), strict=True))
        found: Arrays = session.run(None, {name: given[name] for name in names})  # what nothing reads was left out
        return found

    return run


def _script_runner(file: Path) -> Callable[[tuple[torch.Tensor, ...]], Arrays]:
    script = torch.jit.load(str(file), map_location="cpu")
    return lambda example: _arrays(script(*example))


def _arrays(given: Any) -> Arrays:
    values = given if isinstance(given, tuple | list) else (given,)
    return [value.detach().cpu().numpy() for value in values]


def _told(port: Port, value: torch.Tensor | None) -> JsonObject:
    kind = "float32" if value is None else str(value.dtype).removeprefix("torch.")
    return {"name": port.name, "dtype": kind, "shape": list(port.shape), "meaning": port.meaning}


def example_photos(run: Run, most: int = 2) -> list[Path]:
    """A few of the images that a run was trained on; none where they are gone."""
    files: Sequence[Path] = []
    with suppress(ToolkitError):
        files = image_files(Path(run.environment()["data"]))
    return list(files[:: max(1, len(files) // most)][:most])


def noise(height: int, width: int) -> list[torch.Tensor]:
    """Two batches of different lengths, float32 (B, 3, height, width) in [0, 1], always the same."""
    random = torch.rand(3, 3, height, width, generator=torch.Generator().manual_seed(0))
    return [random[:1], random[1:]]


def prepared(
    height: int,
    width: int,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    letterbox: bool = False,
    depth: int | None = None,
) -> JsonObject:
    """What export.json says of images that are resized and normalised.

    Args:
        height, width: of what goes into the model, in pixels.
        mean, std: of RGB in [0, 1]: what is subtracted from it, and what it is then divided by.
        letterbox: whether images keep their proportions.
        depth: bits of the range by which deep images are scaled.
    """
    how = f"to {width} x {height} pixels (width x height)"
    if letterbox:
        how = f"into {width} x {height} pixels (width x height) with its proportions kept, in the middle, on grey 127"
    return {
        "image_size": [height, width],
        "input": {
            "resize": f"{how}; with OpenCV's INTER_AREA where both sides shrink, else INTER_LINEAR",
            "colours": "RGB",
            "range": [0, 1],
            "mean": list(mean),
            "std": list(std),
            **deep_input(depth),
        },
        "threshold": None,
    }


def deep_input(depth: int | None) -> JsonObject:
    """What export.json says of images of more than 8 bits, in `input`; nothing of a run without a range for them."""
    if depth is None:
        return {}
    return {"depth": depth, "more_than_8_bits": f"value / 2 ** {depth - 8}, rounded down, and 255 where that is more"}
