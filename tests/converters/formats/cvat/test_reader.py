"""Trees as people have them: which image is which, what is good, what is unlabelled, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from converters import convert, read_labels, verify
from converters.formats.cvat.files import is_cvat, is_cvat_file
from converters.sources import open_source
from tests.commands import defectkit
from tests.converters.formats.cvat.stand_ins import SIZE, box, document, image, kinds, photo, problems, tag, write
from tests.converters.support import make_dataset
from toolkit import ToolkitError

DENT = box(1, 1, 5, 5)
BOXES = ("dent", "boxes", "train")


def found(root: Path) -> dict[str, str]:
    """Key -> image, for trees whose images are all found."""
    tree = read_labels(root)
    assert not tree.layout_problems
    return {one.sample.key: one.sample.image.relative_to(root).as_posix() for one in tree.records}


def test_an_export_of_a_task(tmp_path: Path) -> None:
    images = [image("a.png", DENT), image("sub/dir/b.png", number=1), image("c.png", box(2, 2, 9, 9, "rust"), number=2)]
    root = write(tmp_path, document(*images, labels=("rust", "dent", "spare")), "a.png", "sub/dir/b.png", "c.png")
    photo(root / "images/d.png", 9)
    assert found(root) == {name[-1]: f"images/{name}.png" for name in ("a", "sub/dir/b", "c", "d")}
    expected = {"a": BOXES, "b": ("good", "good", "train"), "c": ("rust", *BOXES[1:]), "d": ("", "unlabelled", "train")}
    assert kinds(root) == expected
    tree = read_labels(root)
    assert (tree.kind, tree.classes()) == ("cvat", ["rust", "dent", "spare"])
    assert tree.notes == (
        "1 image(s) have no shape and no tag, and are good: sub/dir/b.png; "
        "--without-label unlabelled takes them as unlabelled",
        "1 image(s) that no XML file lists are unlabelled: --without-label good takes them as good: images/d.png",
        "class(es) that are declared and occur nowhere: spare",
    )
    assert kinds(root, without_label="good")["d"] == kinds(root, without_label="good")["b"] == ("good", "good", "train")
    assert kinds(root, without_label="unlabelled")["b"] == ("", "unlabelled", "train")


def test_the_file_itself_is_a_root(tmp_path: Path) -> None:
    root = write(tmp_path / "in", document(image("a.png", DENT)), "a.png", "z.png")
    tree = read_labels(root / "annotations.xml")
    assert [one.sample.image for one in tree.records] == [root / "images/a.png"]
    assert tree.notes[0] == "1 image(s) that no XML file lists are not read: images/z.png"
    told = defectkit("convert", root / "annotations.xml", tmp_path / "out", "--to", "yolo-detect", "--json").json()
    assert told["formats"]["yolo-detect"]["subsets"]["train"] == {"images": 1, "instances": 1, "background": 0}


SUBSETS = {
    "a subset attribute": ("annotations.xml", "Train/a.png", "more", "val"),
    "the task's": ("annotations.xml", "a.png", "task", "test"),
    "the file's name": ("annotations_val.xml", "a.png", "", "val"),
    "the image's folder": ("annotations.xml", "validation/a.png", "", "val"),
    "CVAT's default": ("annotations.xml", "a.png", "default", "train"),
}


@pytest.mark.parametrize("way", SUBSETS)
def test_subsets(tmp_path: Path, way: str) -> None:
    file, name, told, subset = SUBSETS[way]
    one = image(name, DENT, more="subset='Validation'" if told == "more" else "")
    text = document(one, subset={"task": "Test", "default": "default"}.get(told, ""))
    folder = "Validation/" if told == "more" else ""
    root = write(tmp_path, text, f"{folder}{name}", name=file)
    assert [(one.sample.split, one.sample.image.exists()) for one in read_labels(root).records] == [(subset, True)]


def test_an_export_of_a_project_has_folders_of_subsets(tmp_path: Path) -> None:
    """One name in two subsets is two images."""
    images = [
        image("a.png", box(n + 1, 1, 9, 9), number=n, more=f"subset='{s}'") for n, s in enumerate(("Train", "Test"))
    ]
    root = write(tmp_path, document(*images), "Train/a.png", "Test/a.png")
    assert found(root) == {"train/a": "images/Train/a.png", "test/a": "images/Test/a.png"}
    assert {one.key: one.instances[0].bbox[0] for one in read_labels(root)} == {"train/a": 1, "test/a": 2}


def test_several_files_and_several_tasks(tmp_path: Path) -> None:
    beside = write(tmp_path / "beside", document(image("a.png", DENT)), "a.png", name="annotations_train.xml")
    write(beside, document(image("b.png", DENT)), "b.png", name="annotations_test.xml")
    assert {key: told[2] for key, told in kinds(beside).items()} == {"a": "train", "b": "test"}
    write(beside, "<other/>", name="z.xml")
    write(beside / "annotations", document(image("c.png", DENT)))
    note = "2 XML file(s) of another kind, or in other folders, are not read: z.xml, annotations/annotations.xml"
    assert note in read_labels(beside).notes
    apart = tmp_path / "apart"
    for number, subset in enumerate(("train", "val")):
        write(apart / subset, document(image("a.png", DENT)))
        photo(apart / subset / "images/a.png", number)
    assert found(apart) == {"train/a": "train/images/a.png", "val/a": "val/images/a.png"}
    inner = tmp_path / "inner"
    write(inner / "annotations", document(image("a.png", DENT)))
    photo(inner / "images/a.png")
    assert found(inner) == {"a": "images/a.png"}


NAMES = {
    "beside the file": ("a.png", "a.png"),
    "below data": ("a.png", "data/a.png"),
    "frames of a video have no ending": ("frame_000000", "images/frame_000000.PNG"),
    "backslashes": ("sub\\a.png", "images/sub/a.png"),
    "not ASCII": ("größe 1 & <2>.png", "images/größe 1 & <2>.png"),
    "letter case": ("A.PNG", "images/a.png"),
}


@pytest.mark.parametrize("way", NAMES)
def test_images_are_found(tmp_path: Path, way: str) -> None:
    name, place = NAMES[way]
    root = write(tmp_path, document(image(name, DENT)))
    photo(root / place)
    assert list(found(root).values()) == [place]


@pytest.mark.parametrize("name", ["C:\\Users\\me\\parts\\a.png", "/home/me/parts/a.png", "../../a.png"])
def test_paths_of_another_machine_are_names(tmp_path: Path, name: str) -> None:
    root = write(tmp_path / "in", document(image(name, DENT)), "a.png")
    (tmp_path / "a.png").write_bytes(b"not this one")
    assert found(root) == {"a": "images/a.png"}
    if not name.startswith(".."):
        note = f"1 image(s) lie elsewhere than their names say, and are found by these: {name}"
        assert note in read_labels(root).notes


def test_stems_that_meet_and_entities_in_names(tmp_path: Path) -> None:
    label = '<script>alert(1)</script> & "co"'
    images = [image("a.png", box(1, 1, 5, 5, label)), image("a.jpg", box(2, 2, 6, 6, label), number=1)]
    root = write(tmp_path / "in", document(*images, labels=(label,)), "a.png", "a.jpg")
    assert set(found(root)) == {"a.png", "a.jpg"}
    convert(root, tmp_path / "out", ["cvat", "coco"])
    assert verify(tmp_path / "out", against=root).passed
    assert read_labels(tmp_path / "out/cvat").classes() == [label]


def test_labels_are_read_without_images(tmp_path: Path) -> None:
    root = write(tmp_path / "in", document(image("s/a.png", DENT), image("b", DENT, number=1)))
    tree = read_labels(root)
    note = f"no image was found below {root}: the labels of 2 images are read without them"
    assert (tree.layout_problems, note in tree.notes) == ((), True)
    assert {(one.key, one.path, one.width, one.height) for one in tree} == {("a", None, *SIZE), ("b", None, *SIZE)}


def test_a_byte_order_mark_line_ends_and_other_encodings(tmp_path: Path) -> None:
    text = document(image("a.png", box(1, 1, 5, 5, "Riß")), labels=("Riß",)).replace("><", ">\r\n<")
    for number, data in enumerate((text.encode("utf-8-sig"), text.encode("utf-16"))):
        root = write(tmp_path / f"{number}", "", "a.png")
        (root / "annotations.xml").write_bytes(data)
        assert read_labels(root).classes() == ["Riß"]


def test_a_turned_photo_is_labelled_as_it_is_seen(tmp_path: Path) -> None:
    root = write(tmp_path, document(image("a.jpg", DENT)))
    (root / "images").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(root / "images/a.jpg", exif=exif)  # stored on its side
    assert problems(root) == []
    (root / "annotations.xml").write_text(document(image("a.jpg", DENT, size=SIZE[::-1])))
    (problem,) = problems(root)
    assert "is 30 x 20 pixels, its labels are for 20 x 30, as it is stored: its EXIF orientation is 6" in problem


PROBLEMS = {
    "another size": (
        [image("a.png", DENT, size=(31, 20))],
        "images/a.png: is 30 x 20 pixels, its labels are for 31 x 20; put the right image there, or correct the size "
        "in the label file",
    ),
    "no size that is one": (
        [image("a.png", DENT, size=("0", 20))],
        "annotations.xml: a.png: has the width '0', the size of no image; correct it",
    ),
    "a size that is a word": (
        [image("a.png", DENT, size=(30, "true"))],
        "annotations.xml: a.png: has the height 'true', the size of no image; correct it",
    ),
    "twice": (
        [image("a.png", DENT), image("a.png", number=1)],
        "annotations.xml: a.png: is of a.png, as another image of annotations.xml is; keep one of the two, with the "
        "shapes of both",
    ),
    "missing": (
        [image("a.png", DENT), image("x/gone.png", number=1)],
        "annotations.xml: x/gone.png: no such image (looked in images, ROOT, and by its name below ROOT); put it "
        "there, or correct its name",
    ),
    "no name": (
        [image("a.png", DENT), image(" ")],
        "annotations.xml: image 1: has no name; write the name of its file",
    ),
    "a name that leads nowhere": (
        [image("a.png", DENT), image("..")],
        "annotations.xml: an image: has the name '..'; write the name of its file",
    ),
    "a tag without a label": (
        [image("a.png", DENT), image("b.png", tag(""))],
        "annotations.xml: a tag of b.png: has no label; name its class, or remove it",
    ),
    "nothing": (
        [image("a.png")],
        "ROOT: no image has a shape or a tag; name the folder of the annotations that belong to these images",
    ),
}


@pytest.mark.parametrize("way", PROBLEMS)
def test_what_is_wrong_with_a_tree_is_said_of_it(tmp_path: Path, way: str) -> None:
    images, told = PROBLEMS[way]
    root = write(tmp_path / "in", document(*images), "a.png")
    assert [problem.replace(str(root), "ROOT") for problem in problems(root)] == [told]
    outcome = defectkit("convert", root, tmp_path / "out", "--to", "coco")
    assert (outcome.status, len(outcome.errors), (tmp_path / "out").exists()) == (2, 1, False)


def test_an_image_of_two_files_and_namesakes(tmp_path: Path) -> None:
    root = write(tmp_path / "in", document(image("a.png", DENT)), "a.png", name="one.xml")
    write(root, document(image("a.png", DENT)), name="two.xml")
    told = "two.xml: a.png: is of a.png, as another image of one.xml is; keep one of the two"
    assert problems(root) == [f"{told}, with the shapes of both"]
    other = write(tmp_path / "other", document(image("a.png", DENT)), "x/a.png", "y/a.png")
    told = "annotations.xml: a.png: no such image (2 files of that name are there: images/x/a.png, images/y/a.png)"
    assert problems(other) == [f"{told}; put it there, or correct its name"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            document(more="<track id='0' label='dent'></track>"),
            "is 'CVAT for video' (it holds tracks); export as 'CVAT for images 1.1'",
        ),
        (
            "<!DOCTYPE a [<!ENTITY b 'c'>]><annotations><meta></meta></annotations>",
            "declares a document type, which is not read; remove its <!DOCTYPE ...>",
        ),
        (document(image("a.png", DENT))[:-20], "is no XML that can be read (unclosed token: line 1, column"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, told: str) -> None:
    root = write(tmp_path, text, "a.png")
    with pytest.raises(ToolkitError) as caught:
        read_labels(root)
    assert str(caught.value).startswith(f"{root}/annotations.xml: {told}")


def test_a_size_that_no_image_has_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    root = write(tmp_path, document(image("a.png", DENT, size=(2_000_000, 20))))
    (problem,) = problems(root)
    assert problem.startswith("images/train/a.png: is 2000000 x 20 pixels by its labels, and no such image is read")


def test_what_cvat_wrote_is_told_from_what_others_did(tmp_path: Path) -> None:
    write(tmp_path / "voc", "<annotation><size/><object/></annotation>", name="a.xml")
    write(tmp_path / "other", "<annotations><thing/></annotations>", name="a.xml")
    write(tmp_path / "deep/a/b/c", document(image()))
    mixed = write(tmp_path / "mixed/cvat", document(image())).parent
    write(mixed / "rest", "{}", name="a.json")
    assert [is_cvat(tmp_path / name) for name in ("voc", "other", "deep", "mixed")] == [False] * 4
    assert is_cvat(mixed / "cvat")
    assert not is_cvat_file(tmp_path / "voc/a.xml")


def test_a_dataset_with_masks_is_none_of_a_file_that_lies_in_it(tmp_path: Path) -> None:
    masks = {"dent": [np.eye(16, dtype=bool)]}
    make_dataset(tmp_path, masks)
    shutil.copy(write(tmp_path / "x", document(image("a.png", DENT))) / "annotations.xml", tmp_path / "part")
    shutil.rmtree(tmp_path / "x")
    assert open_source(tmp_path / "part").layout == "mvtec"


def test_a_class_that_is_not_declared_is_said(tmp_path: Path) -> None:
    root = write(tmp_path, document(image("a.png", box(1, 1, 5, 5, "crack"))), "a.png")
    tree = read_labels(root)
    assert tree.classes() == ["dent", "rust", "crack"]
    assert "class(es) that <meta> does not declare: crack" in tree.notes


def test_parts_of_a_skeleton_are_no_classes(tmp_path: Path) -> None:
    text = document(image("a.png", DENT)).replace(
        "</labels>", "<label><name>1</name><parent>s</parent></label></labels>"
    )
    assert read_labels(write(tmp_path, text, "a.png")).classes() == ["dent", "rust"]
