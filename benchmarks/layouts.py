"""Time to index a dataset by a description, against the reader of MVTec AD that is written as code.

Run: python -m benchmarks.layouts [--files 20000], or LAYOUT_FILES=100000 python -m benchmarks.layouts

The files are empty: an index reads names alone where masks are binary. Half of them are good images, a quarter defects,
a quarter masks, in ten products. They are read by code and by the description `mvtec`; and as many files in folders of
images and masks by whatever of all descriptions is found to fit.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.timing import alternate, environment, ratio
from toolkit import load_dataset
from toolkit.dataset.layouts import mvtec

_PRODUCTS = 10


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=int(os.environ.get("LAYOUT_FILES", "20000")))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        products, pairs = Path(folder, "products"), Path(folder, "pairs")
        _products(products, arguments.files)
        _pairs(pairs, arguments.files)
        tasks = {
            "code": lambda: mvtec.index(products),
            "description": lambda: load_dataset(products, layout="mvtec"),
            "found by itself": lambda: load_dataset(pairs),
        }
        seconds = alternate(tasks, arguments.rounds)
    print(environment())
    for name, rounds in seconds.items():
        print(
            f"{name}: {min(rounds):.2f} s for {arguments.files} files, {ratio(seconds, name, 'code'):.2f} of the code"
        )


def _products(root: Path, files: int) -> None:
    """Good images, defects and their masks, laid out as MVTec AD."""
    each = files // (4 * _PRODUCTS)
    for product in (root / f"product{number}" for number in range(_PRODUCTS)):
        _fill(product / "train/good", each)
        _fill(product / "test/good", each)
        _fill(product / "test/dent", each)
        _fill(product / "ground_truth/dent", each, "_mask")


def _pairs(root: Path, files: int) -> None:
    """A folder of images and one of masks, with folders of classes in both."""
    _fill(root / "images/good", files // 2)
    _fill(root / "images/dent", files // 4)
    _fill(root / "masks/dent", files // 4)


def _fill(folder: Path, files: int, ending: str = "") -> None:
    folder.mkdir(parents=True)
    for number in range(files):
        (folder / f"{number:06d}{ending}.png").touch()


if __name__ == "__main__":
    main()
