"""What the segmenter learns, on few images and on real screws; `python -m benchmarks.sam` measures how much."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
import torch

from finetune.engine.devices import seed_all
from finetune.engine.runs import read_metrics
from finetune.engine.splits import open_examples
from finetune.sam.data import read_instances
from finetune.sam.embeddings import Encoder
from finetune.sam.evaluation import evaluate_images
from finetune.sam.learner import train
from finetune.sam.models import build_sam
from finetune.sam.predictor import Segmenter
from tests.finetune.sam.segmenting import config, write_blobs
from tests.finetune.yolo_world.detecting import make_data, settings
from toolkit.dataset.layouts import load_dataset


def test_a_few_defects_are_learnt_by_heart(tmp_path: Path) -> None:
    root = write_blobs(tmp_path / "data", images=3, good=0)
    keys = [sample.key for sample in load_dataset(root)]
    lines = [f"{key},{'val' if key.endswith('001') else 'train'}" for key in keys]
    (tmp_path / "split.csv").write_text("\n".join(["# by hand", "key,subset", *lines]) + "\n")
    told = config(
        image_size=256,  # four times that of the images, so that masks have their resolution
        epochs=12,
        batch_size=1,
        prompts_per_image=1,
        refinement_steps=0,
        lr=4e-3,
        box_share=1,
        min_area=16,
        split={"file": tmp_path / "split.csv"},
    )
    made = train(root, told, tmp_path / "run")
    learnt = read_instances(open_examples(root, told.split).subset("train"), root, min_area=16)
    seed_all(told.seed)
    before, tuned = (
        Segmenter(sam, Encoder(sam.image_encoder, torch.device("cpu"), 256))
        for sam in (build_sam("tiny", 256), build_sam("tiny", 256, made.checkpoints / "last.pth"))
    )
    shown = [image for image in learnt if image.instances]
    found = evaluate_images(tuned, before, shown, told, {}, None).metrics
    assert found["iou_box"] > 0.6
    assert found["iou_box"] > found["untuned_iou_box"] + 0.3


def test_real_screws_are_learnt_from(mvtec_root: Path, tmp_path: Path) -> None:
    told = config(
        image_size=128,
        epochs=1,
        batch_size=2,
        split={"strategy": "uniform", "per_class": 2, "test_per_class": 1},
        instances="image",
    )
    made = train(mvtec_root / "screw", told, tmp_path / "run")
    found = read_metrics(made)
    assert found["instances"] == 5
    assert found["untuned_iou_box"] >= 0
    with open(made.root / "log.csv", newline="", encoding="utf-8") as file:
        assert all(math.isfinite(float(row["train_loss"])) for row in csv.DictReader(file))


def test_the_boxes_of_a_detector_are_segmented_for_mask_ap(tmp_path: Path) -> None:
    yolo_world = pytest.importorskip("finetune.yolo_world.learner")
    data, split = make_data(tmp_path), {"strategy": "stratified", "val": 0, "test": 0.5}
    detector = yolo_world.train(data, settings(epochs=1, split=split), tmp_path / "detector")
    made = train(data, config(epochs=1, refinement_steps=0, split=split, detector=str(detector.root)), tmp_path / "run")
    found = read_metrics(made)
    assert {f"{start}mask_{name}" for start in ("", "untuned_") for name in ("map50", "map50_95")} <= set(found)
