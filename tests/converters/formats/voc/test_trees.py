"""Pascal VOC trees: where images, XML files and lists lie, which belong together, and what is no such tree."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from converters import convert, read_labels, verify
from converters.formats.voc.format import FORMAT
from converters.sources import open_source
from tests.commands import defectkit, make_dataset, save, stain
from tests.converters.formats.voc.stand_ins import BORDER, by_element_tree, photo, text, write
from toolkit import ToolkitError

DATA = Path(os.environ.get("DEFECT_DATA", "nowhere"))


def xml(path: Path, *objects: tuple[str, int, int, int, int], **more: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text(*(objects or (BORDER,)), **more), encoding="utf-8")  # type: ignore[arg-type]
    return path


def facts(root: Path) -> dict[str, tuple[str, str]]:
    """Key -> subset and where the image lies."""
    tree = read_labels(root)
    assert tree.layout_problems == ()
    return {one.key: (one.split, one.image.relative_to(root).as_posix()) for one in tree.samples}


def test_the_original_neu_det(tmp_path: Path) -> None:
    for name in ("crazing_1", "patches_2"):
        photo(tmp_path / f"IMAGES/{name}.jpg")
        xml(tmp_path / f"ANNOTATIONS/{name}.xml", filename=f"{name}.jpg", more="<folder>cr</folder>")
    assert facts(tmp_path) == {
        "crazing_1": ("train", "IMAGES/crazing_1.jpg"),
        "patches_2": ("train", "IMAGES/patches_2.jpg"),
    }


def test_neu_det_in_two_trees(tmp_path: Path) -> None:
    """The same names in both subsets; the images of one lie in folders of classes."""
    for subset in ("train", "validation"):
        for name in ("crazing_1", "patches_2"):
            photo(tmp_path / f"NEU-DET/{subset}/images/{name[:-2]}/{name}.jpg")
            xml(tmp_path / f"NEU-DET/{subset}/annotations/{name}.xml", filename=f"{name}.jpg")
    for root in (tmp_path, tmp_path / "NEU-DET"):
        assert {(one.key, one.split) for one in read_labels(root).samples} == {
            ("train/images/crazing/crazing_1", "train"),
            ("train/images/patches/patches_2", "train"),
            ("val/validation/images/crazing/crazing_1", "val"),
            ("val/validation/images/patches/patches_2", "val"),
        } or {one.split for one in read_labels(root).samples} == {"train", "val"}
    shutil.rmtree(tmp_path / "NEU-DET/validation/images/crazing")  # the other subset has an image of that name
    (problem,) = read_labels(tmp_path).layout_problems
    assert problem.file.endswith("validation/annotations/crazing_1.xml")
    assert "no image crazing_1 was found" in problem.problem


def test_gc10_det(tmp_path: Path) -> None:
    """Images in folders of classes, and one folder of XML files whose name is misspelt."""
    for number in range(1, 4):
        photo(tmp_path / f"images/{number:02}/img_{number}.jpg")
        xml(tmp_path / f"lable/img_{number}.xml", filename=f"img_{number}.jpg")
    assert facts(tmp_path)["img_2"] == ("train", "images/02/img_2.jpg")


def test_hripcb(tmp_path: Path) -> None:
    """Two pictures of one name: the one whose folder is that of the XML file. Templates carry no label."""
    for kind in ("Short", "Spur"):
        photo(tmp_path / f"images/{kind}/01_{kind}.jpg")
        photo(tmp_path / f"rotation/{kind}_rotation/01_{kind}.jpg")
        xml(tmp_path / f"Annotations/{kind}/01_{kind}.xml", filename=f"01_{kind}.jpg", more=f"<folder>{kind}</folder>")
    photo(tmp_path / "PCB_USED/01.JPG")
    tree = read_labels(tmp_path)
    kinds = {one.image.relative_to(tmp_path).as_posix(): one.kind for one in tree.samples}
    assert kinds == {
        "images/Short/01_Short.jpg": "boxes",
        "images/Spur/01_Spur.jpg": "boxes",
        "rotation/Short_rotation/01_Short.jpg": "unlabelled",
        "rotation/Spur_rotation/01_Spur.jpg": "unlabelled",
        "PCB_USED/01.JPG": "unlabelled",
    }
    assert any("3 image(s) have no annotation, and are taken as unlabelled" in note for note in tree.notes)


@pytest.mark.parametrize("folders", [("", ""), ("train", "test"), ("dent", "rust")])
def test_xml_files_beside_their_images(tmp_path: Path, folders: tuple[str, str]) -> None:
    for name, folder in zip("ab", folders, strict=True):
        photo(tmp_path / folder / f"{name}.png")
        xml(tmp_path / folder / f"{name}.xml", filename=f"{name}.png")
    subsets = folders if "train" in folders else ("train", "train")
    assert {key: subset for key, (subset, _) in facts(tmp_path).items()} == dict(zip("ab", subsets, strict=True))


@pytest.mark.parametrize(
    "told",
    [
        {"filename": "C:\\Users\\me\\old\\a.png"},
        {"more": "<path>C:\\Users\\me\\old\\a.png</path>"},
        {"filename": "a"},
        {"filename": "A.PNG"},
        {"filename": ""},
        {"filename": "other.png"},
        {"filename": "../../secret.png"},
    ],
)
def test_an_image_is_found_by_whatever_names_it(tmp_path: Path, told: dict[str, str]) -> None:
    photo(tmp_path / "pics/a.png")
    xml(tmp_path / "notes/a.xml", **told)
    assert facts(tmp_path) == {"a": ("train", "pics/a.png")}


def test_a_renamed_xml_file_is_found_by_what_it_names(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.png")
    xml(tmp_path / "labels/0001.xml", filename="a.png")
    assert facts(tmp_path) == {"a": ("train", "images/a.png")}


def test_stems_that_meet_are_told_apart_by_their_endings(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.png")
    photo(tmp_path / "images/a.jpg")
    xml(tmp_path / "labels/a.xml", filename="a.jpg")
    kinds = {one.key: one.kind for one in read_labels(tmp_path).samples}
    assert kinds == {"a.jpg": "boxes", "a.png": "unlabelled"}


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (
            lambda root: (root / "JPEGImages/b.png").unlink(),
            "Annotations/b.xml: no image b or other.png was found; put its image into the tree, or remove it",
        ),
        (
            lambda root: (
                photo(root / "more/b.png") and photo(root / "again/b.png") and (root / "JPEGImages/b.png").unlink()
            ),
            "Annotations/b.xml: may be of 2 images: again/b.png, more/b.png; correct its names",
        ),
        (
            lambda root: photo(root / "JPEGImages/other.png"),
            "Annotations/b.xml: is of b.png by its name, and of other.png by its <filename>; correct its names",
        ),
        (
            lambda root: xml(root / "old/b.xml"),
            "old/b.xml: is of b.png, as ROOT/Annotations/b.xml is; keep one of the two",
        ),
    ],
)
def test_what_does_not_belong_together_is_named(tmp_path: Path, spoil: Callable[[Path], object], problem: str) -> None:
    root = tmp_path / "in"
    write(root, "a", BORDER)
    write(root, "b", BORDER, filename="other.png")
    spoil(root)
    done = defectkit("convert", root, tmp_path / "out", "--to", "coco")
    assert done.errors == [f"error: {root}/{problem.replace('ROOT', str(root))}"]
    assert done.status == 2


def test_lists_tell_subsets(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d e", "f"):
        write(tmp_path, name, BORDER)
    lists = {
        "Main/train.txt": "\ufeffa\r\n",
        "Main/val.txt": "b.png\n\n",
        "Main/test.txt": '"d e"\n',
        "Main/dent_train.txt": "c 1\n",
        "Main/trainval.txt": "a\nb\n",
        "Segmentation/val.txt": "a\n",
    }
    for name, lines in lists.items():
        path = tmp_path / "ImageSets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lines, encoding="utf-8", newline="")
    assert {key: subset for key, (subset, _) in facts(tmp_path).items()} == {
        "a": "train",
        "b": "val",
        "c": "train",
        "d e": "test",
        "f": "train",
    }
    assert any("2 image(s) are in no list of ImageSets" in note for note in read_labels(tmp_path).notes)
    (tmp_path / "ImageSets/Main/val.txt").write_text("b\na\n")
    (problem,) = read_labels(tmp_path).layout_problems
    assert str(problem).endswith("Main/val.txt: lists a, as train.txt does; take it out of one of the lists")


def test_lists_of_a_whole_set_may_name_more_than_is_there(tmp_path: Path) -> None:
    write(tmp_path, "a", BORDER)
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    listed = tmp_path / "ImageSets/Main/train.txt"
    listed.write_text("a\nb\nc\n")
    assert any("lists 2 image(s) that are not there: b, c" in note for note in read_labels(tmp_path).notes)
    listed.write_text("b\nc\n")
    (problem,) = read_labels(tmp_path).layout_problems
    assert str(problem).endswith("lists 2 image(s) that are not there: b, c; put them there, or remove the list")


@pytest.mark.parametrize("name", ["a\nb", '"a', " a", "a 1", "ü<script>&"])
def test_any_name_comes_back_in_its_subset(tmp_path: Path, name: str) -> None:
    write(tmp_path / "in/train", "x", BORDER)
    source = tmp_path / "in/test"
    write(source, name, BORDER)
    convert(tmp_path / "in", tmp_path / "out", ["voc"])
    found = {one.key: one.split for one in read_labels(tmp_path / "out/voc").samples}
    assert found == {name: "test", "x": "train"}
    assert verify(tmp_path / "out").passed


def test_a_name_that_is_no_text_is_named(tmp_path: Path) -> None:
    write(tmp_path, "a", BORDER)
    photo(tmp_path / "JPEGImages" / os.fsdecode(b"b\xff.png"))
    (problem,) = read_labels(tmp_path).layout_problems
    assert str(problem).endswith("b\\udcff.png: has a name that is no text in UTF-8; rename it, and its label")


def test_a_tree_without_images_tells_their_sizes(tmp_path: Path) -> None:
    write(tmp_path, "a", BORDER, image="")
    (image,) = read_labels(tmp_path)
    assert (image.path, image.width, image.height) == (None, 30, 20)
    write(tmp_path, "b", BORDER, image="", size=None)
    (problem,) = read_labels(tmp_path).layout_problems
    assert problem.problem == "tells no size of its image, which is not there"


def test_what_is_no_voc_tree(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data")
    for number in range(30):
        save(data / f"part/test/dent/{number:03}.png", stain(number % 4))
        save(data / f"part/ground_truth/dent/{number:03}_mask.png", stain(number % 4))
    xml(data / "Annotations/000.xml")
    assert not FORMAT.recognise(data)
    assert open_source(data).layout == "mvtec"
    convert(data / "part", tmp_path / "out", ["coco", "voc"])
    assert not FORMAT.recognise(tmp_path / "out")
    assert FORMAT.recognise(tmp_path / "out/voc")
    for year in ("VOC2007", "VOC2012"):
        write(tmp_path / "devkit" / year, "a", BORDER)
    with pytest.raises(ToolkitError, match="holds 2 label trees; name one: VOC2007, VOC2012"):
        read_labels(tmp_path / "devkit")
    shutil.rmtree(tmp_path / "devkit/VOC2007")
    assert len(read_labels(tmp_path / "devkit")) == 1
    other = xml(tmp_path / "svg/labels/a.xml")
    other.write_text("<annotations/>")
    photo(tmp_path / "svg/images/a.png")
    assert not FORMAT.recognise(tmp_path / "svg")
    assert not FORMAT.suspect(tmp_path / "svg")


def test_looking_at_a_large_folder_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(130):
        xml(tmp_path / f"{number}/a.xml").with_suffix(".png").touch()
    looked = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda place: looked.append(place) or real(place))
    assert FORMAT.recognise(tmp_path)
    assert len(looked) <= 101


def test_foreign_xml_is_passed_over_and_said(tmp_path: Path) -> None:
    write(tmp_path, "a", BORDER)
    xml(tmp_path / "drawing.xml").write_text("<svg/>")
    assert any("1 XML file(s) are no annotations of images" in note for note in read_labels(tmp_path).notes)


@pytest.mark.parametrize("form", ["coco", "yolo-detect"])
def test_every_box_of_neu_det_and_back(tmp_path: Path, form: str) -> None:
    root = DATA / "neu_det"
    if not root.is_dir():
        pytest.skip(f"{root} is not there: name the folder of real samples in DEFECT_DATA")
    convert(root, tmp_path / "first", [form])
    convert(tmp_path / "first", tmp_path / "again", ["voc"])
    assert verify(tmp_path / "first").passed
    assert verify(tmp_path / "again").passed
    files = sorted((root / "NEU-DET").glob("ANNOTATIONS/*.xml"))
    assert len(files) == 30
    for file in files:
        there = by_element_tree(tmp_path / "again/voc/Annotations" / file.name)
        wanted = by_element_tree(file)
        assert [label for label, _ in there] == [label for label, _ in wanted]
        for (_, one), (_, other) in zip(there, wanted, strict=True):
            assert one == (other if form == "coco" else pytest.approx(other, abs=1e-3))
