"""Label trees as other tools leave them, and as they get damaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from converters import convert, read_labels
from tests.converters.support import class_map, save_png
from toolkit import ToolkitError

SIZE = (20, 30)  # height, width
BOX = "1 0.5 0.5 0.2 0.2"  # pixels 12 to 18 and 8 to 12
TRIANGLE = "0 0.1 0.1 0.5 0.1 0.1 0.5"


def image(path: Path, size: tuple[int, int] = SIZE) -> Path:
    return save_png(path, np.zeros(size, np.uint8))


def yolo_tree(root: Path, images: Mapping[str, str | None], names: Any = ("dent", "scratch"), **more: Any) -> Path:
    """A YOLO tree: image path -> text of its label file, or None for no file; and a data.yaml."""
    for place, text in images.items():
        image(root / place)
        label = root / place.replace("images", "labels", 1)
        if text is not None:
            label.parent.mkdir(parents=True, exist_ok=True)
            label.with_suffix(".txt").write_text(text, encoding="utf-8")
    listed = dict(names) if isinstance(names, Mapping) else list(names)
    (root / "data.yaml").write_text(yaml.safe_dump({**more, "names": listed}))
    return root


def boxes(root: Path) -> dict[str, list[tuple[str, tuple[int, int, int, int]]]]:
    return {found.key: [(i.label, i.bbox) for i in found.instances] for found in read_labels(root)}


SCRATCH = ("scratch", (12, 8, 18, 12))


@pytest.mark.parametrize(
    "names", [["dent", "scratch"], {0: "dent", 1: "scratch"}, {"0": "dent", "1": "scratch"}], ids=str
)
def test_names_are_a_list_or_numbered(tmp_path: Path, names: Any) -> None:
    root = yolo_tree(tmp_path, {"images/train/a.png": BOX}, names, train="images/train")
    assert boxes(root) == {"a": [SCRATCH]}
    assert read_labels(root).classes() == ["dent", "scratch"]


@pytest.mark.parametrize(
    ("folders", "document"),
    [
        (("images/train", "images/val"), {"train": "images/train", "val": "images/val"}),
        (("images/train", "images/val"), {"path": "/nowhere/else", "train": "images/train", "val": "images/val"}),
        (("images/train", "images/val"), {"path": ".", "train": "images/train", "val": "images/val"}),
        (("images/train", "images/val"), {"train": "./images/train", "validation": "./images/val"}),
        (("images/train", "images/val"), {"train": ["images/train"], "val": ["images/val"]}),
        (("images/train", "images/val"), {}),
        (("train/images", "valid/images"), {"train": "../train/images", "val": "../valid/images"}),
        (("one/images", "two/images"), {"train": "../one/images", "val": "../two/images"}),
        (("train/images", "valid/images"), {"train": "train", "val": "valid"}),
        (("train/images", "valid/images"), {}),
        (("images/train2017", "images/val2017"), {"train": "images/train2017", "val": "images/val2017"}),
        (("data/images/train", "data/images/val"), {"path": "data", "train": "images/train", "val": "images/val"}),
    ],
    ids=str,
)
def test_folders_are_found(tmp_path: Path, folders: tuple[str, str], document: dict[str, Any]) -> None:
    train, val = folders
    root = yolo_tree(tmp_path / "tree", {f"{train}/a.png": BOX, f"{val}/b.png": TRIANGLE}, **document)
    tree = read_labels(root)
    assert [(sample.key, sample.split) for sample in tree.samples] == [("a", "train"), ("b", "val")]
    assert boxes(root)["a"] == [SCRATCH]


def test_folders_may_be_several_to_a_subset(tmp_path: Path) -> None:
    images = {"one/images/a.png": BOX, "two/images/b.png": BOX}
    root = yolo_tree(tmp_path, images, train=["one/images", "two/images"])
    assert boxes(root) == {"a": [SCRATCH], "b": [SCRATCH]}


@pytest.mark.parametrize("prefix", ["./images/train/", "images/train/", "{root}/images/train/"])
def test_lists_of_images_are_read(tmp_path: Path, prefix: str) -> None:
    root = yolo_tree(tmp_path, {"images/train/a.png": BOX, "images/train/b.png": BOX}, train="train.txt")
    (root / "train.txt").write_text(prefix.format(root=root) + "a.png\n\n")
    assert boxes(root) == {"a": [SCRATCH]}


def test_a_list_that_names_a_lost_image_is_an_error(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"images/train/a.png": BOX}, train="train.txt")
    (root / "train.txt").write_text("./images/train/a.png\n./images/train/lost.png\n")
    with pytest.raises(ToolkitError, match=r"train\.txt:2: .*lost\.png"):
        read_labels(root)


def test_folders_that_lead_nowhere_are_an_error(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"pictures/a.png": BOX}, train="images/train")
    with pytest.raises(ToolkitError, match="without images; check the paths in it"):
        read_labels(root)


@pytest.mark.parametrize("text", [None, "", "\n\n"])
def test_no_rows_mean_background(tmp_path: Path, text: str | None) -> None:
    root = yolo_tree(tmp_path, {"images/train/a.png": text, "images/train/b.png": BOX}, train="images/train")
    assert boxes(root) == {"a": [], "b": [SCRATCH]}
    assert read_labels(root).samples[0].defect == "good"


@pytest.mark.parametrize("text", ["\ufeff" + BOX, BOX + "\r\n", BOX.replace(" ", "\t"), f" {BOX} "])
def test_marks_of_other_editors_do_no_harm(tmp_path: Path, text: str) -> None:
    root = yolo_tree(tmp_path, {"images/train/a.png": text}, train="images/train")
    assert boxes(root) == {"a": [SCRATCH]}


def test_endings_may_be_in_upper_case_and_folders_nested(tmp_path: Path) -> None:
    images = {"images/train/line 1/a.PNG": BOX, "images/train/line 2/b.Jpg": TRIANGLE, "images/train/c.BMP": None}
    root = yolo_tree(tmp_path, images, train="images/train")
    assert {key: len(found) for key, found in boxes(root).items()} == {"a": 1, "b": 1, "c": 0}


def test_images_of_one_name_in_two_subsets_are_told_apart(tmp_path: Path) -> None:
    root = yolo_tree(
        tmp_path, {"images/train/a.png": BOX, "images/val/a.png": None}, train="images/train", val="images/val"
    )
    assert boxes(root) == {"train/a": [SCRATCH], "val/a": []}


def test_folders_stay_out_of_keys_that_subsets_tell_apart(tmp_path: Path) -> None:
    images = {"images/train/one/a.png": BOX, "images/val/two/a.png": None}
    root = yolo_tree(tmp_path, images, train="images/train", val="images/val")
    assert list(boxes(root)) == ["train/a", "val/a"]


def test_images_of_one_name_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    images = {"images/train/one/a.png": BOX, "images/train/two/a.png": None}
    root = yolo_tree(tmp_path, images, train="images/train")
    assert [len(found) for found in boxes(root).values()] == [1, 0]


def test_a_polygon_is_filled_as_ultralytics_fills_it(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"images/train/a.png": TRIANGLE}, train="images/train")
    (found,) = read_labels(root)
    assert np.argwhere(class_map(found, ["dent"])[2]).ravel().tolist() == list(range(3, 16))
    assert found.instances[0].bbox == (3, 2, 16, 11)


def test_boxes_and_polygons_may_stand_in_one_file(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"images/train/a.png": f"{BOX}\n{TRIANGLE}"}, train="images/train")
    assert [label for label, _ in boxes(root)["a"]] == ["scratch", "dent"]


def test_what_reaches_out_of_the_image_is_cut_off(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"images/train/a.png": "0 0 0.5 0.2 0.2"}, train="images/train")
    assert boxes(root)["a"] == [("dent", (0, 8, 3, 12))]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("0 0.5 0.5 0.1", "has 4 columns, which is neither a box"),
        ("0 0.5 0.5 0.1 0.1 0.2", "has 6 columns"),
        ("0 0.1 0.1 0.5 0.1 0.1 0.5 0.3", "has 8 columns"),
        ("7 0.5 0.5 0.1 0.1", "has class 7, which data.yaml does not name"),
        ("-1 0.5 0.5 0.1 0.1", "has class -1"),
        ("dent 0.5 0.5 0.1 0.1", "is not a row of numbers"),
        ("0 0.5 x 0.1 0.1", "is not a row of numbers"),
        ("0 0.5 nan 0.1 0.1", "not finite"),
        ("0 1.5 0.5 0.1 0.1", "covers no pixel of the image"),
        ("0 0.5 0.5 0 0.1", "covers no pixel of the image"),
        ("0 2.1 0.1 2.5 0.1 2.1 0.5", "covers no pixel of the image"),
        ("1.5 0.5 0.5 0.1 0.1", "is not a row of numbers"),
        ("nan 0.5 0.5 0.1 0.1", "is not a row of numbers"),
        ("inf 0.5 0.5 0.1 0.1", "is not a row of numbers"),
    ],
)
def test_a_damaged_row_is_named_by_file_and_line(tmp_path: Path, row: str, words: str) -> None:
    images = {"images/train/a.png": BOX, "images/train/b.png": f"{BOX}\n\n{row}\n"}
    root = yolo_tree(tmp_path / "tree", images, train="images/train")
    with pytest.raises(ToolkitError, match=rf"labels/train/b\.txt:3: .*{words}"):
        convert(read_labels(root), tmp_path / "out", ["coco"])
    assert not (tmp_path / "out").exists()
    report = convert(read_labels(root), tmp_path / "out", ["coco"], on_problem="skip")
    assert [Path(problem.file).name for problem in report.skipped] == ["b.txt:3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("names: [", "not readable YAML"),
        ("train: images/train", "no usable `names`"),
        ("names: {dent: 0}", "no usable `names`"),
        ("just a text", "no usable `names`"),
        ("", "no usable `names`"),
    ],
)
def test_a_damaged_data_yaml_is_named(tmp_path: Path, text: str, words: str) -> None:
    root = yolo_tree(tmp_path, {"images/train/a.png": BOX})
    (root / "data.yaml").write_text(text)
    with pytest.raises(ToolkitError, match=rf"data\.yaml: .*{words}"):
        read_labels(root)


def test_a_label_without_an_image_is_a_problem(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "tree", {"images/train/a.png": BOX}, train="images/train")
    (root / "labels/train/lost.txt").write_text(BOX)
    (root / "labels/train/classes.txt").write_text("dent\nscratch\n")
    tree = read_labels(root)
    assert [Path(problem.file).name for problem in tree.layout_problems] == ["lost.txt"]
    with pytest.raises(ToolkitError, match="a label without an image"):
        convert(tree, tmp_path / "out", ["coco"])


def test_class_maps_of_other_tools_are_read(tmp_path: Path) -> None:
    """Several classes in one image; the image's class is then "combined"."""
    ids = np.zeros(SIZE, np.uint8)
    ids[2:5, 2:5], ids[8:12, 8:12] = 1, 2
    save_png(tmp_path / "masks/train/a.png", ids)
    image(tmp_path / "images/train/a.png")
    (tmp_path / "data.yaml").write_text(
        yaml.safe_dump({"train": "images/train", "masks_dir": "masks", "names": ["background", "dent", "scratch"]})
    )
    tree = read_labels(tmp_path)
    assert [(sample.key, sample.defect) for sample in tree.samples] == [("a", "combined")]
    assert [(i.label, i.bbox) for i in next(iter(tree)).instances] == [
        ("dent", (2, 2, 5, 5)),
        ("scratch", (8, 8, 12, 12)),
    ]


def test_labels_of_other_tools_find_a_place_in_every_format(tmp_path: Path) -> None:
    images = {"images/train/photo 1.png": f"{BOX}\n{TRIANGLE}", "images/train/photo 2.png": None}
    root = yolo_tree(tmp_path / "tree", images, train="images/train")
    kinds: Sequence[str] = ["coco", "yolo-segment", "yolo-detect", "yolo-obb", "semantic", "panoptic", "masks"]
    convert(read_labels(root), tmp_path / "out", [*kinds, "yolo-classify"])
    expected = {(image.key, tuple(sorted(i.area for i in image.instances))) for image in read_labels(root)}
    for kind in ("coco", "yolo-segment", "semantic", "panoptic"):
        tree = read_labels(tmp_path / "out" / kind)
        assert {(image.key, tuple(sorted(i.area for i in image.instances))) for image in tree} == expected
    found = sorted(p.relative_to(tmp_path / "out/masks").as_posix() for p in (tmp_path / "out/masks").rglob("*.png"))
    assert found == [
        "product/ground_truth/combined/photo 1_mask.png",
        "product/test/combined/photo 1.png",
        "product/train/good/photo 2.png",
    ]


@pytest.mark.parametrize("subset", ["train", "val", "test"])
def test_a_folder_that_stands_in_for_other_subsets_keeps_its_own(tmp_path: Path, subset: str) -> None:
    """Trainers ask for train and val; a tree without them names what there is."""
    folder = f"images/{subset}"
    images = {f"{folder}/a.png": TRIANGLE}
    root = yolo_tree(tmp_path / "tree", images, train=folder, val=folder, test=folder)
    assert [sample.split for sample in read_labels(root).samples] == [subset]
    convert(read_labels(root), tmp_path / "out", ["yolo-segment", "semantic"])
    for kind in ("yolo-segment", "semantic"):
        assert [sample.split for sample in read_labels(tmp_path / "out" / kind).samples] == [subset]


def test_classification_folders_may_repeat_names(tmp_path: Path) -> None:
    for label in ("good", "dent"):
        image(tmp_path / "train" / label / "000.png")
    tree = read_labels(tmp_path)
    assert [(sample.key, sample.defect) for sample in tree.samples] == [
        ("train/dent/000", "dent"),
        ("train/good/000", "good"),
    ]
