"""Pascal VOC boxes: what corners are, what is left out, what is refused."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from converters import convert, read_labels, verify, write_labels
from converters.formats.base import Reading
from tests.commands import defectkit, snapshot
from tests.converters.formats.voc.stand_ins import BORDER, EDGES, SIZE, by_element_tree, dent, photo, text, write
from toolkit import ToolkitError
from toolkit.geometry.labels import Instance, LabelledImage, plain_attributes


def boxes(root: Path, reading: Reading | None = None) -> list[tuple[float, ...]]:
    return [one.bbox for image in read_labels(root, reading=reading) for one in image.instances]


@pytest.mark.parametrize(
    ("told", "box", "form"),
    [
        ([BORDER, dent(4, 5, 9, 7)], (3, 4, 9, 7), "inclusive1"),
        ([EDGES, dent(4, 5, 9, 7)], (4, 5, 9, 7), "edges0"),
        ([dent(0, 3, 8, 9), dent(4, 5, 9, 7)], (4, 5, 9, 7), "edges0"),
        ([BORDER, dent(4.5, 5, 9.25, 7)], (4.5, 5, 9.25, 7), "edges0"),
        ([BORDER, dent("4.0", "5.", "+9", "7e0")], (3, 4, 9, 7), "inclusive1"),
    ],
)
def test_what_corners_are_is_decided_for_the_whole_tree(
    tmp_path: Path, told: list[tuple[str, int, int, int, int]], box: tuple[float, ...], form: str
) -> None:
    for number, one in enumerate(told):
        write(tmp_path / "in", str(number), one)
    assert boxes(tmp_path / "in")[-1] == box
    tree = read_labels(tmp_path / "in")
    assert tree.reading == Reading(voc_boxes=form)  # type: ignore[arg-type]
    assert [form in note for note in tree.notes] == [True]
    manifest = convert(tree, tmp_path / "out", ["coco"]).manifests["coco"]
    assert manifest["layout"] == {"labels": {"voc_boxes": form}}
    assert verify(tmp_path / "out").passed


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ([dent(4, 5, 9, 7)], "its 1 boxes may be read in both ways, and no side of theirs tells"),
        ([dent(1, 5, 9, 7)], "its 1 boxes may be read in both ways, and no side of theirs tells"),
        ([dent(4, 5, 30, 7)], "its 1 boxes may be read in both ways, and no side of theirs tells"),
        (
            [dent(0, 5, 29, 7)] * 3,
            "3 of its boxes begin at 0, 3 end at the last pixel counted from 0 and none bey",
        ),
        (
            [BORDER] * 20 + [dent(2, 2, 8.5, 9)],
            "1 of its 21 boxes have fractions, none begins at 0, 20 begin at 1 an",
        ),
        ([BORDER] * 20 + [dent(0, 2, 8, 9)], "1 of its boxes begin at 0 and 20 at 1"),
    ],
)
def test_where_nothing_tells_the_user_is_asked(
    tmp_path: Path, told: list[tuple[str, int, int, int, int]], problem: str
) -> None:
    for number, one in enumerate(told):
        write(tmp_path / "in", f"{number:02}", one)
    asked = defectkit("convert", tmp_path / "in", tmp_path / "out", "--to", "coco")
    assert asked.status == 2
    (line,) = asked.errors
    assert line.startswith(f"error: {tmp_path / 'in'}: {problem}")
    assert line.endswith("say it with --voc-boxes inclusive1 (pixels from 1) or --voc-boxes edges0 (edges from 0)")
    assert not (tmp_path / "out").exists()
    first = [float(side) for side in told[0][1:]]
    for form, shift in (("inclusive1", 1), ("edges0", 0)):
        out = tmp_path / form
        done = defectkit("convert", tmp_path / "in", out, "--to", "coco", "--voc-boxes", form, "--json").json()
        assert any(f"({form}); as --voc-boxes says" in note for note in done["notes"])
        (box, *_) = boxes(out)
        assert box == (max(0, first[0] - shift), max(0, first[1] - shift), *first[2:])
        assert defectkit("verify", out).status == 0


def test_a_flag_is_believed_against_what_the_boxes_tell(tmp_path: Path) -> None:
    write(tmp_path, "a", BORDER)
    assert boxes(tmp_path, Reading(voc_boxes="edges0")) == [(1, 1, 30, 20)]


def test_foreign_trees_are_verified_by_the_flag_too(tmp_path: Path) -> None:
    write(tmp_path / "in", "a", dent(4, 5, 9, 7))
    source = tmp_path / "out/coco"
    defectkit("convert", tmp_path / "in", tmp_path / "out", "--to", "coco", "--voc-boxes", "edges0")
    right = defectkit("verify", tmp_path / "in", "--against", source, "--voc-boxes", "edges0")
    wrong = defectkit("verify", tmp_path / "in", "--against", source, "--voc-boxes", "inclusive1")
    assert (right.status, wrong.status) == (0, 1), right.err


def test_what_marks_nothing_is_left_out_and_counted(tmp_path: Path) -> None:
    rotated = "<object><name>dent</name><robndbox><cx>5</cx></robndbox></object>"
    gone = [dent(9, 5, 4, 7), dent(40, 2, 50, 9), rotated]
    write(tmp_path / "in", "a", BORDER, *gone)
    (image,) = read_labels(tmp_path / "in")
    assert image.left_out == (
        "object 2 (dent) has a box that is empty",
        "object 3 (dent) has a box that lies outside of the image",
        "object 4 (dent) has no upright box",
    )
    manifest = convert(tmp_path / "in", tmp_path / "out", ["coco"]).manifests["coco"]
    assert (manifest["components"]["found"], len(manifest["components"]["skipped"])) == (4, 3)


def test_boxes_beyond_the_image_are_cut_and_said(tmp_path: Path) -> None:
    write(tmp_path, "a", BORDER, dent(-3, 2, 8, 25))
    tree = read_labels(tmp_path)
    assert "1 image(s) have boxes that reach beyond their border, where they are cut: Annotations/a.xml" in tree.notes
    assert boxes(tmp_path)[-1] == (0, 1, 8, 20)


def test_parts_and_polygons_are_no_objects(tmp_path: Path) -> None:
    part = "<part><name>head</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></part>"
    corners = "<xmin>1</xmin><ymin>1</ymin><xmax>30</xmax><ymax>20</ymax>"
    told = f"<name>dent</name>{part}<polygon><x1>2</x1></polygon><bndbox>{corners}</bndbox>"
    write(tmp_path, "a", f"<object>{told}</object>")
    assert boxes(tmp_path) == [(0, 0, 30, 20)]
    assert any("1 annotation(s) have polygons beside their boxes" in note for note in read_labels(tmp_path).notes)


def test_what_is_said_of_an_object_stays(tmp_path: Path) -> None:
    said = "<pose>Left</pose><truncated>1</truncated><difficult>0</difficult><occluded>1</occluded>"
    more = "<attributes><attribute><name>depth</name><value>3 &lt; 4</value></attribute></attributes>"
    corners = "<xmin>1</xmin><ymin>1</ymin><xmax>30</xmax><ymax>20</ymax>"
    write(tmp_path / "in", "a", f"<object><name>dent</name>{said}<bndbox>{corners}</bndbox>{more}</object>", BORDER)
    convert(tmp_path / "in", tmp_path / "out", ["voc"])
    for root in (tmp_path / "in", tmp_path / "out"):
        (image,) = read_labels(root)
        told = {"pose": "Left", "truncated": "1", "occluded": "1", "depth": "3 < 4"}
        assert dict(image.instances[0].attributes) == told
    file = (tmp_path / "out/voc/Annotations/a.xml").read_text()
    assert file.count("<pose>Unspecified</pose>") == 1
    assert by_element_tree(tmp_path / "out/voc/Annotations/a.xml") == [("dent", (1, 1, 30, 20))] * 2


@pytest.mark.parametrize(
    "told",
    [{}, {"pose": "Unspecified", "truncated": "0"}, {"occluded": "0"}, {"occluded": "1", "note": "a\n\t<b> & c"}],
)
def test_attributes_of_any_source_come_back(tmp_path: Path, told: dict[str, str]) -> None:
    boxed = Instance.of_box("dent", (2, 3, 8, 9), SIZE, told)
    assert boxed is not None
    image = LabelledImage("a", None, *SIZE, (boxed,), "train", "dent", "boxes")
    write_labels([image], tmp_path, ["voc"], classes=["dent"], image_mode="none")
    (read,) = read_labels(tmp_path / "voc")
    assert dict(read.instances[0].attributes) == told
    assert read.instances[0].bbox == (2, 3, 8, 9)


@pytest.mark.parametrize(
    ("word", "flag"),
    [("true", "1"), ("yes", "1"), ("Yes", "1"), ("1", "1"), ("false", "0"), ("no", "0"), ("0", "0"), ("maybe", "0")],
)
@pytest.mark.parametrize("name", ["truncated", "difficult", "occluded"])
def test_flags_are_0_or_1_whatever_words_say_them(tmp_path: Path, name: str, word: str, flag: str) -> None:
    """Readers take them by int(): mmdetection, torchvision's references, the devkit's scripts."""
    boxed = Instance.of_box("dent", (2, 3, 8, 9), SIZE, {name: word})
    assert boxed is not None
    image = LabelledImage("a", None, *SIZE, (boxed,), "train", "dent", "boxes")
    write_labels([image], tmp_path, ["voc"], classes=["dent"], image_mode="none")
    (one,) = ElementTree.parse(tmp_path / "voc/Annotations/a.xml").getroot().findall("object")
    assert one.findtext(name, "0") == flag
    (read,) = read_labels(tmp_path / "voc")
    assert plain_attributes(read.instances[0].attributes) == plain_attributes(boxed.attributes)


def test_flags_in_words_are_kept_and_those_that_are_none_told(tmp_path: Path) -> None:
    said = "<attributes><attribute><name>difficult</name><value>{}</value></attribute></attributes>"
    box = "<bndbox><xmin>0</xmin><ymin>1</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
    for number, word in enumerate(("true", "maybe")):
        write(tmp_path / "in", f"{number}", f"<object><name>dent</name>{said.format(word)}{box}</object>")
    report = convert(tmp_path / "in", tmp_path / "out", ["voc", "cvat"])
    assert verify(tmp_path / "out", against=tmp_path / "in").passed
    assert [one for one in report.notes if "as a flag" in one] == [
        "'difficult as a flag' of 1 object(s) is not kept by voc"
    ]


def test_fractions_come_back(tmp_path: Path) -> None:
    write(tmp_path / "in", "a", dent(4.5, 5.125, 9.25, 7.0625))
    convert(tmp_path / "in", tmp_path / "out", ["voc", "coco"])
    assert by_element_tree(tmp_path / "out/voc/Annotations/a.xml") == [("dent", (5.5, 6.125, 9.25, 7.0625))]
    (tmp_path / "out/voc/manifest.json").unlink()  # what is written says itself what its corners are
    assert boxes(tmp_path / "out/voc") == [(4.5, 5.125, 9.25, 7.0625)]


@pytest.mark.parametrize("size", [None, (0, 0), ("", "")])
def test_a_size_that_is_missing_is_that_of_the_image(tmp_path: Path, size: tuple[object, object] | None) -> None:
    write(tmp_path, "a", BORDER, size=size)
    assert boxes(tmp_path) == [(0, 0, 30, 20)]
    assert any("1 annotation(s) tell no size" in note for note in read_labels(tmp_path).notes)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (text(BORDER, size=(31, 20)), "JPEGImages/a.png: is 30 x 20 pixels, its labels are for 31 x 20; put the right"),
        (
            text(BORDER, size=("wide", 20)),
            "Annotations/a.xml: has 'wide' as <width>, which is no number of pixels; c",
        ),
        (text(BORDER, size=(30.5, 20)), "Annotations/a.xml: has the width '30.5', which is no size; correct or remove"),
        (text(dent(1, 1, "nan", 20)), "Annotations/a.xml: object 1: has 'nan' as <xmax>, which is no number of pixels"),
        (text(dent(1, 1, "1_0", 20)), "Annotations/a.xml: object 1: has '1_0' as <xmax>, which is no number of pixels"),
        (text(dent(1, 1, "1e9", 20)), "Annotations/a.xml: object 1: has '1e9' as <xmax>, which is no number of pixels"),
        (text(dent(1, 1, "", 20)), "Annotations/a.xml: object 1: has no <xmax>; correct or remove it"),
        (text(("", 1, 1, 30, 20)), "Annotations/a.xml: object 1: has no <name>; name its class, or remove it"),
        ("<annotation><object>", "Annotations/a.xml: is no XML that can be read (no element found: line 1, column 20)"),
        ("", "Annotations/a.xml: is empty; correct or remove it"),
        (
            "<!DOCTYPE x><annotation/>",
            "Annotations/a.xml: declares a document type, which is not read; remove its <!",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    root = tmp_path / "in"
    write(root, "a")
    write(root, "b", BORDER)
    (root / "Annotations/a.xml").write_text(content)
    before = snapshot(root)
    done = defectkit("convert", root, tmp_path / "out", "--to", "coco")
    assert done.status == 2
    assert len(done.errors) == 1
    assert done.errors[0].startswith(f"error: {root}/{problem}")
    assert (snapshot(root), (tmp_path / "out").exists()) == (before, False)
    kept = defectkit("convert", root, tmp_path / "out", "--to", "coco", "--on-problem", "skip", "--json").json()
    assert kept["formats"]["coco"]["subsets"]["train"]["images"] == 1


def test_nothing_found_is_never_nothing_there(tmp_path: Path) -> None:
    write(tmp_path / "good", "a")
    with pytest.raises(ToolkitError, match="no annotation names an object; name the folder that holds the labels"):
        convert(tmp_path / "good", tmp_path / "out", ["coco"])
    write(tmp_path / "turned", "a", "<object><name>dent</name><robndbox/></object>")
    with pytest.raises(ToolkitError, match="none of the 1 objects in its XML files has a <bndbox>"):
        convert(tmp_path / "turned", tmp_path / "out", ["coco"])


def test_an_annotation_without_objects_is_good_and_an_image_without_one_is_not_labelled(tmp_path: Path) -> None:
    write(tmp_path / "in", "a", BORDER)
    write(tmp_path / "in", "b")
    photo(tmp_path / "in/JPEGImages/c.png")
    kinds = {one.key: one.kind for one in read_labels(tmp_path / "in").samples}
    assert kinds == {"a": "boxes", "b": "good", "c": "unlabelled"}
    done = defectkit("convert", tmp_path / "in", tmp_path / "out", "--to", "coco", "--without-label", "good", "--json")
    assert done.json()["formats"]["coco"]["subsets"]["train"] == {"images": 3, "instances": 1, "background": 2}
    assert defectkit("verify", tmp_path / "out").status == 0


def test_sizes_are_those_of_upright_images(tmp_path: Path) -> None:
    assert SIZE == (30, 20)
    write(tmp_path, "a", dent(1, 1, 20, 20), size=SIZE[::-1])
    with pytest.raises(ToolkitError, match=r"a.png: is 30 x 20 pixels, its labels are for 20 x 30"):
        list(read_labels(tmp_path))
