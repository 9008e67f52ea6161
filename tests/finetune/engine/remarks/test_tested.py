"""What is told of the images that a run is evaluated on, and what is left out of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.engine.config import LearnerConfig
from finetune.engine.remarks.evaluated import evaluated_examples
from finetune.engine.remarks.telling import listening
from finetune.engine.runs import IMAGES, Run, start_run
from finetune.engine.splits import ImageRecords, SplitConfig, open_examples
from tests.commands import make_dataset, picture, save
from toolkit import load_dataset
from toolkit.errors import ToolkitError
from toolkit.files.digests import file_digest


def opened(data: Path) -> ImageRecords:
    return open_examples(data, SplitConfig(val=0, test=0.3))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "data")


def trained(data: Path, config: LearnerConfig | None = None) -> Run:
    """A run on all images of some data."""
    found = opened(data)
    digests = {one.key: file_digest(one.image) for one in found.examples}
    facts = {"subsets": found.subsets, "digests": digests, "labels": found.labels, "data": data, "metrics_of": "test"}
    return start_run(data.parent / "run", "classifier", config or LearnerConfig(), **facts)


def looked(run: Run, data: Path | None = None, *, masked: bool = False) -> tuple[list[str], list[str]]:
    """Keys of what is evaluated, and what is told."""
    notes: list[str] = []
    with listening(lambda kind, text: notes.append(text)):
        return [one.key for one in evaluated_examples(run, data, opened, masked=masked)[1]], notes


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Data that no run was trained on."""
    other = make_dataset(tmp_path / "other", category="pipe")
    for number, path in enumerate(sorted((other / "pipe").glob("t*/*/*.png"))):
        save(path, picture(900 + number))
    return other


class TestCopies:
    def test_they_are_counted(self, data: Path, other: Path) -> None:
        for name in ("a", "b"):
            shutil.copy(other / "pipe/test/good/000.png", other / f"pipe/test/good/{name}.png")
        keys, notes = looked(trained(data), other)
        assert notes[1:] == [
            f"2 of {len(keys)} images are copies of others among them, byte for byte "
            "(pipe/test/good/a = pipe/test/good/000, pipe/test/good/b = pipe/test/good/000): the figures count each of "
            "them"
        ]

    def test_without_any_nothing_is_said(self, data: Path) -> None:
        assert looked(trained(data))[1] == []


class TestOtherLabels:
    def test_of_its_own_data_they_are_said(self, data: Path) -> None:
        run = trained(data)
        table = run.root / IMAGES
        before = table.read_text()
        line = next(line for line in before.splitlines() if ",train," in line and line.endswith(",good"))
        table.write_text(before.replace(line, line.removesuffix("good") + "dent"))
        (note,) = looked(run)[1]
        key = line.partition(",")[0]
        total = len(before.splitlines()) - 1
        assert note == (
            f"1 of the {total} images that the run knows have another label now than when it was trained ({key} is "
            "'good' and was 'dent'): what it learnt and its metrics.json are of the labels of before"
        )

    def test_of_data_elsewhere_they_are_found_by_their_bytes(self, data: Path, tmp_path: Path) -> None:
        run, moved = trained(data), Path(shutil.copytree(data, tmp_path / "moved"))
        (moved / "part/test/good/000.png").rename(moved / "part/train/good/renamed.png")
        assert not [note for note in looked(run, moved)[1] if "another label" in note]
        (moved / "part/train/good/renamed.png").rename(moved / "part/test/dent/renamed.png")
        (note,) = [note for note in looked(run, moved)[1] if "another label" in note]
        assert "(part/test/dent/renamed is 'dent' and was 'good')" in note

    def test_a_run_of_before_says_nothing(self, data: Path) -> None:
        run = trained(data)
        table = run.root / IMAGES
        table.write_text("".join(line.rpartition(",")[0] + "\n" for line in table.read_text().splitlines()))
        assert looked(run)[1] == []


class TestFaults:
    @pytest.fixture
    def broken(self, other: Path) -> Path:
        """One image cannot be read, one mask neither, and one mask has no image."""
        (other / "pipe/test/good/000.png").write_bytes(b"no image")
        masks = sorted((other / "pipe/ground_truth/dent").iterdir())
        masks[0].write_bytes(b"no mask")
        shutil.copy(masks[1], masks[1].with_name("zzz_mask.png"))
        return other

    def test_they_are_refused(self, data: Path, broken: Path) -> None:
        with pytest.raises(ToolkitError, match=r"zzz_mask\.png: "):
            looked(trained(data), broken)

    def test_they_are_left_out_where_that_is_asked_for(self, data: Path, broken: Path) -> None:
        whole = {one.key for one in load_dataset(broken)}
        keys, notes = looked(replace(trained(data), on_problem="skip"), broken)
        assert whole - set(keys) == {"pipe/test/good/000", "pipe/test/dent/000"}
        assert notes[0] == "1 image(s) at fault are left out"
        assert "zzz_mask.png" in notes[1]
        assert "2 image(s) at fault are left out" in notes
        assert [name for name in ("000.png", "000_mask.png") if any(name in note for note in notes)]

    def test_a_run_that_left_them_out_does_so_of_its_own_data(self, data: Path) -> None:
        run = trained(data, LearnerConfig(on_problem="skip"))
        gone = opened(data).subset("test")[0]
        gone.image.write_bytes(gone.image.read_bytes()[:-20])
        with pytest.raises(ToolkitError, match="is another image"):
            looked(run)
        gone.image.unlink()
        keys, notes = looked(run)
        assert gone.key not in keys
        assert notes[0] == "1 image(s) at fault are left out"

    def test_nothing_is_left(self, data: Path, other: Path) -> None:
        for path in other.rglob("*.png"):
            if "ground_truth" not in path.parts:
                path.write_bytes(b"no image")
        with pytest.raises(ToolkitError, match="all of its images are at fault; look at them with"):
            looked(replace(trained(data), on_problem="skip"), other)
