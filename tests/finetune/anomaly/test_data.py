"""What an anomaly detector may learn from, whether its product lies at any angle, and where the truth is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from converters import convert
from finetune.anomaly.data import choose_good, has_random_pose, train_views, truth_masks
from finetune.engine.splits import ImageRecord, ImageRecords, SplitConfig, open_examples
from tests.commands import make_dataset
from toolkit.dataset.layouts import load_dataset
from toolkit.errors import ToolkitError


def example(number: int, *, label: str = "good", subset: str = "train", category: str = "part") -> ImageRecord:
    return ImageRecord(f"{category}/{subset}/{label}/{number:03}", Path(f"{number:03}.png"), label, category, subset)


def examples(*found: ImageRecord) -> ImageRecords:
    return ImageRecords(Path("root"), found, ("good", "dent"))


def bars(folder: Path, angles: list[float]) -> list[ImageRecord]:
    """Pictures of a bar at some angles, in degrees."""
    found = []
    for number, angle in enumerate(angles):
        picture = np.full((64, 64, 3), 200, np.uint8)
        picture[28:36, 10:54] = 40
        turn = cv2.getRotationMatrix2D((31.5, 31.5), angle, 1.0)
        path = folder / f"{number:03}.png"
        cv2.imwrite(str(path), cv2.warpAffine(picture, turn, (64, 64), borderValue=(200, 200, 200)))
        found.append(ImageRecord(f"bar/train/good/{number:03}", path, "good", "bar", "train"))
    return found


class TestGoodImages:
    @pytest.mark.parametrize(("there", "share", "held"), [(40, 0.1, 5), (100, 0.1, 10), (10, 0.1, 5), (40, 0.5, 20)])
    def test_some_of_train_are_held_out(self, there: int, share: float, held: int) -> None:
        chosen = choose_good(examples(*(example(number) for number in range(there))), share, seed=0)
        keys = {one.key for one in (*chosen.train, *chosen.held_out)}
        assert (len(chosen.train), len(chosen.held_out), len(keys)) == (there - held, held, there)

    def test_the_draw_is_the_seeds(self) -> None:
        there = examples(*(example(number) for number in range(40)))
        first, again, other = (choose_good(there, 0.2, seed) for seed in (1, 1, 2))
        assert first.held_out == again.held_out != other.held_out

    def test_good_images_of_val_are_taken_where_there_are_some(self) -> None:
        val = [example(number, subset="val") for number in range(6)]
        defect = example(9, label="dent", subset="val")
        chosen = choose_good(examples(*(example(number) for number in range(8)), *val, defect), 0.1, seed=0)
        assert (len(chosen.train), chosen.held_out) == (8, val)

    @pytest.mark.parametrize("subset", ["test", "val"])
    def test_other_subsets_are_not_trained_on(self, subset: str) -> None:
        others = [example(number, subset=subset) for number in range(7)]
        chosen = choose_good(examples(*(example(number) for number in range(20)), *others), 0.3, seed=0)
        assert {one.subset for one in chosen.train} == {"train"}

    def test_a_defect_in_train_is_refused(self) -> None:
        there = [*(example(number) for number in range(20)), example(7, label="dent")]
        with pytest.raises(ToolkitError, match=r"^007\.png: is a defect \(dent\) among the train images.*native"):
            choose_good(examples(*there), 0.1, seed=0)

    @pytest.mark.parametrize("there", [0, 4, 9])
    def test_too_few_good_images_are_refused(self, there: int) -> None:
        with pytest.raises(ToolkitError, match=r"too few good images: .* give 5 or more"):
            choose_good(examples(*(example(number) for number in range(there))), 0.1, seed=0)

    def test_two_products_are_refused(self) -> None:
        there = [example(number, category=name) for name in ("nut", "screw") for number in range(10)]
        with pytest.raises(ToolkitError, match=r"2 products \(nut, screw\)"):
            choose_good(examples(*there), 0.1, seed=0)

    def test_the_embedded_layout_has_them_in_its_own_folders(self, tmp_path: Path) -> None:
        there = open_examples(make_dataset(tmp_path / "data"), SplitConfig(strategy="native"))
        with pytest.raises(ToolkitError, match="2 to train on and 0 to hold out"):
            choose_good(there, 0.1, seed=0)


class TestPose:
    def test_bars_at_every_angle_lie_at_random(self, tmp_path: Path) -> None:
        assert has_random_pose(bars(tmp_path, [number * 180 / 24 for number in range(24)]))

    @pytest.mark.parametrize("middle", [0, 90, 37])
    def test_bars_at_about_one_angle_do_not(self, tmp_path: Path, middle: float) -> None:
        assert not has_random_pose(bars(tmp_path, [middle + number for number in range(-12, 12)]))

    def test_few_or_empty_images_tell_nothing(self, tmp_path: Path) -> None:
        assert not has_random_pose(bars(tmp_path, [0, 45, 90, 135]))
        for one in range(8):
            cv2.imwrite(str(tmp_path / f"{one:03}.png"), np.full((64, 64, 3), 90, np.uint8))
        assert not has_random_pose([ImageRecord(str(n), tmp_path / f"{n:03}.png", "good", "", "") for n in range(8)])


class TestViews:
    PICTURE = torch.arange(3 * 4 * 4, dtype=torch.uint8).reshape(3, 4, 4)

    @pytest.mark.parametrize(("kind", "views"), [("none", 1), ("flip", 2), ("turn", 8)])
    def test_all_views_are_drawn_and_keep_every_pixel(self, kind: str, views: int) -> None:
        vary = train_views(kind)  # type: ignore[arg-type]
        torch.manual_seed(0)
        drawn = [vary(self.PICTURE) for _ in range(200)]
        assert len({one.numpy().tobytes() for one in drawn}) == views
        whole = (self.PICTURE.float() / 255).sort().values.flatten().sort().values
        assert all(torch.equal(one.flatten().sort().values, whole) for one in drawn)


class TestTruth:
    def test_masks_of_a_dataset(self, tmp_path: Path) -> None:
        dataset = load_dataset(make_dataset(tmp_path / "data"))
        masks = truth_masks(tmp_path / "data")
        for sample in dataset:
            found = masks[sample.key]()
            assert found is not None
            expected = cv2.imread(str(sample.masks[0]), cv2.IMREAD_GRAYSCALE) if sample.masks else None
            assert np.array_equal(found, expected > 0) if expected is not None else not found.any()

    def test_label_trees_give_the_same(self, tmp_path: Path) -> None:
        dataset = load_dataset(make_dataset(tmp_path / "data"))
        convert(dataset, tmp_path / "out", formats=["coco"])
        wanted, found = truth_masks(tmp_path / "data"), truth_masks(tmp_path / "out/coco")
        assert set(wanted) == set(found)
        assert all(np.array_equal(found[key](), wanted[key]()) for key in wanted)  # type: ignore[arg-type]

    def test_a_classification_tree_tells_no_places(self, tmp_path: Path) -> None:
        convert(load_dataset(make_dataset(tmp_path / "data")), tmp_path / "out", formats=["yolo-classify"])
        assert {mask() for mask in truth_masks(tmp_path / "out/yolo-classify").values()} == {None}
