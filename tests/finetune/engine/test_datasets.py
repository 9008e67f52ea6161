"""Images to learn from: which they are, and that what is random about them repeats."""

from __future__ import annotations

import copy
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from converters import convert
from finetune.engine.datasets import EpochSampler, ImageDataset, SharedArrays, read_rgb, repeatable_loader
from finetune.engine.devices import mixed_seed
from finetune.engine.splits import SplitConfig, open_examples
from tests.commands import make_dataset, save
from toolkit.errors import ToolkitError


def noisy(image: torch.Tensor) -> torch.Tensor:
    return image.float() / 255 + torch.rand(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data"))


def test_mvtec_is_split_anew_since_its_train_folder_has_no_defects(root: Path) -> None:
    found = open_examples(root, SplitConfig(val=0, test=0.3))
    assert found.classes == ("good", "dent", "scratch")
    assert all(min(found.counts(subset)) > 0 for subset in ("train", "test"))
    assert any("train" not in note and "test folder" in note for note in found.notes)


def test_a_label_tree_keeps_its_own_subsets(root: Path, tmp_path: Path) -> None:
    split = open_examples(root, SplitConfig(val=0, test=0.3)).subsets
    convert(root, tmp_path / "out", ["yolo-classify"], split=split)
    found = open_examples(tmp_path / "out" / "yolo-classify")
    assert found.subsets == split


def test_a_uniform_split_leaves_the_others_out(root: Path) -> None:
    found = open_examples(root, SplitConfig(strategy="uniform", per_class=2, test_per_class=1))
    assert (found.counts("train"), found.counts("test")) == ([1, 1, 1], [1, 1, 1])


def test_images_are_rgb_squares(tmp_path: Path) -> None:
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[..., 2] = 200  # red, in BGR
    image = read_rgb(save(tmp_path / "a.png", pixels), 4)
    assert image.shape == (4, 4, 3)
    assert image[0, 0].tolist() == [200, 0, 0]


def batches(root: Path, workers: int, epoch: int, batch_size: int = 2) -> torch.Tensor:
    found = open_examples(root, SplitConfig(strategy="native"))
    dataset = ImageDataset(found.examples, found.classes, 16, noisy, seed=3)
    loader = repeatable_loader(dataset, batch_size=batch_size, shuffle=True, seed=3, workers=workers)
    assert isinstance(loader.sampler, EpochSampler)
    loader.sampler.set_epoch(epoch)
    return torch.cat([batch["image"].flatten(1) for batch in loader])


def test_images_repeat_whatever_the_number_of_workers_and_differ_by_epoch(root: Path) -> None:
    assert torch.equal(batches(root, 0, 1), batches(root, 2, 1))
    assert torch.equal(batches(root, 0, 1), batches(root, 0, 1, batch_size=3))
    assert not torch.equal(batches(root, 0, 1), batches(root, 0, 2))


@pytest.mark.parametrize("workers", [0, 2])
def test_each_image_is_decoded_once_for_all_processes(workers: int, root: Path) -> None:
    found = open_examples(root, SplitConfig(strategy="native"))
    decoded = multiprocessing.Array("i", len(found.examples))
    places = {one.image: place for place, one in enumerate(found.examples)}

    def read(path: Path) -> Any:
        with decoded.get_lock():
            decoded[places[path]] += 1
        return read_rgb(path, 16)[:8]  # smaller than the square: any shape that fits is kept

    dataset = ImageDataset(found.examples, found.classes, 16, noisy, seed=3, read=read)
    loader = repeatable_loader(dataset, batch_size=2, shuffle=True, workers=workers)
    epochs = [torch.cat([batch["image"] for batch in loader]) for _ in range(3)]
    assert list(decoded) == [1] * len(found.examples)
    assert epochs[0].shape[1:] == (3, 8, 16)
    assert torch.equal(epochs[0], epochs[1])
    assert torch.equal(epochs[0], epochs[2])


def test_a_copy_begins_empty_and_what_is_too_large_is_not_kept() -> None:
    kept = SharedArrays(3, 12)
    kept.put(1, torch.arange(12, dtype=torch.uint8).reshape(3, 2, 2))
    kept.put(2, torch.zeros(3, 3, 3, dtype=torch.uint8))
    found = kept.get(1)
    assert found is not None
    assert found.tolist() == torch.arange(12).reshape(3, 2, 2).tolist()
    assert (kept.get(0), kept.get(2)) == (None, None)
    assert copy.deepcopy(kept).get(1) is None


def test_reading_an_image_leaves_the_callers_random_numbers_alone(root: Path) -> None:
    found = open_examples(root, SplitConfig(strategy="native"))
    dataset = ImageDataset(found.examples, found.classes, 16, noisy)
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    dataset[0, 1]
    assert torch.equal(torch.rand(3), wanted)


def test_weights_draw_some_images_more_often() -> None:
    drawn = [index for _, index in EpochSampler(2000, shuffle=True, weights=[3.0] * 1000 + [1.0] * 1000)]
    assert len(drawn) == 2000
    assert 0.7 < sum(index < 1000 for index in drawn) / 2000 < 0.8


def test_seeds_of_neighbours_have_nothing_in_common() -> None:
    seeds = {mixed_seed(seed, epoch, index) for seed in range(10) for epoch in range(10) for index in range(-1, 10)}
    assert len(seeds) == 1100


def test_labels_without_images_cannot_be_learnt_from(root: Path, tmp_path: Path) -> None:
    convert(root, tmp_path / "out", ["coco"], images="none")
    with pytest.raises(ToolkitError, match=r'has no image file for part/.*; convert with images="hardlink"'):
        open_examples(tmp_path / "out" / "coco")


def test_a_fault_of_the_dataset_is_named(tmp_path: Path) -> None:
    (make_dataset(tmp_path) / "part/test/dent/000.png").unlink()
    with pytest.raises(ToolkitError, match="a mask without an image"):
        open_examples(tmp_path)
