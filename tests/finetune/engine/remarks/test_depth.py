"""Photos of more than 8 bits: one range for a run, decided by its train images, and what is told of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from finetune import load_run
from finetune.classification.views.framing import image_reader
from finetune.classifier.config import ClassifierConfig
from finetune.engine.config import LearnerConfig, load_config
from finetune.engine.remarks.depth import decide_depth, depth_notes, tell_depth
from finetune.engine.remarks.telling import listening
from finetune.engine.runs import Run
from finetune.engine.splits import ImageRecord
from finetune.sam.embeddings import read_padded
from tests.commands import defectkit, save
from tests.finetune.runs import TINY, make_data
from toolkit.errors import ToolkitError


def record(file: Path, subset: str = "train") -> ImageRecord:
    return ImageRecord(file.stem, file, "good", "", subset)


def deep(file: Path, brightest: int, *, hot: int | None = None) -> Path:
    """A photo of 16 bits whose values go up to one, with one broken pixel."""
    pixels = np.linspace(0, brightest, 64 * 64).astype(np.uint16).reshape(64, 64)
    if hot is not None:
        pixels[0, 0] = hot
    return save(file, pixels)


def told(run: Run, files: list[Path]) -> list[str]:
    notes: list[str] = []
    with listening(lambda kind, text: notes.append(text)):
        tell_depth(run, files)
    return notes


class TestDecision:
    @pytest.mark.parametrize(
        ("brightest", "hot", "bits"),
        [(200, None, 8), (1000, None, 10), (4095, None, 12), (3000, 65535, 12), (16000, None, 14), (65535, None, 16)],
    )
    def test_it_is_the_least_that_holds_the_train_images(
        self, brightest: int, hot: int | None, bits: int, tmp_path: Path
    ) -> None:
        files = [deep(tmp_path / "0.png", 150), deep(tmp_path / "1.png", brightest, hot=hot)]
        assert decide_depth([record(one) for one in files], LearnerConfig()) == bits

    def test_images_that_are_tested_decide_nothing(self, tmp_path: Path) -> None:
        records = [record(deep(tmp_path / "0.png", 1000)), record(deep(tmp_path / "1.png", 60000), "test")]
        assert decide_depth(records, LearnerConfig()) == 10
        (note,) = depth_notes(records, 5, 10, LearnerConfig())
        assert note.startswith(
            "2 of 5 images have more than 8 bits a channel: 8 of them are used, the highest of 10 in"
        )
        assert "1 of 2 looked at hold brighter values, which become white (train with --set depth=16" in note

    def test_without_deep_train_images_each_has_its_own(self, tmp_path: Path) -> None:
        records = [record(deep(tmp_path / "0.png", 1000), "test"), record(deep(tmp_path / "1.png", 4000), "test")]
        assert decide_depth(records, LearnerConfig()) == "each"
        (note,) = depth_notes(records, 5, "each", LearnerConfig())
        assert "none of them is in train" in note
        assert "1 take 10 bits, 1 take 12 bits" in note
        assert "--set depth=12" in note

    @pytest.mark.parametrize("wanted", ["each", 12])
    def test_settings_decide(self, wanted: object, tmp_path: Path) -> None:
        config = load_config(LearnerConfig, None, [f"depth={wanted}"])
        assert decide_depth([record(deep(tmp_path / "0.png", 1000))], config) == wanted

    @pytest.mark.parametrize("wrong", ["7", "17", "none", "true", "12.5"])
    def test_what_is_no_depth_is_refused(self, wrong: str) -> None:
        with pytest.raises(ToolkitError, match=r'depth: is neither "auto" nor "each", nor a number of bits from 8'):
            load_config(LearnerConfig, None, [f"depth={wrong}"])


def test_all_readers_of_learners_use_the_range(tmp_path: Path) -> None:
    dark, same = deep(tmp_path / "dark.png", 1023), deep(tmp_path / "same.png", 4095)
    letterbox = image_reader(ClassifierConfig(image_size=64, depth=12, resize="letterbox"))
    assert letterbox is not None
    assert [letterbox(one).max() for one in (dark, same)] == [63, 255]
    assert [int(read_padded(one, 64, 12)["image"].max()) for one in (dark, same)] == [63, 255]
    assert [int(read_padded(one, 64)["image"].max()) for one in (dark, same)] == [255, 255]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run on a product whose photos have 12 of 16 bits, and what its training said."""
    folder = tmp_path_factory.mktemp("deep")
    data, run = make_data(folder / "data"), folder / "run"
    for file in [one for one in data.rglob("*.png") if "ground_truth" not in one.parts]:
        pixels = cv2.imread(str(file), cv2.IMREAD_COLOR).astype(np.uint16)
        save(file, pixels * 16)
    words = [f"--set={name}={value}" for name, value in {**TINY["vae"], "epochs": 1}.items()]
    outcome = defectkit("train", "vae", data, "--out", run, *words)
    assert outcome.status == 0
    return run, outcome.err


class TestRun:
    def test_it_keeps_its_range_and_says_so(self, trained: tuple[Path, str]) -> None:
        run, said = trained
        assert "depth: 12\n" in (run / "config.yaml").read_text()
        assert "8 of them are used, the highest of 12 in all images alike, the range of the train images" in said

    def test_a_dark_photo_stays_dark_and_one_bright_pixel_changes_nothing_else(
        self, trained: tuple[Path, str], tmp_path: Path
    ) -> None:
        photo = cv2.imread(str(next((trained[0].parent / "data").rglob("test/good/*.png"))), cv2.IMREAD_UNCHANGED)
        hot = photo.copy()
        hot[0, 0] = 65535
        files = [save(tmp_path / f"in/{name}.png", one) for name, one in (("a", photo), ("b", photo // 4), ("c", hot))]
        run = load_run(trained[0])
        plain, dark, broken = [run.predict(file).map for file in files]
        assert plain is not None
        assert dark is not None
        assert broken is not None
        assert np.abs(plain - broken)[32:].max() < 0.02 * np.abs(plain - dark)[32:].max()
        outcome = defectkit("predict", trained[0], tmp_path / "in", "--out", tmp_path / "out", "--json")
        assert [float(run.predict(file).score or 0) for file in files] == pytest.approx(
            [row["score"] for row in outcome.json()["predictions"]]
        )

    def test_one_of_before_keeps_scaling_each_and_says_so(self, trained: tuple[Path, str], tmp_path: Path) -> None:
        config = trained[0] / "config.yaml"
        before = config.read_text()
        photo = cv2.imread(str(next((trained[0].parent / "data").rglob("test/good/*.png"))), cv2.IMREAD_UNCHANGED)
        photo[0, 0] = 4095
        files = [save(tmp_path / f"{name}.png", one) for name, one in (("a", photo), ("b", photo // 4))]
        try:
            config.write_text(before.replace("depth: 12\n", ""))
            run = load_run(trained[0])
            one, other = [run.predict(file).score for file in files]
            assert one == pytest.approx(other, rel=0.05)
            (note,) = told(run, files)
            assert note.startswith("2 of 2 photos have more than 8 bits a channel, and the run has no range for them")
            assert "1 take 10 bits, 1 take 12 bits" in note
        finally:
            config.write_text(before)

    def test_brighter_photos_than_it_knows_are_said(self, trained: tuple[Path, str], tmp_path: Path) -> None:
        files = [deep(tmp_path / "0.png", 4000), deep(tmp_path / "1.png", 60000)]
        run = load_run(trained[0])
        assert told(run, files[:1]) == []
        (note,) = told(run, [*files, tmp_path / "gone.png"])
        assert note.startswith("2 of 3 photos have more than 8 bits a channel: they are scaled by the 12 bits of the")
        assert "1 of 2 looked at hold brighter values" in note

    def test_evaluation_looks_at_them_alike(self, trained: tuple[Path, str]) -> None:
        found = load_run(trained[0]).evaluate()
        assert found["image_auroc"] == pytest.approx(load_run(trained[0]).metrics["image_auroc"])

    def test_one_of_before_that_is_gone_on_with_keeps_what_it_had(
        self, trained: tuple[Path, str], tmp_path: Path
    ) -> None:
        run, words = tmp_path / "run", [f"--set={name}={value}" for name, value in {**TINY["vae"], "epochs": 1}.items()]
        shutil.copytree(trained[0], run)
        (run / "config.yaml").write_text((run / "config.yaml").read_text().replace("depth: 12\n", ""))
        again = ("train", "vae", trained[0].parent / "data", "--out", run, "--resume", *words)
        outcome = defectkit(*again)
        assert outcome.status == 0, outcome.err
        assert "each is scaled by the range that its own values take" in outcome.err
        assert "begun with other settings (depth)" in defectkit(*again, "--set", "depth=12").err
