"""Near-duplicates: copies of a photo are found, other photos of the same product are none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.commands import defectkit
from toolkit import load_dataset, split_dataset, write_product
from toolkit.dataset import neighbours
from toolkit.dataset.neighbours import near_duplicates
from toolkit.dataset.samples import Sample
from toolkit.errors import ToolkitError

Grey = npt.NDArray[np.uint8]


def compressed(image: Grey) -> Grey:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


CHANGES: dict[str, Callable[[Grey], Grey]] = {
    "brightened": lambda image: np.clip(image * 1.15 + 10, 0, 255).astype(np.uint8),
    "darkened": lambda image: (image * 0.8).astype(np.uint8),
    "compressed": compressed,
    "cropped": lambda image: image[2:-2, 2:-2],
    "turned": lambda image: np.ascontiguousarray(np.rot90(image)),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "turned, brightened and cropped": lambda image: CHANGES["brightened"](np.rot90(image, 3)[2:-2, 2:-2]),
    "scaled": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.uint8),
}


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder = tmp_path_factory.mktemp("product")
    write_product(folder, image_size=256, per_class=2, train_good=8, seed=1)
    return list(load_dataset(folder))


def copy(sample: Sample, folder: Path, how: str) -> Sample:
    image = np.asarray(cv2.imread(str(sample.image), cv2.IMREAD_GRAYSCALE), np.uint8)
    path = folder / f"{sample.key.replace('/', '-')}.png"
    cv2.imwrite(str(path), CHANGES[how](image))
    return Sample(f"{sample.key}-copy", path, (), sample.category, sample.defect, "train")


def test_different_photos_are_no_copies(product: list[Sample]) -> None:
    assert near_duplicates(product) == []


@pytest.mark.parametrize("how", CHANGES)
def test_copies_are_found(product: list[Sample], tmp_path: Path, how: str) -> None:
    copies = [copy(sample, tmp_path, how) for sample in product[::4]]
    assert near_duplicates([*copies, *product]) == [[one.key, f"{one.key}-copy"] for one in product[::4]]


def test_a_split_keeps_them_together(product: list[Sample], tmp_path: Path) -> None:
    samples = [sample for sample in product if sample.defect == "good"]
    samples += [copy(sample, tmp_path, "brightened") for sample in samples]
    for seed in range(4):
        split = split_dataset(samples, "stratified", val=0.2, test=0.3, group="near-duplicates", seed=seed)
        assert all(split[one.key] == split[f"{one.key}-copy"] for one in samples if "copy" not in one.key)
        assert set(split.values()) == {"train", "val", "test"}
    assert split.settings["group"] == "near-duplicates"


def test_products_are_not_compared(product: list[Sample], tmp_path: Path) -> None:
    one = copy(product[0], tmp_path, "brightened")
    other = Sample(one.key, one.image, (), "other", one.defect, "train")
    assert near_duplicates([*product, other]) == []


def test_flat_images_of_one_grey_are_copies_of_each_other_alone(product: list[Sample], tmp_path: Path) -> None:
    for name, grey in (("a", 0), ("b", 0), ("c", 90)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((40, 40), grey, np.uint8))
    flat = [Sample(name, tmp_path / f"{name}.png", (), "zipper", "good", "train") for name in "abc"]
    assert near_duplicates([*flat, *product]) == [["a", "b"]]


def test_a_faulty_image_is_named_or_passed_over(product: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    bad = Sample("bad", tmp_path / "bad.png", (), "zipper", "good", "train")
    with pytest.raises(ToolkitError, match=r"bad.png"):
        near_duplicates([bad, *product[:3]])
    assert near_duplicates([bad, *product[:3]], skip_faulty=True) == []


def test_hashes_are_compared_in_blocks() -> None:
    bits = np.random.default_rng(0).integers(0, 2**63, (700, 8, 4), np.uint64)
    bits[577, 0] = bits[33, 5]
    looks = [neighbours._Look(row, np.zeros((1, 1), np.uint8)) for row in bits]
    assert list(neighbours._candidates(looks)) == [(577, 33, 5)]


def test_describe_lists_them_when_asked(product: list[Sample], tmp_path: Path) -> None:
    root = product[0].image.parents[3]
    image = cv2.imread(str(product[-1].image))
    place = root / "zipper/train/good/900.png"
    cv2.imwrite(str(place), (image * 0.9).astype(np.uint8))
    try:
        told = defectkit("describe", root, "--near-duplicates", "--json").json()
        shown = defectkit("describe", root, "--near-duplicates").out
        silent = defectkit("describe", root, "--json").json()
    finally:
        place.unlink()
    assert told["near_duplicates"] == [sorted([product[-1].key, "zipper/train/good/900"])]
    assert told["duplicates"] == []
    assert "Near-duplicates" in shown
    assert "1 set of near-duplicates." in shown
    assert "near_duplicates" not in silent


@pytest.mark.skipif("DEFECT_DATA" not in os.environ, reason="DEFECT_DATA does not say where real images are")
def test_real_screws_do_not_hang_together() -> None:
    every = load_dataset(Path(os.environ["DEFECT_DATA"]) / "mvtec_ad/screw")
    samples = [one for one in every if "/train/good/" in one.key][:180]
    found = near_duplicates(samples)
    assert ["screw/train/good/053", "screw/train/good/173"] in found
    assert max(map(len, found)) <= 3
