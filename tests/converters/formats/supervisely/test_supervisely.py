"""Supervisely's projects, held against the drawing and the packing of its SDK, written down here once more."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from converters import convert, read_labels, verify
from converters.formats.supervisely.document import Thing
from converters.formats.supervisely.drawing import instance_of
from tests.commands import defectkit
from tests.converters.formats.reading import HEIGHT, WIDTH, Bools, kinds, objects, photo, problems, write
from tests.masks import masks
from toolkit import ToolkitError

SIZE = (WIDTH, HEIGHT)


def packed(mask: Bools, mode: str = "P") -> str:
    """A mask as the SDK packs it (a palette of which 0 is transparent), or with an alpha, or as one channel."""
    file = io.BytesIO()
    if mode == "P":
        image = Image.fromarray(mask.astype(np.uint8))
        image.putpalette([0, 0, 0, 255, 255, 255])
        image.save(file, "PNG", transparency=0, optimize=0)
    elif mode == "RGBA":
        Image.fromarray(np.dstack([np.full((*mask.shape, 3), 200), mask * 255]).astype(np.uint8)).save(file, "PNG")
    else:
        Image.fromarray((mask * 255).astype(np.uint8)).convert(mode).save(file, "PNG")
    return base64.b64encode(zlib.compress(file.getvalue())).decode()


def bitmap(data: Any, x: Any = 2, y: Any = 3, label: str = "dent", **more: Any) -> dict[str, Any]:
    return {"classTitle": label, "geometryType": "bitmap", "bitmap": {"data": data, "origin": [x, y]}, **more}


def shape(kind: str, exterior: Any, interior: Any = (), label: str = "dent", **more: Any) -> dict[str, Any]:
    points = {
        "exterior": [list(one) for one in exterior],
        "interior": [[list(one) for one in hole] for hole in interior],
    }
    return {"classTitle": label, "geometryType": kind, "points": points, **more}


SQUARE = ((2, 2), (9, 2), (9, 9), (2, 9))


def project(root: Path, annotations: dict[str, Any], tags: Any = (), meta: Any = None) -> Path:
    """A project: path of each image below it -> its objects, or the whole annotation."""
    for name, told in annotations.items():
        dataset, _, bare = name.rpartition("/")
        photo(root / dataset / "img" / bare)
        whole = {"description": "", "tags": list(tags), "size": {"height": HEIGHT, "width": WIDTH}, "objects": told}
        write(root / dataset / "ann" / f"{bare}.json", told if isinstance(told, dict) else whole)
    write(root / "meta.json", meta or {"classes": [{"title": "dent", "shape": "any"}], "tags": []})
    return root


def sdk_polygon(exterior: Any, interior: Any) -> Bools:
    """`Polygon._draw_impl`."""
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(canvas, pts=[np.array(exterior, np.int32)], color=1)
    if interior:
        cv2.fillPoly(canvas, pts=[np.array(hole, np.int32) for hole in interior], color=0)
    return canvas.astype(bool)


def drawn(told: dict[str, Any], size: tuple[int, int] = SIZE) -> Any:
    found = instance_of(Thing("file: objects[0]", 0, "dent", told["geometryType"], told, {}), size)
    return np.zeros((size[1], size[0]), bool) if found is None else found.whole(*size)


@settings(max_examples=60, deadline=None)
@given(masks(), st.sampled_from(["P", "RGBA", "L", "1"]), st.integers(-4, 25), st.integers(-4, 15))
def test_bitmaps_are_what_the_sdk_packs(mask: Bools, mode: str, x: int, y: int) -> None:
    canvas = np.zeros((200, 200), bool)
    canvas[50 + y : 50 + y + mask.shape[0], 50 + x : 50 + x + mask.shape[1]] = mask
    assert np.array_equal(drawn(bitmap(packed(mask, mode), x, y)), canvas[50 : 50 + HEIGHT, 50 : 50 + WIDTH])


POINTS = st.tuples(st.integers(-6, WIDTH + 6), st.integers(-6, HEIGHT + 6))


@settings(max_examples=120, deadline=None)
@given(st.lists(POINTS, min_size=3, max_size=8), st.lists(st.lists(POINTS, min_size=3, max_size=5), max_size=3))
def test_polygons_are_drawn_as_the_sdk_draws_them(exterior: Any, interior: Any) -> None:
    assert np.array_equal(drawn(shape("polygon", exterior, interior)), sdk_polygon(exterior, interior))


def test_points_are_rounded_as_python_rounds() -> None:
    told = shape("polygon", ((2.5, 2.5), (9.5, 2.4), (9.6, 9), (2, 9)))
    assert np.array_equal(drawn(told), sdk_polygon(((2, 2), (10, 2), (10, 9), (2, 9)), ()))


def test_a_tree_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mask = rng.random((5, 7)) > 0.5
    hole = [(4, 4), (7, 4), (7, 7), (4, 7)]
    tags = [{"name": "deep", "value": None}, {"name": "grade", "value": 3}]
    root = project(
        tmp_path / "in",
        {
            "train/a.png": [bitmap(packed(mask), tags=tags), shape("polygon", SQUARE, [hole], "rust")],
            "val/b.png": [shape("rectangle", ((9, 8), (4, 2)))],
            "val/c.png": [],
        },
        meta={"classes": [{"title": name, "shape": "any"} for name in ("rust", "dent")], "tags": []},
    )
    photo(root / "test/img/d.png")
    assert kinds(root) == {
        "train/img/a.png": ("combined", "masks", "train"),
        "val/img/b.png": ("dent", "boxes", "val"),
        "val/img/c.png": ("good", "good", "val"),
        "test/img/d.png": ("", "unlabelled", "test"),
    }
    tree = read_labels(root)
    assert (tree.kind, tree.classes(), tree.layout_problems) == ("supervisely", ["rust", "dent"], ())
    (first, whole), (second, ring) = objects(root, "a.png")
    assert (first, second) == ("dent", "rust")
    assert np.array_equal(whole[3:8, 2:9], mask)
    assert whole.sum() == mask.sum()
    assert np.array_equal(ring, sdk_polygon(SQUARE, [hole]))
    assert objects(root, "b.png") == [("dent", (4, 2, 10, 9))]
    assert next(iter(tree)).instances[0].attributes == {"deep": "true", "grade": "3"}
    told = convert(root, tmp_path / "out", ["coco", "masks"], on_problem="skip").manifests["coco"]
    assert told["classes"] == ["rust", "dent"]
    assert verify(tmp_path / "out/coco", against=root).passed


def test_a_vertex_that_is_moved_is_found(tmp_path: Path) -> None:
    root = project(tmp_path / "in", {"a/a.png": [shape("polygon", SQUARE)]})
    convert(root, tmp_path / "out", ["coco"])
    write(root / "a/ann/a.png.json", (root / "a/ann/a.png.json").read_text().replace("[9, 9]", "[9, 8]"))
    assert not verify(tmp_path / "out", against=root).passed


def test_old_projects(tmp_path: Path) -> None:
    """No geometryType, `bitmap` null beside points, and files that leave the image's ending out."""
    line = {"classTitle": "line", "bitmap": None, "points": {"exterior": [[1, 1], [5, 5]], "interior": []}}
    old = {"classTitle": "dent", "bitmap": None, "points": {"exterior": SQUARE, "interior": []}}
    mask = {"classTitle": "dent", "bitmap_id": 7, "bitmap": {"data": packed(np.ones((2, 2), bool)), "origin": [20, 5]}}
    shapes = [{"title": "dent", "shape": "polygon"}, {"title": "line", "shape": "line"}]
    root = project(tmp_path, {"ds/a.png": [old, mask, line]}, meta={"classes": shapes, "tags": []})
    (root / "ds/ann/a.png.json").rename(root / "ds/ann/a.json")
    (_, polygon), (_, square) = objects(root, "a.png")
    assert np.array_equal(polygon, sdk_polygon(SQUARE, ()))
    assert (square.sum(), square[5:7, 20:22].all()) == (4, True)
    (image,) = read_labels(root)
    assert image.left_out == ("objects[2] is a line, which is not read",)


def test_flat_things_alone_leave_an_image_unlabelled(tmp_path: Path) -> None:
    flat = [shape("point", [(1, 1)]), {"classTitle": "dent", "geometryType": "graph", "nodes": {}}]
    root = project(tmp_path, {"ds/a.png": flat, "ds/b.png": [shape("polygon", SQUARE)]})
    assert kinds(root)["ds/img/a.png"][1] == "unlabelled"
    assert "1 image(s) show nothing but points, lines and graphs" in " ".join(read_labels(root).notes)


def test_tags_are_classes_where_there_is_nothing_else(tmp_path: Path) -> None:
    def told(*tags: Any) -> dict[str, Any]:
        return {"size": {"height": HEIGHT, "width": WIDTH}, "tags": list(tags), "objects": []}

    annotations = {
        "ds/a.png": told({"name": "scratch"}, {"name": "val"}),
        "ds/b.png": told({"name": "OK", "value": None}),
        "ds/c.png": told({"name": "kind", "value": "rust"}),
        "ds/d.png": told(),
        "ds/e.png": told({"name": "scratch"}, {"name": "rust"}),
    }
    root = project(tmp_path / "in", annotations)
    assert kinds(root) == {
        "ds/img/a.png": ("scratch", "class", "val"),
        "ds/img/b.png": ("good", "good", "train"),
        "ds/img/c.png": ("rust", "class", "train"),
        "ds/img/d.png": ("", "unlabelled", "train"),
    }
    assert problems(root) == ["ds/ann/e.png.json: its image has several tags: scratch, rust; keep the one of its class"]
    done = defectkit("convert", root, tmp_path / "out", "--to", "yolo-classify", "--on-problem", "skip")
    assert done.status == 0, done.err
    assert defectkit("convert", root, tmp_path / "no", "--to", "coco", "--on-problem", "skip").status == 2


def test_a_tag_without_object_among_objects_may_be_a_defect(tmp_path: Path) -> None:
    tagged = {"size": {"height": HEIGHT, "width": WIDTH}, "tags": [{"name": "scratch"}], "objects": []}
    root = project(tmp_path, {"ds/a.png": tagged, "ds/b.png": [shape("polygon", SQUARE)]})
    assert kinds(root)["ds/img/a.png"][1] == "unlabelled"
    assert kinds(root, without_label="good")["ds/img/a.png"][1] == "good"


BOMB = base64.b64encode(zlib.compress(bytes(1 << 24))).decode()
LARGE = base64.b64encode(zlib.compress(b"\x89PNG\r\n\x1a\n" + bytes(16))).decode()
TORN = base64.b64encode(zlib.compress(b"x" * 99)[:-3]).decode()
RGB = io.BytesIO()
Image.new("RGB", (2, 2)).save(RGB, "PNG")
COLOURS = base64.b64encode(zlib.compress(RGB.getvalue())).decode()
AGAIN = "draw it again, or remove it"

REFUSED: dict[str, tuple[Any, str]] = {
    "a bomb": (bitmap(BOMB), f"its bitmap unpacks to more than its image can need; {AGAIN}"),
    "cut short": (bitmap(TORN), f"its bitmap is cut short; {AGAIN}"),
    "no base64": (bitmap("é!"), f"its bitmap is no zlib in base64; {AGAIN}"),
    "no zlib": (bitmap("AAAA"), f"its bitmap is no zlib in base64; {AGAIN}"),
    "no text": (bitmap(None), f"its bitmap has the data null, no text; {AGAIN}"),
    "a damaged PNG": (
        bitmap(LARGE),
        f"its bitmap: not a readable image (this PNG does not begin with a header); {AGAIN}",
    ),
    "colours": (bitmap(COLOURS), f"its bitmap has 3 channels and no transparency; {AGAIN}"),
    "no origin": (bitmap(packed(np.ones((2, 2), bool)), "x"), 'has the origin "x", no number; correct or remove it'),
    "a boolean": (
        shape("polygon", ((True, 1), (2, 2), (3, 1))),
        "has the coordinate true, no number; correct or remove it",
    ),
    "infinity": (
        shape("polygon", ((1e9, 1), (2, 2), (3, 1))),
        "has the coordinate 1000000000.0, beyond all images; correct or remove it",
    ),
    "half a hole": (shape("polygon", SQUARE, [((3, 3), (4, 4))]), f"has a hole of fewer than three points; {AGAIN}"),
    "one corner": (shape("rectangle", ((1, 1),)), f"is a rectangle of 1 points, and takes 2; {AGAIN}"),
    "another geometry": (
        shape("alpha_mask", ()),
        'is of the geometry "alpha_mask", which is not read; turn it into a bitmap or a polygon, or remove it',
    ),
    "no class": (shape("polygon", SQUARE, label=""), 'has the class "", which is no name; name its class'),
    "no geometry": (
        {"classTitle": "dent", "points": {}},
        "does not tell its geometry, nor does the class 'dent'; name the project's folder, whose meta.json tells",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(tmp_path: Path, case: str) -> None:
    told, problem = REFUSED[case]
    root = project(tmp_path, {"ds/a.png": [told], "ds/b.png": [shape("polygon", SQUARE)]})
    assert problems(root) == [f"ds/ann/a.png.json: objects[0]: {problem}"]


@pytest.mark.parametrize("change", ["no image", "two files", "another size", "no JSON", "no annotation"])
def test_files_that_do_not_fit(tmp_path: Path, change: str) -> None:
    root = project(tmp_path, {"ds/a.png": [shape("polygon", SQUARE)], "ds/b.png": [shape("polygon", SQUARE)]})
    file = root / "ds/ann/a.png.json"
    if change == "no image":
        (root / "ds/img/a.png").unlink()
        expected = "no image ds/img/a.png (looked in ds/img); put it there, or correct its name"
    elif change == "two files":
        write(root / "ds/ann/a.json", file.read_text())
        expected = "is of the image ds/img/a.png, as ds/ann/a.json is; remove one of the two, or make them equal"
    elif change == "another size":
        photo(root / "ds/img/a.png", (31, 20))
        assert problems(root) == [
            "ds/img/a.png: is 31 x 20 pixels, its labels are for 30 x 20; put the right image there, or correct the "
            "size in the label file"
        ]
        return
    elif change == "no JSON":
        write(file, file.read_text()[:-9])
        (found,) = problems(root)
        assert found.startswith("ds/ann/a.png.json: is no JSON that can be read")
        return
    else:
        write(file, {"shapes": []})
        expected = "is no annotation of Supervisely's (objects and size); replace it, or remove it"
    assert problems(root) == [f"ds/ann/a.png.json: {expected}"]
    assert "ds/img/a.png" not in kinds(root)
    assert "unlabelled" not in {kind for _, kind, _ in kinds(root).values()}


def test_labels_without_images(tmp_path: Path) -> None:
    root = project(tmp_path, {"ds/a.png": [shape("polygon", SQUARE)]})
    (root / "ds/img/a.png").unlink()
    assert f"no image was found below {root}: the labels of 1 images are read without them" in read_labels(root).notes
    assert [one.width for one in read_labels(root)] == [WIDTH]


def test_a_dataset_of_a_project_and_nested_ones(tmp_path: Path) -> None:
    root = project(tmp_path, {name: [shape("polygon", SQUARE)] for name in ("ds/a.png", "ds/datasets/in/b.png")})
    assert len(read_labels(root)) == 2
    assert read_labels(root / "ds/datasets/in").kind == "supervisely"


def test_pictures_of_masks_beside_img_are_no_images(tmp_path: Path) -> None:
    """As its exports with masks have them."""
    root = project(tmp_path, {"ds/a.png": [shape("polygon", SQUARE)]})
    photo(root / "ds/masks_machine/a.png")
    assert [*kinds(root, without_label="good")] == ["ds/img/a.png"]
    assert read_labels(root).notes == ("1 picture(s) outside of img are not read: ds/masks_machine/a.png",)


def test_it_is_not_written(tmp_path: Path) -> None:
    root = project(tmp_path, {"ds/a.png": [shape("polygon", SQUARE)]})
    done = defectkit("convert", root, tmp_path / "out", "--to", "supervisely")
    assert done.status == 2
    assert done.errors[0].startswith(
        "error: --to: supervisely is read, and not written; use one or more of yolo-detect, "
    )


def test_nothing_marked_is_a_problem(tmp_path: Path) -> None:
    root = project(tmp_path, {"ds/a.png": []})
    assert problems(root)[0].endswith(
        "no annotation has an object, nor its image a tag; name the project that has some"
    )


def test_damaged_classes_are_refused(tmp_path: Path) -> None:
    twice = [{"title": "dent", "shape": "any"}] * 2
    root = project(tmp_path, {"ds/a.png": []}, meta={"classes": twice})
    with pytest.raises(ToolkitError, match=r"meta.json: classes\[1\]: is called 'dent', as another one; rename one"):
        read_labels(root)
    assert json.loads((root / "meta.json").read_text())["classes"] == twice
