"""Where the images of COCO files lie, and what is said where they do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import convert, read_labels, verify
from tests.converters.formats.coco.stand_ins import SIZE, annotation, coco, coco_tree, image, listed
from tests.converters.support import save_png
from toolkit import ToolkitError


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
        ("annotations/instances_default.json", "images/default/a.png", "train"),
        ("annotations/instances_Train.json", "images/Train/a.png", "train"),
        ("annotations/instances_Train.json", "images/train/Data/a.png", "train"),
        ("annotations/instances_train.json", "Images/TRAIN/a.png", "train"),
        ("annotations/instances_Test2017.json", "test2017/a.png", "test"),
        ("annotations/instances_valve.json", "images/valve/a.png", "train"),
        ("annotations/instances_valve.json", "pictures/of/a.png", "train"),
        ("annotations/instances_test_piece.json", "images/a.png", "train"),
        ("annotations/instances_train.json", "images/train/A.PNG", "train"),
        ("Annotations/validation.json", "images/valid/a.png", "val"),
        ("labels.json", "data/a.png", "train"),
    ],
)
def test_images_and_subsets_are_found(tmp_path: Path, file: str, place: str, subset: str) -> None:
    root = coco_tree(tmp_path / "tree", coco(annotation()), file)
    image(root / place)
    (found,) = read_labels(root)
    assert found.path is not None
    assert found.path.samefile(root / place)
    assert found.subset == subset


@pytest.mark.parametrize(
    "name",
    [
        "images/a.png",
        "https://somewhere.com/images/a.png?sig=1",
        "images\\a.png",
        "./images/a.png",
        "..\\..\\label-studio\\media\\upload\\4\\a.png",
        "../../images/a.png",
        "C:\\data\\images\\a.png",
        "/data/label-studio/a.png",
        "http://localhost/media/a.png",
        "elsewhere/../images/a.png",
    ],
)
def test_names_lead_to_images_of_the_tree(tmp_path: Path, name: str) -> None:
    root = coco_tree(tmp_path / "tree", coco(annotation(), images=[listed(name)]), "result.json")
    place = image(root / "images/a.png")
    image(tmp_path / "images/a.png")
    (found,) = read_labels(root)
    assert (found.key, found.path) == ("a", place)


@pytest.mark.parametrize("name", ["../outside.png", "{root}/outside.png", "../tree/../outside.png"])
def test_names_lead_to_nothing_outside_of_the_tree(tmp_path: Path, name: str) -> None:
    outside = image(tmp_path / "outside.png")
    root = coco_tree(tmp_path / "tree", coco(annotation(), images=[listed(name.format(root=tmp_path))]))
    image(root / "images/b.png")
    tree = read_labels(root)
    assert len(tree) == 0
    assert [problem.problem.split(" (")[0] for problem in tree.layout_problems] == [
        f"no image {name}".format(root=tmp_path)
    ]
    assert outside.exists()


def test_folders_in_a_name_tell_images_of_one_name_apart(tmp_path: Path) -> None:
    images = [listed("D:\\shots\\one\\a.png"), listed("D:\\shots\\two\\a.png", id=6)]
    root = coco_tree(tmp_path, coco(annotation(), images=images))
    places = [image(root / f"pictures/{folder}/a.png") for folder in ("one", "two")]
    assert [one.sample.image for one in read_labels(root).records] == places


def test_an_image_that_is_missing_among_others_is_a_problem(tmp_path: Path) -> None:
    root = coco_tree(tmp_path / "tree", coco(annotation(), images=[listed(), listed("lost.png", id=6)]))
    image(root / "images/train/a.png")
    words = r"train\.json: no image lost\.png \(looked in annotations, images/train, .*below .*tree\); put it there"
    with pytest.raises(ToolkitError, match=words):
        convert(root, tmp_path / "out", ["coco"])
    report = convert(root, tmp_path / "out", ["coco"], on_problem="skip")
    assert report.manifests["coco"]["images"]["count"] == 1
    assert len(report.skipped) == 1


def test_an_image_that_several_files_may_be_is_a_problem(tmp_path: Path) -> None:
    root = coco_tree(tmp_path, coco(annotation()))
    for folder in ("one", "two"):
        image(root / folder / "a.png")
    (problem,) = read_labels(root).layout_problems
    assert problem.problem == "no image a.png (2 files of that name are there: one/a.png, two/a.png)"


@pytest.mark.parametrize("on_problem", ["fail", "skip"])
def test_a_tree_without_any_of_its_images_is_never_written(tmp_path: Path, on_problem: Any) -> None:
    root = coco_tree(tmp_path / "tree", coco(annotation()))
    image(root / "images/b.png")
    with pytest.raises(ToolkitError, match=r"no image a\.png"):
        convert(root, tmp_path / "out", ["coco"], on_problem=on_problem)
    assert not (tmp_path / "out/coco").exists()


def test_labels_without_any_image_are_read_and_it_is_said(tmp_path: Path) -> None:
    tree = read_labels(coco_tree(tmp_path, coco(annotation())))
    (found,) = tree
    assert (found.path, found.width, found.height) == (None, 30, 20)
    assert tree.notes[-1] == f"no image was found below {tmp_path}: the labels of 1 images are read without them"


def test_labels_of_ours_without_images_need_no_note(tmp_path: Path) -> None:
    convert(coco_tree(tmp_path / "tree", coco(annotation())), tmp_path / "out", ["coco"], images="none")
    assert read_labels(tmp_path / "out/coco").notes == ()


def test_images_in_folders_of_their_own_are_told_apart(tmp_path: Path) -> None:
    images = [listed("5/a.png"), listed("6/a.png", id=6)]
    tree = read_labels(coco_tree(tmp_path, coco(annotation(), images=images)))
    assert [(one.key, len(one.instances)) for one in tree] == [("train/5/a", 1), ("train/6/a", 0)]


def test_two_files_that_list_one_image_are_named(tmp_path: Path) -> None:
    for name in ("bolts", "nuts"):
        coco_tree(tmp_path, coco(annotation()), f"annotations/{name}.json")
    image(tmp_path / "images/a.png")
    with pytest.raises(ToolkitError, match=r"nuts\.json: lists a\.png, as bolts\.json does; name one of the files"):
        read_labels(tmp_path)
    assert [len(found.instances) for found in read_labels(tmp_path / "annotations/nuts.json")] == [1]


def test_files_of_other_tasks_are_passed_over_and_named(tmp_path: Path) -> None:
    whole = coco(annotation())
    coco_tree(tmp_path, whole, "annotations/instances_train2017.json")
    caption = {"id": 9, "image_id": 5, "caption": "a scratched panel"}
    coco_tree(tmp_path, {"images": whole["images"], "annotations": [caption]}, "annotations/captions_train2017.json")
    coco_tree(tmp_path, coco(annotation(keypoints=[4, 5, 2])), "annotations/person_keypoints_train2017.json")
    coco_tree(tmp_path, {**whole, "annotations": None}, "annotations/image_info_test2017.json")
    segments = {"image_id": 5, "file_name": "a.png", "segments_info": []}
    coco_tree(tmp_path, coco(segments), "annotations/panoptic_train2017.json")
    coco_tree(tmp_path, coco(annotation()), "annotations/stuff_train2017.json")
    image(tmp_path / "train2017/a.png")
    tree = read_labels(tmp_path)
    assert (tree.kind, [len(found.instances) for found in tree]) == ("coco", [1])
    (note,) = (note for note in tree.notes if note.startswith("not read: "))
    assert [part.partition("_")[0] for part in note.removeprefix("not read: ").split(", ")] == [
        "captions",
        "image",
        "panoptic",
        "person",
        "stuff",
    ]


@pytest.mark.parametrize("name", ["captions", "broken"])
def test_a_file_without_objects_is_refused_by_name(tmp_path: Path, name: str) -> None:
    document = {"images": [listed()], "annotations": [{"id": 9, "image_id": 5, "caption": "a panel"}]}
    text = json.dumps(document) if name == "captions" else "{}"
    root = coco_tree(tmp_path, text, f"annotations/{name}.json")
    words = "has no list of categories" if name == "captions" else "holds no labels of a known format"
    with pytest.raises(ToolkitError, match=rf"{name}\.json: {words}"):
        read_labels(root / f"annotations/{name}.json")


def test_keypoints_alone_are_read_as_what_they_lie_in(tmp_path: Path) -> None:
    root = coco_tree(tmp_path, coco(annotation(keypoints=[4, 5, 2])), "annotations/person_keypoints_val2017.json")
    assert [(found.subset, len(found.instances)) for found in read_labels(root)] == [("val", 1)]


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("annotations/instances_train.json", "annotations/a.png"),
        ("annotations/instances_train.json", "images/a.png"),
        ("annotations/instances_train.json", "train/a.png"),
        ("annotations/instances_train.json", "images/Train/Data/a.png"),
        ("ann/train.json", "images/a.png"),
        ("ann/train.json", "train2017/a.png"),
        ("all.json", "a.png"),
        ("all.JSON", "pictures/a.png"),
    ],
)
def test_one_file_is_read_and_its_images_found(tmp_path: Path, file: str, place: str) -> None:
    home = coco_tree(tmp_path / "tree", coco(annotation()), file)
    coco_tree(home, coco(annotation(), images=[listed("b.png")]), str(Path(file).with_name("other.json")))
    image(home / place)
    (found,) = read_labels(home / file)
    assert (found.key, found.path) == ("a", home / place)
    report = convert(home / file, tmp_path / "out", ["coco", "yolo-detect"])
    assert report.manifests["coco"]["images"]["count"] == 1
    assert verify(tmp_path / "out").passed
    assert verify(home / file).passed


def test_one_file_of_ours_keeps_its_keys(tmp_path: Path) -> None:
    images = [listed("x__y.png"), listed("z.png", id=6)]
    convert(coco_tree(tmp_path / "tree", coco(annotation(), images=images)), tmp_path / "out", ["coco"])
    tree = read_labels(tmp_path / "out/coco/annotations/instances_train.json")
    assert [record.sample.key for record in tree.records] == ["x__y", "z"]


def panoptic_tree(root: Path, places: str = "") -> Path:
    segment = {"id": 1, "category_id": "3", "area": 9, "bbox": [0, 0, 3, 3], "iscrowd": 0}
    document = coco({"image_id": "5", "file_name": "a.png", "segments_info": [segment]})
    coco_tree(root, document, "annotations/panoptic_val2017.json")
    ids = np.zeros((*SIZE, 3), np.uint8)
    ids[:3, :3, 2] = 1
    save_png(root / places / "panoptic_val2017/a.png", ids)
    return root


@pytest.mark.parametrize("places", ["", "annotations"])
@pytest.mark.parametrize("there", [True, False])
def test_maps_of_segments_are_not_taken_for_images(tmp_path: Path, places: str, there: bool) -> None:
    root = panoptic_tree(tmp_path, places)
    place = image(root / "val2017/a.png") if there else None
    (found,) = read_labels(root)
    assert (found.path, [(one.label, one.area) for one in found.instances]) == (place, [("scratch", 9)])


def test_a_panoptic_tree_without_an_image_of_several_is_a_problem(tmp_path: Path) -> None:
    root = panoptic_tree(tmp_path)
    image(root / "val2017/b.png")
    assert [problem.problem.split(" (")[0] for problem in read_labels(root).layout_problems] == ["no image a.png"]


def test_a_map_outside_of_the_tree_is_not_read(tmp_path: Path) -> None:
    root = panoptic_tree(tmp_path / "tree")
    (root / "panoptic_val2017/a.png").rename(tmp_path / "a.png")
    path = root / "annotations/panoptic_val2017.json"
    path.write_text(path.read_text().replace('"file_name": "a.png", "seg', '"file_name": "../../a.png", "seg'))
    with pytest.raises(ToolkitError, match="cannot be read"):
        list(read_labels(root))


def test_a_size_is_that_of_the_file_in_our_trees_too(tmp_path: Path) -> None:
    root = coco_tree(tmp_path / "tree", coco(annotation()))
    image(root / "images/a.png")
    convert(read_labels(root), tmp_path / "out", ["coco"])
    file = tmp_path / "out/coco/annotations/instances_train.json"
    file.write_text(file.read_text().replace(f'"width":{SIZE[1]}', '"width":70000'))
    with pytest.raises(ToolkitError, match=f"is {SIZE[1]} x {SIZE[0]} pixels, its labels are for 70000 x {SIZE[0]}"):
        list(read_labels(tmp_path / "out/coco"))


@pytest.mark.parametrize("side", [40_000, 65_500])
def test_a_size_without_an_image_is_bounded(side: int, tmp_path: Path) -> None:
    root = coco_tree(tmp_path / "tree", coco(annotation(), images=[listed(width=side, height=side)]))
    with pytest.raises(ToolkitError, match=f"is {side} x {side} pixels by its labels, and no such image is read"):
        list(read_labels(root))


def test_an_outline_that_leaves_its_image_by_far_is_refused(tmp_path: Path) -> None:
    comb = [value for tooth in range(100) for value in (999_999 * (-1) ** tooth, tooth % 20)]
    root = coco_tree(tmp_path / "tree", coco(annotation(segmentation=[comb])))
    image(root / "images/a.png")
    with pytest.raises(
        ToolkitError, match=r"has a malformed segmentation \(a polygon whose outline is 199999800 pixels"
    ):
        list(read_labels(root))
