"""Pascal VOC label maps: written exactly, read as tools leave them, and held against the XML files beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image

from converters import convert, read_labels, verify, write_labels
from converters.formats.voc.class_values import DEVKIT, colour_map
from tests.commands import defectkit
from tests.converters.boxed import BOX, MASK, boxed_tree
from tests.converters.formats.voc.stand_ins import by_element_tree, photo, save_map, write
from tests.converters.support import label_mask, relabel
from tests.masks import SHAPES, masks
from toolkit import ToolkitError, load_dataset
from toolkit.geometry.labels import Instance, LabelledImage

LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ndent:255,0,0::\nrust:0,255,0::\n"
NAMES = "_background_\ndent\nrust\n"


def indices(path: Path) -> npt.NDArray[np.uint8]:
    """The palette indices of a file, as Pillow reads them."""
    with Image.open(path) as image:
        assert image.mode == "P"
        assert (image.getpalette() or [])[:768] == colour_map().ravel().tolist()
        return np.asarray(image)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mask=masks())
def test_masks_come_back(tmp_path: Path, mask: npt.NDArray[np.bool_]) -> None:
    image = label_mask("a", mask, "rust")
    if len(image.instances) > 254:
        return
    write_labels([image], tmp_path / "o", ["voc"], classes=["dent", "rust"], image_mode="none", overwrite=True)
    tree = tmp_path / "o/voc"
    (read,) = read_labels(tree)
    assert [one.label for one in read.instances] == ["rust"] * len(image.instances)
    for one, other in zip(read.instances, image.instances, strict=True):
        assert (one.bbox, np.array_equal(one.region, other.region)) == (other.bbox, True)
    told = by_element_tree(tree / "Annotations/a.xml")
    assert [box for _, box in told] == [(x + 1, y + 1, u, v) for x, y, u, v in (one.bbox for one in image.instances)]
    if image.instances:
        assert np.array_equal(indices(tree / "SegmentationClass/a.png"), np.where(mask, 2, 0))
        numbers = image.painted(range(1, len(image.instances) + 1), np.uint8)
        assert np.array_equal(indices(tree / "SegmentationObject/a.png"), numbers)
    else:
        assert not (tree / "SegmentationClass").exists()


def test_the_colours_are_those_of_the_devkit() -> None:
    known = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128)]
    assert [tuple(colour) for colour in colour_map()[:7].tolist()] == known
    assert colour_map()[[20, 255]].tolist() == [[0, 64, 128], [224, 224, 192]]


def test_real_masks_come_back(mvtec_root: Path, tmp_path: Path) -> None:
    dataset = load_dataset(mvtec_root / "screw")
    some = [sample.key for sample in dataset if sample.masks][::6]
    convert(dataset, tmp_path / "first", ["voc", "coco"], split=dict.fromkeys(some, "test"), images="none")
    convert(tmp_path / "first/voc", tmp_path / "again", ["coco"], images="none")
    report = verify(tmp_path / "first")
    assert report.passed, report.failures
    first, again = (read_labels(tmp_path / place / "coco") for place in ("first", "again"))
    assert again.manifest is not None
    assert first.manifest is not None
    assert again.manifest["labels_sha256"] == first.manifest["labels_sha256"]


def tree(root: Path, values: npt.NDArray[np.uint8], numbers: npt.NDArray[np.uint8] | None = None, **more: Any) -> Path:
    """Image a with a class map, an object map, and an XML file where there are objects."""
    photo(root / "JPEGImages/a.png", values.shape[::-1])  # type: ignore[arg-type]
    save_map(root / "SegmentationClass/a.png", values, more.get("palette"))
    if numbers is not None:
        save_map(root / "SegmentationObject/a.png", numbers)
    if "labelmap" in more:
        (root / more.get("table", "labelmap.txt")).write_text(more["labelmap"])
    if "objects" in more:
        write(root, "a", *more["objects"], image="JPEGImages/a.png")
    return root


def shown(root: Path) -> list[tuple[str, tuple[float, ...], int]]:
    found = read_labels(root)
    assert found.kind == "voc"
    (image,) = found
    return [(one.label, one.bbox, one.area) for one in image.instances]


VALUES = np.zeros((20, 30), np.uint8)
VALUES[2:6, 3:9] = 1
VALUES[2:6, 9:12] = 1  # touches the first, and is another object
VALUES[10:15, 20:28] = 2
NUMBERS = np.zeros((20, 30), np.uint8)
NUMBERS[2:6, 3:9], NUMBERS[2:6, 9:12], NUMBERS[10:15, 20:28] = 1, 2, 3
APART = [("dent", (3, 2, 9, 6), 24), ("dent", (9, 2, 12, 6), 12), ("rust", (20, 10, 28, 15), 40)]
OBJECTS = [("dent", 4, 3, 9, 6), ("dent", 10, 3, 12, 6), ("rust", 1, 11, 30, 20)]


@pytest.mark.parametrize(("table", "told"), [("labelmap.txt", LABELMAP), ("class_names.txt", NAMES)])
def test_objects_are_numbers_and_classes_are_values(tmp_path: Path, table: str, told: str) -> None:
    root = tree(tmp_path, VALUES, NUMBERS, labelmap=told, table=table, objects=OBJECTS)
    assert shown(root) == APART
    assert read_labels(root).names == ["dent", "rust"]


def test_borders_are_void(tmp_path: Path) -> None:
    values, numbers = VALUES.copy(), NUMBERS.copy()
    values[9, 19:29] = numbers[9, 19:29] = 255
    assert shown(tree(tmp_path, values, numbers, labelmap=LABELMAP)) == APART


def test_without_numbers_parts_are_objects(tmp_path: Path) -> None:
    assert shown(tree(tmp_path, VALUES, labelmap=LABELMAP)) == [("dent", (3, 2, 12, 6), 36), APART[2]]


def test_colours_are_told_by_the_table(tmp_path: Path) -> None:
    """As CVAT writes them: RGB, and classes in any order."""
    root = tree(tmp_path, VALUES, NUMBERS, labelmap=LABELMAP)
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
    Image.fromarray(colours[VALUES]).save(root / "SegmentationClass/a.png")
    Image.fromarray(colour_map()[NUMBERS]).save(root / "SegmentationObject/a.png")
    assert shown(root) == APART
    lines = LABELMAP.splitlines()
    (root / "labelmap.txt").write_text("\n".join([lines[0], lines[3], lines[2], lines[1]]))
    assert shown(root) == APART
    turned = [0, 0, 0, 0, 255, 0, 255, 0, 0]  # a palette in another order than the table
    save_map(root / "SegmentationClass/a.png", np.array([0, 2, 1], np.uint8)[VALUES], turned)
    assert shown(root) == APART


def test_grey_maps_hold_values(tmp_path: Path) -> None:
    root = tree(tmp_path, VALUES, NUMBERS, labelmap=LABELMAP)
    for name, pixels in (("SegmentationClass", VALUES), ("SegmentationObject", NUMBERS)):
        Image.fromarray(pixels).save(root / name / "a.png")
    assert shown(root) == APART


def test_the_devkits_classes_need_no_table(tmp_path: Path) -> None:
    values = np.where(VALUES > 0, np.uint8(15), np.uint8(0))
    root = tree(tmp_path, values, NUMBERS, objects=[("person", *one[1:]) for one in OBJECTS])
    assert [label for label, _, _ in shown(root)] == [DEVKIT[14]] * 3


def test_masks_take_what_the_xml_file_says_of_them(tmp_path: Path) -> None:
    root = tree(tmp_path, VALUES, NUMBERS, labelmap=LABELMAP, objects=OBJECTS)
    xml = root / "Annotations/a.xml"
    first, *others = xml.read_text().split("<bndbox>")
    poses = zip(("Left", "Right", "Rear"), others, strict=True)
    xml.write_text(first + "".join(f"<pose>{name}</pose><bndbox>{other}" for name, other in poses))
    (image,) = read_labels(root)
    assert [(one.label, one.bbox, one.area) for one in image.instances] == APART
    assert [one.attributes["pose"] for one in image.instances] == ["Left", "Right", "Rear"]
    save_map(root / "SegmentationObject/a.png", np.array([0, 3, 1, 2], np.uint8)[NUMBERS])  # in another order
    (image,) = read_labels(root)
    assert [(one.bbox, one.attributes["pose"]) for one in image.instances] == [
        (APART[0][1], "Left"),
        (APART[1][1], "Right"),
        (APART[2][1], "Rear"),
    ]


def test_objects_without_a_mask_stay_boxes(tmp_path: Path) -> None:
    values, numbers = np.where(VALUES == 1, VALUES, 0), np.where(VALUES == 1, NUMBERS, 0)
    root = tree(tmp_path, values.astype(np.uint8), numbers.astype(np.uint8), labelmap=LABELMAP, objects=OBJECTS)
    (image,) = read_labels(root)
    assert [one.mask is None for one in image.instances] == [False, False, True]
    assert image.instances[2].bbox == (0, 10, 30, 20)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (
            lambda v, n: v.__setitem__((12, 22), 1),
            "SegmentationObject/a.png: its object 3 lies on dent and rust in",
        ),
        (
            lambda v, n: v.__setitem__((12, 22), 0),
            "SegmentationObject/a.png: its object 3 lies on background and rust",
        ),
        (
            lambda v, n: v.__setitem__((0, 0), 7),
            "SegmentationClass/a.png: holds the class 7, which ROOT/labelmap.txt",
        ),
        (
            lambda v, n: v.__setitem__(v == 2, 1),
            "SegmentationClass/a.png: shows 'dent' where object 3 of the XML file is",
        ),
    ],
)
def test_maps_that_contradict_each_other_are_refused(
    tmp_path: Path, spoil: Callable[[npt.NDArray[np.uint8], npt.NDArray[np.uint8]], None], problem: str
) -> None:
    values, numbers = VALUES.copy(), NUMBERS.copy()
    spoil(values, numbers)
    root = tree(
        tmp_path / "in",
        values,
        numbers,
        labelmap=LABELMAP,
        objects=[*OBJECTS[:2], ("rust", 21, 11, 28, 15), OBJECTS[2]],
    )
    done = defectkit("convert", root, tmp_path / "out", "--to", "coco")
    assert (done.status, len(done.errors)) == (2, 1)
    assert done.errors[0].startswith(f"error: {root}/{problem.replace('ROOT', str(root))}")


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (
            {},
            "holds the class 1, and nothing names the classes of values; add a labelmap.txt of lines name:red,gr",
        ),
        (
            {"labelmap": "dent:1,2,3::\n"},
            "names no background: is 'dent', its first class, 0 in the maps?; put a line",
        ),
        (
            {"labelmap": "background:0,0,0::\ndent:0,0,0::\n"},
            "gives 'dent' the colour of 'background'; write one",
        ),
        (
            {"labelmap": "background:0,0,0::\ndent:0,0,999::\n"},
            ":2: has the colour 0,0,999, which is none; write on",
        ),
        (
            {"labelmap": "background\n" + "x\n" * 300},
            "names 301 classes, and a map has 256 values; write one cl",
        ),
    ],
)
def test_values_without_a_meaning_are_refused(tmp_path: Path, told: dict[str, str], problem: str) -> None:
    root = tree(tmp_path / "in", VALUES, NUMBERS, **told)
    done = defectkit("convert", root, tmp_path / "out", "--to", "coco")
    assert done.status == 2
    assert problem in done.err
    assert len(done.errors) == 1


def test_maps_of_another_size_and_without_an_image_are_refused(tmp_path: Path) -> None:
    root = tree(tmp_path, VALUES, NUMBERS, labelmap=LABELMAP)
    save_map(root / "SegmentationObject/a.png", NUMBERS[:10])
    with pytest.raises(ToolkitError, match=r"is 30 x 10 pixels, .*SegmentationClass.a.png is 30 x 20; make the two"):
        shown(root)
    save_map(root / "SegmentationClass/a.png", VALUES[:10])
    with pytest.raises(ToolkitError, match="is 30 x 10 pixels, its image 30 x 20; make the two the same size"):
        shown(root)
    save_map(root / "SegmentationClass/b.png", VALUES)
    (problem,) = read_labels(root).layout_problems
    assert problem.problem == "no image b was found"


def test_pictures_of_labels_are_no_images(tmp_path: Path) -> None:
    root = tree(tmp_path, VALUES, labelmap=LABELMAP)
    photo(root / "SegmentationClassVisualization/a.jpg")
    photo(root / "AnnotationsVisualization/a.jpg")
    found = read_labels(root)
    assert (len(found), found.layout_problems) == (1, ())
    assert "SegmentationClassVisualization: 1 picture(s) of labels, which are not read" in found.notes


def overlapping() -> LabelledImage:
    """Three discs, of which the last hides the second, and touches the first."""
    found = label_mask("a", SHAPES["disk"]).instances[0]
    height, width = found.region.shape
    image = LabelledImage("a", None, width + 10, height + 10, (), "train", "dent")

    def put(x: int, y: int) -> Instance:
        return replace(found, label="dent", bbox=(x, y, x + width, y + height), part=None)

    return replace(image, instances=(put(0, 0), put(9, 9), put(9, 9)))


def test_what_others_cover_is_counted_and_what_they_hide_is_left_out(tmp_path: Path) -> None:
    image = overlapping()
    (manifest,) = write_labels([image], tmp_path, ["voc"], classes=["dent"], image_mode="none").values()
    assert [one["reason"] for one in manifest["components"]["skipped"]] == ["hidden by another instance"]
    assert manifest["fidelity"]["covered"]["pixels"] > 0
    boxes = [box for _, box in by_element_tree(tmp_path / "voc/Annotations/a.xml")]
    assert boxes == [(x + 1, y + 1, u, v) for x, y, u, v in (one.bbox for one in image.instances[::2])]
    report = verify(tmp_path)
    assert report.passed, report.failures


def test_boxes_and_masks_in_one_image(tmp_path: Path) -> None:
    source = boxed_tree(tmp_path / "in", [[BOX, MASK], [BOX], [MASK], []])
    convert(source, tmp_path / "out", ["voc"])
    written = {path.relative_to(tmp_path / "out/voc").as_posix() for path in (tmp_path / "out/voc").rglob("*.*")}
    assert {name for name in written if "Segmentation" in name} == {
        "ImageSets/Segmentation/train.txt",
        *(f"Segmentation{kind}/{number}.png" for kind in ("Class", "Object") for number in (0, 2)),
    }
    assert np.unique(indices(tmp_path / "out/voc/SegmentationObject/0.png")).tolist() == [0, 2]  # the second object
    report = verify(tmp_path / "out")
    assert report.passed, report.failures


def test_more_objects_or_classes_than_a_map_has_values(tmp_path: Path) -> None:
    specks = np.zeros((40, 40), np.bool_)
    specks[::2, ::2] = True
    images = [label_mask("a", specks)]
    with pytest.raises(ToolkitError, match="shows 400 objects, and SegmentationObject has 254 values") as one:
        write_labels(images, tmp_path, ["voc"], classes=["defect"], image_mode="none")
    way = "use --to coco, which holds any number of them, or --instances image"
    assert one.value.with_flags == f"a: shows 400 objects, and SegmentationObject has 254 values for them; {way}"
    (image,) = [replace(one, instances=tuple(replace(each, part=None) for each in one.instances)) for one in images]
    with pytest.raises(ToolkitError) as of_labels:  # whose objects --instances does not join
        write_labels([image], tmp_path, ["voc"], classes=["defect"], image_mode="none")
    assert of_labels.value.with_flags.endswith("; use --to coco, which holds any number of them")
    with pytest.raises(ToolkitError, match="holds 254 classes at most, and there are 255"):
        write_labels([], tmp_path, ["voc"], classes=[str(number) for number in range(255)], image_mode="none")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a\nb", " a", "a\x07"])
def test_classes_that_no_xml_file_holds_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ToolkitError, match=r"^voc: the class .*; rename the class$"):
        write_labels([label_mask("a", SHAPES["disk"], name)], tmp_path, ["voc"], classes=[name], image_mode="none")


@pytest.mark.parametrize("name", ["crack: deep", "a:b:1,2,3::", "#3", "background", "Background"])
def test_classes_that_readers_of_the_table_take_for_others_are_refused(tmp_path: Path, name: str) -> None:
    image = label_mask("a", SHAPES["disk"], name)
    with pytest.raises(ToolkitError, match=r"^voc: the class .*; rename the class \(rename\)$"):
        write_labels([image], tmp_path / "out", ["voc"], classes=[name], image_mode="none")
    assert not (tmp_path / "out").exists()
    write_labels([image], tmp_path / "in", ["coco"], classes=[name], image_mode="none")
    convert(tmp_path / "in", tmp_path / "out", "voc", rename={name: "crack"})
    assert read_labels(tmp_path / "out/voc").names == ["crack"]


@pytest.mark.parametrize("name", ["a#1", "<i>&\"'", "Riß 划痕", "backgrounds", "good", "_background_"])
def test_any_other_class_comes_back(tmp_path: Path, name: str) -> None:
    image = label_mask("a", SHAPES["border contact"])
    labels = [name if number % 2 else "dent" for number in range(len(image.instances))]
    write_labels([relabel(image, labels)], tmp_path, ["voc"], classes=["dent", name], image_mode="none")
    found = read_labels(tmp_path / "voc")
    assert found.names == ["dent", name]
    (read,) = found
    assert [one.label for one in read.instances] == labels
    assert verify(tmp_path).passed


def swap(old: str, new: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = path.read_text()
        assert old in content
        path.write_text(content.replace(old, new, 1))

    return change


def dot(value: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        pixels = np.array(Image.open(path))
        pixels[0, 0] = value
        save_map(path, pixels)

    return change


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("Annotations/a.xml", swap("<xmin>", "<xmin>2"), "is not the tight box"),
        (
            "Annotations/a.xml",
            swap("<name>dent", "<name>rust"),
            "shows 'dent' where object 1 of the XML file is",
        ),
        ("SegmentationClass/a.png", dot(1), "IoU"),
        ("SegmentationObject/a.png", dot(1), "its object 1 lies on background and dent"),
        ("ImageSets/Main/train.txt", swap("a\n", ""), "labels_sha256"),
        ("labelmap.txt", swap("rust", "rest"), "does not name the classes that were written"),
    ],
)
def test_what_is_changed_by_hand_is_found(
    tmp_path: Path, file: str, change: Callable[[Path], None], words: str
) -> None:
    image = label_mask("a", SHAPES["disk"], "dent")
    write_labels([image], tmp_path / "out", ["voc", "coco"], classes=["dent", "rust"], image_mode="none")
    against = read_labels(tmp_path / "out/coco")
    assert verify(tmp_path / "out/voc", against).passed
    change(tmp_path / "out/voc" / file)
    report = verify(tmp_path / "out/voc", against)
    assert not report.passed
    assert any(words in failure for failure in report.failures), report.failures
