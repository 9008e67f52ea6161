"""What is told of photos of more than 8 bits, which a run scales each by its own range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finetune.engine.remarks.depth import tell_depth
from finetune.engine.remarks.telling import listening
from tests.commands import defectkit, save
from tests.finetune.runs import TINY, make_data


def told(files: list[Path]) -> list[str]:
    notes: list[str] = []
    with listening(lambda kind, text: notes.append(text)):
        tell_depth(files)
    return notes


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number, kind in enumerate((np.uint8, np.uint16, np.uint16)):
        save(tmp_path / f"photos/{number}.png", np.full((64, 64), 200 << (3 * number), kind))
    return tmp_path / "photos"


def test_deep_photos_are_counted_and_what_cannot_be_read_is_passed_over(photos: Path, tmp_path: Path) -> None:
    (photos / "3.png").write_bytes(b"no photo")
    (note,) = told(sorted(photos.iterdir()))
    assert note.startswith(
        "2 of 4 photos have up to 16 bits a channel: each is scaled by the range that its own values"
    )
    assert told([photos / "0.png"]) == []


def test_prediction_and_evaluation_say_so(photos: Path, tmp_path: Path) -> None:
    data, run = make_data(tmp_path / "data"), tmp_path / "run"
    words = [f"--set={name}={value}" for name, value in {**TINY["vae"], "epochs": 1}.items()]
    assert defectkit("train", "vae", data, "--out", run, *words).status == 0
    assert "note: 2 of 3 photos have up to 16 bits" in defectkit("predict", run, photos, "--out", tmp_path / "out").err
    save(data / "test/good/000.png", np.arange(64 * 64, dtype=np.uint16).reshape(64, 64))
    assert "1 of 40 photos have up to 16 bits" in defectkit("evaluate", run, data).err
