"""How long the proof and the gallery take, as multiples of decoding the same files with OpenCV.

Run: python -m benchmarks.verify [ROOT...] [--made] [--kind KIND]... [--rounds 7] [--json FILE]

`verify` of eight label trees at once, and of each alone, over `cv2.imread` of the masks; `view` of COCO labels with
their source over `cv2.imread` of the photos. Of each dataset named, or of masks made here of each kind
(benchmarks.made_masks) and the embedded product, which are what is measured where nothing is named. Processor time on
one core (one worker, one OpenCV thread), all tasks in turn in one run, files on a memory disk where there is one; the
photos of the trees are links to those of the source.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from benchmarks.convert import EIGHT, Spread
from benchmarks.made_masks import KINDS, dataset_parser, write_masks
from benchmarks.timing import alternate, environment, memory_folder, ratios
from converters import convert, verify, view
from toolkit import load_dataset, write_product

MASKS, PHOTOS = "cv2.imread of the masks", "cv2.imread of the photos"


def main() -> None:
    """Print the tables."""
    parser = dataset_parser(__doc__)
    parser.add_argument("--image-size", type=int, default=1024, help="side of the embedded product in pixels")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    print(environment("opencv-python", "pycocotools"))
    figures: dict[str, dict[str, Spread]] = {}
    with memory_folder() as folder:
        for name, root in _datasets(arguments, Path(folder)):
            figures[name] = _measure(name, root, Path(folder, "out"), arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def _datasets(arguments: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and root of each dataset to measure, all on the memory disk; each goes away after its turn."""
    made = folder / "made"
    for root in arguments.roots:
        yield root.resolve().name, Path(shutil.copytree(root, made / root.resolve().name))
        shutil.rmtree(made)
    if arguments.kind or arguments.made or not arguments.roots:
        for name in arguments.kind or KINDS:
            yield name, write_masks(KINDS[name], made)
            shutil.rmtree(made)
    if arguments.made or not (arguments.roots or arguments.kind):
        side = arguments.image_size
        yield f"the embedded product, {side} px", write_product(made, image_size=side, per_class=3, train_good=6)
        shutil.rmtree(made)


def _measure(name: str, root: Path, out: Path, rounds: int) -> dict[str, Spread]:
    """Measure one dataset and print its rows."""
    dataset = load_dataset(root)
    masks = [str(sample.masks[0].path) for sample in dataset if sample.masks]
    photos = [str(sample.image) for sample in dataset]
    convert(dataset, out / "trees", EIGHT)
    galleries = (out / f"gallery-{number}" for number in itertools.count())
    tasks: dict[str, Callable[[], object]] = {
        MASKS: lambda: [cv2.imread(path, cv2.IMREAD_GRAYSCALE) for path in masks],
        "verify, eight trees": lambda: verify(out / "trees"),
        **{f"verify, {one}": lambda one=one: verify(out / "trees" / one) for one in EIGHT},
        PHOTOS: lambda: [cv2.imread(path) for path in photos],
        "view, coco": lambda: view(out / "trees" / "coco", next(galleries)),
    }
    seconds = alternate(tasks, rounds, time.process_time)
    base, whole = (statistics.median(seconds[task]) * 1e3 for task in (MASKS, PHOTOS))
    print(f"\n{name}: {len(masks)} masks of {base / len(masks):.2f} ms", end=", ")
    print(f"{len(photos)} photos of {whole / len(photos):.2f} ms; {rounds} rounds\n")
    print("| task | over | median of rounds (min to max) | ms per image |\n|---|---|---|---|")
    figures = {}
    for task in (one for one in tasks if one not in (MASKS, PHOTOS)):
        over = PHOTOS if task.startswith("view") else MASKS
        found = ratios(seconds, task, over)
        figures[task] = (statistics.median(found), min(found), max(found))
        each = statistics.median(seconds[task]) / len(photos) * 1e3
        print("| {} | {} | {:.2f} ({:.2f} to {:.2f}) | {:.1f} |".format(task, over, *figures[task], each), flush=True)
    shutil.rmtree(out)
    return figures


if __name__ == "__main__":
    main()
