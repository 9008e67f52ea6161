"""Tasks of Label Studio are read as its own rules have them, and what is at fault is said of its task."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from converters import convert, read_labels, verify
from converters.formats.base import Reading
from converters.sources import open_source
from tests.commands import save
from tests.converters.formats.label_studio.judge import (
    HEIGHT,
    WIDTH,
    encode_rle,
    fill,
    pixels,
    plant,
    rectangle,
    region,
    task,
    turned,
)
from toolkit import ToolkitError
from toolkit.dataset.samples import LabelKind

UPLOAD = "/data/upload/1/ab12cd34-a.png"
POLYGON = region("polygon", "rust", points=[[10, 10], [60, 15], [30, 80]], closed=True)


def problems(root: Path) -> list[str]:
    return [f"{one.problem}; {one.remedy}" for one in read_labels(root).layout_problems]


def kinds(root: Path, **told: Any) -> dict[str, LabelKind | None]:
    return {sample.key: sample.kind for sample in read_labels(root, reading=Reading(**told)).samples}


def test_a_rectangle_is_a_box(tmp_path: Path) -> None:
    (image,) = read_labels(plant(tmp_path, [task("a.png", rectangle(), rectangle(rotation=0, x=33.3, label="rust"))]))
    assert [(one.label, one.mask) for one in image.instances] == [("dent", None), ("rust", None)]
    assert image.instances[0].bbox == (4, 4, 16, 12)
    assert image.instances[1].bbox == pytest.approx((13.32, 4, 25.32, 12))
    assert image.kind == "boxes"


@pytest.mark.parametrize("degrees", [90, 180, 270, -90])
def test_a_rectangle_turned_by_quarters_is_a_box(tmp_path: Path, degrees: float) -> None:
    one = rectangle(x=50, y=50, width=10, height=30, rotation=degrees)
    (image,) = read_labels(plant(tmp_path, [task("a.png", one)]))
    corners = np.array(turned(one["value"], WIDTH, HEIGHT))
    assert image.instances[0].mask is None
    assert image.instances[0].bbox == pytest.approx((*corners.min(axis=0), *corners.max(axis=0)))


@pytest.mark.parametrize("degrees", [30, 45.5, 200, -15, 375])
def test_a_turned_rectangle_turns_about_its_first_corner(tmp_path: Path, degrees: float) -> None:
    one = rectangle(x=45, y=30, width=30, height=40, rotation=degrees)
    found = pixels(plant(tmp_path, [task("a.png", one)]))
    truth = fill(turned(one["value"], WIDTH, HEIGHT))
    assert 20 < truth.sum() < 120
    assert np.array_equal(found["a"][0][1], truth)


def test_a_polygon_is_filled_as_pycocotools_does(tmp_path: Path) -> None:
    found = pixels(plant(tmp_path, [task("a.png", POLYGON)]))
    truth = fill([(x / 100 * WIDTH, y / 100 * HEIGHT) for x, y in POLYGON["value"]["points"]])
    assert found["a"][0][0] == "rust"
    assert np.array_equal(found["a"][0][1], truth)


@pytest.mark.parametrize("degrees", [0, 30, 90, 147.5, -20])
@pytest.mark.parametrize(("x", "y"), [(50, 50), (3, 96), (101, 20)])
def test_an_ellipse_holds_the_centres_that_lie_in_it(tmp_path: Path, degrees: float, x: float, y: float) -> None:
    one = region("ellipse", x=x, y=y, radiusX=22.5, radiusY=31, rotation=degrees)
    (found,) = pixels(plant(tmp_path, [task("a.png", one)])).values()
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    dx, dy, turn = columns - x / 100 * WIDTH, rows - y / 100 * HEIGHT, np.radians(degrees)
    along, across = dx * np.cos(turn) + dy * np.sin(turn), -dx * np.sin(turn) + dy * np.cos(turn)
    truth = (along / (0.225 * WIDTH)) ** 2 + (across / (0.31 * HEIGHT)) ** 2 <= 1
    assert truth.sum() > 10
    assert np.array_equal(found[0][1], truth)


def test_brushes_of_one_label_are_objects_of_their_own(tmp_path: Path) -> None:
    rgba = np.zeros((2, HEIGHT, WIDTH, 4), np.uint8)
    rgba[0, 3:9, 5:20] = (200, 30, 0, 127)
    rgba[1, 4:6, 7:30, 3] = 1
    rgba[1, 10:12, 7:30, :3] = 255  # a colour that is not opaque marks nothing
    brushes = [
        region("brush", format="rle", rle=encode_rle(one.ravel().tolist()), id=f"b{n}") for n, one in enumerate(rgba)
    ]
    found = pixels(plant(tmp_path, [task("a.png", *brushes)]))["a"]
    assert [label for label, _ in found] == ["dent", "dent"]
    assert all(np.array_equal(mask, one[..., 3] > 0) for (_, mask), one in zip(found, rgba, strict=True))


def test_labels_may_be_a_control_of_their_own(tmp_path: Path) -> None:
    """<Rectangle> and <Labels>: two results of one id."""
    shape = rectangle(label=None, id="r", from_name="box")
    shape["type"] = "rectangle"
    label = {**shape, "type": "labels", "from_name": "label", "value": {**shape["value"], "labels": ["rust"]}}
    (image,) = read_labels(plant(tmp_path, [task("a.png", shape, label)]))
    assert [(one.label, one.bbox) for one in image.instances] == [("rust", (4, 4, 16, 12))]


def test_what_is_said_of_a_region_is_kept(tmp_path: Path) -> None:
    about = [
        {"id": "r", "type": "choices", "from_name": "side", "value": {"choices": ["left", "top"]}},
        {"id": "r", "type": "textarea", "from_name": "remark", "value": {"text": ["<b>"]}},
        {"id": "r", "type": "rating", "from_name": "stars", "value": {"rating": 4}},
    ]
    one = rectangle(id="r", score=0.25, meta={"text": ["seen", "twice"]})
    (image,) = read_labels(plant(tmp_path, [task("a.png", one, *about)]))
    told = {"side": "left, top", "remark": "<b>", "stars": "4", "score": "0.25", "text": "seen, twice"}
    assert image.instances[0].attributes == told


NAMES = {
    UPLOAD: "media/upload/1/ab12cd34-a.png",
    "/data/upload/1/ab12cd34-b%20%C3%A4.png": "b ä.png",
    "/data/local-files/?d=shots%5Ctrain%5Cc.png": "train/c.png",
    "/data/local-files/?d=deep/c%2520d.png": "deep/c%20d.png",
    "s3://bucket/deep/what?.png": "what?.png",
    "gs://bucket/e%20f.png": "e f.png",
    "https://host:8080/data/upload/3/0123abcd-g.PNG?token=1": "G.png",
    r"C:\shots\h.png": "images/h.png",
    "/tasks/1/presign/?fileuri=" + base64.b64encode(b"s3://bucket/i.png").decode(): "i.png",
    "j.png": "j.png",
    "<script>.png": "<script>.png",
}


@pytest.mark.parametrize("told", NAMES)
def test_images_are_found(tmp_path: Path, told: str) -> None:
    root = plant(tmp_path, [task(told, rectangle())], images=["other.png"])
    save(tmp_path / "x.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    (tmp_path / NAMES[told]).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "x.png").rename(tmp_path / NAMES[told])
    assert [sample.image for sample in read_labels(root).samples] == [tmp_path / NAMES[told]]


def test_an_image_that_is_where_its_link_says_needs_no_note(tmp_path: Path) -> None:
    link, place = "/data/upload/1/ab12cd34-a%20b.png", "data/upload/1/ab12cd34-a b.png"
    assert read_labels(plant(tmp_path / "here", [task(link, rectangle())], images=[place])).notes == ()
    (note,) = read_labels(plant(tmp_path / "there", [task(link, rectangle())], images=["ab12cd34-a b.png"])).notes
    assert note == f"1 image(s) are not where their tasks say; those of their names are taken: {place}"


def test_an_image_of_another_upload_of_its_name_is_taken_and_said(tmp_path: Path) -> None:
    tree = read_labels(plant(tmp_path, [task("/data/upload/1/ab12cd34-a.png", rectangle())]))
    assert any("1 image(s) have their tasks' names without the digits" in note for note in tree.notes)


@pytest.mark.parametrize("name", ["photo", "img"])
def test_the_column_of_the_image_may_have_any_name(tmp_path: Path, name: str) -> None:
    data = {name: "a.png", "lot": "7", "sheet": "map.txt"}
    root = plant(tmp_path, [task("", rectangle(), data=data)])
    assert [sample.key for sample in read_labels(root).samples] == ["a"]


def test_the_column_that_regions_are_drawn_on_goes_before_others(tmp_path: Path) -> None:
    one = rectangle(to_name="front")
    root = plant(tmp_path, [task("", one, data={"image": "b.png", "front": "a.png"})], images=["a.png", "b.png"])
    assert [sample.key for sample in read_labels(root).samples] == ["a"]


def annotation(*results: Any, **told: Any) -> dict[str, Any]:
    return {"result": list(results), **told}


ANNOTATORS: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "the latest": (
        [
            annotation(rectangle(label="old"), updated_at="2024-01-02T00:00:00Z"),
            annotation(rectangle(label="new"), updated_at="2024-03-01T00:00:00Z"),
            annotation(rectangle(label="older"), updated_at="2023-01-01T00:00:00Z"),
        ],
        ["new"],
    ),
    "the ground truth": (
        [
            annotation(rectangle(label="true"), updated_at="2024-01-02T00:00:00Z", ground_truth=True),
            annotation(rectangle(label="new"), updated_at="2024-03-01T00:00:00Z"),
        ],
        ["true"],
    ),
    "not what was skipped": (
        [
            annotation(rectangle(label="kept"), created_at="2024-01-02T00:00:00Z"),
            annotation(rectangle(label="new"), created_at="2024-03-01T00:00:00Z", was_cancelled=True),
        ],
        ["kept"],
    ),
}


@pytest.mark.parametrize("name", ANNOTATORS)
def test_of_several_annotators_one_counts(tmp_path: Path, name: str) -> None:
    given, labels = ANNOTATORS[name]
    root = plant(tmp_path, [task("a.png", annotations=given)])
    (image,) = tree = list(read_labels(root))
    assert [one.label for one in tree[0].instances] == labels
    said = any(
        "1 task(s) have several annotations: 7: the ground truth counts" in note for note in read_labels(root).notes
    )
    assert said == (name != "not what was skipped")
    assert image.key == "a"


def test_what_nobody_annotated_is_unlabelled_and_an_empty_annotation_is_good(tmp_path: Path) -> None:
    predicted = {"result": [rectangle()], "score": 0.9}
    tasks = [
        task("a.png", rectangle()),
        task("b.png"),
        task("c.png", annotations=[], predictions=[predicted]),
        task("d.png", annotations=[annotation(rectangle(), was_cancelled=True)]),
        task("e.png", annotations=[]),
    ]
    root = plant(tmp_path, tasks, images=[f"{name}.png" for name in "abcdef"])
    assert kinds(root) == {"a": "boxes", "b": "good", "c": "unlabelled", "d": "unlabelled", "e": "unlabelled"}
    notes = read_labels(root).notes
    assert any(
        "2 task(s) without an annotation" in note and "predictions, which 1 of them have" in note for note in notes
    )
    assert any("1 task(s) whose annotations were skipped" in note for note in notes)
    assert any("1 image(s) that no task is of are not read: f.png" in note for note in notes)
    assert set(kinds(root, without_label="good").values()) == {"boxes", "good"}


def test_what_marks_no_area_is_counted_and_is_not_good(tmp_path: Path) -> None:
    point, words = region("keypoint", x=1, y=2, width=0.5), region("textarea", None, text=["hm"], id="t")
    words["type"] = "textarea"
    link = {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}
    tasks = [task("a.png", point, words), task("b.png", rectangle(), point, link)]
    root = plant(tmp_path, tasks, images=["a.png", "b.png"])
    assert kinds(root) == {"a": "unlabelled", "b": "boxes"}
    notes = read_labels(root).notes
    assert "results that mark no area are left out: 2 keypoint, 1 relation, 1 textarea" in notes
    assert any("1 image(s) whose annotations mark no area: a.png" in note for note in notes)


def choice(*texts: str, name: str = "what") -> dict[str, Any]:
    return {"id": name, "type": "choices", "from_name": name, "to_name": "image", "value": {"choices": list(texts)}}


def test_choices_are_the_classes_of_images(tmp_path: Path) -> None:
    tasks = [task("a.png", choice("dent")), task("b.png", choice("OK")), task("c.png", choice("rust"))]
    root = plant(tmp_path / "in", tasks, images=["a.png", "b.png", "c.png"])
    tree = read_labels(root)
    assert [(one.key, one.kind, one.defect) for one in tree.samples] == [
        ("a", "class", "dent"),
        ("b", "good", "good"),
        ("c", "class", "rust"),
    ]
    assert "the class of an image is what was chosen for 'what'" in tree.notes
    convert(root, tmp_path / "out", "yolo-classify")
    assert (tmp_path / "out/yolo-classify/train/rust/c.png").is_file()
    with pytest.raises(ToolkitError, match="yolo-classify"):
        convert(root, tmp_path / "other", "coco")


def test_choices_beside_regions_mark_nothing(tmp_path: Path) -> None:
    tasks = [task("a.png", rectangle(), choice("dent")), task("b.png", choice("good")), task("c.png", choice("dent"))]
    root = plant(tmp_path, tasks, images=["a.png", "b.png", "c.png"])
    assert kinds(root) == {"a": "boxes", "b": "good", "c": "unlabelled"}
    notes = read_labels(root).notes
    assert "choices for 1 image(s) that have regions are not read" in notes
    assert any("1 image(s) whose annotations mark no area: c.png" in note for note in notes)


def test_choices_of_two_questions_are_no_class(tmp_path: Path) -> None:
    tasks = [task("a.png", choice("dent")), task("b.png", choice("left", name="side"))]
    root = plant(tmp_path, tasks, images=["a.png", "b.png"])
    with pytest.raises(ToolkitError) as caught:
        read_labels(root)
    problem = "its choices answer 2 questions, 'side' and 'what', and one can be the class of an image"
    assert str(caught.value) == f"{root}: {problem}; leave it the answers to one of them"


def flat(image: str, **told: Any) -> dict[str, Any]:
    """A record of JSON_MIN."""
    end = {"annotator": 1, "annotation_id": 3, "created_at": "2024-01-01", "updated_at": "2024-01-01", "lead_time": 2.5}
    last = {name: told.pop(name, value) for name, value in end.items()}
    return {"image": image, "lot": "x", "id": told.pop("id", 7), **told, **last}


def flattened(result: dict[str, Any]) -> dict[str, Any]:
    return {**result["value"], "original_width": WIDTH, "original_height": HEIGHT}


def test_the_flat_export_says_the_same(tmp_path: Path) -> None:
    brush = region("brush", format="rle", rle=encode_rle([0] * 400 + [255] * (WIDTH * HEIGHT * 4 - 400)))
    records = [
        flat("a.png", box=[flattened(rectangle())], poly=[flattened(POLYGON), flattened(brush)]),
        flat("b.png", id=8, box=[flattened(rectangle(label="old"))], updated_at="2023"),
        flat("b.png", id=8, box=[flattened(rectangle(label="new"))], updated_at="2024"),
        flat("c.png", id=9),
        flat("d.png", id=10, annotation_id=None),
    ]
    images = [f"{name}.png" for name in "abcd"]
    min_root = plant(tmp_path / "min", records, images=images)
    tasks = [
        task("a.png", rectangle(), POLYGON, brush),
        task("b.png", rectangle(label="new")),
        task("c.png"),
        task("d.png", annotations=[]),
    ]
    whole = plant(tmp_path / "whole", tasks, images=images)
    assert kinds(min_root) == kinds(whole)
    one, other = pixels(min_root), pixels(whole)
    assert one.keys() == other.keys()
    for key, objects in one.items():
        assert [label for label, _ in objects] == [label for label, _ in other[key]]
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(objects, other[key], strict=True))


def test_a_flat_export_of_choices(tmp_path: Path) -> None:
    records = [flat("a.png", kind="dent"), flat("b.png", id=8, kind="ok")]
    root = plant(tmp_path, records, images=["a.png", "b.png"])
    assert kinds(root) == {"a": "class", "b": "good"}


def test_flat_labels_of_a_control_of_their_own(tmp_path: Path) -> None:
    shape = {name: value for name, value in flattened(rectangle()).items() if name != "rectanglelabels"}
    records = [flat("a.png", box=[shape], label=[{**shape, "labels": ["rust"]}])]
    (image,) = read_labels(plant(tmp_path, records))
    assert [(one.label, one.bbox) for one in image.instances] == [("rust", (4, 4, 16, 12))]


@pytest.mark.parametrize("ending", [".json", ""])
def test_storages_hold_an_annotation_a_file(tmp_path: Path, ending: str) -> None:
    for number, label in enumerate(("dent", "rust")):
        stored = {"id": number, "result": [rectangle(label=label)], "completed_by": {}, "was_cancelled": False}
        stored["task"] = {"id": number, "data": {"image": f"{number}.png"}}
        plant(tmp_path, stored, images=[f"{number}.png"], name=f"{number}{ending}")  # type: ignore[arg-type]
    assert open_source(tmp_path / f"1{ending}").classes() == ["rust"]
    (tmp_path / "2").write_text("of another kind")
    assert [[one.label for one in image.instances] for image in read_labels(tmp_path)] == [["dent"], ["rust"]]


def test_old_exports_have_completions(tmp_path: Path) -> None:
    old = {"id": 1, "data": {"image": "a.png"}, "completions": [{"result": [rectangle()], "created_at": 1600000000}]}
    assert kinds(plant(tmp_path, [old])) == {"a": "boxes"}


@pytest.mark.parametrize("place", ["project.json", "annotations/project.json"])
def test_a_file_may_be_named(tmp_path: Path, place: str) -> None:
    root = plant(tmp_path, [task("a.png", rectangle())], images=["images/a.png"])
    (root / place).parent.mkdir(exist_ok=True)
    (root / "project.json").rename(root / place)
    assert kinds(root / place) == kinds(root) == {"a": "boxes"}


def test_bytes_before_a_file_do_no_harm(tmp_path: Path) -> None:
    root = plant(tmp_path, [task("a.png", rectangle())])
    text = json.dumps([task("a.png", rectangle())], indent=1).replace("\n", "\r\n")
    (root / "project.json").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert kinds(root) == {"a": "boxes"}


def test_without_images_labels_are_read_all_the_same(tmp_path: Path) -> None:
    root = plant(tmp_path, [task("a.png", rectangle()), task("b.png")], images=[])
    tree = read_labels(root)
    assert [sample.key for sample in tree.samples] == ["a"]
    assert tree.samples[0].kind == "boxes"
    assert problems(root) == [
        "has no region that tells the size of its image, which is not there; put the image there, or leave the task out"
    ]


def test_subsets_are_told_by_folders_and_names(tmp_path: Path) -> None:
    tasks = [task("/data/local-files/?d=val/a.png", rectangle()), task("b.png", rectangle())]
    root = plant(tmp_path, tasks, images=["val/a.png", "b.png"])
    assert {sample.key: sample.split for sample in read_labels(root).samples} == {"a": "val", "b": "train"}
    (root / "project.json").rename(root / "tasks_test.json")
    assert {sample.split for sample in read_labels(root).samples} == {"test"}


FAULTS: dict[str, tuple[Any, str]] = {
    "no label": (rectangle(label=None, id="r"), "region r: has no label; name its class, or remove it"),
    "no labels": (
        region("rectangle", None, **{**rectangle()["value"], "rectanglelabels": []}, id="r"),
        "region r: has no label; name its class, or remove it",
    ),
    "two labels": (
        region("rectangle", None, **{**rectangle()["value"], "rectanglelabels": ["dent", "rust"]}, id="r"),
        "region r: has 2 labels, 'dent' and 'rust'; leave it one, or draw it once for each",
    ),
    "text": (rectangle(x="7", id="r"), 'region r: has the x "7", no number; correct or remove it'),
    "true": (rectangle(y=True, id="r"), "region r: has the y true, no number; correct or remove it"),
    "nothing": (rectangle(width=None, id="r"), "region r: has the width null, no number; correct or remove it"),
    "far": (rectangle(x=1e9, id="r"), "region r: has the x 1000000000.0, beyond all images; correct it"),
    "below zero": (rectangle(width=-3, id="r"), "region r: is -3 wide and 40 high; correct or remove it"),
    "points": (
        region("polygon", points=[[1, 2], [3]], id="r"),
        "region r: has the points [[1, 2], [3]], no list of [x, y]; correct or remove it",
    ),
    "no rle": (
        region("brush", format="rle", id="r"),
        "region r: is a brush of the rle null, no list of bytes; draw it again, or remove it",
    ),
    "no bytes": (
        region("brush", format="rle", rle=[1, 256], id="r"),
        "region r: is a brush whose rle holds something else than numbers from 0 to 255; draw it again, or remove it",
    ),
    "bitmask": (
        region("bitmask", imageDataURL="data:image/png;base64,", id="r"),
        "region r: is a bitmask, and is not read; draw it with a brush, or remove it",
    ),
    "turned": (
        rectangle(image_rotation=90, id="r"),
        "region r: was drawn on an image turned by 90 degrees; "
        "turn the image file so, or draw it on the image as it is",
    ),
    "size": (
        rectangle(original_width=0, id="r"),
        "region r: has the original size 0 x 20, that of no image; correct it",
    ),
    "no result": (3, "result[1]: is 3, no result; correct or remove it"),
    "sizes": (
        rectangle(original_width=WIDTH + 1, id="r"),
        "region r: has the original size 41 x 20, others of its image 40 x 20; correct it",
    ),
    "one id": (
        rectangle(x=3, id="good one"),
        "region good one: is drawn twice, in different places; give each an id of its own",
    ),
    "page": (
        rectangle(item_index=1, id="r"),
        "region r: is of one of several images of its task; make a task of each image",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_those_of_their_image(tmp_path: Path, name: str) -> None:
    one, told = FAULTS[name]
    tasks = [task("a.png", rectangle(id="good one"), one), {**task("b.png", rectangle()), "id": 8}]
    root = plant(tmp_path, tasks, images=["a.png", "b.png"])
    (problem,) = read_labels(root).layout_problems
    assert str(problem) == f"{root / 'project.json'}: task 7: {told}"
    assert kinds(root) == {"b": "boxes"}


def test_what_covers_nothing_is_left_out_and_counted(tmp_path: Path) -> None:
    rest = [
        rectangle(x=120, id="far"),
        rectangle(width=0, id="flat"),
        region("polygon", points=[[1, 2], [3, 4]], id="two"),
        region("polygon", points=[[0, 0], [50, 0], [50, 50]], closed=False, id="open"),
        region("ellipse", x=10, y=10, radiusX=0, radiusY=3, rotation=0, id="thin"),
        region("brush", format="rle", rle=encode_rle([0] * (WIDTH * HEIGHT * 4)), id="blank"),
    ]
    (image,) = read_labels(plant(tmp_path / "in", [task("a.png", rectangle(), *rest)]))
    names = ("far", "flat", "two", "open", "thin", "blank")
    assert image.left_out == tuple(f"region {name} marks no pixel of the image" for name in names)
    report = convert(tmp_path / "in", tmp_path / "out", "label-studio")
    assert verify(tmp_path / "out").passed
    assert report.manifests["label-studio"]["components"]["found"] == 7


def test_a_damaged_brush_is_said_of_its_region(tmp_path: Path) -> None:
    brush = region("brush", format="rle", rle=encode_rle([255] * 8), id="b")
    root = plant(tmp_path, [task("a.png", brush)])
    with pytest.raises(ToolkitError) as caught:
        list(read_labels(root))
    told = "has run lengths of 8 values, and the image has 40 x 20 x 4; correct or remove it"
    assert str(caught.value) == f"{root / 'project.json'}: region b of a.png: {told}"


def test_a_size_that_is_not_the_images_is_refused(tmp_path: Path) -> None:
    one = rectangle(original_width=80, original_height=40)
    with pytest.raises(ToolkitError, match="is 40 x 20 pixels, its labels are for 80 x 40"):
        list(read_labels(plant(tmp_path, [task("a.png", one)])))


IMAGES: dict[str, tuple[list[Any], str]] = {
    "two tasks of an image": (
        [task("a.png", rectangle()), {**task("a.png"), "id": 8}],
        "is of the image a.png, as {file}: task 7 is; remove one of the two",
    ),
    "no image": (
        [task("gone.png", rectangle())],
        "no image gone.png (looked below {root}); put it there, or correct its name in the data",
    ),
    "two of one name": (
        [task("/data/upload/1/b.png", rectangle())],
        "no image data/upload/1/b.png (2 files of that name are there); put it there, or correct its name in the data",
    ),
    "no column": (
        [task("", data={"text": "hm"})],
        'names no image: its data are {{"text": "hm"}}; name it under \'image\'',
    ),
    "two columns": (
        [task("", data={"left": "a.png", "right": "b.png"})],
        "may be of several images, by left and right; name the column of the image 'image'",
    ),
    "several images": ([task("", data={"image": ["a.png", "b.png"]})], "is of 2 images; make a task of each image"),
    "embedded": (
        [task("data:image/png;base64,AAAA")],
        "holds its image in itself; put the image beside the file, and name it in the data",
    ),
    "outside": (
        [task("../../../etc/secret.png", rectangle())],
        "no image etc/secret.png (looked below {root}); put it there, or correct its name in the data",
    ),
}


@pytest.mark.parametrize("name", IMAGES)
def test_faults_of_images_are_said(tmp_path: Path, name: str) -> None:
    tasks, told = IMAGES[name]
    root = plant(
        tmp_path, [*tasks, {**task("c.png", rectangle()), "id": 9}], images=["a.png", "x/b.png", "y/b.png", "c.png"]
    )
    (problem,) = problems(root)
    assert problem == told.format(file=root / "project.json", root=root)
    assert kinds(root) == {"c": "boxes"}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([task("a.png"), 3], "[1]: is 3, no task; correct or remove it"),
        ([task("a.png"), {"data": {}}], "[1]: is no task: it has no data, or no annotations; correct or remove it"),
        ([task("a.png", annotations=4)], "[0]: has the annotations 4, no list; correct or remove it"),
        ([task("a.png", annotations=[4])], "[0]: annotations[0]: is 4, no annotation; correct or remove it"),
        (
            [task("a.png", annotations=[{"result": None}])],
            "[0]: annotations[0]: has the result null, no list; correct or remove it",
        ),
    ],
)
def test_files_of_another_form_are_refused(tmp_path: Path, document: Any, told: str) -> None:
    root = plant(tmp_path, document)
    with pytest.raises(ToolkitError) as caught:
        read_labels(root)
    assert str(caught.value) == f"{root / 'project.json'}: {told}"


def test_a_tree_in_which_nothing_is_marked_is_a_problem(tmp_path: Path) -> None:
    assert problems(plant(tmp_path, [task("a.png")])) == [
        "no task has a region or a choice; name the export of the tasks that are annotated"
    ]


def test_a_turned_photo_is_labelled_as_browsers_show_it(tmp_path: Path) -> None:
    root = plant(tmp_path, [task("a.jpg", rectangle())], images=["b.png"])
    done, data = cv2.imencode(".jpg", np.zeros((WIDTH, HEIGHT), np.uint8))
    assert done
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (root / "a.jpg").write_bytes(data.tobytes()[:2] + segment + data.tobytes()[2:])
    (image,) = read_labels(root)
    assert (image.width, image.height) == (WIDTH, HEIGHT)


def test_other_trees_are_not_taken(tmp_path: Path) -> None:
    """A stray file of tasks in a dataset that has masks."""
    for name in ("good/0", "dent/1"):
        save(tmp_path / f"part/test/{name}.png", np.full((HEIGHT, WIDTH), 9, np.uint8))
    save(tmp_path / "part/train/good/2.png", np.full((HEIGHT, WIDTH), 7, np.uint8))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[3:9, 3:9] = 255
    save(tmp_path / "part/ground_truth/dent/1_mask.png", mask)
    (tmp_path / "part/tasks.json").write_text(json.dumps([task("1.png", rectangle())]))
    assert open_source(tmp_path / "part").layout == "mvtec"
    pairs = tmp_path / "pairs"
    save(pairs / "images/a.png", np.full((HEIGHT, WIDTH), 9, np.uint8))
    save(pairs / "masks/a.png", mask)
    (pairs / "tasks.json").write_text(json.dumps([task("a.png", rectangle())]))
    assert open_source(pairs).layout != "label-studio"
    classes = plant(tmp_path / "classes", [task("bad/b.png", rectangle())], images=["bad/b.png", "good/g.png"])
    assert open_source(classes).layout == "label-studio"
    assert (
        open_source(plant(tmp_path / "own", [task("a.png", rectangle())], images=["images/a.png"])).layout
        == "label-studio"
    )


def test_notes_of_images_without_a_label_say_what_was_told(tmp_path: Path) -> None:
    skipped = {"id": 1, "data": {"image": "a.png"}, "annotations": [{"id": 1, "was_cancelled": True, "result": []}]}
    root = plant(tmp_path, [skipped, task("b.png", rectangle())], images=["a.png", "b.png"])
    (note,) = read_labels(root, reading=Reading(without_label="good")).notes
    assert note == "1 task(s) whose annotations were skipped: 1: taken for good, as --without-label says"
