"""Which images a run is evaluated on: its own test images wherever they stand, and all of other data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from finetune.engine.config import LearnerConfig
from finetune.engine.runs import Run, start_run
from finetune.engine.splits import ImageRecords, SplitConfig, evaluated_examples, open_examples
from tests.commands import make_dataset
from toolkit.errors import ToolkitError


def opened(data: Path) -> ImageRecords:
    return open_examples(data, SplitConfig(val=0, test=0.3))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "data")


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Run:
    return start_run(
        tmp_path / "run", "classifier", LearnerConfig(), subsets=opened(data).subsets, data=data, metrics_of="test"
    )


def keys(run: Run, data: Path | None, *, own_tests: bool = False) -> list[str]:
    return [one.key for one in evaluated_examples(run, data, opened, own_tests=own_tests)[1]]


@pytest.mark.parametrize("own_tests", [False, True])
def test_its_own_data_gives_the_images_that_its_metrics_are_of(
    run: Run, data: Path, tmp_path: Path, own_tests: bool
) -> None:
    own = [one.key for one in opened(data).subset("test")]
    assert 0 < len(own) < len(opened(data).examples)
    moved = tmp_path / "elsewhere"
    shutil.copytree(data, moved)
    for place in (None, data, moved):
        assert keys(run, place, own_tests=own_tests) == own
    assert evaluated_examples(run, moved, opened)[0].root == moved
    assert evaluated_examples(run, None, opened)[0].root == data


def test_of_other_data_all_is_taken_or_what_it_calls_test(run: Run, tmp_path: Path) -> None:
    other = make_dataset(tmp_path / "other", category="pipe")
    every = [one.key for one in opened(other).examples]
    assert keys(run, other) == every
    assert keys(run, other, own_tests=True) == [key for key in every if "/test/" in key]
    shutil.rmtree(other / "pipe/test")
    shutil.rmtree(other / "pipe/ground_truth")
    assert keys(run, other, own_tests=True) == [key for key in every if "/train/" in key]


def test_data_that_changed_is_refused(run: Run, data: Path) -> None:
    (data / "part/train/good/000.png").unlink()
    with pytest.raises(ToolkitError, match="data: is not as it was: other images or another split; name the data"):
        keys(run, None)
