"""COCO files as tools write them: the boxes, pixels and names that they mean, or what is wrong with which file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from converters import read_labels, verify
from tests.cases.showing import SIZE, brightness, converted, objects, refused, shown
from tests.commands import defectkit, save

BOX, AREA = (6, 4, 18, 13), 108
DENT = [("dent", BOX, AREA)]
RING = [6, 4, 18, 4, 18, 13, 6, 13]
FILE = "annotations/instances_train.json"


def listed(name: str = "a.png", number: Any = 1, **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": SIZE[1], "height": SIZE[0], **more}


def annotation(number: Any = 1, image: Any = 1, **more: Any) -> dict[str, Any]:
    told = {"id": number, "image_id": image, "category_id": 1, "bbox": [6, 4, 12, 9], "area": AREA, "iscrowd": 0}
    return {**told, "segmentation": [RING], **more}


def document(*annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "images": [listed()],
        "annotations": list(annotations),
        "categories": [{"id": 1, "name": "dent"}],
        **more,
    }


def tree(root: Path, files: Mapping[str, Any], *photos: str) -> Path:
    """JSON files, and photos that are dark but for what the annotations of this module mark."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    for number, name in enumerate(photos):
        pixels = np.full(SIZE, 60 + number, np.uint8)
        pixels[4:13, 6:18] = 240
        save(root / name, pixels)
    return root


def lies_on_the_defect(root: Path, out: Path, images: int = 1, to: str = "coco,yolo-segment") -> list[str]:
    """Convert: each image is carried along, and its label lies where its photo is bright; the notes."""
    notes = converted(root, out, to=to)["notes"]
    for kind in to.split(","):
        seen = brightness(out / kind)
        assert len(seen) == images
        assert min(seen.values()) > 230
    assert isinstance(notes, list)
    return notes


def test_the_folder_that_coco_ships_is_read(tmp_path: Path) -> None:
    """Captions and keypoints beside instances (matterport/Mask_RCNN #339, jsbroks/coco-annotator #249)."""
    captions = {"images": [listed()], "annotations": [{"id": 9, "image_id": 1, "caption": "a panel with a dent"}]}
    files = {
        "annotations/instances_val2017.json": document(annotation()),
        "annotations/captions_val2017.json": captions,
        "annotations/person_keypoints_val2017.json": document(annotation(keypoints=[7, 7, 2], num_keypoints=1)),
    }
    root = tree(tmp_path / "in", files, "val2017/a.png")
    notes = lies_on_the_defect(root, tmp_path / "out")
    assert "not read: captions_val2017.json (captions), person_keypoints_val2017.json (keypoints)" in notes
    assert objects(tmp_path / "out/coco") == {"a": DENT}
    assert [image.subset for image in read_labels(tmp_path / "out/coco")] == ["val"]
    refused(root / "annotations/captions_val2017.json", tmp_path / "other", files=("",))
    converted(root / "annotations/instances_val2017.json", tmp_path / "other")


def test_files_of_an_export_that_speak_of_no_objects_are_passed_over(tmp_path: Path) -> None:
    """Files of other tasks that have a list of categories all the same (matterport/Mask_RCNN #339's kin)."""
    captions = {"id": 9, "image_id": 1, "caption": "a panel with a dent"}
    files = {
        FILE: document(annotation()),
        "annotations/captions_train.json": document(captions, categories=[]),
        "annotations/labels_train.json": document({"id": 3, "image_id": 1, "category_id": 1}),
        "annotations/image_info_train.json": document(categories=[]),
    }
    notes = lies_on_the_defect(tree(tmp_path / "in", files, "images/train/a.png"), tmp_path / "out")
    (note,) = (note for note in notes if note.startswith("not read: "))
    assert note == (
        "not read: captions_train.json (captions), image_info_train.json (a list of images),"
        " labels_train.json (labels of whole images)"
    )


@pytest.mark.parametrize(
    ("image", "category"), [(1, "0"), ("1", 0), (1.0, 0.0), ("1", "0"), ("1.0", "0.0")], ids=lambda one: f"{one!r}"
)
def test_ids_in_text_or_with_a_point_are_numbers(tmp_path: Path, image: Any, category: Any) -> None:
    """Ids as text or fractions (pylabel-project/pylabel #46, cvat-ai/cvat #298)."""
    one = annotation(image=image, category_id=category, iscrowd=0.0, area=108.0)
    categories = [{"id": 0, "name": "LP", "supercategory": None}]
    root = tree(tmp_path / "in", {FILE: document(one, categories=categories)}, "images/a.png")
    lies_on_the_defect(root, tmp_path / "out")
    assert objects(tmp_path / "out/coco") == shown(root) == {"a": [("LP", BOX, AREA)]}


@pytest.mark.parametrize(("member", "value"), [("category_id", "x"), ("image_id", "x")])
def test_an_id_that_is_not_there_is_shown_as_it_is_written(tmp_path: Path, member: str, value: str) -> None:
    """Ids as text that name nothing (pylabel-project/pylabel #46, cvat-ai/cvat #298)."""
    root = tree(tmp_path / "in", {FILE: document({**annotation(), member: value})}, "images/a.png")
    (line,) = refused(root, tmp_path / "out", files=(FILE,)).errors
    assert '"x"' in line


@pytest.mark.parametrize(
    "name", ["images\\a.png", "..\\..\\label-studio\\media\\upload\\4\\a.png", "D:\\shots\\images\\a.png"]
)
def test_backslashes_lead_to_images(tmp_path: Path, name: str) -> None:
    """Names as Windows writes them (HumanSignal/label-studio #7294)."""
    images = [listed(name, 0), listed(name.replace("a.png", "b.png"), 1)]
    labels = document(annotation(0, 0), annotation(1, 1), images=images)
    root = tree(tmp_path / "in", {"result.json": labels}, "images/a.png", "images/b.png")
    lies_on_the_defect(root, tmp_path / "out", 2)
    assert objects(tmp_path / "out/coco") == {"a": DENT, "b": DENT}
    (root / "images/b.png").unlink()
    (line,) = refused(root, tmp_path / "other", files=("result.json",)).errors
    assert "b.png" in line


@pytest.mark.parametrize("size", [{"width": 0, "height": 0}, {"width": None, "height": None}, {}], ids=str)
def test_a_size_that_is_not_told_is_that_of_the_photo(tmp_path: Path, size: dict[str, Any]) -> None:
    """Sizes of 0, and none (open-edge-platform/datumaro #775, pylabel #33)."""
    images = [{"id": 1, "file_name": "a.png", **size}]
    root = tree(tmp_path / "in", {FILE: document(annotation(), images=images)}, "images/a.png")
    lies_on_the_defect(root, tmp_path / "out")
    assert objects(tmp_path / "out/coco") == {"a": DENT}
    (row,) = (tmp_path / "out/yolo-segment/labels/train").glob("*.txt")
    assert max(map(float, row.read_text().split()[1:])) < 18 / 40 + 0.01


def test_a_size_that_is_swapped_is_refused(tmp_path: Path) -> None:
    """Width for height (PaddleCV-SIG/PaddleLabel #172)."""
    images = [listed(width=SIZE[0], height=SIZE[1])]
    root = tree(tmp_path / "in", {FILE: document(annotation(), images=images)}, "images/a.png")
    (line,) = refused(root, tmp_path / "out", files=("images/a.png",), to="yolo-segment").errors
    assert "is 40 x 30 pixels, its labels are for 30 x 40" in line
    tree(root, {FILE: document(annotation())})
    converted(root, tmp_path / "out")


def test_two_images_of_one_id_are_refused(tmp_path: Path) -> None:
    """One id for two images (cvat-ai/cvat #4185, IndustryEssentials/ymir PR #1702)."""
    images = [listed(), listed("b.png")]
    two = document(annotation(), annotation(2), images=images)
    root = tree(tmp_path / "in", {FILE: two}, "images/a.png", "images/b.png")
    (line,) = refused(root, tmp_path / "out", files=(FILE,)).errors
    assert "two images have the id 1: a.png and b.png; give each its own" in line
    images[1]["id"], two["annotations"][1]["image_id"] = 2, 2
    lies_on_the_defect(tree(root, {FILE: two}), tmp_path / "out", 2)
    assert objects(tmp_path / "out/coco") == {"a": DENT, "b": DENT}


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("stray", [[20, 20], [20, 20, 25, 20], []], ids=str)
def test_a_stray_point_beside_a_ring_marks_nothing(tmp_path: Path, stray: list[int], turn: int) -> None:
    """A point beside a polygon (jsbroks/coco-annotator #169)."""
    root = tree(tmp_path / "in", {FILE: document(annotation(segmentation=[RING, stray][::turn]))}, "images/a.png")
    lies_on_the_defect(root, tmp_path / "out")
    assert objects(tmp_path / "out/coco") == {"a": DENT}


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([[6, 4, 18, 13]], "a polygon of fewer than three points"),
        (RING, "one list of numbers instead of a list of such lists: write [[x1, y1, x2, y2, ...]]"),
    ],
    ids=["two points", "flat"],
)
def test_a_ring_that_is_none_is_refused(tmp_path: Path, segmentation: Any, words: str) -> None:
    """Malformed rings (tensorpack/tensorpack #1041, roboflow/supervision #205)."""
    broken = document(annotation(), annotation(77, segmentation=segmentation))
    root = tree(tmp_path / "in", {FILE: broken}, "images/a.png")
    (line,) = refused(root, tmp_path / "out", files=(FILE,)).errors
    assert f"annotation 77 of a.png: has a malformed segmentation ({words})" in line
    assert "cannot reshape" not in line


@pytest.mark.parametrize("parent", ["defects", "dent", "scratch"])
def test_a_category_that_groups_others_is_no_class(tmp_path: Path, parent: str) -> None:
    """A parent made up (roboflow/roboflow-100-benchmark #45, roboflow/rf-detr PR #1303)."""
    categories = [
        {"id": 0, "name": parent, "supercategory": "none"},
        {"id": 1, "name": "dent", "supercategory": parent},
        {"id": 2, "name": "scratch", "supercategory": parent},
    ]
    files = {
        f"{subset}/_annotations.coco.json": document(
            annotation(0, 0), images=[listed(f"{subset}.png", 0)], categories=categories
        )
        for subset in ("train", "valid")
    }
    root = tree(tmp_path / "in", files, "train/train.png", "valid/valid.png")
    notes = lies_on_the_defect(root, tmp_path / "out", 2)
    assert [note for note in notes if note.startswith(f"category 0 ({parent!r})")]
    assert "1 of 2 categories occur in no annotation: scratch" in notes
    names = yaml.safe_load((tmp_path / "out/yolo-segment/data.yaml").read_text())["names"]
    assert names == {0: "dent", 1: "scratch"}
    assert objects(tmp_path / "out/yolo-segment") == {"train": DENT, "valid": DENT}
    assert defectkit("describe", root, "--json").json()["defect_names"] == ["dent", "scratch"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_mark_of_byte_order_is_passed_over(tmp_path: Path, encoding: str) -> None:
    """JSON of other editors (the kind of wkentaro/labelme #299, #683)."""
    root = tree(tmp_path / "in", {FILE: json.dumps(document(annotation())).encode(encoding)}, "images/a.png")
    lies_on_the_defect(root, tmp_path / "out")


def test_nan_where_nobody_looks_is_passed_over_and_a_raw_tab_is_not(tmp_path: Path) -> None:
    """NaN and control characters in JSON (the kind of wkentaro/labelme #299, #683)."""
    root = tree(tmp_path / "in", {FILE: document(annotation(area=float("nan")))}, "images/a.png")
    lies_on_the_defect(root, tmp_path / "out")
    assert objects(tmp_path / "out/coco") == {"a": DENT}
    tree(root, {FILE: json.dumps(document(annotation(), info={"description": "a b"})).replace("a b", "a\tb")})
    (line,) = refused(root, tmp_path / "other", files=(FILE,)).errors
    assert "is not readable JSON; replace it (" in line
    tree(root, {FILE: document(annotation(bbox=[6, float("nan"), 12, 9], segmentation=[]))})
    (line,) = refused(root, tmp_path / "other", files=(FILE,)).errors
    assert "the coordinate NaN" in line


@pytest.mark.parametrize(
    ("file", "folder", "inner"),
    [
        ("instances_default.json", "default", ""),
        ("instances_Train.json", "Train", "Data/"),
        ("instances_train.json", "train", ""),
        ("instances_Train.json", "train", "data/"),
    ],
)
def test_an_export_with_folders_of_subsets_keeps_its_images(tmp_path: Path, file: str, folder: str, inner: str) -> None:
    """CVAT's COCO 1.0 (Koldim2001/COCO_to_YOLOv8 #2, cvat-ai/cvat PR #875)."""
    images = [listed(f"{inner}{name}.bmp", number) for number, name in enumerate("ab", 1)]
    labels = document(annotation(attributes={"occluded": False}), images=images)
    root = tree(tmp_path / "in", {f"annotations/{file}": labels}, *(f"images/{folder}/{inner}{n}.bmp" for n in "ab"))
    lies_on_the_defect(root, tmp_path / "out")
    assert objects(tmp_path / "out/coco") == objects(tmp_path / "out/yolo-segment") == {"a": DENT, "b": []}
    assert len(list((tmp_path / "out/coco/images").rglob("*.bmp"))) == 2


def test_images_of_one_stem_are_two(tmp_path: Path) -> None:
    """Stems that meet (cvat-ai/cvat #4540, #4993)."""
    images = [listed("a.jpg"), listed("a.png", 2), listed("b.png", 3)]
    files = {FILE: document(annotation(), annotation(2, 2), annotation(3, 3), images=images)}
    root = tree(tmp_path / "in", files, "images/a.jpg", "images/a.png", "images/b.png")
    lies_on_the_defect(root, tmp_path / "out", 3, to="coco,yolo-segment,panoptic")
    for kind in ("coco", "yolo-segment", "panoptic"):
        assert objects(tmp_path / "out" / kind) == {"a.jpg": DENT, "a.png": DENT, "b": DENT}


def test_an_image_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    """One file under two ids (cvat-ai/cvat #4540, #4993)."""
    twice = document(annotation(), annotation(2, 2), images=[listed(), listed(number=2)])
    root = tree(tmp_path / "in", {FILE: twice}, "images/a.png")
    (line,) = refused(root, tmp_path / "out", files=(FILE,)).errors
    assert "lists a.png twice, as image 1 and as image 2; list it once" in line


def test_run_lengths_for_another_size_are_refused(tmp_path: Path) -> None:
    """RLE with its size swapped (jsbroks/coco-annotator #557)."""
    runs = {"size": [SIZE[1], SIZE[0]], "counts": [164, 9, 1027]}
    root = tree(tmp_path / "in", {FILE: document(annotation(segmentation=runs))}, "images/a.png")
    (line,) = refused(root, tmp_path / "out", files=(FILE,)).errors
    assert "run lengths for 30 x 40 pixels in an image of 40 x 30" in line


@pytest.mark.parametrize("names", [("valve", "bolt"), ("test_piece", "trainer"), ("validator", "testis")])
def test_products_whose_names_begin_like_subsets_are_none(tmp_path: Path, names: tuple[str, str]) -> None:
    """A product called valve (no report)."""
    files = {
        f"annotations/instances_{name}.json": document(annotation(), images=[listed(f"{name}.png")]) for name in names
    }
    root = tree(tmp_path / "in", files, *(f"images/{name}.png" for name in names))
    lies_on_the_defect(root, tmp_path / "out", 2)
    assert {image.key: image.subset for image in read_labels(tmp_path / "out/coco")} == dict.fromkeys(names, "train")


def test_boxes_alone_stay_boxes_and_nothing_is_called_exact(tmp_path: Path) -> None:
    """Boxes asked for as masks (ultralytics/ultralytics #3592, GreatV/labelme2yolo #34)."""
    root = tree(tmp_path / "in", {FILE: document(annotation(segmentation=[]))}, "images/a.png")
    for kind in ("yolo-segment", "yolo-obb", "semantic", "panoptic", "masks"):
        done = refused(root, tmp_path / "out", files=("",), to=kind)
        assert f"none of its objects has a mask: no {kind}; use --to yolo-detect,yolo-classify,coco" in done.errors[0]
    converted(root, tmp_path / "out", to="yolo-detect,yolo-classify,coco")
    for kind in ("yolo-detect", "coco"):
        ((found,),) = (image.instances for image in read_labels(tmp_path / "out" / kind))
        assert (found.label, tuple(found.bbox), found.mask) == ("dent", BOX, None)
    assert verify(tmp_path / "out").min_iou is None
    one = json.loads((tmp_path / "out/coco" / FILE).read_text())["annotations"][0]
    assert not one.get("segmentation")


def test_rectangles_among_masks_are_counted_and_not_called_exact(tmp_path: Path) -> None:
    """Boxes beside masks (ultralytics/ultralytics #3592, GreatV/labelme2yolo #34)."""
    boxed = annotation(2, bbox=[22, 15, 8, 10], segmentation=[], area=80)
    root = tree(tmp_path / "in", {FILE: document(annotation(), boxed)}, "images/a.png")
    done = converted(root, tmp_path / "out", to="yolo-segment")
    assert any(note.startswith("1 object(s) have a box alone: written as rectangles") for note in done["notes"])
    fidelity = done["formats"]["yolo-segment"]["fidelity"]
    assert (fidelity["rectangles"], fidelity["images"]) == (1, 0)


POINTS = [6.3, 4.4, 17.6, 5.2, 18.1, 13.3, 5.7, 12.6]


@pytest.mark.parametrize("decimals", [1, 6])
def test_a_sound_file_of_another_tool_passes(tmp_path: Path, decimals: int) -> None:
    """Boxes and areas of the vertices (cvat-ai/cvat #2074, wucng/TensorExpand #2)."""
    x, y = np.array(POINTS[::2]), np.array(POINTS[1::2])
    area = abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2
    box = [float(x.min()), float(y.min()), float(np.ptp(x)), float(np.ptp(y))]
    told = {"bbox": [round(one, decimals) for one in box], "area": round(area, decimals)}
    root = tree(tmp_path / "in", {FILE: document(annotation(segmentation=[POINTS], **told))}, "images/a.png")
    done = defectkit("verify", root)
    assert done.status == 0, done.out
    lies_on_the_defect(root, tmp_path / "out")
    tree(root, {FILE: document(annotation(segmentation=[POINTS], bbox=[9, 4, 12, 9], area=area))})
    assert defectkit("verify", root).status == 1
