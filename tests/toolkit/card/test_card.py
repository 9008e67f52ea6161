"""The dataset card: what is counted, what is measured, and what a faulty dataset leaves of it."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.commands import HEIGHT, IMAGES, WIDTH, make_dataset, picture, save, stain
from toolkit import Instance, LabelledImage, Sample, ToolkitError, load_dataset, split_dataset
from toolkit.card import DatasetCard, describe_dataset
from toolkit.dataset.dataset import Dataset


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "data")


def describe(root: Path) -> DatasetCard:
    return describe_dataset(load_dataset(root))


def test_counts(root: Path) -> None:
    card = describe(root)
    assert (card.products, card.defect_names) == (["part"], ["dent", "scratch"])
    assert list(card.classes.items()) == [("good", 4), ("dent", 2), ("scratch", 3)]
    assert card.subsets == {"train": {"good": 2}, "test": {"good": 2, "dent": 2, "scratch": 3}}
    assert (card.images, card.defect_images, card.subset_images) == (IMAGES, 5, {"train": 2, "test": 7})
    assert card.sizes == {(WIDTH, HEIGHT, 1): IMAGES}
    assert (card.duplicates, card.problems, card.published, card.split) == ([], (), {}, None)


def test_what_is_measured_in_masks(root: Path) -> None:
    card = describe(root)
    assert card.measured is not None
    assert (card.instances, card.measured.images) == (10, 5)
    assert (card.measured.area_px.least, card.measured.area_px.most, card.measured.area_px.mean) == (1, 40, 20.5)
    assert card.measured.area_percent.most == pytest.approx(100 * 40 / (WIDTH * HEIGHT), abs=1e-6)
    assert card.marked_px is not None
    assert (card.marked_px.least, card.marked_px.most, card.marked_px.count) == (41, 41, 5)
    assert (card.instances_per_image, card.components_per_mask) == ({2: 5}, {2: 5})
    assert card.area_histogram[0] == (1, 2, 5)
    assert card.area_histogram[-1] == (32, 64, 5)
    assert {name: (figures.images, figures.instances) for name, figures in card.figures.items()} == {
        "dent": (2, 4),
        "scratch": (3, 6),
    }


def test_where_defects_are(tmp_path: Path) -> None:
    part = tmp_path / "part"
    for number in range(2):
        mask = np.zeros((64, 128), np.uint8)
        mask[8:24, 64:96] = 255
        mask[60, 100:110] = 255 * number
        save(part / f"test/dent/{number}.png", np.full((64, 128), number, np.uint8))
        save(part / f"ground_truth/dent/{number}.png", mask)
    figures = describe(part).figures["dent"]
    assert figures.peak == (round(32.5 / 64, 4), round(8.5 / 64, 4), 1.0)
    assert figures.centre == pytest.approx((0.629, 0.254), abs=0.01)
    assert figures.heat[8:24, 32:48].min() == 1
    assert figures.heat[60, 50:55].tolist() == [0.5] * 5
    assert figures.heat.sum() == pytest.approx((2 * 16 * 32 + 10) / 2 / 2)  # a cell is two pixels


def test_the_numbers_are_the_same_with_threads(root: Path) -> None:
    alone, together = (describe_dataset(load_dataset(root), workers=n) for n in (1, 3))
    assert alone.as_json() == together.as_json()
    assert alone.measured is not None
    assert together.measured is not None
    assert (alone.measured.heat == together.measured.heat).all()


def test_progress_counts_every_image(root: Path) -> None:
    seen: list[tuple[int, int]] = []
    describe_dataset(load_dataset(root), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, IMAGES) for number in range(1, IMAGES + 1)]


@pytest.mark.parametrize(
    ("strategy", "uniform", "images"), [("uniform", True, 6), ("stratified", False, IMAGES), (None, False, IMAGES)]
)
def test_whether_classes_are_uniform_is_found_out(root: Path, strategy: str | None, uniform: bool, images: int) -> None:
    dataset = load_dataset(root)
    made = None
    if strategy == "uniform":
        made = split_dataset(dataset, "uniform", per_class=2, test_per_class=1)
    elif strategy:
        made = split_dataset(dataset, strategy, val=0, test=0.3)
    card = describe_dataset(dataset, split=made)
    assert (card.uniform, card.images) == (uniform, images)
    assert card.subset_images == ({"train": 3, "test": 3} if uniform else card.subset_images)


def test_a_hand_made_split_that_is_even_over_classes_but_not_over_subsets_is_not_uniform(root: Path) -> None:
    dataset = load_dataset(root)
    chosen = {name: [s.key for s in dataset if s.defect == name][:2] for name in ("good", "dent", "scratch")}
    split = {key: "train" for keys in chosen.values() for key in keys}
    assert describe_dataset(dataset, split=split).uniform
    split[chosen["dent"][0]] = "test"
    card = describe_dataset(dataset, split=split)
    assert not card.uniform
    assert "2 of each class, but unevenly over the subsets" in card.summary


def test_uniform_holds_for_each_product(tmp_path: Path) -> None:
    for name in ("left", "right"):
        make_dataset(tmp_path / "data", name)
    dataset = load_dataset(tmp_path / "data")
    for number, sample in enumerate(dataset):  # else the products' images are twins
        save(sample.image, picture(1000 + number))
    card = describe_dataset(dataset, split=split_dataset(dataset, "uniform", per_class=2, test_per_class=1))
    assert card.uniform
    assert card.by_product == {name: {"good": 2, "dent": 2, "scratch": 2} for name in ("left", "right")}
    assert card.summary.startswith("2 products: left, right. 3 classes (2 kinds of defect and good), 12 images, ")
    assert "uniform (2 of each class of each product)" in card.summary


def test_how_uneven_classes_are(root: Path) -> None:
    card = describe(root)
    assert (card.balance.imbalance_factor, card.defect_balance.imbalance_factor) == (2, 1.5)
    assert (card.balance.head, card.balance.tail) == (("good",), ("dent",))
    assert card.subset_balance["train"].images == {"good": 2}
    assert "not uniform (4 of good to 2 of dent, imbalance factor 2)" in card.summary


@pytest.mark.parametrize(
    ("broken", "problem", "sizes", "instances"),
    [
        ("ground_truth/dent/000_mask.png", "the file is empty (0 bytes)", IMAGES, 8),
        ("test/dent/000.png", "the file is empty (0 bytes)", IMAGES - 1, 8),
        ("test/good/000.png", "the file is empty (0 bytes)", IMAGES - 1, 10),
    ],
)
def test_faulty_files_are_listed_and_left_out_of_what_is_measured(
    root: Path, broken: str, problem: str, sizes: int, instances: int
) -> None:
    (root / "part" / broken).write_bytes(b"")
    card = describe(root)
    assert [(p.file, p.problem) for p in card.problems] == [(str(root / "part" / broken), problem)]
    assert card.images == IMAGES
    assert (sum(card.sizes.values()), card.instances) == (sizes, instances)
    assert "1 problem in the files." in card.summary


def test_problems_of_the_layout_are_told_too(root: Path) -> None:
    (root / "part/test/dent/000.png").unlink()
    assert [problem.problem for problem in describe(root).problems] == ["a mask without an image"]


def test_a_dataset_of_nothing_but_faults_still_has_a_card(tmp_path: Path) -> None:
    save(tmp_path / "part/test/dent/0.png", picture(0)).write_bytes(b"no image")
    save(tmp_path / "part/ground_truth/dent/0.png", stain(0))
    card = describe(tmp_path / "part")
    assert (card.images, card.classes, card.measured, card.sizes) == (1, {"dent": 1}, None, {})
    assert card.as_json()["instances"] == 0
    assert "sizes unknown" in card.summary


def test_empty_files_are_no_duplicates(tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path / f"part/train/good/{number}.png", picture(number)).write_bytes(b"")
    card = describe(tmp_path / "part")
    assert (len(card.problems), card.duplicates) == (2, [])


def test_a_dataset_without_defects(tmp_path: Path) -> None:
    save(tmp_path / "part/train/good/0.png", picture(0))
    card = describe(tmp_path / "part")
    assert card.summary == (
        f"1 class (0 kinds of defect and good), 1 image, train 1, uniform (1 of each class), "
        f"{WIDTH} x {HEIGHT} pixels, 1 channel."
    )
    assert "part: no test folder" in card.notes


@pytest.mark.parametrize("made", [True, False], ids=["an empty folder", "no folder"])
def test_a_missing_train_folder_is_said_plainly(root: Path, made: bool) -> None:
    for path in sorted((root / "part/train").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    if not made:
        (root / "part/train").rmdir()
    notes = [note for note in describe(root).notes if note.startswith("part: ")]
    assert notes == ["part: no images in the train folder" if made else "part: no train folder"]


def test_duplicates_and_what_is_wrong_about_them(root: Path) -> None:
    part = root / "part"
    save(part / "test/good/000.png", picture(0))  # as train/good/000
    save(part / "test/dent/000.png", picture(30))  # as test/scratch/000
    card = describe(root)
    assert card.duplicates == [
        ["part/test/dent/000", "part/test/scratch/000"],
        ["part/test/good/000", "part/train/good/000"],
    ]
    assert "1 set(s) of identical images lie in several subsets: what is tested was trained on" in card.notes
    assert "1 set(s) of identical images are of different classes: one of them is wrong" in card.notes
    assert "2 sets of identical images." in card.summary


def test_what_a_subset_lacks_is_noted(root: Path) -> None:
    assert describe(root).notes == ("train has no image of 2 of 3 classes: dent, scratch",)


def test_a_split_of_another_dataset_is_refused(root: Path) -> None:
    with pytest.raises(ToolkitError, match="the split: names 'x/y', which is not in the dataset"):
        describe_dataset(load_dataset(root), split={"x/y": "train"})


@pytest.mark.parametrize(
    ("size", "channels", "said"),
    [
        ((16, 12), 1, "1 images of 16 x 12 pixels with 1 channel(s), published 1024 x 1024 with 1"),
        ((1024, 1024), 3, "1 images of 1024 x 1024 pixels with 3 channel(s), published 1024 x 1024 with 1"),
    ],
)
def test_sizes_that_were_not_published_are_differences(
    tmp_path: Path, size: tuple[int, int], channels: int, said: str
) -> None:
    shape = (size[1], size[0], channels) if channels > 1 else (size[1], size[0])
    save(tmp_path / "screw/train/good/0.png", np.zeros(shape, np.uint8))
    card = describe(tmp_path / "screw")
    assert said in card.published["screw"]
    assert "train/good: 1 images, published 320" in card.published["screw"]
    assert card.as_json()["published"]["screw"]["agrees"] is False
    assert not [note for note in card.notes if "published" in note]  # it is said already


def label(name: str, box: tuple[int, int, int, int]) -> Instance:
    mask = np.ones((box[3] - box[1], box[2] - box[0]), np.bool_)
    return Instance(name, box, mask, int(mask.sum()))


def tree(tmp_path: Path, *instances: tuple[Instance, ...], size: tuple[int, int] = (40, 20)) -> DatasetCard:
    """The card of images with labels that do not stand in masks, the first of which has a file."""
    image = save(tmp_path / "0.png", np.zeros((20, 40, 3), np.uint8))
    samples = [
        Sample(f"{number}", image if number == 0 else Path(), (), "product", "combined", "")
        for number in range(len(instances))
    ]

    def labels(sample: Sample) -> LabelledImage:
        path = sample.image if sample.image.name else None
        return LabelledImage(sample.key, path, *size, instances[int(sample.key)])

    dataset = Dataset(samples, root=tmp_path, layout="coco")
    readers = {sample.key: partial(labels, sample) for sample in samples}
    return describe_dataset(dataset, labels=readers, names=["a", "b", "unused"])


def test_an_image_of_a_label_tree_counts_for_every_class_it_shows(tmp_path: Path) -> None:
    card = tree(tmp_path, (label("a", (0, 0, 4, 4)), label("b", (2, 2, 6, 6))), (label("b", (0, 0, 10, 2)),))
    assert card.classes == {"a": 1, "b": 2}
    assert card.defect_names == ["a", "b", "unused"]
    assert (card.images, card.subsets) == (2, {"unassigned": {"a": 1, "b": 2}})
    assert card.sizes == {(40, 20, 0): 1, (40, 20, 3): 1}
    assert card.notes == ("1 image(s) show several classes, and count for each of them", "no image shows unused")
    assert card.marked_px is not None
    assert card.marked_px.most == 4 * 4 + 4 * 4 - 2 * 2  # what both mark is marked once
    assert (card.instances_per_image, card.components_per_mask) == ({1: 1, 2: 1}, {1: 2})
    assert {name: (figures.instances, figures.area_px.most) for name, figures in card.figures.items()} == {
        "a": (1, 16),
        "b": (2, 20),
    }
    assert card.as_json()["sizes"][0]["channels"] is None


def test_labels_for_an_image_of_another_size_are_a_problem(tmp_path: Path) -> None:
    card = tree(tmp_path, (label("a", (0, 0, 4, 4)),), size=(80, 40))
    assert [problem.problem for problem in card.problems] == ["is 40 x 20 pixels, its labels are for 80 x 40"]
    assert card.instances == 0


def test_memory_does_not_grow_with_the_images(root: Path) -> None:
    dataset = load_dataset(root)
    defect = next(sample for sample in dataset if sample.masks)
    many = [replace(defect, key=f"part/test/dent/{number}") for number in range(600)]
    tracemalloc.start()
    describe_dataset(Dataset(many, root=root, layout="mvtec"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000  # the heat maps of all images together are 20 MB


def test_the_real_screw(mvtec_root: Path) -> None:
    card = describe(mvtec_root / "screw")
    assert len(card.defect_names) == 5
    assert (card.classes["good"], card.defect_images, card.images) == (361, 119, 480)
    assert card.sizes == {(1024, 1024, 1): 480}
    assert card.published == {"screw": []}
    assert (card.duplicates, card.problems) == ([], ())
    assert card.instances == sum(card.components_per_mask[n] * n for n in card.components_per_mask) >= 119


def test_the_real_bottle_sample(mvtec_root: Path) -> None:
    card = describe(mvtec_root / "bottle")
    assert card.duplicates == [["bottle/test/good/002", "bottle/test/good/008"]]
    assert "bottle: no train folder" in card.notes
    assert card.published["bottle"][-1] == "train/good: 0 images, published 209"


def test_depths(root: Path) -> None:
    card = describe(root)
    assert card.depths == {8: IMAGES}
    assert "depth" not in card.summary
    for number, largest in enumerate((4000, 4095, 60000)):
        deep = np.full((HEIGHT, WIDTH), largest - number, np.uint16)
        save(root / f"part/train/good/deep{number}.png", deep)
    card = describe(root)
    assert card.depths == {8: IMAGES, 12: 2, 16: 1}
    assert card.as_json()["depths"] == {"8": IMAGES, "12": 2, "16": 1}
    assert "depth 12 bits (2), 16 bits (1), read as 8 bits" in card.summary


def test_a_damaged_image_of_16_bits_is_a_problem(root: Path) -> None:
    path = save(root / "part/train/good/deep.png", np.full((HEIGHT, WIDTH), 4000, np.uint16))
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 6] ^= 1
    path.write_bytes(data)
    (problem,) = describe(root).problems
    assert problem.file == str(path)
    assert problem.problem == "damaged: a checksum of this PNG does not match"
