"""COCO truth, results and mAP, with pycocotools as the judge."""

from __future__ import annotations

import copy
import io
import json
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from finetune.metrics.detection import Detections, average_precision, coco_results, coco_truth
from tests.commands import PATIENCE, ROOT
from toolkit.errors import ToolkitError
from toolkit.geometry.instances import find_instances
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.imaging.masks import Mask

CLASSES = ("dent", "long scratch", "Loch <ö>")
WIDTH, HEIGHT = 90, 60


def blob(generator: np.random.Generator, label: str, *, jitter: Instance | None = None) -> Instance:
    """A random blob with holes, or one a few pixels away from another."""
    if jitter is None:
        x, y = (int(generator.integers(0, most)) for most in (WIDTH - 30, HEIGHT - 24))
        w, h = (int(value) for value in generator.integers(6, 24, 2))
        crop = generator.random((h, w)) < 0.8
    else:
        x0, y0, x1, y1 = jitter.bbox
        x, y = (max(0, value + int(generator.integers(-1, 2))) for value in (x0, y0))
        w, h = min(x1 - x0, WIDTH - x), min(y1 - y0, HEIGHT - y)
        crop = jitter.mask[:h, :w].copy()
    crop[0, :] = crop[-1, :] = crop[:, 0] = crop[:, -1] = True
    return Instance(label, (x, y, x + w, y + h), crop, int(crop.sum()))


def scene(seed: int, images: int = 12) -> tuple[list[LabelledImage], list[Detections]]:
    """Random truth, and detections that find some of it, miss some, and see what is not there."""
    generator = np.random.default_rng(seed)
    labelled, detected = [], []
    for number in range(images):
        truth = [blob(generator, str(generator.choice(CLASSES[:2]))) for _ in range(int(generator.integers(0, 4)))]
        found = [blob(generator, one.label, jitter=one) for one in truth if generator.random() < 0.8]
        found += [blob(generator, str(generator.choice(CLASSES))) for _ in range(int(generator.integers(0, 3)))]
        key = f"product/test/x/{number:03d}"
        labelled.append(LabelledImage(key, None, WIDTH, HEIGHT, tuple(truth)))
        boxes = np.array([one.bbox for one in found], np.float64).reshape(-1, 4)
        scores, labels = generator.random(len(found)), tuple(one.label for one in found)
        detected.append(Detections(key, Path("x.png"), WIDTH, HEIGHT, boxes, scores, labels, tuple(found)))
    return labelled, detected


def judged(truth: dict[str, Any], results: list[dict[str, Any]], kind: str) -> list[float]:
    """COCOeval's own AP of .50 to .95 and of .50."""
    with redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = copy.deepcopy(truth)
        known.createIndex()
        evaluation = COCOeval(known, known.loadRes(copy.deepcopy(results)), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats[:2]]


class TestAveragePrecision:
    @pytest.mark.parametrize("kind", ["bbox", "segm"])
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_it_is_that_of_pycocotools(self, kind: Literal["bbox", "segm"], seed: int) -> None:
        labelled, detected = scene(seed)
        truth = coco_truth(labelled, CLASSES)
        results = coco_results(detected, truth)
        found = average_precision(truth, results, kind)
        assert 0 < found.map50_95 < found.map50 < 1
        assert [found.map50_95, found.map50] == pytest.approx(judged(truth, results, kind), abs=1e-12)

    @pytest.mark.parametrize("place", [0, 1])
    def test_each_class_has_its_own(self, place: int) -> None:
        labelled, detected = scene(4)
        truth = coco_truth(labelled, CLASSES)
        results = coco_results(detected, truth)
        found = average_precision(truth, results).per_class[CLASSES[place]]
        alone = {**truth, "annotations": [a for a in truth["annotations"] if a["category_id"] == place + 1]}
        assert list(found) == pytest.approx(judged(alone, results, "bbox"), abs=1e-12)

    def test_a_class_that_is_not_there_counts_for_nothing(self) -> None:
        labelled, detected = scene(5)
        truth = coco_truth(labelled, CLASSES)
        found = average_precision(truth, coco_results(detected, truth))
        assert np.isnan(found.per_class[CLASSES[2]]).all()
        assert found.map50 == pytest.approx(np.mean([found.per_class[name][1] for name in CLASSES[:2]]))

    def test_no_detections_are_none_right(self) -> None:
        truth = coco_truth(scene(6)[0], CLASSES)
        found = average_precision(truth, [])
        assert (found.map50, found.map50_95) == (0, 0)

    def test_nothing_to_find_is_no_figure(self) -> None:
        labelled, detected = scene(7)
        truth = coco_truth([LabelledImage(one.key, None, WIDTH, HEIGHT, ()) for one in labelled], CLASSES)
        assert np.isnan(average_precision(truth, coco_results(detected, truth)).map50)

    def test_what_it_is_given_stays_as_it_is(self) -> None:
        labelled, detected = scene(8)
        truth = coco_truth(labelled, CLASSES)
        results = coco_results(detected, truth)
        before = json.dumps([truth, results])
        average_precision(truth, results)
        assert json.dumps([truth, results]) == before

    def test_boxes_are_no_masks(self) -> None:
        labelled, detected = scene(9)
        truth = coco_truth(labelled, CLASSES)
        bare = [{**one} for one in coco_results(detected, truth)]
        del bare[0]["segmentation"]
        with pytest.raises(ToolkitError, match="boxes without masks"):
            average_precision(truth, bare, "segm")


class TestTruth:
    def test_masks_and_boxes_are_exact(self) -> None:
        labelled, _ = scene(10)
        truth = coco_truth(labelled, CLASSES)
        planes = [(image, one) for image in labelled for one in image.instances]
        assert len(planes) == len(truth["annotations"]) > 5
        for (_, instance), row in zip(planes, truth["annotations"], strict=True):
            x0, y0, x1, y1 = instance.bbox
            plane = np.zeros((HEIGHT, WIDTH), np.bool_)
            plane[y0:y1, x0:x1] = instance.mask
            assert np.array_equal(coco_mask.decode(row["segmentation"]).astype(np.bool_), plane)
            assert row["bbox"] == [x0, y0, x1 - x0, y1 - y0]
            assert row["area"] == int(plane.sum())

    def test_ids_follow_the_classes_and_the_images(self) -> None:
        labelled, _ = scene(11)
        truth = coco_truth(labelled, CLASSES)
        assert [category["name"] for category in truth["categories"]] == list(CLASSES)
        assert [image["key"] for image in truth["images"]] == [image.key for image in labelled]
        assert truth["images"][0]["file_name"] == "product__test__x__000.png"

    def test_a_label_that_is_no_class(self) -> None:
        mask = Mask.of(np.ones((HEIGHT, WIDTH), np.uint8), WIDTH, HEIGHT)
        image = LabelledImage("a", None, WIDTH, HEIGHT, find_instances(mask, "crack").instances)
        with pytest.raises(ToolkitError, match="a: shows a 'crack', which is no class; known are dent"):
            coco_truth([image], CLASSES)


class TestResults:
    def test_boxes_are_corner_width_and_height(self) -> None:
        box = np.array([[1.5, 2.0, 11.0, 22.25]])
        found = Detections("k", Path("k.png"), WIDTH, HEIGHT, box, np.array([0.5]), ("dent",))
        truth = coco_truth([LabelledImage("k", None, WIDTH, HEIGHT, ())], CLASSES)
        assert coco_results([found], truth) == [
            {"image_id": 1, "category_id": 1, "bbox": [1.5, 2.0, 9.5, 20.25], "score": 0.5}
        ]

    @pytest.mark.parametrize(
        ("key", "label", "said"), [("other", "dent", "other: is no image"), ("k", "crack", "crack: is no class")]
    )
    def test_what_the_truth_does_not_know(self, key: str, label: str, said: str) -> None:
        found = Detections(key, Path("k.png"), WIDTH, HEIGHT, np.zeros((1, 4)), np.zeros(1), (label,))
        truth = coco_truth([LabelledImage("k", None, WIDTH, HEIGHT, ())], CLASSES)
        with pytest.raises(ToolkitError, match=said):
            coco_results([found], truth)

    @pytest.mark.parametrize("boxes", [np.zeros((2, 4)), np.zeros((1, 5)), np.zeros((0, 4))])
    def test_numbers_that_do_not_agree(self, boxes: Any) -> None:
        with pytest.raises(ValueError, match=r"1 scores"):
            Detections("k", Path("k.png"), WIDTH, HEIGHT, boxes, np.zeros(1), ("dent",))


def test_a_lowest_score_keeps_what_belongs_together() -> None:
    found = scene(12)[1][0]
    scores = np.unique(found.scores)
    limit = float(scores[len(scores) // 2])
    kept = found.above(limit)
    assert min(kept.scores) > limit  # as everywhere, what equals it is not above it
    assert len(kept) == np.count_nonzero(found.scores > limit)
    assert 0 < len(kept) < len(found)
    assert kept.masks is not None
    assert [one.bbox for one in kept.masks] == [tuple(box) for box in kept.boxes.astype(int).tolist()]
    assert [one.label for one in kept.masks] == list(kept.labels)
    assert sorted(kept.scores) == sorted(found.scores)[-len(kept) :]


def test_it_loads_without_torch() -> None:
    program = "import sys, finetune.metrics.detection, finetune.learners; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=PATIENCE, check=False).returncode == 0
