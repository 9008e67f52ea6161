"""Label trees as other tools leave them, and as they get damaged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml

from converters import convert, read_labels
from converters.formats.label_tree import subset_of_name
from converters.rasterize import compress_rle, uncompressed_rle
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


def ring(x0: int, y0: int, x1: int, y1: int) -> list[int]:
    return [x0, y0, x1, y0, x1, y1, x0, y1]


SQUARE = np.zeros(SIZE, np.bool_)
SQUARE[4:9, 3:12] = True
RUNS = uncompressed_rle(SQUARE[4:9, 3:12], (3, 4), *SIZE)
BOTH = SQUARE.copy()
BOTH[12:15, 20:25] = True


def annotation(**more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": 5, "category_id": 3, "bbox": [3, 4, 9, 5], "area": 45, "iscrowd": 0, **more}


def coco(*annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 5, "file_name": "a.png", "width": SIZE[1], "height": SIZE[0]}],
        "annotations": list(annotations),
        "categories": [{"id": 0, "name": "dent"}, {"id": 3, "name": "scratch"}],
        **more,
    }


def coco_tree(root: Path, document: Any, file: str = "annotations/instances_train.json") -> Path:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(document if isinstance(document, str) else json.dumps(document))
    return root


class Form(NamedTuple):
    """A way to write a segmentation, and what it covers."""

    members: Mapping[str, Any]
    covers: np.ndarray[Any, np.dtype[np.bool_]]


FORMS = {
    "a polygon": Form({"segmentation": [ring(3, 4, 12, 9)]}, SQUARE),
    "a polygon of fractions": Form({"segmentation": [[v + 0.0001 for v in ring(3, 4, 12, 9)]]}, SQUARE),
    "several polygons": Form({"segmentation": [ring(3, 4, 12, 9), ring(20, 12, 25, 15)]}, BOTH),
    "overlapping polygons": Form({"segmentation": [ring(3, 4, 9, 9), ring(7, 4, 12, 9)]}, SQUARE),
    "run lengths": Form({"segmentation": {"counts": RUNS, "size": list(SIZE)}}, SQUARE),
    "a crowd": Form({"segmentation": {"counts": RUNS, "size": list(SIZE)}, "iscrowd": 1}, SQUARE),
    "compressed run lengths": Form({"segmentation": {"counts": compress_rle(RUNS, *SIZE), "size": list(SIZE)}}, SQUARE),
    "a box alone": Form({}, SQUARE),
    "an empty segmentation": Form({"segmentation": []}, SQUARE),
    "no segmentation": Form({"segmentation": None}, SQUARE),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_segmentation_is_read(tmp_path: Path, name: str) -> None:
    root = coco_tree(tmp_path, coco(annotation(**FORMS[name].members)))
    (found,) = read_labels(root)
    (instance, *_) = found.instances
    assert (instance.mask is None) == ("box" in name or "empty" in name or "no " in name)
    assert np.array_equal(class_map(found, ["scratch"]), FORMS[name].covers * 1)
    assert (found.key, found.subset, found.image_label, len(found.instances)) == ("a", "train", "scratch", 1)


def test_ids_may_have_gaps_and_begin_at_zero(tmp_path: Path) -> None:
    tree = read_labels(coco_tree(tmp_path, coco(annotation(), annotation(id=2, category_id=0))))
    assert tree.classes() == ["dent", "scratch"]
    assert [instance.label for image in tree for instance in image.instances] == ["scratch", "dent"]


@pytest.mark.parametrize(
    ("file", "place", "subset"),
    [
        ("annotations/instances_train.json", "images/train/a.png", "train"),
        ("annotations/instances_val2017.json", "val2017/a.png", "val"),
        ("annotations/instances_val2017.json", "images/val2017/a.png", "val"),
        ("annotations/instances_default.json", "images/a.png", "train"),
        ("annotations/test.json", "test/a.png", "test"),
        ("valid/_annotations.coco.json", "valid/a.png", "val"),
        ("train/_annotations.coco.json", "train/a.png", "train"),
        ("annotations.json", "a.png", "train"),
        ("train.json", "images/a.png", "train"),
    ],
)
def test_images_and_subsets_are_found(tmp_path: Path, file: str, place: str, subset: str) -> None:
    root = coco_tree(tmp_path / "tree", coco(annotation()), file)
    image(root / place)
    (found,) = read_labels(root)
    assert found.path is not None
    assert found.path.samefile(root / place)
    assert found.subset == subset


def test_images_that_are_not_there_do_no_harm(tmp_path: Path) -> None:
    (found,) = read_labels(coco_tree(tmp_path, coco(annotation())))
    assert (found.path, found.width, found.height) == (None, 30, 20)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"category_id": 8}, "has an unknown category 8"),
        ({"segmentation": [[1, 2, 3, 4]]}, "malformed segmentation"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "malformed segmentation"),
        ({"segmentation": [["a"] * 6]}, "malformed segmentation"),
        ({"segmentation": {"counts": [1, 2], "size": [9, 9]}}, "malformed segmentation"),
        ({"segmentation": {"size": list(SIZE)}}, "malformed segmentation"),
        ({"segmentation": [ring(100, 100, 120, 120)]}, "covers no pixel"),
        ({"bbox": [3, 4]}, "malformed segmentation"),
        ({"bbox": [99, 99, 5, 5]}, "covers no pixel"),
        ({"bbox": [3, 4, 0, 0]}, "covers no pixel"),
    ],
    ids=str,
)
def test_a_damaged_annotation_is_named(tmp_path: Path, members: dict[str, Any], words: str) -> None:
    root = coco_tree(tmp_path, coco(annotation(), annotation(id=77, **members)))
    with pytest.raises(ToolkitError, match=rf"instances_train\.json: annotation 77 of a\.png: .*{words}"):
        list(read_labels(root))


def without(part: str, number: int, member: str) -> dict[str, Any]:
    document = coco(annotation())
    del document[part][number][member]
    return document


@pytest.mark.parametrize(
    "document",
    [
        '{"images": [], "annotations": [], "categories": [',
        '[1, 2]  // "images" "annotations"',
        '["images", "annotations"]',
        coco(annotation(), categories=None),
        coco(annotation(), images={}),
        coco(annotation(image_id=6)),
        coco(annotations=[3]),
        coco(images=["a.png"]),
        without("images", 0, "id"),
        without("images", 0, "file_name"),
        without("images", 0, "width"),
        without("images", 0, "height"),
        without("categories", 0, "id"),
        without("categories", 0, "name"),
        without("annotations", 0, "image_id"),
    ],
    ids=lambda document: str(document)[:60],
)
def test_a_damaged_file_is_named(tmp_path: Path, document: Any) -> None:
    with pytest.raises(ToolkitError, match=r"instances_train\.json: "):
        list(read_labels(coco_tree(tmp_path, document)))


@pytest.mark.parametrize("member", ["image_id", "file_name", "segments_info"])
def test_a_damaged_panoptic_file_is_named(tmp_path: Path, member: str) -> None:
    segment = {"id": 1, "category_id": 3, "area": 9, "bbox": [0, 0, 3, 3], "iscrowd": 0}
    whole = {"image_id": 5, "file_name": "a.png", "segments_info": [segment]}
    del whole[member]
    if member != "segments_info":  # by that the format is told
        whole["segments_info"] = [segment]
    document = coco(whole, info={"format": '"segments_info"'})
    if member == "segments_info":
        document["annotations"].append({"image_id": 5, "file_name": "a.png", "segments_info": []})
    root = coco_tree(tmp_path, document, "annotations/panoptic_train.json")
    with pytest.raises(ToolkitError, match=r"panoptic_train\.json: "):
        list(read_labels(root))


def test_a_crowd_becomes_an_instance_like_others(tmp_path: Path) -> None:
    """Tools mark masks with holes as crowds; trainers pass those over, so that conversion makes them whole again."""
    root = coco_tree(tmp_path / "tree", coco(annotation(**FORMS["a crowd"].members)))
    convert(read_labels(root), tmp_path / "out", ["coco"], images="none")
    document = json.loads((tmp_path / "out/coco/annotations/instances_train.json").read_text())
    assert [(a["iscrowd"], a["area"], a["bbox"]) for a in document["annotations"]] == [(0, 45, [3, 4, 9, 5])]


@pytest.mark.parametrize(
    ("name", "subset"),
    [
        ("train", "train"),
        ("Train2017", "train"),
        ("valid", "val"),
        ("validation", "val"),
        ("test", "test"),
        ("x", None),
    ],
)
def test_names_of_subsets(name: str, subset: str | None) -> None:
    assert subset_of_name(name) == subset


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


def test_categories_of_several_files_must_agree(tmp_path: Path) -> None:
    coco_tree(tmp_path, coco(annotation()))
    document = coco(annotation(), categories=[{"id": 3, "name": "dent"}])
    document["images"][0]["file_name"] = "b.png"
    coco_tree(tmp_path, document, "annotations/instances_val.json")
    with pytest.raises(ToolkitError, match=r"instances_val\.json: calls category 3 'dent', another file 'scratch'"):
        read_labels(tmp_path)


def test_coco_images_in_folders_of_their_own_are_told_apart(tmp_path: Path) -> None:
    document = coco(annotation())
    document["images"] = [{**document["images"][0], "id": number, "file_name": f"{number}/a.png"} for number in (5, 6)]
    tree = read_labels(coco_tree(tmp_path, document))
    assert [(image.key, len(image.instances)) for image in tree] == [("train/5/a", 1), ("train/6/a", 0)]


def test_classification_folders_may_repeat_names(tmp_path: Path) -> None:
    for label in ("good", "dent"):
        image(tmp_path / "train" / label / "000.png")
    tree = read_labels(tmp_path)
    assert [(sample.key, sample.defect) for sample in tree.samples] == [
        ("train/dent/000", "dent"),
        ("train/good/000", "good"),
    ]
