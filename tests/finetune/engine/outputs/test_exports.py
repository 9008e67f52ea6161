"""Graphs of small modules: what is handed out answers as PyTorch does, and what does not is refused in a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from finetune.engine.outputs.exports import ExportKind, Graph, Port, write_graph
from toolkit.errors import ToolkitError


class Calls(nn.Module):
    def __init__(self, what: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self._what = what

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self._what(given)


def graph(what: Callable[[torch.Tensor], torch.Tensor], *lengths: int) -> Graph:
    examples = tuple((torch.arange(3.0 * length).reshape(length, 3) - 2,) for length in lengths)
    return Graph("model", Calls(what), examples, (Port("given", ("batch", 3), ""),), (Port("made", ("batch", 3), ""),))


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
class TestWriting:
    def test_a_file_is_told_of(self, kind: ExportKind, tmp_path: Path) -> None:
        told = write_graph(graph(torch.tanh, 1, 2), kind, tmp_path, Path("run"))
        assert [path.name for path in tmp_path.iterdir()] == [told["file"]]
        assert told["inputs"] == [{"name": "given", "dtype": "float32", "shape": ["batch", 3], "meaning": ""}]
        assert (told["examples"], told["bytes"]) == (2, (tmp_path / told["file"]).stat().st_size)
        assert 0 <= told["max_difference"] < 1e-6

    def test_one_that_has_learnt_its_example_by_heart_is_refused(self, kind: ExportKind, tmp_path: Path) -> None:
        branching = graph(lambda given: given if float(given.sum()) > 0 else -given, 1, 2)
        with pytest.raises(ToolkitError, match=f"run: answers differently from PyTorch once it is exported to {kind}"):
            write_graph(branching, kind, tmp_path, Path("run"))

    def test_one_that_fails_at_other_sizes_is_refused(self, kind: ExportKind, tmp_path: Path) -> None:
        fixed = graph(lambda given: given.reshape(int(given.shape[0]), 3) + torch.ones(len(given), 3), 2, 3)
        with pytest.raises(ToolkitError, match=f"run: cannot be exported to {kind}"):
            write_graph(fixed, kind, tmp_path, Path("run"))


def test_what_onnx_does_not_know_is_a_line_and_no_more(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ToolkitError) as caught:
        write_graph(graph(torch.special.bessel_j1, 1), "onnx", tmp_path, Path("run"))
    assert "bessel" in str(caught.value)
    assert str(caught.value).endswith("; export it to torchscript")
    assert str(caught.value).count("\n") == 0
    assert capfd.readouterr() == ("", "")
    assert torch.backends.mha.get_fastpath_enabled()
