"""How labels are read is told in Python as errors say it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converters import Reading, convert, read_labels
from tests.commands import make_dataset
from tests.converters.formats.voc.stand_ins import dent, photo, write
from toolkit import ToolkitError, load_dataset


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Boxes that may be read in two ways, and an image without a label."""
    write(tmp_path / "in", "a", dent(3, 3, 10, 10))
    photo(tmp_path / "in/JPEGImages/b.png")
    return tmp_path / "in"


def test_the_remedy_of_an_error_is_there(root: Path) -> None:
    for call in (read_labels, lambda place, **told: convert(place, root.parent / "out", "coco", **told)):
        with pytest.raises(ToolkitError, match=r'voc_boxes="inclusive1" .* or voc_boxes="edges0"'):
            call(root)
        assert call(root, voc_boxes="edges0")
    (image,) = read_labels(root.parent / "out/coco")
    assert image.instances[0].bbox == (3, 3, 10, 10)


@pytest.mark.parametrize(
    "told",
    [
        {"reading": Reading("inclusive1", "good")},
        {"reading": {"voc_boxes": "inclusive1", "without_label": "good"}},
        {"voc_boxes": "inclusive1", "without_label": "good"},
        {"reading": {"voc_boxes": "edges0", "without_label": "good"}, "voc_boxes": "inclusive1"},
    ],
)
def test_ways_to_tell_it(root: Path, told: dict[str, Any]) -> None:
    first, second = read_labels(root, **told)
    assert (first.instances[0].bbox, second.kind) == ((2, 2, 10, 10), "good")


BAD: dict[str, Any] = {"without_label": "bad"}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda root: read_labels(root, reading={"voc_boxes": "edges"}), "labels.voc_boxes: cannot be 'edges'"),
        (lambda root: read_labels(root, reading={"boxes": "edges0"}), "labels.boxes: is not known"),
        (lambda root: convert(root, root.parent / "o", "coco", **BAD), "labels.without_label: cannot be 'bad'"),
        (
            lambda root: convert(
                read_labels(root, voc_boxes="edges0"), root.parent / "out", "coco", voc_boxes="edges0"
            ),
            r"voc_boxes: says how labels are read, and these were read before; give it to read_labels",
        ),
    ],
)
def test_what_is_refused(root: Path, call: Callable[[Path], object], said: str) -> None:
    with pytest.raises(ToolkitError, match=said):
        call(root)


class TestDatasets:
    """`load_dataset` takes the same words; it reads no labels."""

    @pytest.fixture
    def masks(self, tmp_path: Path) -> Path:
        data = make_dataset(tmp_path / "data")
        (data / "part/ground_truth/dent/000_mask.png").unlink()
        return data

    def test_images_without_a_mask_are_what_is_said(self, masks: Path) -> None:
        assert len(load_dataset(masks).problems) == 1
        found = load_dataset(masks, without_label="unlabelled")
        assert found.problems == ()
        assert [one.kind for one in found if one.key == "part/test/dent/000"] == ["unlabelled"]

    def test_boxes_are_not_among_what_it_reads(self, root: Path, masks: Path) -> None:
        with pytest.raises(ToolkitError, match=r"Pascal VOC .*: it is no dataset; open it with .*read_labels"):
            load_dataset(root, voc_boxes="edges0")
        with pytest.raises(ToolkitError, match="holds no Pascal VOC boxes, of which voc_boxes speaks; leave it out"):
            load_dataset(masks, voc_boxes="edges0")

    @pytest.mark.parametrize("told", [{"layout": "mvtec"}, {"image": "{name}.png"}, {"values": "ids"}, {"good": ["a"]}])
    def test_what_would_be_passed_over_is_refused(self, told: dict[str, Any], masks: Path) -> None:
        (name,) = told
        with pytest.raises(ToolkitError, match=f"voc_boxes: is of label trees .*, as {name}; leave"):
            load_dataset(masks, voc_boxes="edges0", **told)
