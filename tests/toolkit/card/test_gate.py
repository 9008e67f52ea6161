"""What a dataset is refused for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.commands import make_dataset
from toolkit import load_dataset
from toolkit.card import describe_dataset
from toolkit.card.gate import GATES, failures, parse_gates
from toolkit.dataset.suspects import Suspect
from toolkit.errors import ToolkitError


def test_each_problem_is_counted(tmp_path: Path) -> None:
    home = make_dataset(tmp_path) / "part"
    twin = (home / "train/good/000.png").read_bytes()
    (home / "test/good/000.png").write_bytes(twin)
    (home / "test/dent/000.png").write_bytes(twin)
    (home / "ground_truth/dent/001_mask.png").unlink()
    card = describe_dataset(load_dataset(tmp_path), near=True)
    found = failures(card, list(GATES))
    assert found == {"problems": 1, "duplicates": 1, "leaks": 1, "conflicts": 1, "missing-classes": 2}
    assert card.leaks == card.conflicts == tuple(card.duplicates)
    told = replace(card, suspects=(Suspect("a", "dent", "good", 0.5, ""), Suspect("b", "dent", "good", 0.4, "")))
    assert failures(told, ["suspects", "published"]) == {"suspects": 1}


def test_names() -> None:
    assert parse_gates(None) == ()
    assert parse_gates(" leaks,problems, leaks") == ("leaks", "problems")
    for text in ("leak", ""):
        with pytest.raises(ToolkitError, match="use some of problems, duplicates"):
            parse_gates(text)
