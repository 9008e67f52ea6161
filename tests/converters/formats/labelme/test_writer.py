"""What is written is what LabelMe draws again: polygons where they do, masks elsewhere, rectangles for boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters import convert, read_labels, verify, write_labels
from converters.formats.base import Settings
from converters.formats.labelme.writer import encode_labelme
from tests.commands import defectkit
from tests.converters.boxed import BOX, MASK, boxed_tree
from tests.converters.formats.labelme.judge import Bools, draw, save_pair, shape, union
from tests.converters.support import label_mask, make_dataset
from tests.masks import SHAPES, masks
from toolkit import ToolkitError
from toolkit.geometry.instances import crop_to_bbox
from toolkit.geometry.labels import Instance, LabelledImage

ONE = Settings(classes=("defect",))


def written(image: LabelledImage, how: Settings = ONE) -> dict[str, Any]:
    """The file of an image."""
    ((_, data),) = encode_labelme(image, how).files
    told = json.loads(data)
    assert isinstance(told, dict)
    return told


def alone(mask: Bools, offset: tuple[int, int] = (0, 0)) -> LabelledImage:
    """An image with one object of all that is marked, which begins at `offset`."""
    found = crop_to_bbox(mask, "defect", offset)
    height, width = mask.shape
    return LabelledImage("a", None, width + offset[0], height + offset[1], (found,) if found else (), "train")


def drawn(told: dict[str, Any]) -> Bools:
    """What LabelMe draws of a file."""
    size = told["imageWidth"], told["imageHeight"]
    return union([np.zeros((size[1], size[0]), bool), *(draw(one, size) for one in told["shapes"])])


@settings(max_examples=80, deadline=None)
@given(mask=masks(), offset=st.sampled_from([(0, 0), (3, 1), (9000, 0)]))
def test_any_mask_comes_back(mask: Bools, offset: tuple[int, int]) -> None:
    image = alone(mask, offset)
    whole = np.zeros((image.height, image.width), bool)
    whole[offset[1] :, offset[0] :] = mask
    told = written(image)
    assert np.array_equal(drawn(told), whole)
    assert len({one["group_id"] for one in told["shapes"]}) == min(1, len(told["shapes"]))


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_break_tracers_come_back(name: str) -> None:
    image = label_mask("a", SHAPES[name])
    assert np.array_equal(drawn(written(image)), image.marked())


def test_polygons_are_written_where_they_do(tmp_path: Path) -> None:
    square = np.ones((5, 4), bool)
    (one,) = written(alone(square))["shapes"]
    assert (one["shape_type"], sorted(one["points"])) == ("polygon", [[0, 0], [0, 4], [3, 0], [3, 4]])
    assert (one["group_id"], one["mask"]) == (None, None)
    parts = np.zeros((5, 12), bool)
    parts[:, :3] = parts[:, 8:] = True
    assert [one["group_id"] for one in written(alone(parts))["shapes"]] == [0, 0]


def test_what_polygons_cannot_say_is_a_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("converters.formats.labelme.writer._MOST_RINGS", 1)
    parts = np.zeros((5, 12), bool)
    parts[1:, 1:3] = parts[:4, 8:] = True
    (one,) = written(alone(parts))["shapes"]
    assert (one["shape_type"], one["points"]) == ("mask", [[1, 0], [11, 4]])
    assert np.array_equal(draw(one, (12, 5)), parts)


def test_polygons_that_are_drawn_otherwise_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = SHAPES["ring"] if "ring" in SHAPES else next(iter(SHAPES.values()))
    image = alone(mask)
    box = [np.array([[0, 0], [mask.shape[1] - 1, 0], [mask.shape[1] - 1, mask.shape[0] - 1]])]
    monkeypatch.setattr(Instance, "centre_rings", property(lambda self: box))
    (one,) = written(image)["shapes"]
    assert one["shape_type"] == "mask"
    assert np.array_equal(draw(one, (image.width, image.height)), mask)


def test_fewer_points_keep_what_is_asked(tmp_path: Path) -> None:
    y, x = np.mgrid[:60, :60]
    disk = (x - 30) ** 2 + (y - 30) ** 2 < 600
    exact, fewer = (written(alone(disk), Settings(("defect",), min_iou=least)) for least in (1.0, 0.95))
    assert len(fewer["shapes"][0]["points"]) < len(exact["shapes"][0]["points"]) / 2
    found = drawn(fewer)
    assert 0.95 <= np.count_nonzero(found & disk) / np.count_nonzero(found | disk) < 1


def test_boxes_are_rectangles_and_stay_what_they_are(tmp_path: Path) -> None:
    boxes = [(2.0, 3.0, 10.0, 9.0), (1.25, 2.5, 8.75, 7.5)]
    image = LabelledImage(
        "a", None, 20, 20, tuple(Instance("defect", box, None, 1) for box in boxes), "train", "defect", "boxes"
    )
    write_labels([image], tmp_path, "labelme", classes=["defect"], image_mode="none")
    told = json.loads((tmp_path / "labelme/images/train/a.json").read_text())
    assert [one["points"] for one in told["shapes"]] == [[[2, 3], [9, 8]], [[1, 3], [8, 7]]]
    assert ["box" in one for one in told["shapes"]] == [False, True]
    (found,) = read_labels(tmp_path / "labelme")
    assert [one.bbox for one in found.instances] == boxes
    assert all(one.mask is None for one in found.instances)


def test_boxes_among_masks_are_verified(tmp_path: Path) -> None:
    source = boxed_tree(tmp_path / "in", [[BOX, MASK], [BOX], [MASK], []])
    convert(read_labels(source), tmp_path / "out", "labelme")
    assert verify(tmp_path / "out").passed
    file = next(
        path for path in sorted(tmp_path.glob("out/labelme/images/*/*.json")) if b"rectangle" in path.read_bytes()
    )
    told = json.loads(file.read_text())
    box = next(one for one in told["shapes"] if one["shape_type"] == "rectangle")
    box["points"][0][0] += 1
    file.write_text(json.dumps(told))
    assert not verify(tmp_path / "out").passed


def test_attributes_come_back(tmp_path: Path) -> None:
    told: dict[str, Any] = {
        "flags": {"deep": True, "old": False},
        "description": "by <hand>",
        "attributes": {"side": "left"},
    }
    save_pair(tmp_path / "in", "a", shape(**told))
    convert(read_labels(tmp_path / "in"), tmp_path / "out", "labelme")
    (file,) = tmp_path.glob("out/labelme/images/*/*.json")
    (one,) = json.loads(file.read_text())["shapes"]
    assert {name: one[name] for name in told} == told


def test_a_file_is_as_labelme_has_it(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "in", {"dent": [np.ones((6, 6), bool)]})
    convert(dataset, tmp_path / "out", "labelme", instances="image")
    files = sorted((tmp_path / "out/labelme/images").glob("*/*.json"))
    assert all(file.with_suffix(".png").is_file() for file in files)
    told = [json.loads(file.read_text()) for file in files]
    assert [(one["imagePath"], one["imageData"]) for one in told] == [(f"{file.stem}.png", None) for file in files]
    assert sum(not one["shapes"] for one in told) == 4  # good images have a file too
    wanted = ["version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"]
    assert all(list(one) == wanted for one in told)
    tree = read_labels(tmp_path / "out/labelme")
    assert {(one.key, one.subset) for one in tree} == {(sample.key, sample.split) for sample in dataset}


@pytest.mark.parametrize("what", ["vertex", "label", "mask", "file"])
def test_damage_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    if what == "mask":
        monkeypatch.setattr("converters.formats.labelme.writer._MOST_RINGS", 0)
    dataset = make_dataset(tmp_path / "in", {"dent": [np.ones((6, 6), bool)], "rust": [np.ones((4, 4), bool)]})
    convert(dataset, tmp_path / "out", "labelme")
    assert verify(tmp_path / "out").passed
    file = next(path for path in sorted(tmp_path.glob("out/labelme/images/*/*.json")) if b"dent" in path.read_bytes())
    told = json.loads(file.read_text())
    (one,) = told["shapes"]
    if what == "vertex":
        one["points"][0][0] += 1
    elif what == "mask":
        one["points"] = [[x + 1, y] for x, y in one["points"]]
    else:
        one["label"] = "rust"
    file.unlink() if what == "file" else file.write_text(json.dumps(told))
    report = verify(tmp_path / "out")
    assert not report.passed
    assert any("labels_sha256" in line for line in report.failures)
    if what != "file":
        assert any("below IoU" in line for line in report.failures)


@pytest.mark.parametrize("name", ["_background_", "__ignore__"])
def test_classes_that_are_none_to_labelme_are_refused(tmp_path: Path, name: str) -> None:
    dataset = make_dataset(tmp_path / "in", {name: [np.ones((6, 6), bool)]})
    with pytest.raises(ToolkitError, match=f"the class '{name}' is none to LabelMe's scripts; rename the class"):
        convert(dataset, tmp_path / "out", "labelme")
    assert not (tmp_path / "out/labelme").exists()


def test_the_command_line_knows_it(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "in", {"dent": [np.ones((6, 6), bool)]})
    assert defectkit("convert", dataset.root, tmp_path / "out", "--to", "labelme").status == 0
    assert defectkit("view", tmp_path / "out/labelme", "--out", tmp_path / "gallery").status == 0
    told = defectkit("describe", tmp_path / "out/labelme", "--json").json()
    assert (told["layout"], told["instances"], told["problems"]) == ("labelme", 1, [])
