"""Mask -> label -> mask, ours and the peers': how much of a mask survives.

Run: python -m benchmarks.fidelity [ROOT ...]

Without ROOT the embedded product is made and used. Every label is written to disk, and read by its real consumer:
pycocotools' `COCO.annToMask`, ultralytics' `polygon2mask`, and ultralytics' training loader, `YOLODataset`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from benchmarks.peers import WRITERS, BoolArray, Masks, fill_yolo
from benchmarks.timing import environment
from converters import convert
from converters.rasterize import fill_pixels
from toolkit import Dataset, load_dataset, write_product
from toolkit.dataset.keys import file_name
from toolkit.imaging.images import encode_map
from toolkit.imaging.masks import read_mask

from pycocotools.coco import COCO  # isort: skip
from ultralytics.cfg import DEFAULT_CFG  # isort: skip
from ultralytics.data.dataset import YOLODataset  # isort: skip
from ultralytics.utils import IterableSimpleNamespace  # isort: skip


def shapes() -> dict[str, BoolArray]:
    """Small masks that polygons are known to damage."""
    grid_y, grid_x = np.mgrid[:64, :64]
    distance = np.hypot(grid_x - 32, grid_y - 32)
    blob = distance < 28
    rng = np.random.default_rng(0)
    for index in range(23):
        x, y = 12 + 8 * (index % 6), 12 + 9 * (index // 6)
        blob[y : y + rng.integers(1, 4), x : x + rng.integers(1, 4)] = False
    falling, single, pair = (np.zeros((64, 64), bool) for _ in range(3))
    falling[np.arange(8, 56), np.arange(8, 56)] = True
    single[20, 30] = True
    pair[20, 30] = pair[21, 31] = True
    return {
        "disk": distance < 20,
        "45 degrees, falling": falling,
        "45 degrees, rising": falling[:, ::-1].copy(),
        "one pixel": single,
        "ring": (distance < 20) & (distance >= 12),
        "two diagonal pixels": pair,
        "blob with 23 holes": blob,
    }


def write_dataset(masks: Masks, root: Path) -> Dataset:
    """An MVTec product whose defects are the given masks."""
    for name, mask in masks.items():
        for folder, pixels in (("test/defect", mask * 90), ("ground_truth/defect", mask * 255)):
            place = root / "shapes" / folder
            place.mkdir(parents=True, exist_ok=True)
            suffix = "_mask" if folder.startswith("ground") else ""
            (place / f"{name}{suffix}.png").write_bytes(encode_map(pixels.astype(np.uint8)))
    return load_dataset(root)


def ours(dataset: Dataset) -> dict[str, dict[str, BoolArray]]:
    """Convert a dataset, and read the files with their consumers: way -> key -> pixels."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "labels")
        convert(dataset, out, ["coco", "yolo-segment"], images="symlink")
        found: dict[str, dict[str, BoolArray]] = {
            "defectkit coco -> pycocotools": {},
            "defectkit yolo-segment -> polygon2mask": {},
            "the same, rounding instead of truncating": {},
            "the same, through YOLODataset, mask_ratio 1": {},
        }
        coco_way, truncated, rounded, loaded = found.values()
        defects = {file_name(sample.key): sample.key for sample in dataset if sample.masks}
        for path in sorted((out / "coco" / "annotations").glob("*.json")):
            coco = COCO(str(path))
            for record in coco.dataset["images"]:
                key = defects.get(Path(record["file_name"]).stem)
                if key is not None:
                    masks = [coco.annToMask(a) for a in coco.imgToAnns[record["id"]]]
                    coco_way[key] = np.any(masks, axis=0)
        for path in sorted((out / "yolo-segment" / "labels").glob("*/*.txt")):
            if path.stem in defects:
                height, width = coco_way[defects[path.stem]].shape
                truncated[defects[path.stem]] = fill_yolo(path.read_text(), height, width)
                rounded[defects[path.stem]] = _fill_rounding(path.read_text(), height, width)
        for subset in sorted(path for path in (out / "yolo-segment" / "images").iterdir()):
            loaded |= _load(subset, defects, {key: max(mask.shape) for key, mask in coco_way.items()})
        return found


def _fill_rounding(text: str, height: int, width: int) -> BoolArray:
    rows = [np.array(line.split()[1:], np.float32).reshape(-1, 2) for line in text.splitlines()]
    size = np.array([width, height], np.float32)
    return fill_pixels([np.rint(row * size).astype(np.int32) for row in rows], height, width)


def _load(images: Path, defects: Mapping[str, str], sizes: Mapping[str, int]) -> dict[str, BoolArray]:
    """The masks that the training loader of ultralytics makes, without augmentation and at native size."""
    settings = IterableSimpleNamespace(**{**vars(DEFAULT_CFG), "mask_ratio": 1, "overlap_mask": True})
    dataset = YOLODataset(
        img_path=str(images),
        data={"names": {number: str(number) for number in range(80)}, "channels": 3},
        task="segment",
        imgsz=max(sizes.values()),
        augment=False,
        hyp=settings,
        rect=False,
    )
    found = {}
    for index in range(len(dataset)):
        key = defects.get(Path(dataset.im_files[index]).stem)
        if key is not None:
            found[key] = np.asarray(dataset[index]["masks"][0]) > 0
    return found


def iou(one: BoolArray, other: BoolArray) -> float:
    """Intersection over union."""
    return float((one & other).sum() / (one | other).sum())


def table(dataset: Dataset) -> dict[str, dict[str, float]]:
    """Way -> {masks, mean, min, exact}."""
    truth = {sample.key: read_mask(sample.masks[0]).pixels() > 0 for sample in dataset if sample.masks}
    named = {file_name(key): mask for key, mask in truth.items()}
    results = {
        way: {key: filled[file_name(key)] for key in truth} for way, run in WRITERS.items() for filled in [run(named)]
    }
    results |= ours(dataset)
    return {way: _summary([iou(filled[key], mask) for key, mask in truth.items()]) for way, filled in results.items()}


def _summary(ious: list[float]) -> dict[str, float]:
    return {"masks": len(ious), "mean": float(np.mean(ious)), "min": min(ious), "exact": sum(v == 1 for v in ious)}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roots", nargs="*", type=Path, help="dataset roots or category folders")
    parser.add_argument("--json", type=Path, help="write the figures there")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        roots = arguments.roots or [write_product(Path(folder, "product"))]
        print(environment("ultralytics", "supervision", "pycocotools", "opencv-python"))
        for root in roots:
            rows = table(load_dataset(root))
            figures[root.name] = rows
            print(f"\n| {root.name}: way | masks | mean IoU | min IoU | exact |\n|---|---|---|---|---|")
            for way, row in rows.items():
                print(f"| {way} | {row['masks']} | {row['mean']:.4f} | {row['min']:.4f} | {row['exact']} |")
        made = shapes()
        dataset = write_dataset(made, Path(folder, "shapes"))
        results = {way: run(made) for way, run in WRITERS.items()}
        results |= {
            way: {key.rpartition("/")[2]: pixels for key, pixels in filled.items()}
            for way, filled in ours(dataset).items()
        }
        print(f"\n| shape, round-trip IoU | {' | '.join(made)} |\n|---|{'---|' * len(made)}")
        for way, filled in results.items():
            print(f"| {way} | {' | '.join(f'{iou(filled[name], mask):.3f}' for name, mask in made.items())} |")
            figures.setdefault("shapes", {})[way] = {name: iou(filled[name], mask) for name, mask in made.items()}  # type: ignore[attr-defined]
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
