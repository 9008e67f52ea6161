"""How long conversion takes, as a multiple of decoding the same masks with OpenCV, beside the peers' converters.

Run: python -m benchmarks.convert [ROOT...] [--made] [--kind KIND]... [--rounds 7] [--json FILE]

Of each dataset named, or of masks made here of each kind (benchmarks.made_masks), which is what is measured where
nothing is named. Processor time on one core (one worker, one OpenCV thread), all tasks in turn in one run, files on a
memory disk where there is one. Ours are three formats at once and all eight, of all images, each label proven as it is
written; the peers write one format, of the masks alone. Every run writes into a folder of its own, since some file
systems are slow to hand out what was just deleted.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

from benchmarks.made_masks import KINDS, dataset_parser, write_masks
from benchmarks.peers import (
    pycocotools_annotations,
    supervision_coco_annotations,
    supervision_yolo_lines,
    write_ultralytics,
)
from benchmarks.timing import alternate, environment, memory_folder, ratios
from converters import convert
from toolkit import load_dataset

THREE = ("coco", "yolo-segment", "yolo-detect")
EIGHT = ("coco", "yolo-detect", "yolo-segment", "yolo-obb", "yolo-classify", "semantic", "panoptic", "masks")
DECODE = "cv2.imread"
Spread = tuple[float, float, float]
"""Median, least and most of the ratios of the rounds."""


def main() -> None:
    """Print the table."""
    parser = dataset_parser(__doc__)
    parser.add_argument("--without-peers", action="store_true")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    logging.getLogger("ultralytics").setLevel(logging.ERROR)
    print(environment("opencv-python", "pycocotools", "ultralytics", "supervision"))
    figures: dict[str, dict[str, Spread]] = {}
    with memory_folder() as folder:
        for name, root in _datasets(arguments, Path(folder)):
            figures[name] = _measure(name, root, Path(folder), arguments.rounds, peers=not arguments.without_peers)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def _datasets(arguments: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and root of each dataset to measure; what is made here goes away after its turn."""
    for root in arguments.roots:
        yield root.resolve().name, root
    if arguments.made or arguments.kind or not arguments.roots:
        for name in arguments.kind or KINDS:
            yield name, write_masks(KINDS[name], folder / "made")
            shutil.rmtree(folder / "made")


def _measure(name: str, root: Path, folder: Path, rounds: int, *, peers: bool) -> dict[str, Spread]:
    """Measure one dataset and print its rows."""
    out = folder / "out"
    out.mkdir()
    tasks = _tasks(root, out, peers=peers)
    seconds = alternate(tasks, rounds, time.process_time)
    masks = _masks(root)
    base = statistics.median(seconds[DECODE]) / len(masks) * 1e3
    print(f"\n{name}: {len(masks)} masks, {base:.2f} ms each for {DECODE}; {rounds} rounds\n")
    print(f"| task | times {DECODE}, median of rounds (min to max) |\n|---|---|")
    figures = {}
    for task in tasks:
        found = ratios(seconds, task, DECODE)
        figures[task] = (statistics.median(found), min(found), max(found))
        print("| {} | {:.2f} ({:.2f} to {:.2f}) |".format(task, *figures[task]), flush=True)
    shutil.rmtree(out)
    return figures


def _masks(root: Path) -> list[str]:
    return [str(sample.masks[0]) for sample in load_dataset(root) if sample.masks]


def _tasks(root: Path, out: Path, *, peers: bool) -> Mapping[str, Callable[[], object]]:
    """What is measured of a dataset, by name."""
    dataset, masks = load_dataset(root), _masks(root)
    fresh = (out / f"out-{number}" for number in itertools.count())

    def decode() -> None:
        for path in masks:
            cv2.imread(path, cv2.IMREAD_GRAYSCALE)

    ours = {
        DECODE: decode,
        "defectkit, " + " + ".join(THREE): lambda: convert(dataset, next(fresh), THREE, images="none"),
        "defectkit, eight formats": lambda: convert(dataset, next(fresh), EIGHT, images="none"),
    }
    return ours | _peers(masks, out / "class-ids", fresh) if peers else ours


def _peers(masks: list[str], class_ids: Path, fresh: Iterator[Path]) -> dict[str, Callable[[], object]]:
    """The peers' converters; ultralytics' wants class ids from 1, not 255, in a folder of their own."""
    class_ids.mkdir()
    for number, path in enumerate(masks):
        cv2.imwrite(str(class_ids / f"{number:05d}.png"), (cv2.imread(path, cv2.IMREAD_GRAYSCALE) > 0).astype(np.uint8))

    def with_supervision() -> None:
        out = next(fresh)
        out.mkdir()
        for number, path in enumerate(masks):
            lines = supervision_yolo_lines(cv2.imread(path, cv2.IMREAD_GRAYSCALE) > 0)
            (out / f"{number:05d}.txt").write_text("\n".join(lines))

    def as_coco(annotations: Callable[[np.ndarray], list[dict[str, object]]]) -> None:
        found = [annotations(cv2.imread(path, cv2.IMREAD_GRAYSCALE) > 0) for path in masks]
        next(fresh).write_text(json.dumps(found, default=int))

    return {
        "supervision, YOLO polygons": with_supervision,
        "supervision, COCO polygons": lambda: as_coco(supervision_coco_annotations),
        "pycocotools, COCO run lengths": lambda: as_coco(pycocotools_annotations),
        "ultralytics' converter, YOLO polygons": lambda: write_ultralytics(class_ids, next(fresh)),
    }


if __name__ == "__main__":
    main()
