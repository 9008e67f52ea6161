"""The anomaly detector from data to labels: its run directory, its figures, its answers, and what it refuses."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from converters.sources import read_labels
from converters.verification.verify import verify
from finetune.engine.config import parse_config
from finetune.engine.runs import Run, open_run, read_metrics
from finetune.vae.learner import LEARNER, VaeConfig, evaluate, predict, train
from tests.commands import make_dataset
from tests.processes import finish, start
from toolkit.dataset.layouts import load_dataset
from toolkit.errors import ToolkitError
from toolkit.synthetic.product import write_product

SMALL = {
    "epochs": 3,
    "batch_size": 8,
    "image_size": 32,
    "num_downsamples": 3,
    "base_channels": 8,
    "latent": 4,
    "patch_size": 2,
    "model": "pixel",
    "device": "cpu",
    "plots": False,
}


def config(**settings: Any) -> VaeConfig:
    return parse_config(VaeConfig, {**SMALL, **settings})


def rows(file: Path) -> list[dict[str, str]]:
    with open(file, newline="", encoding="utf-8") as found:
        return list(csv.DictReader(found))


def figures(run: Path) -> dict[str, Any]:
    return {name: value for name, value in read_metrics(open_run(run)).items() if name != "seconds"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_product(tmp_path_factory.mktemp("data"), image_size=64, per_class=2, train_good=24)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(data, config(plots=True), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def answers(run: Run, data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A folder of answers, and their rows."""
    out = tmp_path_factory.mktemp("answers")
    return out, predict(run, sorted((data / "test").glob("*/000.png")), out)


class TestRun:
    def test_metrics_have_the_keys_of_the_contract(self, run: Run) -> None:
        found = read_metrics(run)
        assert {"image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro", "seconds", "split_sha256"} <= set(found)
        assert all(0 <= found[name] <= 1 for name in ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro"))
        assert found["images"] == 16

    def test_predictions_have_a_row_for_each_test_image(self, run: Run, data: Path) -> None:
        found = rows(run.root / "predictions.csv")
        assert [row["key"] for row in found] == [one.key for one in load_dataset(data) if one.split == "test"]
        assert all(int(row["anomalous"]) == (float(row["score"]) > float(row["threshold"])) for row in found)

    def test_the_environment_says_what_was_done(self, run: Run) -> None:
        found = run.environment()
        assert found["threshold"] > 0
        assert (found["augment"], found["best_chosen_on"]) == ("none", "5 good images of train")
        assert "enlarged" in found["map_resolution"]

    def test_pictures_are_drawn(self, run: Run) -> None:
        assert len(list((run.plots / "overlays").glob("*.png"))) == 16
        assert {path.name for path in run.plots.glob("*.png")} == {"curves.png", "rates.png", "scores.png"}

    def test_evaluating_it_again_gives_its_own_figures(self, run: Run, data: Path) -> None:
        own = {name: value for name, value in read_metrics(run).items() if name not in ("seconds", "split_sha256")}
        assert evaluate(run) == pytest.approx(own)
        assert evaluate(run, data) == pytest.approx(own)

    def test_the_same_seed_gives_the_same_numbers(self, run: Run, data: Path, tmp_path: Path) -> None:
        train(data, config(), tmp_path / "again")
        train(data, config(seed=1), tmp_path / "other")
        assert figures(tmp_path / "again") == figures(run.root)
        assert figures(tmp_path / "other") != figures(run.root)

    def test_training_lowers_the_loss(self, run: Run) -> None:
        found = rows(run.root / "log.csv")
        assert float(found[-1]["train_loss"]) < float(found[0]["train_loss"])

    def test_a_run_that_is_killed_goes_on_to_the_same_numbers(self, run: Run, data: Path, tmp_path: Path) -> None:
        program = (
            "import json, os, signal, sys; from pathlib import Path; from finetune.vae.learner import *;"
            "from finetune.engine.config import parse_config;"
            "stop = lambda done, all: os.kill(os.getpid(), signal.SIGKILL) if done == 2 else None;"
            "train(Path(sys.argv[1]), parse_config(VaeConfig, json.loads(sys.argv[2])), Path(sys.argv[3]), False, stop)"
        )
        out = tmp_path / "run"
        assert finish(start(program, data, json.dumps(SMALL), out)) == -signal.SIGKILL
        assert not (out / "metrics.json").exists()
        train(data, config(), out, resume=True)
        assert figures(out) == figures(run.root)


class TestPredict:
    def test_rows_point_to_maps_and_overlays(self, answers: tuple[Path, list[Any]], run: Run) -> None:
        out, found = answers
        assert len(found) == 8
        for row in found:
            with np.load(out / row["map"], allow_pickle=False) as packed:
                assert packed["scores"].shape == (32, 32)
                assert float(packed["scores"].max()) >= row["score"] > 0.5 * float(packed["scores"].max())
                assert float(packed["threshold"]) == run.environment()["threshold"] == row["threshold"]
            drawn = cv2.imread(str(out / row["overlay"]))
            assert drawn is not None
            assert drawn.shape == (64, 64, 3)

    def test_labels_say_the_same_as_the_rows(self, answers: tuple[Path, list[Any]]) -> None:
        out, found = answers
        tree = {image.key: image for image in read_labels(out / "labels/coco")}
        assert {key: len(image.instances) for key, image in tree.items()} == {
            Path(row["file"]).parent.name + "/000": row["instances"] for row in found
        }
        assert all(bool(row["instances"]) == bool(row["anomalous"]) for row in found)
        assert verify(out / "labels").failures == ()

    def test_several_formats_are_written(self, run: Run, data: Path, tmp_path: Path) -> None:
        text = (run.root / "config.yaml").read_text()
        other = tmp_path / "run"
        other.mkdir()
        for path in ("environment.json", "metrics.json"):
            os.link(run.root / path, other / path)
        os.symlink(run.checkpoints, other / "checkpoints")
        (other / "config.yaml").write_text(text.replace("labels: coco", "labels: yolo-segment, semantic"))
        predict(open_run(other), sorted((data / "test").glob("*/001.png")), tmp_path / "out")
        assert {path.name for path in (tmp_path / "out/labels").iterdir()} == {"yolo-segment", "semantic"}


def test_scores_threshold_labels_and_rates_agree_when_small_regions_are_left_out(data: Path, tmp_path: Path) -> None:
    trained = train(data, config(min_area=40, max_false_reject="50 %", epochs=1), tmp_path / "run")
    found = rows(trained.root / "predictions.csv")
    assert {row["anomalous"] for row in found} == {"0", "1"}
    assert all((row["instances"] != "0") == (row["anomalous"] == "1") for row in found)
    defective = [row for row in found if row["label"] != "good"]
    rate = sum(row["anomalous"] == "1" for row in defective) / len(defective)
    assert rate == pytest.approx(1 - read_metrics(trained)["escape"]) == 1 - evaluate(trained)["escape"]
    answers = predict(trained, sorted((data / "test").glob("*/*.png")), tmp_path / "out")
    assert [(row["score"], row["instances"]) for row in answers] == [
        (float(row["score"]), int(row["instances"])) for row in found
    ]


@pytest.mark.parametrize("score", ["ssim", "grad"])
def test_other_scores_are_made_from_the_same_model(score: str, run: Run, data: Path, tmp_path: Path) -> None:
    trained = train(data, config(score=score, grad_steps=3, epochs=1), tmp_path / "run")
    found = read_metrics(trained)
    assert 0 <= found["pixel_auroc"] <= 1
    assert found["pixel_auroc"] != read_metrics(run)["pixel_auroc"]


@pytest.mark.parametrize("kind", ["bands", "feature"])
def test_a_run_carries_all_that_its_model_needs(kind: str, data: Path, tmp_path: Path) -> None:
    trained = train(data, config(model=kind, weights="none", epochs=1), tmp_path / "run")
    own = {name: value for name, value in read_metrics(trained).items() if name not in ("seconds", "split_sha256")}
    torch.manual_seed(99)  # another random backbone, were it made anew
    assert evaluate(open_run(tmp_path / "run")) == pytest.approx(own)


def test_data_without_masks_give_image_figures_alone(run: Run, data: Path, tmp_path: Path) -> None:
    from converters import convert

    convert(load_dataset(data), tmp_path / "out", formats=["yolo-classify"])
    found = evaluate(run, tmp_path / "out/yolo-classify")
    assert found["image_auroc"] == pytest.approx(read_metrics(run)["image_auroc"])
    assert "pixel_auroc" not in found


class TestRefusals:
    def test_defects_in_train(self, data: Path, tmp_path: Path) -> None:
        settings = {"split": {"strategy": "stratified", "val": 0}}
        with pytest.raises(ToolkitError, match=r"is a defect .* among the train images"):
            train(data, config(**settings), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_too_few_good_images(self, tmp_path: Path) -> None:
        with pytest.raises(ToolkitError, match="too few good images"):
            train(make_dataset(tmp_path / "data"), config(), tmp_path / "run")

    def test_an_image_size_that_does_not_fit(self, data: Path, tmp_path: Path) -> None:
        with pytest.raises(ToolkitError, match="image_size 36: is no multiple of 8"):
            train(data, config(image_size=36), tmp_path / "run")

    def test_an_unknown_label_format(self, data: Path, tmp_path: Path) -> None:
        with pytest.raises(ToolkitError, match="cocoa"):
            train(data, config(labels="coco,cocoa"), tmp_path / "run")

    def test_a_score_that_needs_pixels(self, data: Path, tmp_path: Path) -> None:
        with pytest.raises(ToolkitError, match="score grad: is of a pixel VAE"):
            train(data, config(model="feature", weights="none", score="grad", epochs=1), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_a_run_without_a_threshold(self, run: Run, tmp_path: Path) -> None:
        told = {name: value for name, value in run.environment().items() if name != "threshold"}
        (tmp_path / "config.yaml").write_text((run.root / "config.yaml").read_text())
        (tmp_path / "environment.json").write_text(json.dumps(told))
        with pytest.raises(ToolkitError, match=r"has no threshold.*resume=True"):
            evaluate(open_run(tmp_path))


def test_the_learner_is_registered() -> None:
    assert (LEARNER.config, LEARNER.train, LEARNER.evaluate, LEARNER.predict) == (VaeConfig, train, evaluate, predict)
