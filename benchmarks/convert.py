"""How long conversion takes, as a multiple of decoding the same masks with OpenCV, beside the peers' converters.

Run: python -m benchmarks.convert [ROOT] [--rounds 9] [--json FILE]

All of it on one core's worth of work (one worker, one OpenCV thread), in turn, in one run. Each writes label files:
ours three formats at once, the peers one each. Every run writes into a folder of its own, since some file systems are
slow to hand out what was just deleted.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import shutil
import statistics
import tempfile
from pathlib import Path

import cv2
import numpy as np

from benchmarks.peers import supervision_coco_annotations, supervision_yolo_lines, write_ultralytics
from benchmarks.timing import alternate, environment, ratio
from converters import convert
from toolkit import load_dataset, write_product

FORMATS = ("coco", "yolo-segment", "yolo-detect")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, help="dataset root; without it the embedded product at 1024 px")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write the figures there")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    logging.getLogger("ultralytics").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        figures = _measure(arguments.root, Path(folder), arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def _measure(root: Path | None, folder: Path, rounds: int) -> dict[str, float]:
    root = root or write_product(folder / "product", image_size=1024, per_class=8, train_good=8)
    dataset = load_dataset(root)
    masks = [str(sample.masks[0]) for sample in dataset if sample.masks]
    class_ids = folder / "class-ids"  # ultralytics' converter wants class ids from 1, not 255
    class_ids.mkdir()
    for number, path in enumerate(masks):
        cv2.imwrite(str(class_ids / f"{number:05d}.png"), (cv2.imread(path, cv2.IMREAD_GRAYSCALE) > 0).astype(np.uint8))
    fresh = (folder / f"out-{number}" for number in itertools.count())

    def decode() -> None:
        for path in masks:
            cv2.imread(path, cv2.IMREAD_GRAYSCALE)

    def with_supervision() -> None:
        out = next(fresh)
        out.mkdir()
        for number, path in enumerate(masks):
            lines = supervision_yolo_lines(cv2.imread(path, cv2.IMREAD_GRAYSCALE) > 0)
            (out / f"{number:05d}.txt").write_text("\n".join(lines))

    def with_supervision_coco() -> None:
        out = next(fresh)
        out.mkdir()
        found = [supervision_coco_annotations(cv2.imread(path, cv2.IMREAD_GRAYSCALE) > 0) for path in masks]
        (out / "annotations.json").write_text(json.dumps(found, default=int))

    def all_formats() -> None:
        convert(dataset, next(fresh), FORMATS, images="none", workers=1)

    tasks = {
        "cv2.imread of the masks": decode,
        f"defectkit, {' + '.join(FORMATS)}, all images": all_formats,
        "supervision, YOLO polygons, masks only": with_supervision,
        "supervision, COCO polygons, masks only": with_supervision_coco,
        "ultralytics' converter, YOLO polygons, masks only": lambda: write_ultralytics(class_ids, next(fresh)),
    }
    seconds = alternate(tasks, rounds)
    base = next(iter(tasks))
    print(environment("opencv-python", "ultralytics", "supervision"))
    print(f"{root.name}: {len(dataset)} images, {len(masks)} with a mask; {rounds} rounds\n")
    print("| task | median ms per mask | times cv2.imread, median of rounds (min to max) |\n|---|---|---|")
    figures = {}
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(times, seconds[base], strict=True)]
        figures[name] = ratio(seconds, name, base)
        per_mask = statistics.median(times) / len(masks) * 1e3
        print(f"| {name} | {per_mask:.2f} | {figures[name]:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |")
    shutil.rmtree(class_ids)
    return figures


if __name__ == "__main__":
    main()
