"""The table of suspicious labels: written, read back, and refused where it is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.dataset.suspects import Suspect, read_suspects, write_suspects
from toolkit.errors import ToolkitError

SUSPECTS = [
    Suspect('part/test/a,"b"/000', "dent", "good", 0.9, "says good 0.9; and\nmore"),
    Suspect("part/test/dent/001", "dent", "dent", 0.0, ""),
]


def test_there_and_back(tmp_path: Path) -> None:
    write_suspects(SUSPECTS, tmp_path / "suspects.csv")
    assert read_suspects(tmp_path / "suspects.csv") == SUSPECTS
    assert [one.doubtful for one in SUSPECTS] == [True, False]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("key,label\n", "has no column 'suggested'"),
        ("key,label,suggested,score,why\na,b,c,1.5,\n", "score"),
        ("key,label,suggested,score,why\na,b,c,nan,\n", "score"),
        ("key,label,suggested,score,why\na,b,c,1,\na,b,c,1,\n", "has 'a' twice"),
    ],
)
def test_what_is_no_such_table(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "suspects.csv"
    file.write_text(text)
    with pytest.raises(ToolkitError, match=told):
        read_suspects(file)
