"""Figures measured again on images that count more than once, or not at all; against those that know nothing of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from finetune.metrics.detection import average_precision
from finetune.metrics.evidence import Means, Precisions, Ranking, RightOrWrong, matched_detections

RNG = np.random.default_rng(0)
KEYS = tuple("abcdefgh")
WEIGHTS = np.concatenate([np.ones((1, 8)), RNG.multinomial(8, np.full(8, 1 / 8), 6)]).astype(float)


def repeated(values: np.ndarray[Any, Any], row: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Values of the images, each as often as it counts."""
    return np.repeat(values, row.astype(int))


def test_accuracy_is_a_mean() -> None:
    right = RNG.random(8) < 0.5
    found = RightOrWrong(dict(zip(KEYS, right.tolist(), strict=True))).measured(WEIGHTS)
    assert found == pytest.approx([repeated(right, row).mean() for row in WEIGHTS])


def test_a_mean_over_objects_counts_objects() -> None:
    counts = RNG.integers(0, 4, 8).astype(float)
    sums = counts * RNG.random(8)
    found = Means(KEYS, sums, counts).measured(WEIGHTS)
    assert found == pytest.approx([repeated(sums, row).sum() / repeated(counts, row).sum() for row in WEIGHTS])
    assert np.isnan(Means(KEYS, sums, counts).measured(np.zeros((1, 8)))).all()


def test_the_area_under_the_curve_is_that_of_the_images_that_count() -> None:
    scores, defective = RNG.integers(0, 2, 8).astype(float), np.arange(8) % 2 == 0  # with ties
    found = Ranking(KEYS, scores, defective).measured(WEIGHTS)
    wanted = [roc_auc_score(repeated(defective, row), repeated(scores, row)) for row in WEIGHTS]
    assert found == pytest.approx(wanted)
    assert np.isnan(Ranking(KEYS, scores, np.ones(8, bool)).measured(WEIGHTS)).all()


def detections(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A truth of eight images and two classes (and one that is not there), and detections near it, with ties."""
    rng = np.random.default_rng(seed)
    truth: dict[str, Any] = {
        "images": [
            {"id": i + 1, "key": key, "width": 100, "height": 100, "file_name": key} for i, key in enumerate(KEYS)
        ],
        "annotations": [],
        "categories": [{"id": number, "name": f"c{number}"} for number in (1, 2, 3)],
    }
    results = []
    for image in truth["images"]:
        for category in (1, 2):
            for _ in range(rng.integers(0, 4)):
                x, y, w, h = (int(one) for one in [*rng.integers(0, 60, 2), *rng.integers(8, 40, 2)])
                row = {"id": len(truth["annotations"]) + 1, "image_id": image["id"], "category_id": category}
                truth["annotations"].append({**row, "iscrowd": 0, "area": w * h, "bbox": [x, y, w, h]})
                for _ in range(rng.integers(0, 3)):
                    box = [float(one) for one in (x + rng.normal(0, 4), y + rng.normal(0, 4), w, h)]
                    about = {"image_id": image["id"], "category_id": category, "bbox": box}
                    results.append({**about, "score": float(rng.integers(1, 10)) / 10})
            box = [float(one) for one in rng.integers(0, 50, 2)] + [20.0, 20.0]
            about = {"image_id": image["id"], "category_id": category, "bbox": box}
            results.append({**about, "score": float(rng.random())})
    return truth, results


def doubled(truth: dict[str, Any], results: list[dict[str, Any]], row: np.ndarray[Any, Any]) -> Any:
    """Images that count twice as two images."""
    images, annotations, found = [], [], []
    for place, image in enumerate(truth["images"]):
        for _ in range(int(row[place])):
            number = len(images) + 1
            images.append({**image, "id": number})
            own = [one for one in truth["annotations"] if one["image_id"] == image["id"]]
            annotations += [{**one, "image_id": number, "id": len(annotations) + i + 1} for i, one in enumerate(own)]
            found += [{**one, "image_id": number} for one in results if one["image_id"] == image["id"]]
    return {**truth, "images": images, "annotations": annotations}, found


@pytest.mark.parametrize("seed", range(4))
def test_the_mean_average_precision_is_that_of_coco(seed: int) -> None:
    truth, results = detections(seed)
    found = matched_detections(truth, results)
    assert found.keys == KEYS
    assert found.truths.keys() == {"c1", "c2"}
    measured = found.measured(WEIGHTS)
    assert measured[0] == pytest.approx(average_precision(truth, results).map50, abs=1e-9)
    # Of copies of an image COCO counts one detection after the other where scores are equal, which here count at once.
    for row, value in zip(WEIGHTS[1:3], measured[1:3], strict=True):
        assert value == pytest.approx(average_precision(*doubled(truth, results, row)).map50, abs=0.03)


def test_without_detections_or_without_objects() -> None:
    truth, _ = detections(0)
    assert matched_detections(truth, []).measured(WEIGHTS) == pytest.approx(np.zeros(len(WEIGHTS)))
    assert np.isnan(Precisions(KEYS, {}, {}, {}).measured(WEIGHTS)).all()
