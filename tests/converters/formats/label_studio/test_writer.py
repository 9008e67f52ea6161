"""What is written are tasks that Label Studio takes, and that give masks and boxes again as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters import convert, read_labels, verify, write_labels
from converters.formats.base import Settings
from converters.formats.label_studio.writer import encode_label_studio
from tests.commands import defectkit, save
from tests.converters.boxed import BOX, MASK, boxed_tree
from tests.converters.formats.label_studio.judge import Bools, decode_rle
from tests.converters.support import label_mask, make_dataset
from tests.masks import SHAPES, masks
from toolkit import ToolkitError
from toolkit.geometry.labels import Instance, LabelledImage

ONE = Settings(classes=("defect",))


def results(image: LabelledImage) -> list[dict[str, Any]]:
    """What stands in the task of an image."""
    told = json.loads(b"{" + encode_label_studio(image, ONE).header + b"}")
    (annotation,) = told["annotations"]
    return list(annotation["result"])


def decoded(result: dict[str, Any]) -> Bools:
    """What Label Studio makes of a brush."""
    size = result["original_height"], result["original_width"]
    assert (result["type"], result["value"]["format"]) == ("brushlabels", "rle")
    return decode_rle(result["value"]["rle"]).reshape(*size, 4)[..., 3] > 0


@settings(max_examples=30, deadline=None)
@given(mask=masks())
def test_any_mask_comes_back(mask: Bools) -> None:
    image = label_mask("a", mask)
    told = results(image)
    assert [one["value"]["brushlabels"] for one in told] == [["defect"]] * len(image.instances)
    for result, one in zip(told, image.instances, strict=True):
        assert np.array_equal(decoded(result), one.whole(image.width, image.height))


side = st.floats(0, 1, exclude_max=True)


@settings(max_examples=60, deadline=None)
@given(x=side, y=side, far=st.tuples(side, side), size=st.tuples(st.integers(1, 5000), st.integers(1, 5000)))
def test_any_box_comes_back_by_label_studios_arithmetic(
    x: float, y: float, far: tuple[float, float], size: tuple[int, int]
) -> None:
    x0, x1 = sorted((x * size[0], far[0] * size[0]))
    y0, y1 = sorted((y * size[1], far[1] * size[1]))
    image = LabelledImage("a", None, *size, (Instance("defect", (x0, y0, x1, y1), None, 1),), "train")
    (one,) = results(image)
    value = one["value"]
    assert (one["type"], value["rectanglelabels"], value["rotation"]) == ("rectanglelabels", ["defect"], 0)
    left, top = value["x"] / 100 * size[0], value["y"] / 100 * size[1]
    found = (left, top, left + value["width"] / 100 * size[0], top + value["height"] / 100 * size[1])
    assert found == pytest.approx((x0, y0, x1, y1), abs=1e-9)


def test_boxes_come_back_exactly(tmp_path: Path) -> None:
    for width in (7, 333, 1024, 4999):
        boxes = [(x, 0.0, width - 0.25, 3.0) for x in np.arange(0, width - 1, 2.375).tolist()]
        instances = tuple(Instance("defect", box, None, 1) for box in boxes)
        image = LabelledImage("a", None, width, 9, instances, "train", "defect", "boxes")
        write_labels([image], tmp_path / f"{width}", "label-studio", classes=["defect"], image_mode="none")
        (found,) = read_labels(tmp_path / f"{width}/label-studio")
        assert [one.bbox for one in found.instances] == boxes


def test_overlapping_objects_stay_whole_and_in_order(tmp_path: Path) -> None:
    one, other = np.ones((6, 6), bool), np.ones((4, 8), bool)
    instances = (Instance("b", (2, 2, 8, 8), one, 36), Instance("a", (4, 4, 12, 8), other, 32))
    image = LabelledImage("x", None, 20, 10, instances, "train", "combined")
    write_labels([image], tmp_path, "label-studio", classes=["b", "a"], image_mode="none")
    (found,) = read_labels(tmp_path / "label-studio")
    assert [(one.label, one.area) for one in found.instances] == [("b", 36), ("a", 32)]
    assert (found.width, found.height) == (20, 10)
    assert read_labels(tmp_path / "label-studio").names == ["b", "a"]


def test_a_project_can_be_made_of_it(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "in", {"dent & <rust>": [SHAPES["border contact"]], "a": [np.ones((5, 5), bool)]})
    convert(dataset, tmp_path / "out", "label-studio", split=dict.fromkeys((one.key for one in dataset), "val"))
    tree = tmp_path / "out/label-studio"
    tasks = json.loads((tree / "tasks_val.json").read_text())
    assert [one["id"] for one in tasks] == list(range(1, len(dataset) + 1))
    for one in tasks:
        served = unquote(one["data"]["image"].removeprefix("/data/local-files/?d="))
        assert (tree / served).is_file()
        assert [len(one["annotations"]), one["annotations"][0]["was_cancelled"]] == [1, False]
    config = ElementTree.parse(tree / "label_config.xml").getroot()
    image = config.find("Image")
    assert image is not None
    assert image.attrib["value"] == "$image"
    controls = {one.attrib["name"]: [label.attrib["value"] for label in one] for one in config if one is not image}
    assert controls == {"brush": ["a", "dent & <rust>"], "box": ["a", "dent & <rust>"]}
    used = {(one["from_name"], one["to_name"]) for told in tasks for one in told["annotations"][0]["result"]}
    assert used == {("brush", image.attrib["name"])}


def test_names_of_images_are_those_of_addresses(tmp_path: Path) -> None:
    image = save(tmp_path / "in/a b+c%20ä.png", np.zeros((10, 20), np.uint8))
    mask = LabelledImage("a b+c%20ä", image, 20, 10, (), "train")
    write_labels([mask], tmp_path / "out", "label-studio", classes=["x"])
    (task,) = json.loads((tmp_path / "out/label-studio/tasks_train.json").read_text())
    assert " " not in task["data"]["image"]
    (sample,) = read_labels(tmp_path / "out/label-studio").samples
    assert (sample.key, sample.image.is_file()) == ("a b+c%20ä", True)


def test_attributes_come_back(tmp_path: Path) -> None:
    told = {"score": "0.5", "side": "left", "score text": "0.50"}
    one = Instance("a", (1, 1, 4, 4), np.ones((3, 3), bool), 9, told)
    image = LabelledImage("x", None, 9, 9, (one,), "train", "a")
    write_labels([image], tmp_path, "label-studio", classes=["a"], image_mode="none")
    (task,) = json.loads((tmp_path / "label-studio/tasks_train.json").read_text())
    (result,) = task["annotations"][0]["result"]
    assert (result["score"], result["meta"]) == (0.5, {"side": "left", "score text": "0.50"})
    (found,) = read_labels(tmp_path / "label-studio")
    assert found.instances[0].attributes == told


def test_an_odd_score_stays_text(tmp_path: Path) -> None:
    for number, score in enumerate(("0.50", "nan", "high")):
        one = Instance("a", (1, 1, 4, 4), None, 9, {"score": score})
        image = LabelledImage("x", None, 9, 9, (one,), "train", "a", "boxes")
        write_labels([image], tmp_path / f"{number}", "label-studio", classes=["a"], image_mode="none")
        (found,) = read_labels(tmp_path / f"{number}/label-studio")
        assert found.instances[0].attributes == {"score": score}


def test_a_class_that_xml_cannot_hold_is_refused(tmp_path: Path) -> None:
    image = LabelledImage("x", None, 9, 9, (Instance("a\x01", (1, 1, 4, 4), None, 9),), "train", "a\x01", "boxes")
    with pytest.raises(ToolkitError) as caught:
        write_labels([image], tmp_path, "label-studio", classes=["a\x01"], image_mode="none")
    assert str(caught.value) == r"label-studio: the class 'a\x01' holds a control character; rename the class"
    assert not (tmp_path / "label-studio").exists()


DAMAGE = {
    "a class": lambda result: result["value"].update(brushlabels=["scratch"]),
    "a run": lambda result: result["value"]["rle"].__setitem__(9, result["value"]["rle"][9] ^ 8),
    "nothing is left": lambda result: result["value"].update(rle=[0] * 20),
}


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of an image with a mask and a box, and others with one of them."""
    home = tmp_path_factory.mktemp("product")
    source = boxed_tree(home / "in", [[BOX, MASK], [BOX], [MASK], []])
    convert(read_labels(source), home / "out", "label-studio")
    return home / "out"


def test_what_is_written_is_verified(product: Path) -> None:
    assert verify(product).passed
    kinds = [sample.kind for sample in read_labels(product / "label-studio").samples]
    assert kinds == ["masks", "boxes", "masks", "good"]
    checked = defectkit("verify", product / "label-studio", "--as", "label-studio", "--json")
    assert checked.status == 0, checked.err


@pytest.mark.parametrize("what", [*DAMAGE, "a side"])
def test_damage_is_found(product: Path, what: str) -> None:
    file = next((product / "label-studio").glob("tasks_*.json"))
    sound = file.read_bytes()
    tasks = json.loads(sound)
    every = [one for told in tasks for one in told["annotations"][0]["result"]]
    if what == "a side":
        next(one for one in every if one["type"] == "rectanglelabels")["value"]["x"] += 1
    else:
        DAMAGE[what](next(one for one in every if one["type"] == "brushlabels"))
    try:
        file.write_text(json.dumps(tasks))
        assert not verify(product).passed
    finally:
        file.write_bytes(sound)
    assert verify(product).passed


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    source = boxed_tree(tmp_path / "in", [[BOX, MASK], [BOX]])
    for name in ("one", "two"):
        convert(read_labels(source), tmp_path / name, "label-studio")
    again = read_labels(tmp_path / "one/label-studio")
    convert(again, tmp_path / "three", "label-studio")
    one, two, three = (tmp_path / name / "label-studio/tasks_train.json" for name in ("one", "two", "three"))
    assert one.read_bytes() == two.read_bytes() == three.read_bytes()
