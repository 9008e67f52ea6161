"""Rows on their way to disk: thousands of them, images at fault among them, and nothing that is lost on the way."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune.engine.outputs import predictions
from finetune.engine.outputs.predictions import keep_predictions
from finetune.engine.shares import ImageFile, PredictedFile, files_to_predict, predict_shares
from tests.commands import picture, save
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.files.parallel import ordered_map


def told(count: int, *faults: int) -> Iterator[PredictedFile]:
    for number in range(count):
        problem = Problem(f"{number}.png", 'cut, "short"', "replace it") if number in faults else None
        row = {"file": f"ü,{number}.png", "score": number / 3, "found": number, "names": 'a\n"b"', "best": None}
        yield PredictedFile(row if problem is None else {"file": row["file"]}, problem=problem, found=({"n": number},))


def test_rows_beyond_those_in_memory_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(keep_predictions(told(9, 0, 1, 4), tmp_path / "whole"))
    monkeypatch.setattr(predictions, "_KEPT", 2)
    rows = keep_predictions(told(9, 0, 1, 4), tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    rows = rows.moved(tmp_path / "moved/predictions.csv")
    assert list(rows) == whole == [rows[place] for place in range(9)] == rows[:] == rows
    assert (rows[-1]["score"], rows[-1]["found"], rows[-1]["best"], rows[8]["problem"]) == (8 / 3, 8, None, None)
    assert rows[4] == dict.fromkeys(rows[0]) | {"file": "ü,4.png", "problem": 'cut, "short"; replace it'}
    assert [problem.file for problem in rows.problems] == ["0.png", "1.png", "4.png"]
    with open(tmp_path / "moved/predictions.csv", newline="", encoding="utf-8") as file:
        assert [row["file"] for row in csv.DictReader(file)] == [f"ü,{number}.png" for number in range(9)]


def test_images_all_of_which_are_at_fault_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"0\.png: cut.*\n1\.png: cut"):
        keep_predictions(told(2, 0, 1), tmp_path)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_list_has_the_bytes_of_json(count: int, tmp_path: Path) -> None:
    keep_predictions(told(count), tmp_path, listed="found.json")
    expected = json.dumps([{"n": number} for number in range(count)], indent=2) + "\n"
    assert (tmp_path / "found.json").read_text() == expected


@pytest.mark.parametrize("error", [lambda path: ToolkitError(path, "is bad"), lambda _: RuntimeError("in a worker")])
def test_a_file_at_fault_leaves_its_share_and_no_other(error, tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{number}.png", picture(number)) for number in range(5)]
    paths[1].write_bytes(paths[1].read_bytes()[:90])
    asked: list[list[int]] = []

    def predict(share: list[ImageFile]) -> list[PredictedFile]:
        asked.append([one.number for one in share])
        if 1 in asked[-1]:
            raise error(paths[1])
        return [PredictedFile({"file": one.file, "number": one.number}) for one in share]

    found = list(predict_shares(predict, files_to_predict(paths), 3, tmp_path / "out", ordered_map))
    assert asked == [[0, 1, 2], [0, 2], [3, 4]]
    assert [one.row.get("number") for one in found] == [0, None, 2, 3, 4]
    assert found[1].problem is not None
    assert "truncated" in found[1].problem.problem


def test_an_error_that_is_of_no_file_ends_it(tmp_path: Path) -> None:
    path = save(tmp_path / "0.png", picture(0))

    def predict(share: list[ImageFile]) -> list[PredictedFile]:
        raise ToolkitError("run", "is damaged")

    with pytest.raises(ToolkitError, match="run: is damaged"):
        list(predict_shares(predict, files_to_predict([path]), 3, tmp_path / "out", ordered_map))
