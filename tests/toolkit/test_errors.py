"""The one line that an error takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters import read_labels
from toolkit.errors import Problem, ToolkitError


def test_what_a_damaged_file_says_at_length_is_cut_in_its_middle() -> None:
    told = str(Problem("a.json", f"calls category 1 {'x' * 100_000!r}, another file 'dent'", "make them agree"))
    assert len(told) < 1_100
    assert told.startswith("a.json: calls category 1 'xxx")
    assert told.endswith("xxx', another file 'dent'; make them agree")


def test_what_can_be_read_stays_as_it_is() -> None:
    problem = "lists " + ", ".join(f"class {number}" for number in range(80))
    assert str(ToolkitError("a.json", problem, "correct it")) == f"a.json: {problem}; correct it"


def test_names_in_a_file_are_no_exception(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "data.yaml").write_text(f"path: .\ntrain: images\nnames: [[[{'[x, x, x, x, x, x, x], ' * 2000}]]]\n")
    with pytest.raises(ToolkitError) as told:
        read_labels(tmp_path)
    assert len(str(told.value)) < 1_500
