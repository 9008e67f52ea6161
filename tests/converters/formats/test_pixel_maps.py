"""Labels that are images: class maps, COCO panoptic and the MVTec tree; every pixel, read with Pillow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as examples
from PIL import Image

from converters import convert, read_labels, write_labels
from converters.formats.base import Settings
from converters.formats.masks import mvtec_place
from converters.formats.semantic import IGNORE
from tests.converters.support import (
    Bools,
    boxes_of,
    class_map,
    label_mask,
    make_dataset,
    parts_of,
    relabel,
    save_png,
    write_masks,
)
from tests.masks import SHAPES, masks
from toolkit import Dataset, ToolkitError
from toolkit.dataset.keys import file_name
from toolkit.dataset.layouts import load_dataset
from toolkit.dataset.samples import GOOD
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.imaging.masks import read_mask

CLASSES = ["zebra", "ant", "moth"]


def pixels(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def several_classes() -> LabelledImage:
    """Twelve instances and more of three classes in turn."""
    image = label_mask("several", SHAPES["checkerboard"] & (np.indices((12, 13))[0] % 4 == 0))
    return relabel(image, [CLASSES[number % 3] for number in range(len(image.instances))])


def overlapping() -> LabelledImage:
    """A small instance wholly under a large one, which is partly under a third."""
    instances = [
        Instance("zebra", (4, 4, 6, 6), np.ones((2, 2), np.bool_), 4),
        Instance("ant", (2, 2, 12, 12), np.ones((10, 10), np.bool_), 100),
        Instance("moth", (10, 10, 14, 14), np.ones((4, 4), np.bool_), 16),
    ]
    return LabelledImage("overlapping", None, 20, 18, tuple(instances), "train", "ant")


def written(image: LabelledImage, out: Path, kind: str, classes: Sequence[str] = CLASSES) -> dict[str, Any]:
    """Write an image's labels in one format, and give the manifest."""
    return write_labels([image], out, [kind], classes=classes, image_mode="none")[kind]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All shapes, as pixels."""
    return write_masks(tmp_path_factory.mktemp("shapes"), SHAPES, ["semantic", "panoptic"])


@pytest.mark.parametrize("name", SHAPES)
def test_a_class_map_is_the_shape(shapes: Path, name: str) -> None:
    assert np.array_equal(pixels(shapes / "semantic" / "masks" / "train" / f"{name}.png"), SHAPES[name] * 1)


@pytest.mark.parametrize("name", SHAPES)
def test_panoptic_segments_are_the_parts_of_the_shape(shapes: Path, name: str) -> None:
    ids, segments = panoptic(shapes / "panoptic", name)
    assert np.array_equal(ids > 0, SHAPES[name])
    assert len(segments) == parts_of(SHAPES[name])
    assert_segments(ids, segments)


def panoptic(tree: Path, name: str) -> tuple[npt.NDArray[np.uint32], list[dict[str, Any]]]:
    """Ids of an image's map, R + 256 G + 256^2 B as COCO defines them, and its segments."""
    document = json.loads((tree / "annotations" / "panoptic_train.json").read_text("utf-8"))
    (annotation,) = (a for a in document["annotations"] if a["file_name"] == f"{name}.png")
    (record,) = (r for r in document["images"] if r["id"] == annotation["image_id"])
    red, green, blue = np.moveaxis(pixels(tree / "panoptic_train" / annotation["file_name"]).astype(np.uint32), 2, 0)
    assert (record["height"], record["width"]) == red.shape
    assert all(category["isthing"] == 1 for category in document["categories"])
    return red + 256 * green + 256**2 * blue, annotation["segments_info"]


def assert_segments(ids: npt.NDArray[np.uint32], segments: list[dict[str, Any]]) -> None:
    assert sorted(segment["id"] for segment in segments) == np.unique(ids[ids > 0]).tolist()
    for segment in segments:
        rows, columns = np.nonzero(ids == segment["id"])
        assert segment["area"] == len(rows)
        x, y, width, height = segment["bbox"]
        assert (x, y, x + width, y + height) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert segment["iscrowd"] == 0


@examples(max_examples=60)
@given(mask=masks())
def test_any_mask_survives_as_pixels(tmp_path_factory: pytest.TempPathFactory, mask: Bools) -> None:
    out = write_masks(tmp_path_factory.mktemp("any"), {"any": mask}, ["semantic", "panoptic", "masks"])
    assert np.array_equal(pixels(out / "semantic/masks/train/any.png"), mask * 1)
    ids, segments = panoptic(out / "panoptic", "any")
    assert np.array_equal(ids > 0, mask)
    assert_segments(ids, segments)
    assert np.array_equal(pixels(out / "masks/product/ground_truth/defect/any_mask.png"), mask * 255)


def test_real_masks_come_back_as_the_same_pixels(real_defects: Dataset, tmp_path: Path) -> None:
    convert(real_defects, tmp_path / "out", ["semantic", "masks"], images="none", workers=2)
    names = real_defects.classes()
    for sample in real_defects:
        truth = read_mask(sample.masks[0]).pixels() > 0
        ids = pixels(tmp_path / "out/semantic/masks/test" / f"{file_name(sample.key)}.png")
        assert np.array_equal(ids, truth * (names.index(sample.defect) + 1)), sample.key
        mask = tmp_path / "out/masks" / sample.masks[0].path.relative_to(real_defects.root)
        assert np.array_equal(pixels(mask), truth * 255), sample.key


def test_more_than_255_segments_carry_into_green(tmp_path: Path) -> None:
    grid = np.zeros((60, 60), np.bool_)
    grid[::2, ::2] = True  # 900 parts
    write_masks(tmp_path, {"grid": grid}, ["panoptic"])
    ids, segments = panoptic(tmp_path / "panoptic", "grid")
    assert len(segments) == 900
    assert ids.max() == 900
    assert_segments(ids, segments)


def test_class_ids_follow_the_order_of_classes(tmp_path: Path) -> None:
    image = several_classes()
    write_labels([image], tmp_path, ["semantic", "panoptic"], classes=CLASSES, image_mode="none")
    expected = class_map(image, CLASSES)
    assert np.array_equal(pixels(tmp_path / "semantic/masks/train/several.png"), expected)
    names = yaml.safe_load((tmp_path / "semantic/data.yaml").read_text("utf-8"))["names"]
    assert names == {0: "background", 1: "zebra", 2: "ant", 3: "moth"}
    ids, segments = panoptic(tmp_path / "panoptic", "several")
    shown = np.zeros_like(expected)
    for segment in segments:
        shown[ids == segment["id"]] = segment["category_id"]
    assert np.array_equal(shown, expected)


@pytest.mark.parametrize("kind", ["semantic", "panoptic"])
def test_where_instances_overlap_the_later_one_shows_and_the_manifest_tells(tmp_path: Path, kind: str) -> None:
    image = overlapping()
    manifest = written(image, tmp_path, kind)
    (read,) = read_labels(tmp_path / kind)
    assert np.array_equal(class_map(read, CLASSES), class_map(image, CLASSES))
    covered = {"pixels": 120 - (16 + 96), "images": 1}
    assert manifest["fidelity"] == {"mean_iou": 1, "min_iou": 1, "exact": 1, "images": 1, "covered": covered}


def test_a_segment_that_others_hide_is_listed_as_skipped(tmp_path: Path) -> None:
    manifest = written(overlapping(), tmp_path, "panoptic")
    skipped = [{"key": "overlapping", "reason": "hidden by another instance", "area": 4}]
    assert manifest["components"] == {"found": 3, "written": 2, "skipped": skipped}


def test_maps_hold_no_more_classes_than_a_byte_tells(tmp_path: Path) -> None:
    image = label_mask("a", SHAPES["disk"], label="0")
    assert written(image, tmp_path / "most", "semantic", [str(n) for n in range(254)])["classes"][-1] == "253"
    with pytest.raises(ToolkitError, match='254 classes at most, and there are 255; use formats="coco"') as caught:
        written(image, tmp_path / "more", "semantic", [str(n) for n in range(255)])
    assert "use --to coco" in caught.value.with_flags


def test_ignored_pixels_of_a_class_map_belong_to_no_instance(tmp_path: Path) -> None:
    write_masks(tmp_path, {"a": SHAPES["disk"]}, ["semantic"])
    path = tmp_path / "semantic/masks/train/a.png"
    ids = pixels(path).copy()
    ids[:9] = IGNORE
    save_png(path, ids)
    (read,) = read_labels(tmp_path / "semantic")
    assert read.image_label == "defect"
    assert np.array_equal(class_map(read, ["defect"]), (ids == 1) * 1)


def test_a_class_that_data_yaml_does_not_name_is_an_error(tmp_path: Path) -> None:
    write_masks(tmp_path, {"a": SHAPES["disk"]}, ["semantic"])
    path = tmp_path / "semantic/masks/train/a.png"
    save_png(path, pixels(path) * 7)
    with pytest.raises(ToolkitError, match=r"a\.png: holds class 7, which data\.yaml does not name"):
        list(read_labels(tmp_path / "semantic"))


def test_panoptic_maps_and_their_list_must_agree(tmp_path: Path) -> None:
    write_masks(tmp_path, {"a": SHAPES["comb"]}, ["panoptic"])
    path = tmp_path / "panoptic/panoptic_train/a.png"
    save_png(path, np.full((*SHAPES["comb"].shape, 3), 9))
    with pytest.raises(ToolkitError, match=r"a\.png: segment 1 is not in the map"):
        list(read_labels(tmp_path / "panoptic"))


def test_the_masks_tree_is_the_dataset_again(product: Dataset, trees: Path) -> None:
    again = load_dataset(trees / "masks")
    assert [(s.key, s.defect, s.category) for s in again] == [(s.key, s.defect, s.category) for s in product]
    for mine, theirs in zip(again, product, strict=True):
        assert mine.image.read_bytes() == theirs.image.read_bytes()
        for mask, other in zip(mine.masks, theirs.masks, strict=True):
            assert np.array_equal(pixels(mask), pixels(other))


@pytest.mark.parametrize(
    ("key", "label", "subset", "place"),
    [
        ("screw/test/scratch/007", "scratch", "val", ("screw", "test", "scratch", "007")),
        ("screw/train/good/007", GOOD, "train", ("screw", "train", GOOD, "007")),
        ("screw/test/scratch/007", GOOD, "val", ("screw", "test", GOOD, "scratch__007")),  # too small, left out
        ("photo 7", "scratch", "val", ("product", "test", "scratch", "photo 7")),
        ("photo 7", GOOD, "train", ("product", "train", GOOD, "photo 7")),
        ("photo 7", GOOD, "val", ("product", "test", GOOD, "photo 7")),
        ("valid/photo 7", "scratch", "train", ("product", "test", "scratch", "valid__photo 7")),
        ("train/line 1/day 2/7", "scratch", "train", ("product", "test", "scratch", "train__line 1__day 2__7")),
        ("a/../b/c", "scratch", "test", ("product", "test", "scratch", "a__..__b__c")),
    ],
)
def test_an_image_finds_its_place_in_the_mvtec_layout(
    key: str, label: str, subset: str, place: tuple[str, str, str, str]
) -> None:
    mask = Instance("scratch", (1, 1, 2, 2), np.ones((1, 1), np.bool_), 1)
    image = LabelledImage(key, None, 9, 9, () if label == GOOD else (mask,), subset, label)
    assert tuple(mvtec_place(image)) == place


def test_masks_of_one_image_of_several_files_are_united(tmp_path: Path) -> None:
    make_dataset(tmp_path / "dataset", {"scratch": [SHAPES["disk"]]}, good=0)
    folder = tmp_path / "dataset/part/ground_truth/scratch"
    (folder / "000_mask.png").unlink()
    halves = SHAPES["disk"].copy(), SHAPES["disk"].copy()
    halves[0][:, 15:] = halves[1][:, :14] = False
    for number, half in enumerate(halves):
        save_png(folder / "000" / f"{number:03}.png", half * 255)
    convert(tmp_path / "dataset", tmp_path / "out", ["masks"])
    assert np.array_equal(pixels(tmp_path / "out/masks/part/ground_truth/scratch/000_mask.png"), SHAPES["disk"] * 255)


def test_boxes_of_segments_are_those_of_the_parts(shapes: Path) -> None:
    for name, mask in SHAPES.items():
        _, segments = panoptic(shapes / "panoptic", name)
        boxes = [(x, y, x + w, y + h) for x, y, w, h in (segment["bbox"] for segment in segments)]
        assert sorted(boxes) == boxes_of(mask)


def test_settings_describe_themselves_for_the_manifest() -> None:
    assert Settings(classes=("a",)).described() == {
        "classes": "defect",
        "instances": "components",
        "min_area": 0,
        "min_iou": 1.0,
        "join_parts": False,
        "segmentation": "polygon",
        "images": "hardlink",
        "threshold": None,
    }


@pytest.mark.parametrize("keys", [("A/cam__01", "A__cam/01"), ("2024/_1", "2024_/1"), ("a__b", "a/b"), ("a%5F", "a_")])
def test_no_two_images_share_a_name_in_the_mvtec_layout(tmp_path: Path, keys: tuple[str, str]) -> None:
    images = [label_mask(key, SHAPES[name], "dent") for key, name in zip(keys, ("disk", "ring"), strict=True)]
    write_labels(images, tmp_path, ["masks"], classes=["dent"], image_mode="none")
    read = {image.key.rpartition("/")[2]: image for image in read_labels(tmp_path / "masks")}
    assert sorted(read) == sorted(map(file_name, keys))
    for image in images:
        assert np.array_equal(read[file_name(image.key)].marked(), image.marked())


@pytest.mark.parametrize("label", ["OK", "Normal", GOOD, "defect-free"])
@pytest.mark.parametrize("kind", ["masks", "yolo-classify"])
@pytest.mark.parametrize("key", ["a", f"part/test/{GOOD}/a"])
def test_a_folder_of_defects_is_never_called_good(tmp_path: Path, label: str, kind: str, key: str) -> None:
    with pytest.raises(ToolkitError, match=f"shows the class '{label}', and a folder of that name means"):
        write_labels([label_mask(key, SHAPES["disk"], label)], tmp_path, [kind], classes=[label], image_mode="none")
    assert list(tmp_path.iterdir()) == []
