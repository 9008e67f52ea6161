"""How many spoilt labels stand at the head of the list that `describe --suspects` makes.

Run: python -m benchmarks.suspects [MVTEC/screw ...] [--seeds 1] [--share 0.05] [--good 80] [--detector-size 512]

Without a folder the embedded product is taken. Of its labels a share is spoilt on purpose, in turn: a defect gets the
class of another, a defect is called good, a good image is called a defect and gets the mask of one, a mask is moved
by a quarter of the image. On what comes of that a classifier (a linear probe on the frozen EfficientNet-Lite0, 5
folds) and a PatchCore are trained, as anyone would, and asked. Near-duplicates are left out: nothing was copied. By
chance a tenth of the spoilt labels stands in the first tenth of the list.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.timing import environment
from finetune.suspects.ranking import find_suspects
from finetune.training import train
from toolkit import load_dataset, write_product
from toolkit.dataset.samples import GOOD, Sample
from toolkit.dataset.suspects import Suspect

KINDS = ("another class", "called good", "called defective", "mask moved")
CLASSIFIER = {"mode": "linear-probe", "backbone": "efficientnet_lite0", "out_of_fold": 5}
COMMON = {"device": "cpu", "plots": False}


def spoil(product: Path, out: Path, share: float, good: int, seed: int) -> tuple[dict[str, str], int]:
    """A copy of a product with wrong labels: key -> what is wrong, and the number of images."""
    draw, every = random.Random(seed), load_dataset(product)
    samples, trained = ([one for one in every if (one.split == "train") == wanted] for wanted in (False, True))
    samples += draw.sample(trained, min(good, len(trained)))
    defects = sorted((one for one in samples if one.defect != GOOD), key=lambda one: one.key)
    plain = sorted((one for one in samples if one.defect == GOOD), key=lambda one: one.key)
    draw.shuffle(defects)
    draw.shuffle(plain)
    wrong = {}
    for number in range(round(share * len(samples))):
        kind = KINDS[number % len(KINDS)]
        wrong[(plain if kind == "called defective" else defects).pop().key] = kind
    classes = sorted({one.defect for one in defects})
    spoilt = {}
    for number, one in enumerate(sorted(samples, key=lambda one: one.key)):
        kind = wrong.get(one.key, "")
        key = write(one, out, kind, number, classes, draw.choice(defects), draw)
        if kind:
            spoilt[key] = kind
    return spoilt, len(samples)


def write(
    one: Sample, home: Path, kind: str, number: int, classes: Sequence[str], donor: Sample, draw: random.Random
) -> str:
    """An image and its mask under the label that it is to have; its key."""
    others = [name for name in classes if name != one.defect]
    label = {"another class": draw.choice(others), "called good": GOOD, "called defective": donor.defect}.get(kind)
    label, name = label or one.defect, f"{number:04}"
    subset = "train" if label == GOOD and (one.split == "train" or (kind and number % 2)) else "test"
    image = home / subset / label / f"{name}{one.image.suffix}"
    image.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(one.image, image)
    source = donor if kind == "called defective" else one
    if label != GOOD:
        mask = cv2.imread(str(source.masks[0].path), cv2.IMREAD_UNCHANGED)
        if kind == "mask moved":
            mask = np.roll(mask, (mask.shape[0] // 4, mask.shape[1] // 4), axis=(0, 1))
        file = home / "ground_truth" / label / f"{name}_mask.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), mask)
    return f"{home.name}/{subset}/{label}/{name}"


def line(way: str, ranked: Sequence[Suspect], spoilt: dict[str, str], images: int) -> str:
    """A row: of each kind how many stand in the first tenth, and how many labels one looks at to have seen half."""
    first = {one.key for one in ranked[: round(0.1 * images)]}
    total, found = Counter(spoilt.values()), Counter(kind for key, kind in spoilt.items() if key in first)
    places = sorted(number for number, one in enumerate(ranked, 1) if one.key in spoilt)
    middle = places[len(spoilt) // 2] if len(places) > len(spoilt) // 2 else None
    doubtful = [one.key in spoilt for one in ranked if one.doubtful]
    cells = [f"{found[kind]} of {total[kind]}" for kind in KINDS]
    cells += [f"**{sum(found.values())} of {len(spoilt)}**", str(middle or "-"), f"{sum(doubtful)} of {len(doubtful)}"]
    return f"| {way} | {' | '.join(cells)} |"


def main() -> None:
    """Print what was used, and a table for each product."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="*", help="folders of products in MVTec layout")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.05, help="of the labels, to be spoilt")
    parser.add_argument("--good", type=int, default=80, help="images of train/good to take")
    parser.add_argument("--detector-size", type=int, default=512, help="image_size of PatchCore")
    parser.add_argument("--keep", type=Path, help="a folder for the spoilt data and the runs")
    told = parser.parse_args()
    print(environment("torch", "scikit-learn"), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = told.keep or Path(scratch)
        for data in told.data or [write_product(Path(scratch, "product"), per_class=10, train_good=64)]:
            for seed in range(told.first_seed, told.first_seed + told.seeds):
                began, home = time.process_time(), folder / f"{data.name}-{seed}"
                root = home / load_dataset(data)[0].category
                spoilt, images = spoil(data, root, told.share, told.good, seed)
                print(f"\n{root.name}, seed {seed}: {len(spoilt)} of {images} labels spoilt\n", flush=True)
                print(f"| asked | {' | '.join(KINDS)} | in the first tenth | half seen at | spoilt among doubtful |")
                print("|---" * 8 + "|", flush=True)
                runs = {
                    "classifier": train("classifier", root, home / "classifier", CLASSIFIER | COMMON | {"seed": seed}),
                    "patchcore": train(
                        "patchcore", root, home / "patchcore", COMMON | {"image_size": told.detector_size, "seed": seed}
                    ),
                }
                for way in ("classifier", "patchcore", "classifier, patchcore"):
                    asked = [runs[name] for name in way.split(", ")]
                    print(line(way, find_suspects(root, asked, copies=()).ranked, spoilt, images), flush=True)
                print(f"\n{time.process_time() - began:.0f} s of the processor", flush=True)


if __name__ == "__main__":
    main()
