"""How many known copies of photos are found with their originals, and how many sets without any copy.

Run: python -m benchmarks.near_duplicates [MVTEC/screw ...] [--copied 30]

Without a folder the embedded product is taken. Of so many of its images one copy is made in each of several ways.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.timing import environment
from toolkit import load_dataset, write_product
from toolkit.dataset.neighbours import near_duplicates

Picture = npt.NDArray[np.uint8]


def cropped(share: float) -> Callable[[Picture], Picture]:
    def crop(image: Picture) -> Picture:
        top, left = (max(1, round(share * side)) for side in image.shape[:2])
        return image[top:-top, left:-left]

    return crop


def turned(degrees: float) -> Callable[[Picture], Picture]:
    def turn(image: Picture) -> Picture:
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
        return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)

    return turn


def brightened(image: Picture) -> Picture:
    return np.clip(image * 1.15 + 10, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "brightened": brightened,
    "turned by 90 degrees": lambda image: np.rot90(image),
    "turned by 180 degrees": lambda image: np.rot90(image, 2),
    "mirrored": lambda image: image[:, ::-1],
    "cropped by 1 % a side": cropped(0.01),
    "cropped by 2 % a side": cropped(0.02),
    "turned by 90, cropped by 1 %, brightened": lambda image: brightened(cropped(0.01)(np.rot90(image))),
    "turned by 1 degree": turned(1),
    "turned by 5 degrees": turned(5),
}


def main() -> None:
    """Print a table for each product."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="*", help="folders of products")
    parser.add_argument("--copied", type=int, default=30)
    told = parser.parse_args()
    print(environment("numpy", "opencv-python"))
    with tempfile.TemporaryDirectory() as scratch:
        for data in told.data or [write_product(Path(scratch, "product"))]:
            samples = list(load_dataset(data))
            chosen = samples[:: max(1, len(samples) // told.copied)][: told.copied]
            print(f"\n| {samples[0].category}, {len(samples)} images ({len(chosen)} copied) | found | CPU s |")
            print("|---|---|---|", flush=True)
            began = time.process_time()
            without = len(near_duplicates(samples))
            print(f"| sets without any copy | {without} | {time.process_time() - began:.0f} |", flush=True)
            for name, change in CHANGES.items():
                home = Path(scratch, name)
                home.mkdir(exist_ok=True)
                copies = []
                for number, one in enumerate(chosen):
                    image = np.asarray(cv2.imread(str(one.image), cv2.IMREAD_UNCHANGED), np.uint8)
                    file = home / f"{number}.png"
                    cv2.imwrite(str(file), np.ascontiguousarray(change(image)))
                    copies.append(replace(one, key=f"{one.key} copy", image=file))
                began = time.process_time()
                sets = [set(keys) for keys in near_duplicates([*chosen, *copies])]
                found = sum(any({one.key, f"{one.key} copy"} <= keys for keys in sets) for one in chosen)
                print(f"| {name} | {found} of {len(chosen)} | {time.process_time() - began:.0f} |", flush=True)


if __name__ == "__main__":
    main()
