"""VIA's files, held against scikit-image's rules, written down here pixel by pixel."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters import convert, read_labels, verify
from converters.formats.via.drawing import fill_ellipse, fill_polygon
from tests.commands import defectkit
from tests.converters.formats.reading import HEIGHT, WIDTH, Bools, kinds, objects, photo, problems, write
from tests.converters.support import make_dataset
from toolkit import ToolkitError

RECT = {"name": "rect", "x": 1, "y": 1, "width": 2, "height": 2}
TRIANGLE = {"name": "polygon", "all_points_x": [2, 12, 7], "all_points_y": [3, 4, 15]}


def region(shape: dict[str, Any], **said: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": said}


def entry(name: str, *regions: Any, size: int = -1, **said: Any) -> dict[str, Any]:
    return {f"{name}{size}": {"filename": name, "size": size, "regions": list(regions), "file_attributes": said}}


def tree(root: Path, *entries: dict[str, Any], project: bool = False) -> Path:
    """A folder of images and a file that lists them."""
    images: dict[str, Any] = {}
    for one in entries:
        images |= one
    for one in images.values():
        photo(root / one["filename"])
    whole = {"_via_settings": {"core": {"default_filepath": ""}}, "_via_img_metadata": images, "_via_attributes": {}}
    write(root / "via.json", whole if project else images)
    return root


def in_polygon(points: list[tuple[float, float]], x: int, y: int) -> bool:
    """`point_in_polygon` of scikit-image: parity of crossings to the right and to the left; what differs is an edge."""
    right = left = 0
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        x0, y0, x1, y1 = x0 - x, y0 - y, x1 - x, y1 - y
        if x0 == 0 and y0 == 0:
            return True
        if (y0 > 0) != (y1 > 0):
            right += (x0 * y1 - x1 * y0) / (y1 - y0) > 0
        if (y0 < 0) != (y1 < 0):
            left += (x0 * y1 - x1 * y0) / (y1 - y0) < 0
    return bool(right % 2 or left % 2)


def judged(points: list[tuple[float, float]], size: tuple[int, int]) -> Bools:
    return np.array([[in_polygon(points, x, y) for x in range(size[0])] for y in range(size[1])])


def whole(crop: tuple[Bools, tuple[int, int]], size: tuple[int, int]) -> Bools:
    mask, (x, y) = crop
    canvas = np.zeros((size[1], size[0]), bool)
    canvas[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    return canvas


POINT = st.tuples(st.integers(-3, 14), st.integers(-3, 12))
HALF = st.tuples(*[st.integers(-6, 28).map(lambda number: number / 2)] * 2)


@settings(max_examples=150, deadline=None)
@given(st.lists(POINT, min_size=3, max_size=9) | st.lists(HALF, min_size=3, max_size=9))
def test_polygons_are_filled_as_scikit_image_fills_them(points: list[tuple[float, float]]) -> None:
    size = (11, 9)
    assert np.array_equal(whole(fill_polygon(np.array(points, float), size), size), judged(points, size))


@settings(max_examples=80, deadline=None)
@given(POINT, st.tuples(st.integers(1, 9), st.integers(1, 9)), st.sampled_from([0.0, 0.4, -1.3, math.pi / 2]))
def test_ellipses_are_what_lies_within(centre: Any, radii: Any, turn: float) -> None:
    """The first half axis points along (cos, sin) of the angle, y downward, as a browser's canvas draws it."""
    size = (12, 10)
    expected = np.zeros((10, 12), bool)
    for y in range(10):
        for x in range(12):
            along = (x - centre[0]) * math.cos(turn) + (y - centre[1]) * math.sin(turn)
            across = (y - centre[1]) * math.cos(turn) - (x - centre[0]) * math.sin(turn)
            expected[y, x] = (along / radii[0]) ** 2 + (across / radii[1]) ** 2 < 1
    assert np.array_equal(whole(fill_ellipse(centre, radii, turn, size), size), expected)


def test_a_polygon_without_end_is_refused() -> None:
    points = np.array([[0, 0], [5, 20_000]] * 900, float)
    with pytest.raises(ValueError, match=r"a polygon whose outline crosses [0-9]+ rows"):
        fill_polygon(points, (10, 20_000))


@pytest.mark.parametrize("project", [False, True])
def test_a_tree_is_read(tmp_path: Path, project: bool) -> None:
    flat = ({"name": "point", "cx": 1, "cy": 1}, {"name": "polyline", "all_points_x": [1, 2], "all_points_y": [1, 2]})
    root = tree(
        tmp_path / "in",
        entry("a.png", region(TRIANGLE, type="dent", deep="yes"), *(region(one, type="dent") for one in flat)),
        entry("b.png", region({"name": "rect", "x": 3, "y": 4, "width": 10, "height": 6}, type="rust")),
        entry("c.png", caption="seen"),
        entry("d.png", region(flat[0], type="dent")),
        entry("e.png", region({"name": "circle", "cx": 8, "cy": 7, "r": 4.5}, type="rust")),
        project=project,
    )
    photo(root / "f.png")
    assert kinds(root) == {
        "a.png": ("dent", "masks", "train"),
        "b.png": ("rust", "boxes", "train"),
        "c.png": ("", "unlabelled", "train"),
        "d.png": ("", "unlabelled", "train"),
        "e.png": ("rust", "masks", "train"),
        "f.png": ("", "unlabelled", "train"),
    }
    good = kinds(root, without_label="good")
    assert {name for name, (_, kind, _) in good.items() if kind == "good"} == {"c.png", "f.png"}
    found = read_labels(root)
    assert (found.kind, found.classes(), found.layout_problems) == ("via", ["dent", "rust"], ())
    assert "what 1 image(s) say of themselves (file attributes) is not read: caption" in found.notes
    ((_, mask),) = objects(root, "a.png")
    assert np.array_equal(mask, judged([(2, 3), (12, 4), (7, 15)], (WIDTH, HEIGHT)))
    assert objects(root, "b.png") == [("rust", (3, 4, 13, 10))]
    first = next(iter(found))
    assert first.instances[0].attributes == {"deep": "yes"}
    assert first.left_out == (
        "regions[1] is a point, which has no area",
        "regions[2] is a polyline, which has no area",
    )
    convert(root, tmp_path / "out", ["coco"])
    assert verify(tmp_path / "out", against=root).passed
    alone = read_labels(root / "via.json")
    assert (alone.kind, len(alone)) == ("via", 5)
    assert "1 image(s) that the file does not list are not read: f.png" in alone.notes


def test_one_vertex_that_is_moved_is_found(tmp_path: Path) -> None:
    root = tree(tmp_path / "in", entry("a.png", region(TRIANGLE, type="dent")))
    convert(root, tmp_path / "out", ["coco"])
    write(root / "via.json", (root / "via.json").read_text().replace("[2, 12, 7]", "[2, 11, 7]"))
    assert not verify(tmp_path / "out", against=root).passed


def test_it_is_viewed_and_described_and_a_class_called_good_is_said(tmp_path: Path) -> None:
    root = tree(tmp_path / "in", entry("a.png", region(TRIANGLE, type="dent"), region(RECT, type="OK")))
    assert defectkit("view", root, "--out", tmp_path / "gallery").status == 0
    told = defectkit("describe", root, "--json").json()
    assert (told["layout"], told["images"], told["instances"]) == ("via", 1, 2)
    assert "1 image(s) have objects of a class that is called as good images are: OK" in read_labels(root).notes


def as_table(root: Path, *, mark: str = "") -> Path:
    """The CSV export of a tree, in place of its JSON."""
    images = json.loads((root / "via.json").read_text())
    (root / "via.json").unlink()
    text = io.StringIO()
    table = csv.writer(text)
    names = ["file_size", "file_attributes", "region_count", "region_id"]
    table.writerow([f"{mark}filename", *names, "region_shape_attributes", "region_attributes"])
    for one in images.values():
        before = [one["filename"], one["size"], json.dumps(one["file_attributes"]), len(one["regions"])]
        for number, told in enumerate(one["regions"]):
            table.writerow([*before, number, *(json.dumps(told[name]) for name in told)])
        if not one["regions"]:
            table.writerow([*before, 0, "{}", "{}"])
    return write(root / "via.csv", text.getvalue())


@pytest.mark.parametrize("mark", ["", "#"])
def test_the_table_says_the_same(tmp_path: Path, mark: str) -> None:
    entries = (
        entry("a.png", region(TRIANGLE, type="dent"), region(RECT, type="rust")),
        entry("b.png", caption="é"),
        entry("c.png", region(TRIANGLE, type="rust")),
    )
    first, second = tree(tmp_path / "json", *entries), tree(tmp_path / "csv", *entries)
    table = as_table(second, mark=mark)
    assert kinds(first) == kinds(second) == kinds(table)
    for (label, one), (other, two) in zip(objects(first, "a.png"), objects(second, "a.png"), strict=True):
        assert (label, np.array_equal(one, two)) == (other, True)


def test_version_1_numbers_its_regions(tmp_path: Path) -> None:
    root = tree(tmp_path, entry("a.png"))
    told = json.loads((root / "via.json").read_text())
    boxes = ({"name": "rect", "x": x, "y": 1, "width": 2, "height": 2} for x in range(11))
    told["a.png-1"]["regions"] = {str(number): region(box, type="dent") for number, box in enumerate(boxes)}
    write(root / "via.json", dict(told))
    assert [box[0] for _, box in objects(root, "a.png")] == list(range(11))


SAID: dict[str, tuple[Any, str]] = {
    "the only one": ([{"quality": "dent"}], "dent"),
    "class before others": ([{"name": "x", "class": "dent"}], "dent"),
    "one that classes are called": ([{"severity": "3", "Label": "dent"}], "dent"),
    "a checkbox": ([{"type": {"dent": True, "rust": False}}], "dent"),
    "a number": ([{"type": 3}], "3"),
    "none at all": ([{}], "defect"),
}


@pytest.mark.parametrize("case", SAID)
def test_the_attribute_of_the_class(tmp_path: Path, case: str) -> None:
    said, expected = SAID[case]
    root = tree(tmp_path, entry("a.png", *(region(TRIANGLE, **one) for one in said)))
    assert {label for label, _ in objects(root, "a.png")} == {expected}
    note = "no region of 1 file(s) has an attribute: all are of one class, 'defect': via.json"
    assert (note in read_labels(root).notes) == (case == "none at all")


@pytest.mark.parametrize("said", [{"severity": "3", "size": "4"}, {"name": "a", "type": "b"}])
def test_nothing_tells_which_attribute_is_the_class(tmp_path: Path, said: dict[str, str]) -> None:
    root = tree(tmp_path / "in", entry("a.png", region(TRIANGLE, **said)))
    done = defectkit("convert", root, tmp_path / "out", "--to", "coco")
    first, second = sorted(said)
    told = f"its regions have the attributes '{first}', '{second}': which is the class is not known"
    assert done.errors == [f"error: {root}: {told}; rename the one that is to 'class', in VIA or in the file"]
    old, new = (f'"{name}": "{said[first]}"' for name in (first, "class"))
    write(root / "via.json", (root / "via.json").read_text().replace(old, new))
    assert objects(root, "a.png")[0][0] == said[first]


CORRECT = "correct or remove it"
REFUSED: dict[str, tuple[dict[str, Any], Any, str]] = {
    "no class": (RECT, "", 'has the type "", which names no class; choose one in VIA, or remove the region'),
    "two classes": (
        RECT,
        {"dent": True, "rust": True},
        'has the type {"dent": true, "rust": true}, which names several classes; choose one in VIA, or remove the '
        "region",
    ),
    "another shape": (
        {"name": "star"},
        "dent",
        'has the shape "star", which VIA does not draw; draw it as a polygon, or remove it',
    ),
    "a boolean": (RECT | {"x": True}, "dent", f"has the x true, no number; {CORRECT}"),
    "text": (RECT | {"width": "9"}, "dent", f'has the width "9", no number; {CORRECT}'),
    "nothing": ({"name": "circle", "cx": 3, "cy": 3}, "dent", f"has the r null, no number; {CORRECT}"),
    "far away": (RECT | {"y": 1e7}, "dent", f"has the y 10000000.0, beyond all images; {CORRECT}"),
    "below zero": (RECT | {"width": -2}, "dent", f"is -2 wide and 2 high; {CORRECT}"),
    "lists of two lengths": (
        TRIANGLE | {"all_points_x": [1]},
        "dent",
        "has no list of x and of y of the same length; draw it again, or remove it",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(tmp_path: Path, case: str) -> None:
    shape, said, problem = REFUSED[case]
    root = tree(tmp_path, entry("a.png", region(shape, type=said)), entry("b.png", region(RECT, type="dent")))
    assert problems(root) == [f'via.json: "a.png-1": regions[0]: {problem}']
    assert "unlabelled" not in {kind for _, kind, _ in kinds(root).values()}


def test_degenerate_shapes_are_left_out_and_counted(tmp_path: Path) -> None:
    shapes = (
        {"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1, 2]},
        {"name": "rect", "x": 90, "y": 1, "width": 2, "height": 2},
        {"name": "rect", "x": 1, "y": 1, "width": 0, "height": 2},
        {"name": "circle", "cx": 5, "cy": 5, "r": 0},
        {"name": "ellipse", "cx": -50, "cy": 5, "rx": 3, "ry": 4, "theta": 1},
    )
    root = tree(tmp_path, entry("a.png", *(region(one, type="dent") for one in (*shapes, TRIANGLE))))
    (image,) = read_labels(root)
    assert image.left_out == tuple(f"regions[{number}] marks no pixel of the image" for number in range(5))
    assert len(image.instances) == 1


def test_images_are_found_by_their_names(tmp_path: Path) -> None:
    names = ("img/a.png", "img/é <script>.png", "C.PNG", "x/d.png", "y/d.png")
    told = ("C:\\work\\a.png", "https://host/p/é <script>.png", "c.png", "d.png")
    for name in names:
        photo(tmp_path / name, (WIDTH, HEIGHT + ord(name[0]) % 2))
    size = (tmp_path / "y/d.png").stat().st_size
    assert size != (tmp_path / "x/d.png").stat().st_size
    images: dict[str, Any] = {}
    for name in told:
        images |= entry(name, region(RECT, type="dent"), size=size if name == "d.png" else -1)
    write(tmp_path / "via.json", images)
    marked = {name for name, (_, kind, _) in kinds(tmp_path).items() if kind == "boxes"}
    assert marked == {*names} - {"x/d.png"}
    said = (
        "2 name(s) lead elsewhere; images of their bare names are taken: C:\\work\\a.png, https://host/p/é <script>.png"
    )
    assert said in read_labels(tmp_path).notes
    assert not read_labels(tmp_path).layout_problems


def test_other_pictures_of_the_same_name_are_said(tmp_path: Path) -> None:
    root = tree(tmp_path, entry("a.png", region(RECT, type="dent"), size=77))
    (note,) = read_labels(root).notes
    assert note == "1 image(s) are not as long in bytes as VIA saw them: are they the same pictures: a.png"


def test_files_that_say_the_same_and_files_that_do_not(tmp_path: Path) -> None:
    root = tree(tmp_path, entry("a.png", region(RECT, type="dent")))
    write(root / "again.json", (root / "via.json").read_text())
    assert problems(root) == []
    assert "1 file(s) say of an image what another one says, and are passed over: via.json" in read_labels(root).notes
    write(root / "again.json", entry("a.png", region(RECT | {"x": 2}, type="dent")))
    expected = "via.json: is of the image a.png, as again.json is; remove one of the two, or make them equal"
    assert problems(root) == [expected]
    assert kinds(root) == {}


def test_an_image_that_is_not_there(tmp_path: Path) -> None:
    root = tree(tmp_path, entry("a.png", region(RECT, type="dent")), entry("b.png", region(RECT, type="dent")))
    (root / "b.png").unlink()
    expected = f"via.json: no image b.png (looked below {root}); put it there, or correct its name"
    assert [str(one).replace(f"{root}/", "") for one in read_labels(root).layout_problems] == [expected]


def test_subsets_are_those_of_folders_and_other_json_is_named(tmp_path: Path) -> None:
    for subset in ("train", "val"):
        tree(tmp_path / subset, entry(f"{subset}.png", region(RECT, type="dent")))
    write(tmp_path / "notes.json", {"a": {"b": 1}})
    assert {subset for _, _, subset in kinds(tmp_path).values()} == {"train", "val"}
    assert read_labels(tmp_path).notes == ("1 file(s) of another kind are not read: notes.json",)


def test_a_dataset_with_masks_stays_one(tmp_path: Path) -> None:
    make_dataset(tmp_path, {"dent": [np.eye(9, dtype=bool)] * 3})
    images = sorted((tmp_path / "part/test/dent").glob("*.png"))
    write(tmp_path / "part/via.json", entry(images[0].name, region(RECT, type="dent")))
    told = defectkit("describe", tmp_path / "part", "--json").json()
    assert told["layout"] != "via"


def test_nothing_marked_is_a_problem(tmp_path: Path) -> None:
    root = tree(tmp_path, entry("a.png"))
    assert problems(root)[0].endswith("no VIA file has a region; name the file that has some")


@pytest.mark.parametrize(
    "text", ['{"_via_img_metadata": 3}', '{"a": {"filename": "a.png", "regions": 3, "file_attributes": 1}}']
)
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    photo(tmp_path / "a.png")
    file = write(tmp_path / "via.json", text)
    with pytest.raises(ToolkitError, match=r"via\.json"):
        read_labels(file)
    assert problems(tmp_path)


def test_the_class_is_the_text_of_an_option(tmp_path: Path) -> None:
    root = tree(tmp_path, entry("a.png", region(RECT, defect="1")), entry("b.png", region(RECT, defect="rust")))
    images = json.loads((root / "via.json").read_text())
    listed = {"1": "Dent", "2": "Pit", "rust": ""}
    offered = {"region": {"defect": {"type": "dropdown", "options": listed}}, "file": {}}
    write(root / "via.json", {"_via_img_metadata": images, "_via_attributes": offered})
    write(root / "export.json", images)  # which says the same, without the options
    assert {name: told[0] for name, told in kinds(root).items()} == {"a.png": "Dent", "b.png": "rust"}
    assert [label for label, _ in objects(root, "a.png")] == ["Dent"]
    assert "1 option(s) of VIA's are called as their texts are: '1' is 'Dent'" in read_labels(root).notes


def test_an_address_with_a_query_is_of_the_image_of_its_name(tmp_path: Path) -> None:
    photo(tmp_path / "imgs/b c.png")
    write(tmp_path / "p.json", entry("https://x.com/imgs/b%20c.png?sig=1", region(RECT, kind="dent")))
    assert kinds(tmp_path) == {"imgs/b c.png": ("dent", "boxes", "train")}
