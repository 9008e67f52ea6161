"""Runs made by hand, file by file, so that what they say is known: no model stands behind them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from toolkit import load_dataset

__all__ = ["CLASSES", "classifier_run", "detector_run", "finder_run", "segmenter_run"]

CLASSES = ("good", "dent", "scratch")


def _run(out: Path, data: Path, learner: str, trained: tuple[str, ...], **facts: object) -> Path:
    """What every run has; images whose key ends in one of `trained` were trained on."""
    out.mkdir(parents=True)
    (out / "config.yaml").write_text("{}\n")
    told = {"schema": 3, "learner": learner, "data": str(data), "metrics_of": "test", **facts}
    (out / "environment.json").write_text(json.dumps(told))
    (out / "metrics.json").write_text("{}")
    lines = ["key,subset,sha256"]
    for sample in load_dataset(data):
        subset = "train" if sample.key.endswith(trained) else "test"
        lines.append(f"{sample.key},{subset},{hashlib.sha256(sample.image.read_bytes()).hexdigest()}")
    (out / "images.csv").write_text("\n".join(lines) + "\n")
    return out


def classifier_run(
    out: Path, data: Path, said: Mapping[str, str], *, name: str = "out_of_fold.csv", trained: tuple[str, ...] = ()
) -> Path:
    """A classifier that takes each image for what its label says, but for those named in `said`."""
    run = _run(out, data, "classifier", trained, classes=list(CLASSES))
    lines = ["key,subset,label,predicted,correct," + ",".join(f"p_{one}" for one in CLASSES)]
    for sample in load_dataset(data):
        taken = said.get(sample.key, sample.defect)
        chances = ["0.9" if one == taken else "0.05" for one in CLASSES]
        lines.append(",".join([sample.key, "test", sample.defect, taken, str(int(taken == sample.defect)), *chances]))
    (run / name).write_text("\n".join(lines) + "\n")
    return run


def detector_run(out: Path, data: Path, trained: tuple[str, ...] = ()) -> Path:
    """A PatchCore; what it says of an image a test puts in the place of its model."""
    return _run(out, data, "patchcore", trained)


def segmenter_run(out: Path, data: Path, overlaps: Mapping[str, float]) -> Path:
    """A SAM that cuts out each object as it is labelled, but for those of the images named."""
    run = _run(out, data, "sam", ())
    lines = ["key,subset,instance,label,iou_box"]
    for sample in load_dataset(data):
        if sample.masks:
            lines.append(f"{sample.key},test,0,{sample.defect},{overlaps.get(sample.key, 0.9)}")
    (run / "predictions.csv").write_text("\n".join(lines) + "\n")
    return run


def finder_run(out: Path, data: Path, found: Sequence[tuple[str, str, list[int], float]]) -> Path:
    """A YOLO-World that found so much: key, class, box x y w h, score."""
    run = _run(out, data, "yolo-world", ())
    keys, names = [sample.key for sample in load_dataset(data)], CLASSES[1:]
    images = [{"id": number, "key": key} for number, key in enumerate(keys, 1)]
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    (run / "truth.json").write_text(json.dumps({"images": images, "annotations": [], "categories": categories}))
    results = [
        {"image_id": keys.index(key) + 1, "category_id": names.index(label) + 1, "bbox": box, "score": score}
        for key, label, box, score in found
    ]
    (run / "predictions.json").write_text(json.dumps(results))
    return run
