"""Prompts, masks at low resolution, and which images are learnt from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import distance_transform_edt

from converters import convert
from finetune.engine.splits import SplitConfig, open_examples
from finetune.sam.data import PromptedImages, Task, choose_images, low_resolution, read_instances
from finetune.sam.embeddings import read_padded
from finetune.sam.module import first_prompts
from finetune.sam.prompts import (
    corrective_click,
    corrective_clicks,
    deepest_pixel,
    jittered_box,
    point_inside,
)
from tests.finetune.sam.segmenting import config, write_blobs
from toolkit.dataset.layouts import load_dataset
from toolkit.errors import ToolkitError
from toolkit.geometry.dihedral import turned_labels
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance, LabelledImage

Bools = npt.NDArray[np.bool_]


def disk(size: int, x: int, y: int, radius: float) -> Bools:
    rows, columns = np.mgrid[:size, :size]
    found: Bools = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    return found


def instance(mask: Bools) -> Instance:
    found = crop_to_bbox(mask, "spot")
    assert found is not None
    return found


class TestLowResolution:
    @given(st.integers(0, 2**32 - 1), st.integers(2, 80), st.integers(2, 80))
    def test_nothing_vanishes_and_nothing_lies_in_the_padding(self, seed: int, height: int, width: int) -> None:
        rng = np.random.default_rng(seed)
        mask = np.zeros((height, width), np.bool_)
        y, x = int(rng.integers(height)), int(rng.integers(width))
        mask[y : y + int(rng.integers(1, 9)), x : x + int(rng.integers(1, 9))] = True
        low = low_resolution(mask, 64)
        assert low.shape == (16, 16)
        assert low.any()
        rows, columns = np.nonzero(low)
        scale = 16 / max(height, width)
        assert rows.max() <= (y + 9) * scale + 1
        assert columns.max() <= (x + 9) * scale + 1

    def test_a_quarter_of_the_scale_is_exact(self) -> None:
        mask = np.random.default_rng(0).random((16, 16)) > 0.5
        assert np.array_equal(low_resolution(mask, 64), mask)

    def test_the_area_is_kept(self) -> None:
        assert low_resolution(disk(64, 30, 33, 14), 64).sum() * 16 == pytest.approx(np.pi * 14**2, rel=0.08)

    def test_a_thin_line_stays_whole(self) -> None:
        mask = np.zeros((256, 256), np.bool_)
        mask[101] = True
        assert low_resolution(mask, 256)[25].all()


class TestPrompts:
    def test_the_deepest_pixel_is_the_middle(self) -> None:
        assert deepest_pixel(disk(31, 12, 17, 8)) == (12, 17)

    def test_of_several_deepest_pixels_the_first_is_taken_whatever_the_last_bit_of_a_root(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mask = np.zeros((9, 40), np.bool_)
        mask[1:8, 2:36] = True
        roots = cv2.distanceTransform

        def uneven(*given: Any) -> Any:
            found = roots(*given)
            found[:, 21:] = np.nextafter(found[:, 21:], np.float32(np.inf))  # as Intel's IPP does here and there
            return found

        assert deepest_pixel(mask) == (5, 4)
        monkeypatch.setattr(cv2, "distanceTransform", uneven)
        assert deepest_pixel(mask) == (5, 4)

    @given(arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40))).filter(np.any))
    def test_the_deepest_pixel_is_the_first_of_those_furthest_from_the_edge(self, mask: npt.NDArray[np.bool_]) -> None:
        squares = np.rint(distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] ** 2)
        y, x = np.argwhere(squares == squares.max())[0]
        assert deepest_pixel(mask) == (x, y)

    def test_the_deepest_pixel_of_a_ring_is_on_it(self) -> None:
        ring = disk(31, 15, 15, 12) & ~disk(31, 15, 15, 6)
        x, y = deepest_pixel(ring)
        assert ring[y, x]

    @given(st.integers(0, 2**32 - 1))
    def test_points_and_boxes_stay_where_they_belong(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        mask = rng.random((20, 30)) > 0.97
        mask[5, 7] = True
        one = instance(mask)
        x, y = point_inside(one, rng).astype(int)
        assert mask[y, x]
        x0, y0, x1, y1 = jittered_box(one, 30, 20, 0.5, rng)
        assert min(x1 - x0, y1 - y0) > 1 - 1e-9
        assert min(x0, y0) >= 0
        assert (x1 <= 30, y1 <= 20) == (True, True)

    def test_noise_on_a_box_has_the_share_asked_for_and_an_end(self) -> None:
        rng, one = np.random.default_rng(0), instance(np.pad(np.ones((100, 50), np.bool_), 450))
        boxes = np.stack([jittered_box(one, 950, 1000, 0.1, rng) for _ in range(4000)]) - one.bbox
        assert boxes[:, [0, 2]].std() == pytest.approx(5, rel=0.05)
        assert boxes[:, [1, 3]].std() == pytest.approx(10, rel=0.08)
        assert np.abs(boxes).max() == 20

    def test_no_noise_is_the_true_box(self) -> None:
        one = instance(disk(31, 12, 17, 8))
        assert jittered_box(one, 31, 31, 0.0, np.random.default_rng(0)).tolist() == list(one.bbox)

    def test_a_click_goes_to_the_largest_mistake(self) -> None:
        truth = disk(40, 12, 12, 8)
        missed = truth & ~disk(40, 16, 12, 5)
        x, y, label = corrective_click(truth, missed)
        assert label == 1
        assert (truth & ~missed)[y, x]
        x, y, label = corrective_click(truth, truth | disk(40, 30, 30, 6))
        assert (x, y, label) == (30, 30, 0)
        assert corrective_click(truth, truth | disk(40, 4, 35, 2) | disk(40, 30, 30, 6) | disk(40, 35, 4, 3)) == (
            30,
            30,
            0,
        )
        assert corrective_click(truth, truth) == (12, 12, 1)

    def test_training_clicks_fall_on_mistakes_alone(self) -> None:
        truth = torch.from_numpy(np.stack([disk(16, 5, 5, 3), disk(16, 9, 9, 3), disk(16, 5, 5, 3)]))
        found = torch.from_numpy(np.stack([disk(16, 6, 5, 3), disk(16, 9, 9, 4), disk(16, 5, 5, 3)]))
        valid = torch.ones_like(truth)
        valid[1, 10:] = False
        for seed in range(30):
            torch.manual_seed(seed)
            points, labels = corrective_clicks(truth, found, valid, 4.0)
            cells = ((points - 1.5) / 4).long()
            assert torch.equal(cells * 4 + 1.5, points)  # the middle of a cell of four pixels, from the first one's
            for place, (x, y) in enumerate(cells.tolist()):
                assert valid[place, y, x]
                assert bool(labels[place]) == bool(truth[place, y, x])
                assert truth[place, y, x] != found[place, y, x] or place == 2
            assert labels[2] == 1


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blobs(tmp_path_factory.mktemp("data"), good=2)


@pytest.fixture(scope="module")
def images(data: Path) -> list[LabelledImage]:
    found = read_instances(open_examples(data, SplitConfig(strategy="native")).examples, data)
    return [image for image in found if image.instances]


def crowded(images: list[LabelledImage], number: int) -> LabelledImage:
    """An image with many instances."""
    masks = [disk(48, 3 + 4 * place, 5 + 3 * place, 2) for place in range(number)]
    return replace(images[0], width=48, height=48, instances=tuple(instance(mask) for mask in masks))


class TestViews:
    """Mirrored and turned views of an image."""

    def test_all_that_is_asked_is_of_the_view_that_is_shown(self, images: list[LabelledImage]) -> None:
        dataset = PromptedImages(images, Task(64, 2, jitter=0, views=8), {}, None)
        path, seen = images[2].path or Path(), set()
        shown = {read_padded(path, 64, view=view)["image"].numpy().tobytes(): view for view in range(8)}
        assert len(shown) == 8
        for epoch in range(40):
            item = dataset[epoch, 2]
            view = shown[item["image"].numpy().tobytes()]
            seen.add(view)
            there = turned_labels(images[2], view)
            truth = there.instances[0].whole(there.width, there.height)
            assert item["size"].tolist() == [there.height, there.width]
            assert np.array_equal(item["truth"][0].numpy(), low_resolution(truth, 64))
            assert item["boxes"][0].tolist() == list(there.instances[0].bbox)
            x, y = item["points"][0].long().tolist()
            assert truth[y, x]
        assert seen == set(range(8))

    def test_one_view_asks_what_was_always_asked_and_evaluation_sees_images_as_they_are(
        self, images: list[LabelledImage]
    ) -> None:
        first = PromptedImages(images, Task(64, 3), {}, None)[4, 1]
        assert first["points"].tolist() == [[23.0, 26.0], [20.0, 39.0], [14.0, 30.0]]
        exact = PromptedImages(images, Task(64, 3, exact=True, views=8, colour=0.5), {}, None)
        plain = PromptedImages(images, Task(64, 3, exact=True), {}, None)
        for place in range(len(images)):
            for name, value in exact[3, place].items():
                assert torch.equal(torch.as_tensor(value), torch.as_tensor(plain[3, place][name]))

    def test_colours_change_within_their_share_and_with_the_epoch(self, images: list[LabelledImage]) -> None:
        plain, varied = (PromptedImages(images, Task(64, 1, colour=part), {}, None) for part in (0.0, 0.2))
        one, two, again = varied[0, 0]["image"], varied[1, 0]["image"], varied[0, 0]["image"]
        assert torch.equal(one, again)
        assert not torch.equal(one, two)
        ratio = one.float().mean() / plain[0, 0]["image"].float().mean()
        assert 0.6 < float(ratio) < 1.45


class TestItems:
    def test_prompts_depend_on_seed_epoch_and_image_alone(self, images: list[LabelledImage]) -> None:
        first, second = (PromptedImages(images, Task(64, 3), {}, None) for _ in range(2))
        _ = [second[1, place] for place in range(len(images))]
        one, two, later = first[0, 2], second[0, 2], second[1, 2]
        assert all(torch.equal(torch.as_tensor(one[name]), torch.as_tensor(two[name])) for name in one)
        assert not torch.equal(one["points"], later["points"])
        other = PromptedImages(images, Task(64, 3, seed=1), {}, None)[0, 2]
        assert not torch.equal(one["points"], other["points"])

    def test_coordinates_are_those_of_the_scaled_image(self, images: list[LabelledImage]) -> None:
        item = PromptedImages(images[:1], Task(128, 1, exact=True), {}, None)[0]
        one = images[0].instances[0]
        assert item["size"].tolist() == [96, 128]
        assert item["boxes"][0].tolist() == [2.0 * side for side in one.bbox]
        assert torch.equal(item["image"], read_padded(images[0].path or Path(), 128)["image"])
        truth = one.whole(images[0].width, images[0].height)
        assert np.array_equal(item["truth"][0].numpy(), low_resolution(truth, 128))
        x, y = (item["points"][1] / 2).long().tolist()
        assert truth[y, x]

    def test_each_instance_is_asked_for_before_any_comes_again(self, images: list[LabelledImage]) -> None:
        dataset = PromptedImages([crowded(images, 5)], Task(64, 7), {}, None)
        chosen, asked = dataset._choose(5, 0, np.random.default_rng(0))
        assert sorted(chosen[:5]) == [0, 1, 2, 3, 4]
        assert all(asked)

    def test_without_chance_all_instances_are_asked_for_once_by_box_and_by_point(
        self, images: list[LabelledImage]
    ) -> None:
        image = crowded(images, 5)
        dataset = PromptedImages([image, images[1]], Task(64, 3, exact=True), {}, None)
        assert len(dataset) == 2 + 1
        items = [dataset[place] for place in range(2)]
        for kind in (True, False):
            boxes = [box.tolist() for item in items for box in item["boxes"][item["asked"] & (item["boxed"] == kind)]]
            factor = 64 / 48
            assert np.allclose(boxes, [[side * factor for side in one.bbox] for one in image.instances])

    def test_the_share_of_boxes_is_as_asked(self, images: list[LabelledImage]) -> None:
        for share in (0.0, 0.7, 1.0):
            dataset = PromptedImages(images, Task(64, 4, box_share=share), {}, None)
            boxed = torch.cat([dataset[epoch, place]["boxed"] for epoch in range(20) for place in range(len(images))])
            assert float(boxed.float().mean()) == pytest.approx(share, abs=0.06)

    def test_a_batch_knows_its_padding(self, images: list[LabelledImage]) -> None:
        item = PromptedImages(images[:1], Task(64, 2), {}, None)[0]
        prompts, truth, valid = first_prompts(torch.utils.data.default_collate([item, item]))
        assert prompts.image.tolist() == [0, 0, 1, 1]
        assert truth.shape == valid.shape == (4, 16, 16)
        assert valid[:, :12].all()
        assert not valid[:, 12:].any()


class TestChoice:
    def test_the_best_epoch_is_chosen_on_part_of_train_and_never_on_test(self, data: Path) -> None:
        examples = open_examples(data, SplitConfig(strategy="stratified", val=0, test=0.3))
        chosen = choose_images(examples, data, config())
        by_subset = {name: {one.key for one in examples.subset(name)} for name in ("train", "test")}
        assert {image.key for image in chosen.train + chosen.val} < by_subset["train"]
        assert {image.key for image in chosen.test} == by_subset["test"]
        assert not {image.key for image in chosen.train} & {image.key for image in chosen.val}
        assert {image.image_label for image in chosen.val} == {"blob", "bar"}
        assert chosen.how == "2 images of train, held out"

    def test_val_is_used_where_there_is_one(self, data: Path) -> None:
        examples = open_examples(data, SplitConfig(strategy="stratified", val=0.3, test=0.2))
        chosen = choose_images(examples, data, config())
        assert {image.subset for image in chosen.val} == {"val"}
        assert chosen.how == "the val subset"

    def test_small_instances_can_be_left_out(self, data: Path, tmp_path: Path) -> None:
        examples = open_examples(data, SplitConfig(strategy="native"))
        areas = sorted(one.area for image in read_instances(examples.examples, data) for one in image.instances)
        convert(load_dataset(data), tmp_path / "out", formats=["coco"])
        tree = tmp_path / "out/coco"
        for root, found in ((data, examples), (tree, open_examples(tree, SplitConfig(strategy="native")))):
            kept = read_instances(found.examples, root, min_area=areas[3])
            assert sorted(one.area for image in kept for one in image.instances) == areas[3:]

    @pytest.mark.parametrize("kind", ["coco", "yolo-segment", "semantic", "masks"])
    def test_label_trees_give_the_instances_of_the_dataset(
        self, kind: str, data: Path, images: list[LabelledImage], tmp_path: Path
    ) -> None:
        convert(load_dataset(data), tmp_path / "out", formats=[kind])
        tree = tmp_path / "out" / kind
        found = read_instances(open_examples(tree, SplitConfig(strategy="native")).examples, tree)
        shown = {image.key.partition("/")[2]: image for image in found if image.instances}
        assert set(shown) == {image.key.partition("/")[2] for image in images}
        for image in images:
            other = shown[image.key.partition("/")[2]]
            assert [one.bbox for one in other.instances] == [one.bbox for one in image.instances]
            assert all(np.array_equal(a.mask, b.mask) for a, b in zip(other.instances, image.instances, strict=True))

    @pytest.mark.parametrize("kind", ["yolo-detect", "yolo-obb", "yolo-classify"])
    def test_trees_without_masks_are_refused(self, kind: str, data: Path, tmp_path: Path) -> None:
        convert(load_dataset(data), tmp_path / "out", formats=[kind])
        tree = tmp_path / "out" / kind
        with pytest.raises(ToolkitError, match=r"holds (oriented boxes|boxes|classes) without masks"):
            read_instances(open_examples(tree, SplitConfig(strategy="native")).examples, tree)

    def test_data_without_instances_are_refused(self, tmp_path: Path) -> None:
        root = write_blobs(tmp_path / "data", images=0, good=3)
        examples = open_examples(root, SplitConfig(strategy="native"))
        with pytest.raises(ToolkitError, match="holds no instance"):
            choose_images(examples, root, config())

    def test_defects_in_the_test_folder_alone_are_refused(self, data: Path) -> None:
        examples = open_examples(data, SplitConfig(strategy="native"))
        with pytest.raises(ToolkitError, match=r"no training image with instances.*stratified"):
            choose_images(examples, data, config())
