"""YOLO trees as other tools leave them: names, lists, folders, and what is said of what was left out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from converters import convert, read_labels
from converters.sources import open_source
from tests.converters.formats.yolo.support import BOX, SCRATCH, TRIANGLE, boxes, lay_out, yolo_tree
from toolkit import ToolkitError


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


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("names: [", 1, "not readable YAML"),
        ("train: images/train", 0, "no usable `names`"),
        ("names: {dent: 0}", 1, "no usable `names`: names.dent.*should be a whole number from 0"),
        ("train: images/train\nnames:\n  0: dent\n  1:\n    - scratch", 4, "no usable `names`: names.1: should be"),
        ("train: images/train\nnames:\n- dent\n- [scratch]", 4, "no usable `names`: names.1: should be"),
        ("train: images/train\nnames: dent", 2, "no usable `names`: names: should be"),
        ("just a text", 0, "no usable `names`"),
        ("", 0, "no usable `names`"),
    ],
)
def test_a_damaged_data_yaml_is_named_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    root = yolo_tree(tmp_path, {"images/train/a.png": BOX})
    (root / "data.yaml").write_text(text)
    with pytest.raises(ToolkitError, match=rf"data\.yaml{f':{line}' if line else ''}: .*{words}") as caught:
        read_labels(root)
    assert len(str(caught.value).splitlines()) == 1


def test_a_label_without_an_image_is_a_problem(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path / "tree", {"images/train/a.png": BOX}, train="images/train")
    (root / "labels/train/lost.txt").write_text(BOX)
    (root / "labels/train/classes.txt").write_text("dent\nscratch\n")
    tree = read_labels(root)
    assert [Path(problem.file).name for problem in tree.layout_problems] == ["lost.txt"]
    with pytest.raises(ToolkitError, match="a label without an image"):
        convert(tree, tmp_path / "out", ["coco"])


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


CVAT = "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n"
NAMES = "dent\nscratch\n"
TREES: dict[str, dict[str, str | bytes | None]] = {
    "Label Studio": {"images/a.png": None, "labels/a.txt": BOX, "classes.txt": NAMES, "notes.json": "{}"},
    "labelImg": {"images/a.png": None, "labels/a.txt": BOX, "labels/classes.txt": NAMES},
    "labelImg, subsets": {"images/train/a.png": None, "labels/train/a.txt": BOX, "labels/train/classes.txt": NAMES},
    "labelImg's list": {"images/a.png": None, "labels/a.txt": BOX, "predefined_classes.txt": NAMES},
    "one folder": {"a.png": None, "a.txt": BOX, "classes.txt": NAMES},
    "one folder of images": {"images/a.png": None, "images/a.txt": BOX, "classes.txt": NAMES},
    "CVAT's YOLO 1.1": {
        "obj_train_data/a.png": None,
        "obj_train_data/a.txt": BOX,
        "train.txt": "data/obj_train_data/a.png\n",
        "obj.names": NAMES,
        "obj.data": CVAT,
    },
    "Train.txt": {
        "obj_Train_data/a.png": None,
        "obj_Train_data/a.txt": BOX,
        "Train.txt": "data/obj_Train_data/a.png\r\n",
        "obj.names": NAMES,
        "obj.data": "classes = 2\r\nTrain = data/Train.txt\r\nnames = data/obj.names\r\n",
    },
    "a list and no obj.data": {
        "obj_train_data/a.png": None,
        "obj_train_data/a.txt": BOX,
        "train.txt": "data/obj_train_data/a.png",
        "obj.names": NAMES,
    },
    "no list": {"obj_train_data/a.png": None, "obj_train_data/a.txt": BOX, "obj.names": NAMES, "obj.data": CVAT},
    "Darknet": {
        "data/obj/a.png": None,
        "data/obj/a.txt": BOX,
        "data/train.txt": "build/darknet/x64/data/obj/a.png",
        "data/obj.names": NAMES,
        "obj.data": "train = data/train.txt\nnames = data/obj.names\n",
    },
    "Roboflow's Darknet": {"train/a.png": None, "train/a.txt": BOX, "train/_darknet.labels": NAMES},
    "names in a file": {
        "images/train/a.png": None,
        "labels/train/a.txt": BOX,
        "obj.names": NAMES,
        "data.yaml": "train: images/train\nnames: obj.names\n",
    },
    "a data.yaml without names": {
        "images/train/a.png": None,
        "labels/train/a.txt": BOX,
        "classes.txt": NAMES,
        "data.yaml": "train: images/train\nnc: 2\n",
    },
    "labels beside images": {
        "train/a.png": None,
        "train/a.txt": BOX,
        "data.yaml": "train: train\nnames: [dent, scratch]\n",
    },
    "a list of another machine": {
        "images/train/a.png": None,
        "labels/train/a.txt": BOX,
        "lists/train.txt": "C:\\data\\parts\\images\\train\\a.png\r\n",
        "data.yaml": "train: lists\\train.txt\nnames: [dent, scratch]\n",
    },
    "capitals": {
        "Train/Images/a.PNG": None,
        "Train/Labels/a.TXT": BOX,
        "Data.YAML": "train: train/images\nval: Train/Images\nnames: [dent, scratch]\n",
    },
    "capitals, not listed": {"Images/Train/a.png": None, "LABELS/TRAIN/A.txt": BOX, "Classes.txt": NAMES},
    "backslashes": {
        "images/train/a.png": None,
        "labels/train/a.txt": BOX,
        "data.yaml": "path: D:\\parts\\set\ntrain: images\\train\nnames: [dent, scratch]\n",
    },
}


@pytest.mark.parametrize("tool", TREES)
def test_trees_of_many_tools_are_read(tmp_path: Path, tool: str) -> None:
    root = lay_out(tmp_path / "tree", TREES[tool])
    tree = read_labels(root)
    assert boxes(root) == {"a": [SCRATCH]}
    assert ([sample.split for sample in tree.samples], tree.classes()) == (["train"], ["dent", "scratch"])
    assert (tree.layout_problems, tree.kind) == ((), "yolo-detect")
    assert all("do not occur: dent" in note or "which is not there" in note for note in tree.notes)
    report = convert(root, tmp_path / "out", ["coco"])
    assert report.manifests["coco"]["subsets"]["train"] == {"images": 1, "instances": 1, "background": 0}


@pytest.mark.parametrize("beside", [False, True])
def test_labels_whose_classes_nothing_names_are_refused(tmp_path: Path, beside: bool) -> None:
    place = "a.txt" if beside else "labels/a.txt"
    root = lay_out(tmp_path, {"a.png" if beside else "images/a.png": None, place: "0 0.5 0.5 0.2 0.2"})
    with pytest.raises(
        ToolkitError, match=r"no data\.yaml or classes\.txt that names their classes; write a classes\.txt"
    ):
        open_source(root)


@pytest.mark.parametrize("text", ["dent\n\nscratch\n", "\ndent\nscratch\n"])
def test_a_blank_line_would_move_the_ids_of_names(tmp_path: Path, text: str) -> None:
    root = lay_out(tmp_path, {"images/a.png": None, "labels/a.txt": BOX, "classes.txt": text})
    with pytest.raises(ToolkitError, match=r"classes\.txt:[12]: is blank"):
        read_labels(root)


def test_files_of_names_must_agree(tmp_path: Path) -> None:
    files = {f"labels/{subset}/classes.txt": names for subset, names in (("train", NAMES), ("val", "scratch\ndent\n"))}
    root = lay_out(tmp_path, {"images/train/a.png": None, "labels/train/a.txt": BOX, **files})
    with pytest.raises(ToolkitError, match=r"val/classes\.txt: names other classes than .*train/classes\.txt"):
        read_labels(root)


def test_an_annotation_tools_order_of_classes_is_held_against_data_yaml(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"images/train/a.png": f"{BOX}\n0 0.2 0.2 0.1 0.1"}, train="images/train")
    lay_out(root, {"labels/train/classes.txt": "scratch\ndent\n"})
    (note,) = read_labels(root).notes
    assert note == f"{root}/labels/train/classes.txt names other classes than {root}/data.yaml, which was followed"


def test_a_class_id_without_a_name_is_refused_by_line(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {"images/a.png": None, "labels/a.txt": f"{BOX}\n7 0.5 0.5 0.2 0.2", "classes.txt": NAMES})
    with pytest.raises(ToolkitError, match=r"a\.txt:2: has class 7, which classes\.txt does not name"):
        list(read_labels(root))


ENCODINGS = {"utf-8": "", "utf-8-sig": "", "latin-1": "is not UTF-8, and was read as Latin-1", "utf-16": "is UTF-16"}


@pytest.mark.parametrize("file", ["classes.txt", "data.yaml"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_names_may_be_in_another_encoding(tmp_path: Path, file: str, encoding: str) -> None:
    text = {"classes.txt": "Delle\t\r\nÖl fleck\r\n", "data.yaml": "names:\r\n- Delle\r\n- Öl fleck\r\n"}[file]
    root = lay_out(tmp_path, {"images/a.png": None, "labels/a.txt": BOX, file: text.encode(encoding)})
    tree = read_labels(root)
    assert tree.classes() == ["Delle", "Öl fleck"]
    told, note = [said for said in tree.notes if "UTF" in said], ENCODINGS[encoding]
    assert len(told) == bool(note)
    assert all(said.startswith(f"{root / file} {note}") for said in told)


ODD = ["010", "no", "null", "1e3", "~", "0x1F", "1_000", "2024-01-01", "12:30", "a b"]


@pytest.mark.parametrize("quoted", [False, True])
def test_names_that_yaml_takes_for_something_else_stay_as_they_are_written(tmp_path: Path, quoted: bool) -> None:
    lines = "".join(f"  {number}: {json.dumps(name) if quoted else name}\n" for number, name in enumerate(ODD))
    root = lay_out(tmp_path, {"images/a.png": None, "labels/a.txt": BOX, "data.yaml": f"names:\n{lines}"})
    assert read_labels(root).classes() == ODD


@pytest.mark.parametrize("labels", [{}, {"labels/train/classes.txt": NAMES}, {"annotations/a.txt": BOX}], ids=str)
def test_no_image_is_good_where_none_has_a_label_file(tmp_path: Path, labels: dict[str, str]) -> None:
    root = yolo_tree(tmp_path / "tree", {"images/train/a.png": None, "images/train/b.png": None}, train="images/train")
    lay_out(root, dict(labels))
    tree = read_labels(root)
    assert [problem.problem for problem in tree.layout_problems] == [
        f"none of its 2 images has a label file; looked in {root}/labels/train"
    ]
    assert {sample.kind for sample in tree.samples} == {"unlabelled"}
    with pytest.raises(ToolkitError, match="none of its 2 images has a label file"):
        convert(root, tmp_path / "out", ["coco"])
    assert not (tmp_path / "out").exists()


def test_images_without_a_label_file_among_others_are_background_and_counted(tmp_path: Path) -> None:
    images = {"images/train/a.png": BOX, "images/train/b.png": None, "images/val/c.png": None}
    tree = read_labels(yolo_tree(tmp_path, images, ["dent", "scratch"], train="images/train", val="images/val"))
    assert [sample.kind for sample in tree.samples] == ["boxes", "good", "good"]
    assert tree.notes == (
        "2 of 3 images have no label file: taken as background, as ultralytics takes them",
        f"none of the 1 image(s) in {tmp_path}/images/val has a label file",
        "data.yaml names classes that do not occur: dent",
    )


def test_classes_of_which_none_occurs_are_a_problem(tmp_path: Path) -> None:
    tree = read_labels(yolo_tree(tmp_path, {"images/train/a.png": "", "images/train/b.png": ""}, train="images/train"))
    (problem,) = tree.layout_problems
    assert problem.problem == "names classes (dent, scratch), and none occurs: all 2 label files are empty"
    good = yolo_tree(tmp_path / "good", {"images/train/a.png": ""}, [], train="images/train")
    assert read_labels(good).layout_problems == ()


def test_images_that_are_not_listed_are_named(tmp_path: Path) -> None:
    images = {"images/train/a.png": BOX, "images/extra/b.png": BOX, "images/extra/deep/c.png": None, "d.png": None}
    root = yolo_tree(tmp_path, images, ["-", "scratch"], train="images/train", val="valid/images")
    tree = read_labels(root)
    assert boxes(root) == {"a": [SCRATCH]}
    assert tree.notes[:4] == (
        f"{root}/data.yaml lists val: valid/images, which is not there",
        f"1 image(s) in {root} are in no folder and no list that data.yaml names: not read",
        f"1 image(s) in {root}/images/extra are in no folder and no list that data.yaml names: not read",
        f"1 image(s) in {root}/images/extra/deep are in no folder and no list that data.yaml names: not read",
    )
    assert tree.layout_problems == ()


def test_nothing_outside_the_tree_is_read(tmp_path: Path) -> None:
    yolo_tree(tmp_path / "other", {"images/train/b.png": BOX})
    root = yolo_tree(tmp_path / "tree", {"images/train/a.png": BOX}, train="images/train", val="../other/images/train")
    assert boxes(root) == {"a": [SCRATCH]}
    assert f"{root}/data.yaml lists val: ../other/images/train, which is not there" in read_labels(root).notes
    lay_out(root, {"list.txt": "../other/images/train/b.png", "data.yaml": "train: list.txt\nnames: [dent, scratch]\n"})
    with pytest.raises(ToolkitError, match=r"list\.txt:1: no image at"):
        read_labels(root)


def test_labels_without_an_image_are_problems_wherever_they_are(tmp_path: Path) -> None:
    root = lay_out(
        tmp_path,
        {
            "train/a.png": None,
            "train/a.txt": BOX,
            "train/b.txt": BOX,
            "train/readme.txt": "hello",
            "classes.txt": NAMES,
        },
    )
    lay_out(root, {"labels/test/c.TXT": BOX})
    assert [Path(problem.file).name for problem in read_labels(root).layout_problems] == ["c.TXT", "b.txt"]


def test_one_list_for_two_subsets_is_read_once(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"images/a.png": BOX}, train="list.txt", val="list.txt")
    lay_out(root, {"list.txt": "images/a.png\nimages/a.png\n"})
    assert [(sample.key, sample.split) for sample in read_labels(root).samples] == [("a", "train")]


def test_an_image_of_two_lists_is_told_of(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"images/a.png": BOX}, train="train.txt", val="val.txt")
    lay_out(root, {"train.txt": "images/a.png\n", "val.txt": "images/a.png\n"})
    tree = read_labels(root)
    assert [(sample.key, sample.split) for sample in tree.samples] == [("a", "train")]
    assert "1 image(s) are listed for two subsets; the first has them" in tree.notes


def test_a_folder_within_another_keeps_its_subset(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"images/a.png": BOX, "images/val/b.png": BOX}, train="images", val="images/val")
    assert [(sample.key, sample.split) for sample in read_labels(root).samples] == [("a", "train"), ("b", "val")]


def test_names_that_stand_twice_are_one_class(tmp_path: Path) -> None:
    rows = "0 0.2 0.2 0.1 0.1\n1 0.5 0.5 0.2 0.2"
    root = yolo_tree(tmp_path / "tree", {"images/train/a.png": rows}, ["dent", "dent"], train="images/train")
    tree = read_labels(root)
    assert (tree.classes(), tree.notes) == (["dent"], ("data.yaml names 2 classes 'dent', which are taken as one",))
    convert(tree, tmp_path / "out", ["yolo-detect"])
    assert [i.label for found in read_labels(tmp_path / "out") for i in found.instances] == ["dent", "dent"]


def test_trees_of_ours_are_told_nothing(trees: Path) -> None:
    for kind in ("yolo-detect", "yolo-segment", "yolo-obb"):
        tree = read_labels(trees / kind)
        assert (tree.notes, tree.layout_problems) == ((), ())


@pytest.mark.parametrize("names", [("a.png", "a.jpg"), ("a.png", "A.bmp"), ("a.png", "a.jpg", "a.tif")], ids=str)
@pytest.mark.parametrize("rows", [BOX, ""])
def test_one_label_of_several_images_is_of_none(tmp_path: Path, names: Sequence[str], rows: str) -> None:
    root = yolo_tree(tmp_path, {"images/train/a.png": rows, "images/train/b.png": BOX}, train="images/train")
    for name in names[1:]:
        (root / "images/train" / name).write_bytes((root / "images/train/a.png").read_bytes())
    tree = read_labels(root)
    (problem,) = tree.layout_problems
    assert problem.file == str(root / "labels/train/a.txt")
    assert problem.problem.startswith(f"one label for {len(names)} images: ")
    assert all(str(root / "images/train" / name) in problem.problem for name in names)
    assert [image.key for image in tree] == ["b"]


def test_images_without_a_label_share_none(tmp_path: Path) -> None:
    root = yolo_tree(tmp_path, {"images/train/b.png": BOX, "images/train/a.png": None}, train="images/train")
    (root / "images/train/a.bmp").write_bytes((root / "images/train/a.png").read_bytes())
    assert (len(read_labels(root)), read_labels(root).layout_problems) == (3, ())


@pytest.mark.parametrize("name", ["a_mask.png", "mask-a.png", "a.gt.png"])
def test_masks_among_the_images_are_no_background(tmp_path: Path, name: str) -> None:
    images = {"images/train/a.png": BOX, f"images/train/{name}": None, "images/train/b.png": None}
    (problem,) = read_labels(yolo_tree(tmp_path, images, train="images/train")).layout_problems
    assert f"1 image(s) without a label are called as masks of others: images/train/{name}" in problem.problem
