"""Tasks of several images: each region on the image that it was drawn on, or a refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from converters import read_labels
from tests.converters.formats.label_studio.judge import plant, rectangle, task
from toolkit.dataset.samples import LabelKind

TWO = {"left": "left/a.png", "right": "right/b.png"}
FILES = ["left/a.png", "right/b.png", "left/c.png", "right/d.png"]


def _labels(root: Path) -> dict[str, list[str]]:
    return {image.key: [one.label for one in image.instances] for image in read_labels(root)}


def _kinds(root: Path) -> dict[str, LabelKind | None]:
    return {one.key: one.kind for one in read_labels(root).samples}


@pytest.mark.parametrize(
    ("data", "tags"),
    [
        (TWO, ("left", "right")),
        ({"image": "left/a.png", "image2": "right/b.png"}, ("image", "image2")),
        ({"image2": ["right/b.png"], "image": ["left/a.png"], "text": "hm"}, ("image", "image2")),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_regions_stand_on_the_image_that_they_were_drawn_on(
    tmp_path: Path, data: dict[str, Any], tags: tuple[str, str], turned: bool
) -> None:
    results = [rectangle(id="r", to_name=tags[0]), rectangle(id="s", label="pit", to_name=tags[1])]
    side = {"id": "s", "type": "choices", "from_name": "side", "value": {"choices": ["top"]}}
    root = plant(tmp_path, [task("", *results[:: -1 if turned else 1], side, data=data)], images=FILES[:2])
    assert _labels(root) == {"a": ["dent"], "b": ["pit"]}
    assert read_labels(root).layout_problems == ()
    assert {image.key: [one.attributes for one in image.instances] for image in read_labels(root)} == {
        "a": [{}],
        "b": [{"side": "top"}],
    }


def test_an_image_on_which_others_of_its_place_were_drawn_is_good_where_it_was_seen(tmp_path: Path) -> None:
    both = [rectangle(id="r", to_name="left"), rectangle(id="s", to_name="right")]
    more = {"left": "left/c.png", "right": "right/d.png"}
    one = {**task("", rectangle(id="r", to_name="right"), data=more), "id": 8}
    assert _kinds(plant(tmp_path, [task("", *both, data=TWO), one], images=FILES)) == {
        "a": "boxes",
        "b": "boxes",
        "c": "good",
        "d": "boxes",
    }


def test_the_configuration_tells_which_column_a_tag_shows(tmp_path: Path) -> None:
    results = [rectangle(id="r", to_name="one"), rectangle(id="s", label="pit", to_name="two")]
    root = plant(tmp_path, [task("", *results, data=TWO)], images=FILES[:2])
    config = (
        '<View><Image name="one" value="$right"/><Image name="two" valueList="$left"/><Labels toName="one"/></View>'
    )
    (root / "label_config.xml").write_text(config)
    assert _labels(root) == {"a": ["pit"], "b": ["dent"]}
    assert read_labels(root).layout_problems == ()


UNCLEAR: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "other names": (
        [rectangle(id="r", to_name="one"), rectangle(id="s", to_name="two")],
        TWO,
        "has regions on 'one' and 'two' (to_name), and its images stand under 'left' and 'right'",
    ),
    "one other name": (
        [rectangle(id="r", to_name="img")],
        {"image": "left/a.png", "image2": "right/b.png"},
        "has regions on 'img' (to_name), and its images stand under 'image' and 'image2'",
    ),
    "one column": (
        [rectangle(id="r", to_name="left"), rectangle(id="s", to_name="right")],
        {"left": "left/a.png", "right": "of no known ending"},
        "has regions on 'left' and 'right', and its data name one image",
    ),
    "no name": (
        [{name: told for name, told in rectangle(id="r").items() if name != "to_name"}],
        {"image": "left/a.png", "image2": "right/b.png"},
        "is of several images, by 'image' and 'image2', and nothing tells on which its regions are drawn",
    ),
    "choices for the task": (
        [
            rectangle(id="r", to_name="left"),
            rectangle(id="s", to_name="right"),
            {"type": "choices", "id": "c", "from_name": "ok", "to_name": "text", "value": {"choices": ["bad"]}},
        ],
        TWO,
        "has choices for 'text', which is none of its images, 'left' and 'right'",
    ),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_where_nothing_tells_the_image_it_is_a_problem(tmp_path: Path, name: str) -> None:
    results, data, told = UNCLEAR[name]
    tasks = [task("", *results, data=data), {**task("left/c.png", rectangle()), "id": 9}]
    (problem,) = read_labels(plant(tmp_path, tasks, images=FILES[:3])).layout_problems
    assert problem.file.endswith("task 7")
    assert problem.problem == told


def test_the_only_image_that_is_there_is_meant(tmp_path: Path) -> None:
    for other in ("gone.png", "/data/local-files/?d=left/a.png"):
        data = {"image": "left/a.png", "thumbnail": other}
        root = plant(tmp_path, [task("", rectangle(to_name="img"), data=data)], images=FILES[:1])
        assert _labels(root) == {"a": ["dent"]}


def test_a_list_of_one_image_is_that_image(tmp_path: Path) -> None:
    for column in ("image", "images", "pages"):
        one = task("", {**rectangle(), "item_index": 0}, data={column: ["left/a.png"]})
        root = plant(tmp_path / column, [one], images=FILES[:1])
        assert _labels(root) == {"a": ["dent"]}
    (problem,) = read_labels(
        plant(tmp_path / "two", [task("", rectangle(), data={"images": FILES[:2]})], images=FILES[:2])
    ).layout_problems
    assert (problem.problem, problem.remedy) == ("is of 2 images", "make a task of each image")


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2024-01-01T06:00:00Z", "2024-01-01T06:00:00.500000Z"),
        ("2024-01-01T10:00:00+05:00", "2024-01-01T06:00:00.123Z"),
        ("2024-01-01T10:00:00", "2024-01-01T10:00:00.000001Z"),
        (9_999, "1970-01-01T02:46:40Z"),
    ],
)
def test_the_annotation_that_was_changed_last_counts(tmp_path: Path, earlier: object, later: object) -> None:
    annotations = [
        {"id": 1, "updated_at": later, "result": [rectangle(label="pit")]},
        {"id": 2, "updated_at": earlier, "result": [rectangle(label="dent")]},
    ]
    for number, told in enumerate((annotations, annotations[::-1])):
        root = plant(tmp_path / str(number), [task("a.png", annotations=told)])
        assert _labels(root) == {"a": ["pit"]}


def test_annotations_of_which_nothing_tells_the_last_are_a_problem(tmp_path: Path) -> None:
    annotations: list[dict[str, Any]] = [
        {"id": 1, "updated_at": "yesterday", "result": [rectangle()]},
        {"id": 2, "updated_at": "2024-01-01T06:00:00Z", "result": []},
    ]
    (problem, *_) = read_labels(plant(tmp_path / "in", [task("a.png", annotations=annotations)])).layout_problems
    assert problem.remedy == "mark one as the ground truth, or remove the others"
    annotations[0]["ground_truth"] = True
    assert _labels(plant(tmp_path / "told", [task("a.png", annotations=annotations)])) == {"a": ["dent"]}
