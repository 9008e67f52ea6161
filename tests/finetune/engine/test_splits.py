"""Which images a run is evaluated on: its own test images wherever they stand, and all of other data."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from finetune.engine.config import LearnerConfig
from finetune.engine.remarks.evaluated import evaluated_examples
from finetune.engine.remarks.telling import listening
from finetune.engine.runs import IMAGES, Run, start_run
from finetune.engine.splits import ImageRecords, SplitConfig, open_examples
from tests.commands import make_dataset, picture, save, stain
from toolkit import load_dataset, split_dataset, write_split
from toolkit.errors import ToolkitError
from toolkit.files.digests import file_digest


def opened(data: Path) -> ImageRecords:
    return open_examples(data, SplitConfig(val=0, test=0.3))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "data")


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Run:
    """A run of this data."""
    found = opened(data)
    digests = {one.key: file_digest(one.image) for one in found.examples}
    facts = {"subsets": found.subsets, "digests": digests, "data": data, "metrics_of": "test"}
    return start_run(tmp_path / "run", "classifier", LearnerConfig(), **facts)


@pytest.fixture
def old(run: Run) -> Run:
    """The same by a version that did not say which bytes it was trained on."""
    (run.root / IMAGES).unlink()
    return run


def keys(run: Run, data: Path | None) -> list[str]:
    return [one.key for one in evaluated_examples(run, data, opened)[1]]


def told(run: Run, data: Path | None) -> str:
    """The note that comes with it."""
    notes: list[str] = []
    with listening(lambda kind, text: notes.append(text)):
        keys(run, data)
    (note,) = notes
    return note


@pytest.mark.parametrize("version", ["run", "old"])
def test_its_own_data_gives_the_images_that_its_metrics_are_of(
    version: str, data: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(version)
    own = [one.key for one in opened(data).subset("test")]
    assert 0 < len(own) < len(opened(data).examples)
    moved = tmp_path / "elsewhere"
    shutil.copytree(data, moved)
    for place in (None, data, moved):
        assert keys(run, place) == own
    assert evaluated_examples(run, moved, opened)[0].root == moved
    assert evaluated_examples(run, None, opened)[0].root == data
    assert (
        told(run, moved) == f"{moved} is the data that the run was trained on: its {len(own)} test images are evaluated"
    )


@pytest.mark.parametrize("version", ["run", "old"])
def test_other_images_of_the_same_names_are_all_taken(
    version: str, data: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A new batch is numbered from 0 again."""
    run, batch = request.getfixturevalue(version), tmp_path / "batch"
    shutil.copytree(data, batch)
    every = sorted((batch / "part").glob("t*/*/*.png"))
    for number, path in enumerate(every):
        save(path, picture(900 + number))
    assert keys(run, batch) == [one.key for one in opened(batch).examples]
    assert told(run, batch) == f"all {len(every)} images of {batch} are evaluated"


def test_tiles_and_photos_of_what_was_trained_on_are_left_out_by_their_names(
    run: Run, data: Path, tmp_path: Path
) -> None:
    found = opened(data)
    good = {one.subset: one.key for one in found.examples if one.label == "good"}
    trained, tested = good["train"], good["test"]
    for number, key in enumerate((trained, tested)):
        save(tmp_path / f"cut/{key}@x0y0.png", picture(900 + number))
    assert keys(run, tmp_path / "cut") == [f"{tested}@x0y0"]
    assert told(run, tmp_path / "cut").endswith(
        f"on the others, or on tiles or photos of the same names ({trained}@x0y0)"
    )
    row = (
        (run.root / IMAGES)
        .read_text()
        .replace(f"{trained},", f"{trained}@x0y0,")
        .replace(f"{tested},", f"{tested}@x0y0,")
    )
    (run.root / IMAGES).write_text(row)  # as if it had been trained on tiles
    for number, key in enumerate((trained, tested)):
        save(tmp_path / f"whole/{key}.png", picture(800 + number))
        save(tmp_path / f"otherwise/{key}@x8y0.png", picture(700 + number))
    assert keys(run, tmp_path / "whole") == [tested]
    assert keys(run, tmp_path / "otherwise") == [f"{tested}@x8y0"]
    (tmp_path / f"whole/{tested}.png").unlink()
    with pytest.raises(ToolkitError, match=r"1 images, or on tiles or photos of the same names; .* other names"):
        keys(run, tmp_path / "whole")


@pytest.mark.parametrize("version", ["run", "old"])
def test_images_that_were_trained_on_are_left_out_and_named_whatever_they_are_called(
    version: str, data: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run, batch = request.getfixturevalue(version), tmp_path / "batch"
    trained, tested = (opened(data).subset(name)[0] for name in ("train", "test"))
    for number, one in enumerate((trained, tested)):
        place = batch / f"pipe/test/good/{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(one.image, place)
    save(batch / "pipe/test/good/2.png", picture(900))
    assert keys(run, batch) == ["pipe/test/good/1", "pipe/test/good/2"]
    assert told(run, batch) == (
        f"2 of 3 images of {batch} are evaluated: the run was trained on the others, by the bytes of their files "
        "(pipe/test/good/0)"
    )
    for number in (1, 2):
        (batch / f"pipe/test/good/{number}.png").unlink()
    with pytest.raises(
        ToolkitError, match="the run was trained on all of its 1 images; name data that it has not seen"
    ):
        keys(run, batch)


def test_an_old_run_whose_data_is_gone_goes_by_names_and_says_so(old: Run, data: Path, tmp_path: Path) -> None:
    own = [one.key for one in opened(data).subset("test")]
    moved = data.rename(tmp_path / "elsewhere")
    assert keys(old, moved) == own
    assert "is taken for the data that the run was trained on, by the names of its images" in told(old, moved)
    other = make_dataset(tmp_path / "other", category="pipe")
    assert keys(old, other) == [one.key for one in opened(other).examples]
    assert "does not say whether it was trained on some of them" in told(old, other)


@pytest.mark.parametrize("version", ["run", "old"])
def test_data_that_changed_is_refused(version: str, data: Path, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(version)
    (data / "part/train/good/000.png").unlink()
    with pytest.raises(ToolkitError, match=r"data: is not as it was: .*; name the data"):
        keys(run, None)


def test_a_test_image_that_was_exchanged_is_refused(run: Run, data: Path) -> None:
    save(opened(data).subset("test")[0].image, picture(900))
    with pytest.raises(ToolkitError, match=r"is not as it was: .* is another image"):
        keys(run, None)


def test_a_run_with_a_split_file_is_evaluated_elsewhere(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "split.csv"
    write_split(split_dataset(load_dataset(data), "stratified", val=0, test=0.3), file)

    def by_file(place: Path) -> ImageRecords:
        return open_examples(place, SplitConfig(file=file))

    found = by_file(data)
    digests = {one.key: file_digest(one.image) for one in found.examples}
    told: dict[str, Any] = {"subsets": found.subsets, "digests": digests, "data": data}
    run = start_run(tmp_path / "run", "classifier", LearnerConfig(), **told)
    file.unlink()
    for place in (None, Path(shutil.copytree(data, tmp_path / "moved"))):
        judged = evaluated_examples(run, place, by_file)[1]
        assert [one.key for one in judged] == [one.key for one in found.subset("test")]
    save(tmp_path / "other/pipe/test/good/000.png", picture(900))
    assert [one.key for one in evaluated_examples(run, tmp_path / "other", by_file)[1]] == ["pipe/test/good/000"]


class TestCategories:
    """One product of several."""

    @pytest.fixture
    def two(self, data: Path) -> Path:
        return make_dataset(data, category="pipe").resolve()

    @pytest.mark.parametrize("asked", ["part", ("part",)])
    def test_the_others_are_not_there(self, two: Path, asked: str | tuple[str, ...]) -> None:
        found, every = (open_examples(two, SplitConfig(val=0, test=0.3), None, which) for which in (asked, ()))
        assert {one.category for one in found.examples} == {"part"}
        assert len(every.examples) == 2 * len(found.examples)

    @pytest.mark.parametrize("of_all", [False, True])
    def test_a_split_file_may_list_them_or_not(self, two: Path, tmp_path: Path, of_all: bool) -> None:
        of = load_dataset(two)
        drawn = split_dataset(of if of_all else of.only(["part"]), "stratified", val=0, test=0.3)
        write_split(drawn, tmp_path / "split.csv")
        found = open_examples(two, SplitConfig(file=tmp_path / "split.csv"), categories="part")
        assert {one.category for one in found.examples} == {"part"}

    def test_one_that_is_not_there_is_refused(self, two: Path) -> None:
        with pytest.raises(ToolkitError, match="has no category 'pip'; it has: part, pipe"):
            open_examples(two, categories="pip")


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
