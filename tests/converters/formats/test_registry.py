"""Every format into every other: classes, keys, subsets and, where the format carries them, pixels stay the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from converters import FORMATS, convert, read_labels, write_labels
from converters.formats.label_tree import LabelTree
from converters.formats.registry import find_format
from tests.converters.support import class_map, label_mask, relabel
from tests.masks import SHAPES
from toolkit import Dataset, ToolkitError
from toolkit.dataset.splits import Split
from toolkit.geometry.labels import Box, LabelledImage
from toolkit.imaging.masks import read_mask

EXACT: tuple[str, ...] = (
    "coco",
    "yolo-segment",
    "semantic",
    "panoptic",
    "masks",
    "labelme",
    "voc",
    "cvat",
    "label-studio",
)
BOXES: tuple[str, ...] = ("yolo-detect", "yolo-obb")
WHERE = tuple(name for name in FORMATS if name != "yolo-classify")
SHOW_BOXES = tuple(name for name in FORMATS if find_format(name).can_show("boxes"))
AFTER: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(WHERE, tuple(FORMATS)),
    "yolo-detect": SHOW_BOXES,
    "yolo-obb": ("yolo-obb", *SHOW_BOXES),
}
"""What each format can be turned into: what shows boxes alone becomes no pixels."""


@pytest.fixture(scope="module")
def truth(product: Dataset) -> dict[str, npt.NDArray[np.uint8]]:
    """Class numbers from 1 of every image, by key."""
    names, found = product.classes(), {}
    for sample in product:
        found[sample.key] = np.zeros((128, 128), np.uint8)
        for mask in sample.masks:
            found[sample.key][read_mask(mask).pixels() > 0] = names.index(sample.defect) + 1
    return found


@pytest.fixture(scope="module")
def second(trees: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each tree in every format again: `second`/<first format>/<second format>."""
    out = tmp_path_factory.mktemp("second")
    for name in WHERE:
        convert(read_labels(trees / name), out / name, AFTER[name], images="symlink")
    return out


def boxes(image: LabelledImage) -> set[tuple[str, Box]]:
    """Class and box of each instance, none of which has a mask."""
    assert all(instance.mask is None for instance in image.instances)
    return {(instance.label, instance.bbox) for instance in image.instances}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_tree_is_recognised_and_counted(trees: Path, product: Dataset, kind: str) -> None:
    tree = read_labels(trees / kind)
    assert (tree.kind, len(tree), tree.classes()) == (kind, len(product), product.classes())


@pytest.mark.parametrize(("before", "after"), [(before, after) for before in WHERE for after in AFTER[before]])
def test_classes_keys_and_subsets_stay(
    second: Path, product: Dataset, product_split: Split, before: str, after: str
) -> None:
    tree = read_labels(second / before / after)
    assert (tree.kind, tree.classes()) == (after, product.classes())
    # The MVTec layout has no val, and its train holds good images only: there the folders say what the key says.
    native = {sample.key: sample.split for sample in product}
    subsets = native if "masks" in (before, after) else product_split
    assert [(s.key, s.split, s.defect) for s in tree.samples] == [(s.key, subsets[s.key], s.defect) for s in product]


@pytest.mark.parametrize("after", EXACT)
@pytest.mark.parametrize("before", EXACT)
def test_pixels_stay(
    second: Path, product: Dataset, truth: dict[str, npt.NDArray[np.uint8]], before: str, after: str
) -> None:
    names = product.classes()
    for image in read_labels(second / before / after):
        assert np.array_equal(class_map(image, names), truth[image.key]), image.key


@pytest.mark.parametrize("after", sorted({*SHOW_BOXES} - {"yolo-classify"}))
def test_boxes_stay_boxes(trees: Path, second: Path, after: str) -> None:
    for first, image in zip(
        read_labels(trees / "yolo-detect"), read_labels(second / "yolo-detect" / after), strict=True
    ):
        assert (first.key, boxes(first)) == (image.key, boxes(image))


@pytest.mark.parametrize("after", sorted({*FORMATS} - {*SHOW_BOXES}))
def test_nobody_invents_what_a_box_does_not_say(trees: Path, tmp_path: Path, after: str) -> None:
    with pytest.raises(ToolkitError, match=rf"boxes.*: no {after}; use ") as caught:
        convert(read_labels(trees / "yolo-detect"), tmp_path / "out", ["coco", after])
    assert caught.value.with_flags.endswith(f"use --to {','.join(SHOW_BOXES)}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("before", EXACT)
def test_pixels_become_tight_boxes(trees: Path, second: Path, before: str) -> None:
    expected = {image.key: boxes(image) for image in read_labels(trees / "yolo-detect")}
    found = {image.key: boxes(image) for image in read_labels(second / before / "yolo-detect")}
    assert found == expected


def test_oriented_boxes_cover_the_pixels(trees: Path, truth: dict[str, npt.NDArray[np.uint8]]) -> None:
    for image in read_labels(trees / "yolo-obb"):
        shown = class_map(image, sorted({instance.label for instance in image.instances}))
        assert ((shown > 0) >= (truth[image.key] > 0)).all()


@pytest.mark.parametrize("before", EXACT)
def test_a_second_time_gives_the_same_files(trees: Path, second: Path, before: str) -> None:
    """Components of one image never overlap, so that nothing is lost on the way round."""
    kind = "coco" if before == "masks" else before
    mine, theirs = read_labels(second / before / kind).manifest, read_labels(trees / kind).manifest
    assert mine is not None
    assert theirs is not None
    if before != "masks":  # other subsets, so other paths
        assert mine["labels_sha256"] == theirs["labels_sha256"]
    assert mine["fidelity"]["min_iou"] == 1.0


@pytest.mark.parametrize("kind", [kind for kind in (*EXACT, *BOXES) if kind != "masks"])
def test_the_order_of_classes_stays(tmp_path: Path, kind: str) -> None:
    order = ["zebra", "ant", "never seen", "moth"]
    image = label_mask("a", SHAPES["border contact"])
    labels = [order[(0, 1, 3)[number % 3]] for number in range(len(image.instances))]
    write_labels([relabel(image, labels)], tmp_path / "first", [kind], classes=order, image_mode="none")
    others = [name for name in AFTER[kind] if name not in ("masks", "yolo-classify")]
    convert(read_labels(tmp_path / "first" / kind), tmp_path / "second", others, images="none")
    for other in others:
        tree = read_labels(tmp_path / "second" / other)
        assert tree.classes() == order
        (read,) = tree
        assert sorted(i.label for i in read.instances) == sorted(labels)


@pytest.mark.parametrize("images", ["none", "hardlink"])
@pytest.mark.parametrize("kind", WHERE)
def test_trees_without_images_read_the_same(
    product: Dataset, product_split: Split, tmp_path: Path, kind: str, images: str
) -> None:
    convert(product, tmp_path, [kind], split=product_split, images=images)  # type: ignore[arg-type]
    tree = read_labels(tmp_path)
    expected = {s.key for s in product if kind != "masks" or images != "none" or s.masks}
    assert {image.key for image in tree} == expected
    assert all((image.path is None) == (images == "none") for image in tree)
    assert all((image.width, image.height) == (128, 128) for image in tree if image.instances)


def test_a_folder_of_one_tree_stands_for_it(trees: Path, tmp_path: Path) -> None:
    shutil.copytree(trees / "coco", tmp_path / "coco")
    assert read_labels(tmp_path).kind == "coco"


def test_a_folder_of_several_trees_must_be_told(trees: Path) -> None:
    with pytest.raises(
        ToolkitError, match=rf"holds {len(FORMATS)} label trees; name one: {', '.join(sorted(FORMATS)[:2])}"
    ):
        read_labels(trees)


@pytest.mark.parametrize("place", ["nowhere", "file", "empty"])
def test_what_is_no_tree_is_said_to_be_none(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    words = {"nowhere": "no such folder", "file": "not a folder", "empty": "is no label tree of a known format"}
    with pytest.raises(ToolkitError, match=words[place]):
        read_labels(tmp_path / place)


def test_a_tree_says_what_it_is(trees: Path) -> None:
    tree = read_labels(trees / "coco")
    assert isinstance(tree, LabelTree)
    assert "kind='coco', images=36" in repr(tree)
    with pytest.raises(ToolkitError, match="use defect or binary"):
        tree.classes("category")


def test_the_binary_scheme_makes_one_class_of_labels(trees: Path, tmp_path: Path) -> None:
    convert(read_labels(trees / "coco"), tmp_path, ["yolo-segment", "yolo-classify"], classes="binary")
    tree = read_labels(tmp_path / "yolo-segment")
    assert tree.classes() == ["defect"]
    assert {instance.label for image in tree for instance in image.instances} == {"defect"}
    assert {s.defect for s in read_labels(tmp_path / "yolo-classify").samples} == {"good", "defect"}


def test_our_trees_together_are_no_dataset(trees: Path, tmp_path: Path) -> None:
    """Though train/good of yolo-classify and ground_truth of masks look like one."""
    with pytest.raises(ToolkitError, match=f"holds {len(FORMATS)} label trees"):
        convert(trees, tmp_path / "out", ["coco"])
