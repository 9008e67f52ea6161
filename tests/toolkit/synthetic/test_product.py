"""The synthetic product: its tree, its repeatability, and masks that are exact and hard."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from toolkit.errors import ToolkitError
from toolkit.synthetic.product import PRODUCT_DEFECTS, _render, write_product

REAL_ZIPPER = (
    "broken_teeth",
    "combined",
    "fabric_border",
    "fabric_interior",
    "rough",
    "split_teeth",
    "squeezed_teeth",
)


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def read_grey(path: Path) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), dtype=np.uint8)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_product(tmp_path_factory.mktemp("small"), image_size=64, per_class=4, train_good=3, seed=5)


def test_defects_are_those_of_the_real_zipper() -> None:
    assert PRODUCT_DEFECTS == REAL_ZIPPER


def test_the_tree_is_mvtec_layout(small: Path) -> None:
    expected = {f"train/good/{i:03}.png" for i in range(3)} | {f"test/good/{i:03}.png" for i in range(4)}
    for defect in REAL_ZIPPER:
        expected |= {f"test/{defect}/{i:03}.png" for i in range(4)}
        expected |= {f"ground_truth/{defect}/{i:03}_mask.png" for i in range(4)}
    assert small.name == "zipper"
    assert set(tree(small)) == expected
    assert [path.name for path in small.parent.iterdir()] == ["zipper"]


def test_every_file_is_an_8_bit_grey_png_of_the_size_asked_for(small: Path) -> None:
    for name, data in tree(small).items():
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert data.startswith(b"\x89PNG"), name
        assert pixels is not None, name
        assert pixels.shape == (64, 64), name
        assert pixels.dtype == np.uint8, name
        if name.startswith("ground_truth"):
            assert set(np.unique(pixels)) == {0, 255}, name


def test_the_same_arguments_give_the_same_bytes(small: Path, tmp_path: Path) -> None:
    again = write_product(tmp_path, image_size=64, per_class=4, train_good=3, seed=5)
    assert tree(again) == tree(small)


def test_a_larger_dataset_contains_the_smaller_one(small: Path, tmp_path: Path) -> None:
    larger = tree(write_product(tmp_path, image_size=64, per_class=5, train_good=0, seed=5))
    smaller = {name: data for name, data in tree(small).items() if not name.startswith("train")}
    assert {name: larger[name] for name in smaller} == smaller


def test_no_two_images_are_alike(small: Path, tmp_path: Path) -> None:
    other_seed = tree(write_product(tmp_path, image_size=64, per_class=4, train_good=3, seed=6))
    images = [
        data for files in (tree(small), other_seed) for name, data in files.items() if not name.startswith("ground")
    ]
    assert len(set(images)) == len(images) == 2 * (8 * 4 + 3)


@pytest.mark.parametrize(("size", "count"), [(64, 6), (97, 3), (256, 2)])
@pytest.mark.parametrize("defect", PRODUCT_DEFECTS)
def test_a_mask_is_where_the_image_differs_from_the_sound_product(defect: str, size: int, count: int) -> None:
    for index in range(count):
        image, mask, sound = _render(defect, index, size, 0)
        assert np.array_equal(image != sound, mask == 255)
        assert mask.any()


def test_the_files_hold_that_image_and_that_mask(small: Path) -> None:
    for defect in PRODUCT_DEFECTS:
        image, mask, _ = _render(defect, 2, 64, 5)
        assert np.array_equal(read_grey(small / f"test/{defect}/002.png"), image)
        assert np.array_equal(read_grey(small / f"ground_truth/{defect}/002_mask.png"), mask)


def test_the_product_is_a_zipper() -> None:
    sound = _render("train", 0, 256, 0)[2].astype(float)
    table, tape, teeth = sound[:, :10], sound[:, 50:90], sound[:, 115:140]
    assert table.mean() > tape.mean() + 60
    assert teeth.mean() > tape.mean() + 20
    assert (teeth.mean(axis=1) > 90).sum() > 60  # rows of the picture with metal in them
    assert 3 < tape.std() < 30 < teeth.std()


def test_good_images_show_the_sound_product() -> None:
    for name in ("train", "test"):
        image, mask, sound = _render(name, 0, 64, 0)
        assert np.array_equal(image, sound)
        assert not mask.any()


@pytest.mark.parametrize("defect", PRODUCT_DEFECTS)
def test_a_defect_can_be_seen(defect: str) -> None:
    for index in range(4):
        image, mask, sound = _render(defect, index, 256, 0)
        changed = np.abs(image.astype(int) - sound)[mask == 255]
        assert changed.mean() > 12  # camera noise has a standard deviation of about 2 grey levels
        assert 0.001 < mask.astype(bool).mean() < 0.2


def holes(mask: npt.NDArray[np.uint8]) -> int:
    padded = np.pad(mask == 0, 1, constant_values=True).astype(np.uint8)
    return int(cv2.connectedComponents(padded, connectivity=4)[0] - 2)  # less the mask itself and the outside


def parts(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Areas of the 8-connected parts."""
    return np.asarray(cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:, cv2.CC_STAT_AREA])


def diagonal_steps(mask: npt.NDArray[np.uint8]) -> int:
    """Places where two pixels meet at a corner and nowhere else."""
    on = mask > 0
    falling = on[:-1, :-1] & on[1:, 1:] & ~on[:-1, 1:] & ~on[1:, :-1]
    rising = on[:-1, 1:] & on[1:, :-1] & ~on[:-1, :-1] & ~on[1:, 1:]
    return int(falling.sum() + rising.sum())


def meets_border(mask: npt.NDArray[np.uint8]) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


@pytest.mark.parametrize(("size", "seed"), [(64, 0), (64, 1), (128, 2), (256, 0)])
def test_a_product_has_every_kind_of_mask_that_converters_damage(size: int, seed: int) -> None:
    masks = {name: [_render(name, index, size, seed)[1] for index in range(4)] for name in PRODUCT_DEFECTS}
    assert all(meets_border(mask) for mask in masks["fabric_border"])
    assert all(holes(mask) for mask in masks["rough"])
    assert holes(masks["fabric_interior"][0])  # the worn ring
    assert all((parts(mask) == 1).sum() >= 2 for mask in masks["fabric_interior"])
    assert all(len(parts(mask)) >= 4 for mask in masks["broken_teeth"])
    assert sum(map(diagonal_steps, masks["fabric_border"] + masks["rough"])) >= 20


@pytest.mark.parametrize("size", [64, 65, 333, 700])
def test_any_size_works(size: int) -> None:
    image, mask, _ = _render("combined", 1, size, 0)
    assert image.shape == mask.shape == (size, size)


def test_the_default_product_takes_less_than_five_seconds_of_one_core(tmp_path: Path) -> None:
    start = time.process_time()
    product = write_product(tmp_path)
    assert time.process_time() - start < 5
    assert len(tree(product)) == 64 + 8 * 10 + 7 * 10


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_product(
        tmp_path, image_size=64, per_class=1, train_good=2, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(done, 10) for done in range(1, 11)]


def test_any_folder_name_works_and_an_empty_folder_is_filled(tmp_path: Path) -> None:
    name = "Reißverschluß 'v2' <b>"
    (tmp_path / name).mkdir()
    product = write_product(tmp_path, product=name, image_size=64, per_class=1, train_good=0)
    assert product == tmp_path / name
    assert len(tree(product)) == 15
    assert product.stat().st_mode & 0o777 == (tmp_path / name / "test").stat().st_mode & 0o777


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        ({"image_size": 63}, "--image-size"),
        ({"image_size": 100_000}, "--image-size"),
        ({"per_class": 0}, "--per-class"),
        ({"train_good": -1}, "--train-good"),
        ({"seed": -1}, "--seed"),
        ({"product": ""}, "--product"),
        ({"product": " "}, "--product"),
        ({"product": "a/b"}, "--product"),
        ({"product": "a\\b"}, "--product"),
        ({"product": ".."}, "--product"),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_written(
    tmp_path: Path, arguments: dict[str, int | str], option: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(ToolkitError) as caught:
        write_product(out, **arguments)  # type: ignore[arg-type]
    (problem,) = caught.value.problems
    assert problem.file == option
    assert problem.problem
    assert problem.remedy
    assert not out.exists()


def test_a_product_that_is_there_already_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "zipper").mkdir()
    (tmp_path / "zipper" / "mine.txt").write_text("mine")
    with pytest.raises(ToolkitError, match="zipper: exists already; "):
        write_product(tmp_path, image_size=64, per_class=1, train_good=0)
    assert tree(tmp_path) == {"zipper/mine.txt": b"mine"}


def test_an_output_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ToolkitError, match="out/zipper: cannot be written"):
        write_product(tmp_path / "out", image_size=64, per_class=1, train_good=0)
    assert tree(tmp_path) == {"out": b"mine"}


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_run_that_is_cut_short_leaves_nothing(tmp_path: Path, fault: BaseException) -> None:
    def fail(done: int, total: int) -> None:
        if done == 5:
            raise fault

    with pytest.raises((KeyboardInterrupt, ToolkitError)):
        write_product(tmp_path / "new" / "out", image_size=64, per_class=1, train_good=2, progress=fail)
    assert list(tmp_path.iterdir()) == []


def test_small_defects_are_of_the_size_that_is_asked_for(tmp_path: Path) -> None:
    home = write_product(tmp_path, image_size=128, per_class=2, train_good=1, seed=3, defect_size=6)
    shapes: dict[str, set[bytes]] = {}
    for path in sorted(home.glob("ground_truth/*/*.png")):
        count, parts, stats, _ = cv2.connectedComponentsWithStats(read_grey(path), connectivity=8)
        for number in range(1, count):
            x, y, width, height, _ = stats[number]
            assert max(width, height) == 6
            part = parts[y : y + height, x : x + width] == number
            shapes.setdefault(path.parent.name, set()).add(repr(part.tolist()).encode())
        assert 1 <= count - 1 <= 3
    assert all(len(found) == 1 for name, found in shapes.items() if name != "combined")
    assert len(set.union(*shapes.values())) == 6
    image, mask, sound = _render("rough", 0, 128, 3, 6)
    assert np.array_equal(mask > 0, image != sound)
    with pytest.raises(ToolkitError, match="defect_size: 20 is out of range; use 3 to 16 pixels in images of 128"):
        write_product(tmp_path / "more", image_size=128, defect_size=20)
