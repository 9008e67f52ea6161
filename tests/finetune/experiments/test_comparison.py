"""Runs side by side whose figure is no share of images told right: paired on images that are drawn anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.engine.config import LearnerConfig
from finetune.engine.runs import Run, start_run
from finetune.experiments.comparison import compare_runs
from finetune.metrics.evidence import Ranking
from finetune.patchcore.config import PatchcoreConfig
from finetune.vae.config import VaeConfig
from finetune.yolo_world.config import YoloWorldConfig

NUMBER = 60


def begun(root: Path, learner: str, config: LearnerConfig) -> Run:
    subsets = {f"k{number:02}": "test" for number in range(NUMBER)}
    return start_run(root, learner, config, subsets=subsets, data=root.parent, metrics_of="test")


def scored(root: Path, apart: float, seed: int, learner: str = "vae") -> Run:
    """A run whose scores of good and defective images are so far apart, in standard deviations."""
    config = PatchcoreConfig(seed=seed) if learner == "patchcore" else VaeConfig(seed=seed)
    run, rng = begun(root, learner, config), np.random.default_rng(seed)
    defective = np.arange(NUMBER) % 2 == 0
    scores = rng.normal(size=NUMBER) + apart * defective
    keys = [f"k{number:02}" for number in range(NUMBER)]
    labels = np.where(defective, "dent", "good").tolist()
    run.write_predictions(
        {"key": key, "subset": "test", "label": label, "score": score, "threshold": 0.5}
        for key, label, score in zip(keys, labels, scores.tolist(), strict=True)
    )
    auroc = float(Ranking(tuple(keys), scores, defective).measured(np.ones((1, NUMBER)))[0])
    run.write_metrics({"image_auroc": auroc}, seconds=1.0)
    return run


def detected(root: Path, hits: int) -> Run:
    """A run of a detector that finds the one object in so many of its images, and nothing else."""
    run = begun(root, "yolo-world", YoloWorldConfig(epochs=hits))
    images = [{"id": number, "key": f"k{number:02}", "width": 9, "height": 9} for number in range(NUMBER)]
    objects = [{"id": one["id"], "image_id": one["id"], "category_id": 1, "bbox": [1, 1, 4, 4]} for one in images]
    truth: dict[str, Any] = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "dent"}]}
    (root / "truth.json").write_text(json.dumps(truth))
    found = [{"image_id": one["image_id"], "category_id": 1, "bbox": [1, 1, 4, 4], "score": 0.9} for one in objects]
    (root / "predictions.json").write_text(json.dumps(found[:hits]))
    run.write_metrics({"map50": hits / NUMBER}, seconds=1.0)
    return run


def test_image_auroc_is_paired_with_that_of_the_first(tmp_path: Path) -> None:
    runs = [scored(tmp_path / "base", 0.3, 0), scored(tmp_path / "better", 3, 1, "patchcore")]
    runs.append(scored(tmp_path / "same", 0.3, 0))
    base, better, same = compare_runs([run.root for run in runs]).runs
    assert (base.p, base.paired) == (None, {})
    told = better.paired["image_auroc"]
    assert told.difference == pytest.approx(float(better.metrics["image_auroc"]) - float(base.metrics["image_auroc"]))
    assert 0 < told.low < told.difference < told.high
    assert told.p < 0.01
    assert (same.paired["image_auroc"].difference, same.paired["image_auroc"].p) == (0.0, 1.0)


def test_the_table_and_json_say_it(tmp_path: Path) -> None:
    runs = [scored(tmp_path / "base", 0.3, 0), scored(tmp_path / "better", 3, 1)]
    found = compare_runs([run.root for run in runs])
    header, (first, second) = found.table()
    assert header[-3:] == ["image AUROC, difference", "p (bootstrap)", "seconds"]
    assert first[-3:-1] == ["", ""]
    assert second[-3].startswith("+0.")
    told = json.loads(json.dumps(found.as_json(), allow_nan=False))["runs"]
    assert "paired" not in told[0]
    assert told[1]["paired"]["image_auroc"].keys() == {"difference", "low", "high", "p"}


def test_map50_is_paired_too(tmp_path: Path) -> None:
    runs = [detected(tmp_path / "base", 20), detected(tmp_path / "better", 50)]
    told = compare_runs([run.root for run in runs]).runs[1].paired["map50"]
    assert told.difference == pytest.approx(0.5, abs=0.02)
    assert told.p < 0.01


def test_what_cannot_be_paired_is_compared_all_the_same(tmp_path: Path) -> None:
    base, gone = scored(tmp_path / "base", 0.3, 0), scored(tmp_path / "gone", 3, 1)
    other = detected(tmp_path / "other", 20)
    (gone.root / "predictions.csv").unlink()
    found = compare_runs([base.root, gone.root, other.root])
    assert [one.paired for one in found.runs] == [{}, {}, {}]
    assert "p (bootstrap)" not in found.table()[0]
    fewer = scored(tmp_path / "fewer", 3, 1)
    rows = (fewer.root / "predictions.csv").read_text().splitlines()
    (fewer.root / "predictions.csv").write_text("\n".join(rows[:-2]) + "\n")
    assert compare_runs([base.root, fewer.root]).runs[1].paired == {}
