"""A gallery that begins with suspicious labels says where its table and its images do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters import view
from tests.commands import make_dataset


@pytest.mark.parametrize(
    ("label", "said"), [("dent", []), ("scratch", ["1 of its images have another label here, as part/test/dent/000"])]
)
def test_a_label_that_changed_since_is_said(tmp_path: Path, label: str, said: list[str]) -> None:
    table = tmp_path / "suspects.csv"
    table.write_text(f"key,label,suggested,score,why\npart/test/dent/000,{label},good,0.9,it looks good\n")
    _, views = view(make_dataset(tmp_path / "data"), tmp_path / "gallery", suspects=table)
    notes = [note.removeprefix(f"{table}: ").partition(": ")[0] for note in views.notes if note.startswith(str(table))]
    assert notes == said
