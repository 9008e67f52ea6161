"""What is written is read back bit for bit, by the standard library and by us; and what is changed by hand is found."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from converters import convert, read_labels, verify, write_labels
from converters.formats.base import Settings
from converters.formats.cvat.writer import cvat_shape, encode_cvat
from converters.writing.tree_writer import TreeWriter
from tests.converters.formats.cvat.stand_ins import box, document, image, masks_in, polygon, write
from tests.converters.support import Bools, label_mask, make_dataset
from tests.masks import SHAPES
from toolkit import ToolkitError
from toolkit.geometry.labels import Instance, LabelledImage, plain_attributes

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def labelled(*instances: Instance, size: tuple[int, int] = (30, 20), key: str = "a") -> LabelledImage:
    return LabelledImage(key, None, *size, instances, "train")


def part(label: str, x: int, y: int, mask: Bools, attributes: Mapping[str, str] | None = None) -> Instance:
    box = (x, y, x + mask.shape[1], y + mask.shape[0])
    return Instance(label, box, mask, int(mask.sum()), attributes or {})


@given(MASKS)
@settings(max_examples=80, deadline=None)
def test_masks_come_back(mask: Bools) -> None:
    one = label_mask("a", mask)
    encoded = encode_cvat(one, Settings(("defect",)))
    assert encoded.entry is not None
    root = ElementTree.fromstring(b"0".join(encoded.entry))
    whole = np.zeros(mask.shape, np.bool_)
    for element in root:
        told = element.attrib
        counts = list(map(int, told["rle"].split(", ")))
        left, top, width, height = (int(told[name]) for name in ("left", "top", "width", "height"))
        assert sum(counts) == width * height
        assert all(counts[1:])  # none but the first is empty
        pixels = np.repeat(np.arange(len(counts)) % 2, counts).reshape(height, width)
        whole[top : top + height, left : left + width] |= pixels > 0
    assert np.array_equal(whole, mask)


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_come_back_by_verify(tmp_path: Path, name: str) -> None:
    source = make_dataset(tmp_path / "in", {"dent": [SHAPES[name]]}, good=1)
    convert(source, tmp_path / "out", ["cvat"], images="none")
    report = verify(tmp_path / "out", against=source)
    assert (report.passed, report.min_iou) == (True, 1.0)
    ((_, found),) = (
        masks_in(tmp_path / "out/cvat/annotations_test.xml").items()
        if not SHAPES[name].any()
        else (
            next((key, value) for key, value in masks_in(tmp_path / "out/cvat/annotations_test.xml").items() if value),
        )
    )
    assert np.array_equal(np.logical_or.reduce([mask for _, mask in found]), SHAPES[name])


def test_a_tree(tmp_path: Path) -> None:
    first = labelled(part("dent", 3, 4, np.array([[True, False], [True, True]])), key="a")
    second = labelled(Instance("rust & co", (1.25, 2, 9, 10.5), None, 0), key="b")
    write_labels([first, second], tmp_path, ["cvat"], classes=["dent", "rust & co"], image_mode="none")
    assert (tmp_path / "cvat/annotations_train.xml").read_text() == (
        """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <project>
      <labels>
        <label><name>dent</name><attributes></attributes></label>
        <label><name>rust &amp; co</name><attributes></attributes></label>
      </labels>
      <tasks>
        <task><name>train</name><mode>annotation</mode><subset>train</subset></task>
      </tasks>
    </project>
  </meta>
  <image id="0" name="a.png" subset="train" width="30" height="20">
    <mask label="dent" source="manual" occluded="0" rle="0, 1, 1, 2" left="3" top="4" width="2" height="2" z_order="0"/>
  </image>
  <image id="1" name="b.png" subset="train" width="30" height="20">
    <box label="rust &amp; co" source="manual" occluded="0" xtl="1.25" ytl="2" xbr="9" ybr="10.5" z_order="0"/>
  </image>
</annotations>
"""
    )


ATTRIBUTES: dict[str, dict[str, str]] = {
    "CVAT's own": {"occluded": "1", "source": "auto", "z_order": "-2", "group_id": "7"},
    "what is usual, and said": {"occluded": "0", "source": "manual", "z_order": "0", "group_id": "0"},
    "what is none of CVAT's": {"occluded": "yes", "source": "a b", "z_order": "01", "group_id": "-3"},
    "others": {"difficult": "1", "depth <&>": ' 3 "mm"\t\n ', "empty": ""},
}


@pytest.mark.parametrize("way", ATTRIBUTES)
def test_attributes_come_back(tmp_path: Path, way: str) -> None:
    one = part("dent", 3, 4, np.ones((2, 2), np.bool_), ATTRIBUTES[way])
    write_labels([labelled(one)], tmp_path, ["cvat"], classes=["dent"], image_mode="none")
    (read,) = read_labels(tmp_path)
    assert plain_attributes(read.instances[0].attributes) == plain_attributes(ATTRIBUTES[way])


def _declared(path: Path) -> dict[str, set[str]]:
    """Class -> the attributes that a file declares, as CVAT reads it: another one stops the import."""
    labels = ElementTree.parse(path).getroot().iter("label")
    return {
        one.findtext("name", ""): {name.text or "" for name in one.findall("attributes/attribute/name")}
        for one in labels
    }


@pytest.mark.parametrize("word", ["1", "true", "True", "yes"])
def test_what_is_hidden_says_so_where_cvat_looks(tmp_path: Path, word: str) -> None:
    ones = [
        part("dent", 3, 4, np.ones((2, 2), np.bool_), {"occluded": word, "depth": "3"}),
        part("rust", 9, 4, np.ones((2, 2), np.bool_), {"occluded": "false"}),
        part("rust", 15, 4, np.ones((2, 2), np.bool_), {"occluded": "hardly"}),
    ]
    write_labels([labelled(*ones)], tmp_path, ["cvat"], classes=["dent", "rust"], image_mode="none")
    path = tmp_path / "cvat/annotations_train.xml"
    masks = list(ElementTree.parse(path).getroot().iter("mask"))
    assert [one.get("occluded") for one in masks] == ["1", "0", "0"]
    found = [{told.get("name", ""): told.text for told in one.findall("attribute")} for one in masks]
    assert found == [{"depth": "3"}, {}, {"occluded": "hardly"}]
    assert _declared(path) == {"dent": {"depth"}, "rust": {"occluded"}}


def test_groups_that_would_become_one_object_stay_apart(tmp_path: Path) -> None:
    """Classes that are made one, for instance."""
    shapes = [polygon((1, 1), (9, 1), (9, 9), group_id=1), polygon((12, 1), (19, 1), (19, 9), label="rust", group_id=1)]
    root = write(tmp_path / "in", document(image("a.png", *shapes)), "a.png")
    convert(root, tmp_path / "out", ["cvat"], classes="binary")
    assert verify(tmp_path / "out", against=root).passed
    (read,) = read_labels(tmp_path / "out/cvat")
    assert [(one.label, one.attributes["group_id"]) for one in read.instances] == [("defect", "1")] * 2


def test_what_lies_on_top_stays_there(tmp_path: Path) -> None:
    shapes = [box(1, 1, 9, 9, z_order=3), box(2, 2, 8, 8, "rust", z_order=1)]
    root = write(tmp_path / "in", document(image("a.png", *shapes)), "a.png")
    convert(root, tmp_path / "out", ["cvat"])
    convert(tmp_path / "out/cvat", tmp_path / "again", ["cvat"])
    first, second = (next(iter(read_labels(tmp_path / name / "cvat"))) for name in ("out", "again"))
    assert [one.label for one in first.instances] == [one.label for one in second.instances] == ["rust", "dent"]
    assert (tmp_path / "out/cvat/annotations_train.xml").read_bytes() == (
        tmp_path / "again/cvat/annotations_train.xml"
    ).read_bytes()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("tree")
    shapes = [polygon((3, 3), (15, 4), (10, 15)), box(20, 5, 25, 9.5, "rust", inner={"deep": "yes"})]
    root = write(home / "in", document(image("a.png", *shapes), image("b.png", number=1)), "a.png", "b.png")
    convert(root, home / "out", ["cvat"])
    assert verify(home / "out", against=root).passed
    return home


CHANGES = {
    "a run": ('rle="0, ', 'rle="1, '),
    "a pixel to another run": None,
    "a class": ('label="dent"', 'label="rust"'),
    "a side": ('ybr="9.5"', 'ybr="9.6"'),
    "a place": ('left="3"', 'left="4"'),
    "an attribute": (">yes<", ">no<"),
    "a size": ('width="30"', 'width="31"'),
    "a name": ('name="b.png"', 'name="c.png"'),
    "no object": ("</annotations>", "<!-- -->\n</annotations>"),
}


@pytest.mark.parametrize("way", CHANGES)
def test_what_is_changed_by_hand_is_found(tree: Path, tmp_path: Path, way: str) -> None:
    home = tmp_path / "home"
    shutil.copytree(tree, home)
    path = home / "out/cvat/annotations_train.xml"
    text = path.read_text()
    change = CHANGES[way]
    if change is None:
        element = ElementTree.fromstring(text).find("image/mask")
        assert element is not None
        runs = list(map(int, element.attrib["rle"].split(", ")))
        moved = [*runs[:1], runs[1] - 1, runs[2] + 1, *runs[3:]]
        change = (element.attrib["rle"], ", ".join(map(str, moved)))
    assert change[0] in text
    path.write_text(text.replace(*change, 1))
    report = verify(home / "out", against=home / "in")
    assert not report.passed
    digest = "the label files are not those that were written"
    told = [line for line in report.failures if digest not in line]
    assert bool(told) == (way != "no object")  # and not by its digest alone


@pytest.mark.parametrize(("name", "told"), [("a\tb", "holds '\\t'"), (" a", "begins or ends with a blank")])
def test_classes_that_xml_cannot_hold_are_refused(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(ToolkitError, match="rename the class") as caught:
        write_labels([labelled()], tmp_path / "out", ["cvat"], classes=[name], image_mode="none")
    assert told in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_order_that_depths_would_change_is_kept(tmp_path: Path) -> None:
    """Depths of another tool, for instance, which say nothing of the order that its objects have."""
    first = part("dent", 3, 4, np.ones((4, 4), np.bool_), {"z_order": "5"})
    second = part("rust", 5, 5, np.ones((4, 4), np.bool_), {"z_order": "1"})
    write_labels([labelled(first, second)], tmp_path, ["cvat"], classes=["dent", "rust"], image_mode="none")
    (read,) = read_labels(tmp_path)
    told = [(one.label, one.attributes["z_order"]) for one in read.instances]
    assert told == [("dent", "5"), ("rust", "1")]


def test_a_class_that_the_manifest_does_not_name_is_a_problem(tree: Path, tmp_path: Path) -> None:
    shutil.copytree(tree, tmp_path / "home")
    path = tmp_path / "home/out/cvat/annotations_train.xml"
    path.write_text(path.read_text().replace('label="dent"', 'label="pit"'))
    (problem,) = read_labels(path.parent).layout_problems
    assert str(problem) == f"{path}: a.png: shows the class 'pit', which the manifest does not name; convert again"
    with pytest.raises(ToolkitError, match="pit"):
        convert(path.parent, tmp_path / "again", ["coco"])


def test_what_is_declared_outlives_an_interruption(tmp_path: Path) -> None:
    settings = Settings(("dent",))
    shape, folder = partial(cvat_shape, settings), tmp_path / "cvat"
    writer = TreeWriter(folder, "cvat", settings)
    image = labelled(part("dent", 3, 4, np.ones((2, 2), np.bool_), {"depth": "3", "sure": "no"}))
    writer.add(encode_cvat(image, settings), shape(["train"]), key="a", subset="train", found=1, left_out=())
    state = writer.checkpoint()
    writer.abandon()
    again = TreeWriter(folder, "cvat", settings)
    again.restore(state)
    again.finish(shape, tiled={})
    assert _declared(folder / "annotations_train.xml") == {"dent": {"depth", "sure"}}
