"""What the tests of converters share: a small product, and its label trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters import FORMATS, convert
from toolkit import Dataset, load_dataset, split_dataset
from toolkit.dataset.splits import Split
from toolkit.synthetic.product import write_product


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The embedded product, small: 128 pixels, 4 images a class."""
    root = tmp_path_factory.mktemp("product")
    write_product(root, image_size=128, per_class=4, train_good=4)
    return load_dataset(root)


@pytest.fixture(scope="session")
def product_split(product: Dataset) -> Split:
    return split_dataset(product, "stratified", val=0.25, test=0.25)


@pytest.fixture(scope="session")
def trees(product: Dataset, product_split: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product in every format, with its images. Not to be changed: `support.tree_copy` gives a copy."""
    out = tmp_path_factory.mktemp("trees") / "labels"
    convert(product, out, FORMATS, split=product_split, images="symlink")
    return out


@pytest.fixture(scope="session")
def real_defects(mvtec_root: Path) -> Dataset:
    """The images with a defect of every product there is."""
    dataset = load_dataset(mvtec_root)
    return dataset.without(sample.key for sample in dataset if not sample.masks)


@pytest.fixture(scope="session")
def real_trees(real_defects: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real masks as COCO polygons and YOLO polygons."""
    out = tmp_path_factory.mktemp("real") / "labels"
    convert(real_defects, out, ["coco", "yolo-segment"], images="symlink", workers=2)
    return out
