"""Which images a run is evaluated on: its own test images wherever they stand, and all of other data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from finetune.engine.config import LearnerConfig
from finetune.engine.runs import Run, start_run
from finetune.engine.splits import ImageRecords, SplitConfig, evaluated_examples, open_examples
from tests.commands import make_dataset, picture, save, stain
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


@pytest.mark.parametrize("strategy", ["auto", "stratified", "kfold"])
def test_groups_share_a_subset_in_training_too(tmp_path: Path, strategy: str) -> None:
    data = tmp_path / "data"
    for subset in ("train", "test"):  # own subsets that each class could be learnt from
        for label in ("good", "dent"):
            for number in range(12):
                place = data / f"part/{subset}/{label}/{label}{number // 2}_{subset}{number}.png"
                save(place, picture(number + 50 * (subset == "test") + 100 * (label == "dent")))
                if label == "dent":
                    save(data / f"part/ground_truth/{label}/{place.stem}_mask.png", stain(number % 4))
    assert set(open_examples(data, SplitConfig(strategy="auto")).subsets.values()) == {"train", "test"}
    examples = open_examples(data, SplitConfig(strategy=strategy, group="{item}_*", folds=3))
    subsets: dict[str, set[str]] = {}
    for one in examples.examples:
        subsets.setdefault(one.key.rpartition("/")[2].partition("_")[0], set()).add(one.subset)
    assert len(subsets) == 12
    assert all(len(found) == 1 for found in subsets.values())
    left = open_examples(data, SplitConfig(strategy=strategy, leave_out=("dent",), folds=3))
    assert left.classes == ("good",)


def test_groups_of_a_split_that_is_not_drawn_are_refused(data: Path) -> None:
    with pytest.raises(ToolkitError) as caught:
        open_examples(data, SplitConfig(strategy="native", group="{item}_*"))
    assert caught.value.with_flags == (
        "split.group: does not go with --set split.strategy=native; use --set split.strategy=stratified"
    )
    assert str(caught.value).endswith('use split={"strategy": "stratified"}')
